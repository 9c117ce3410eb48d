//! Changes of slots and of text by several CPUs at once.

use crate::failed;
use crate::support::{
    Slot, all_idle, breakpoint_at, nothing_left, on_every_cpu, on_other_cpus, together, watchpoint_at,
};
use crate::{address_of, needs_several_cpus};
use ::slots::{Access, Cpus, Kind};
use core::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use harness::ktest::{Ended, Outcome};
use harness::{check_eq, skip};
use kernel::arch::barrier::relax;
use kernel::arch::daif;
use kernel::debug::slots;
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::{self, sgi};
use kernel::kprobe;
use kernel::watcher;
use kernel::{percpu, smp};

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }

    fn patched(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }
}

/// Each CPU sets one watchpoint again and again. Four CPUs use all of the watchpoints that there are, so a slot must be free as
/// soon as its removal returns.
pub fn every_cpu_changes_slots_at_once() -> Outcome {
    needs_several_cpus!();
    static CELLS: [AtomicU64; percpu::MAX_CPUS] = [const { AtomicU64::new(0) }; percpu::MAX_CPUS];
    if smp::online_count() > slots::count(Kind::Watchpoint) as usize {
        skip!("there are fewer watchpoints than CPUs");
    }
    on_every_cpu(|| {
        let cell = &CELLS[percpu::index()];
        let request = watchpoint_at(core::ptr::from_ref(cell) as u64, 8, Access::Write);
        for n in 1..=12 {
            let slot = Slot::counting(&request)?;
            (0..n % 4).for_each(|value| cell.store(value, Relaxed));
            check_eq!(slot.hits(), Some(n % 4));
            drop(slot);
            cell.store(n, Relaxed);
        }
        Ok(())
    })
}

/// Install and remove wait for all CPUs. A rendezvous waits for them too, with interrupts masked.
pub fn slots_change_while_text_is_patched() -> Outcome {
    needs_several_cpus!();
    on_every_cpu(|| {
        if percpu::index() == 0 {
            for n in 0..5 {
                kprobe::register(address_of!(patched), None, None).map_err(failed)?;
                check_eq!(patched(n), n + 1);
                check_eq!(kprobe::unregister(address_of!(patched)), Ok((1, 0)));
            }
        } else {
            for n in 0..5 {
                let slot = Slot::on(
                    &breakpoint_at(address_of!(target)),
                    Cpus::of(percpu::index() as u32),
                    slots::Disposition::Count,
                )?;
                check_eq!(target(n), n + 1);
                check_eq!(slot.hits(), Some(1));
            }
        }
        Ok(())
    })
}

/// Rule H1 from debug context: the record of a removed slot stays until every CPU has disarmed the slot. Otherwise the
/// next hit on a CPU would find no record.
pub fn slots_removed_by_handlers_while_every_cpu_hits_them_leave_nothing_spurious() -> Outcome {
    needs_several_cpus!();
    static REMOVED: AtomicU64 = AtomicU64::new(0);
    fn remove(hit: &slots::Hit, _: &mut DebugFrame) {
        REMOVED.fetch_add(u64::from(slots::remove(hit.id).is_ok()), Relaxed);
    }
    const ROUNDS: u64 = 25;
    REMOVED.store(0, Relaxed);
    on_every_cpu(|| {
        let request = breakpoint_at(address_of!(target));
        for n in 0..ROUNDS {
            // All slots may be taken by removed slots of other CPUs that are not free yet.
            while slots::install(&request, Cpus::ALL, slots::Disposition::Call(watcher!(remove))).is_err() {
                check_eq!(target(n), n + 1);
                // Under icount the CPUs take turns. While one CPU never yields, QEMU gives no turn at all to the next CPU.
                relax();
            }
            for n in 0..4 {
                check_eq!(target(n), n + 1);
            }
            check_eq!(target(n), n + 1);
        }
        Ok(())
    })?;
    check_eq!(REMOVED.load(Relaxed), ROUNDS * smp::online_count() as u64);
    nothing_left()
}

/// Rule K3: the registration and the removal of a probe each hold all other CPUs once. On an emulator a missing hold would have no
/// other effect, so the test counts the holds.
pub fn every_exchange_of_text_holds_all_other_cpus() -> Outcome {
    needs_several_cpus!();
    static HELD: AtomicU64 = AtomicU64::new(0);
    fn take_part(frame: &mut Frame) {
        HELD.fetch_add(1, Relaxed);
        smp::take_part(frame);
    }
    HELD.store(0, Relaxed);
    let others = smp::online_count() as u64 - 1;
    irq::set_handler(sgi::RENDEZVOUS, take_part);
    let registered = kprobe::register(address_of!(patched), None, None).map(|_| HELD.load(Relaxed));
    let removed = kprobe::unregister(address_of!(patched)).map(|_| HELD.load(Relaxed));
    irq::set_handler(sgi::RENDEZVOUS, smp::take_part);
    check_eq!((registered, removed), (Ok(others), Ok(2 * others)));
    Ok(())
}

