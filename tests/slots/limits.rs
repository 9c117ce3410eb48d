//! How many slots there are for one CPU and for all CPUs.

use crate::failed;
use crate::support::{Slot, breakpoint_at, on_every_cpu, watchpoint_at};
use crate::{address_of, needs_several_cpus};
use ::slots::{Access, Cpus, Kind, SlotError};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::arch::mdscr;
use kernel::debug::slots::{self, Disposition};
use kernel::percpu;
use kernel::read_sysreg;
use kernel::watcher;

specimen! {
    fn sled() {
        ".rept 17", "nop", ".endr", "ret"
    }
}

/// ID_AA64DFR0_EL1.BRPs and WRPs hold the numbers of slots minus 1.
pub fn there_are_as_many_slots_as_the_id_register_says_and_all_work() -> Outcome {
    static CELLS: [AtomicU64; 17] = [const { AtomicU64::new(0) }; 17];
    let id = read_sysreg!("id_aa64dfr0_el1");
    let [breakpoints, watchpoints] = [12, 20].map(|shift| (id >> shift & 0xf) as usize + 1);
    check_eq!(slots::count(Kind::Breakpoint) as usize, breakpoints);
    check_eq!(slots::count(Kind::Watchpoint) as usize, watchpoints);

    let breakpoint = |n: usize| breakpoint_at(address_of!(sled) + 4 * n as u64);
    let watchpoint = |n: usize| watchpoint_at(&raw const CELLS[n] as u64, 8, Access::Write);
    let mut all = Vec::new();
    for n in 0..breakpoints {
        all.push(Slot::counting(&breakpoint(n))?);
    }
    for n in 0..watchpoints {
        all.push(Slot::counting(&watchpoint(n))?);
    }
    for (request, kind, total) in [
        (breakpoint(breakpoints), Kind::Breakpoint, breakpoints),
        (watchpoint(watchpoints), Kind::Watchpoint, watchpoints),
    ] {
        let refused = slots::install(&request, Cpus::ALL, Disposition::Count);
        check_eq!(refused, Err(SlotError::NoFreeSlot { kind, total: total as u8 }));
    }
    for _ in 0..10 {
        sled();
        for cell in &CELLS {
            cell.store(1, Relaxed);
        }
    }
    for (n, slot) in all.iter().enumerate() {
        check_eq!(slot.hits(), Some(10), "slot {n}");
    }
    all.remove(0);
    let again = Slot::counting(&breakpoint(0))?;
    sled();
    check_eq!(again.hits(), Some(1), "a slot that was removed can be set again");
    Ok(())
}

pub fn a_slot_of_one_cpu_is_not_armed_on_others() -> Outcome {
    needs_several_cpus!();
    static ON_ONE: AtomicU64 = AtomicU64::new(0);
    static ELSEWHERE: AtomicU64 = AtomicU64::new(0);
    fn count(_: &slots::Hit, _: &mut kernel::exception::DebugFrame) {
        if percpu::index() == 1 { &ON_ONE } else { &ELSEWHERE }.fetch_add(1, Relaxed);
    }
    let slot =
        slots::install(&breakpoint_at(address_of!(sled)), Cpus::of(1), Disposition::Call(watcher!(count)));
    let slot = Slot(slot.map_err(failed)?.into());
    on_every_cpu(|| {
        (0..20).for_each(|_| sled());
        check_eq!(mdscr::read() & mdscr::MDE != 0, percpu::index() == 1, "rule H8: MDE where it is needed");
        Ok(())
    })?;
    check_eq!((ON_ONE.load(Relaxed), ELSEWHERE.load(Relaxed)), (20, 0));
    check_eq!(slot.hits(), Some(20));
    Ok(())
}

/// A slot of one CPU takes nothing from the other CPUs. Each CPU sets all of its slots, each at other addresses, and counts only
/// its own hits.
pub fn each_cpu_has_all_of_its_slots_to_itself() -> Outcome {
    needs_several_cpus!();
    static CELLS: [[AtomicU64; 16]; percpu::MAX_CPUS] =
        [const { [const { AtomicU64::new(0) }; 16] }; percpu::MAX_CPUS];
    on_every_cpu(|| {
        let me = percpu::index();
        let (breakpoints, watchpoints) = (slots::count(Kind::Breakpoint), slots::count(Kind::Watchpoint));
        for round in 1..=5 {
            let mut mine = Vec::new();
            for n in 0..u64::from(breakpoints) {
                // Each CPU uses the addresses in another order.
                let at = address_of!(sled) + 4 * ((n + me as u64) % u64::from(breakpoints));
                mine.push(Slot::on(&breakpoint_at(at), Cpus::of(me as u32), Disposition::Count)?);
            }
            for cell in &CELLS[me][..watchpoints as usize] {
                let request = watchpoint_at(cell.as_ptr() as u64, 8, Access::Write);
                mine.push(Slot::on(&request, Cpus::of(me as u32), Disposition::Count)?);
            }
            let full =
                slots::install(&breakpoint_at(address_of!(sled)), Cpus::of(me as u32), Disposition::Count);
            check_eq!(full, Err(SlotError::NoFreeSlot { kind: Kind::Breakpoint, total: breakpoints }));
            for _ in 0..round * (me + 1) {
                sled();
                CELLS.iter().flatten().for_each(|cell| cell.store(1, Relaxed));
            }
            for (n, slot) in mine.iter().enumerate() {
                check_eq!(slot.hits(), Some((round * (me + 1)) as u64), "slot {n} in round {round}");
            }
        }
        Ok(())
    })?;
    // A slot of two CPUs has its number on these two; a slot of all CPUs needs another number.
    let pair = Slot::on(&breakpoint_at(address_of!(sled)), Cpus(0b11), Disposition::Count)?;
    let all = Slot::counting(&breakpoint_at(address_of!(sled) + 4))?;
    check_eq!((pair.0.id().index, all.0.id().index), (0, 1));
    on_every_cpu(|| {
        sled();
        Ok(())
    })?;
    check_eq!((pair.hits(), all.hits()), (Some(2), Some(kernel::smp::online_count() as u64)));
    Ok(())
}