static ASKED: AtomicU64 = AtomicU64::new(0);
static ANSWERED: AtomicU64 = AtomicU64::new(0);
static END: AtomicBool = AtomicBool::new(false);

/// Calls `target` once for each increment of ASKED, until END is set.
fn answer() {
    let mut answered = ASKED.load(Acquire);
    ANSWERED.fetch_add(1, Release);
    while !END.load(Relaxed) {
        if ASKED.load(Acquire) != answered {
            answered += 1;
            target(answered);
            ANSWERED.fetch_add(1, Release);
        }
        relax();
    }
}

/// Rules H2 and H5: no CPU hits the slot before `install` or after `remove`, and every CPU hits it in between.
pub fn a_slot_is_in_force_everywhere_when_install_returns() -> Outcome {
    needs_several_cpus!();
    static CALLED: AtomicU64 = AtomicU64::new(0);
    fn count(_: &slots::Hit, _: &mut DebugFrame) {
        CALLED.fetch_add(1, Relaxed);
    }
    let others = smp::online_count() as u64 - 1;
    let all_answer = |times: u64| {
        while ANSWERED.load(Acquire) < others * times {
            relax();
        }
    };
    for counter in [&ASKED, &ANSWERED, &CALLED] {
        counter.store(0, Relaxed);
    }
    END.store(false, Relaxed);
    on_other_cpus(answer);
    all_answer(1);
    let rounds = || -> Result<(), Ended> {
        for round in 0..5 {
            ASKED.fetch_add(1, Release);
            all_answer(2 + 3 * round);
            check_eq!(CALLED.load(Relaxed), round * others, "before install");
            let slot = Slot::calling(&breakpoint_at(address_of!(target)), watcher!(count))?;
            ASKED.fetch_add(1, Release);
            all_answer(3 + 3 * round);
            check_eq!(slot.hits(), Some(others));
            drop(slot);
            ASKED.fetch_add(1, Release);
            all_answer(4 + 3 * round);
            check_eq!(CALLED.load(Relaxed), (round + 1) * others, "after remove");
        }
        Ok(())
    };
    let result = rounds();
    END.store(true, Relaxed);
    all_idle();
    result
}

/// Rule H5: a CPU that has missed the interrupt that tells of a change (it was masked, or not yet online) has the change in force
/// after `sync_local`.
pub fn a_cpu_that_was_not_told_brings_its_slots_into_line() -> Outcome {
    needs_several_cpus!();
    static MASKED: AtomicUsize = AtomicUsize::new(0);
    static CHANGED: AtomicUsize = AtomicUsize::new(0);
    static INSTALLED: AtomicU64 = AtomicU64::new(0);
    fn count(_: &slots::Hit, _: &mut DebugFrame) {
        INSTALLED.fetch_add(1, Relaxed);
    }
    MASKED.store(0, Relaxed);
    CHANGED.store(0, Relaxed);
    INSTALLED.store(0, Relaxed);
    on_every_cpu(|| {
        let masked = daif::AllMasked::new();
        together(&MASKED);
        // D is masked, so the slot is in force on this CPU at once, and the call does not wait for the other CPUs, which cannot
        // take the interrupt.
        let request = breakpoint_at(address_of!(target));
        let call = slots::Disposition::Call(watcher!(count));
        let id = (percpu::index() == 0).then(|| slots::install(&request, Cpus::ALL, call));
        together(&CHANGED);
        slots::sync_local();
        let armed = kernel::arch::mdscr::read() & kernel::arch::mdscr::MDE != 0;
        drop(masked);
        check_eq!(armed, true);
        check_eq!(target(1), 2);
        if let Some(id) = id {
            while INSTALLED.load(Relaxed) < smp::online_count() as u64 {
                relax();
            }
            slots::remove(id.map_err(failed)?).map_err(failed)?;
        }
        Ok(())
    })?;
    check_eq!(INSTALLED.load(Relaxed), smp::online_count() as u64);
    Ok(())
}

pub fn every_cpu_asks_for_a_rendezvous_at_once() -> Outcome {
    needs_several_cpus!();
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    static TOGETHER: AtomicU64 = AtomicU64::new(0);
    static TOTAL: AtomicU64 = AtomicU64::new(0);
    TOGETHER.store(0, Relaxed);
    TOTAL.store(0, Relaxed);
    on_every_cpu(|| {
        for _ in 0..4 {
            smp::rendezvous(|| {
                TOGETHER.fetch_add(u64::from(INSIDE.fetch_add(1, Relaxed) != 0), Relaxed);
                TOTAL.fetch_add(1, Relaxed);
                INSIDE.fetch_sub(1, Relaxed);
            });
        }
        Ok(())
    })?;
    check_eq!((TOTAL.load(Relaxed), TOGETHER.load(Relaxed)), (4 * smp::online_count() as u64, 0));
    Ok(())
}
