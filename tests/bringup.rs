//! CPUs that are brought up after breakpoints and watchpoints were set (rule H5). Each test has a boot of its own, with CPUs held
//! back.

use crate::address_of;
use crate::failed;
use crate::slots::Watched;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me, on_every_cpu, watchpoint_at};
use ::slots::{Access, Cpus, Request};
use alloc::string::String;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use harness::ktest::{Outcome, Suite, Test};
use harness::{check, check_eq};
use kernel::arch::mdscr;
use kernel::debug::slots::{Disposition, Hit};
use kernel::drivers::{gic, timer};
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::monitor::Session;
use kernel::percpu::PerCpu;
use kernel::smp::{self, BringUpError};
use kernel::watcher;
use kernel::{idle, percpu, time};

macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$(Test { name: stringify!($test), run: $test },)*]
    };
}

/// Tests that begin with one CPU up; all others are held back.
pub static FROM_ONE: Suite = Suite {
    name: "bringup",
    tests: tests![
        a_cpu_that_comes_up_has_the_slots_from_its_first_instruction_on,
        an_interrupt_that_a_cpu_takes_first_of_all_hits_its_slots,
        a_cpu_that_comes_up_has_one_cpus_slots_too,
        the_monitor_brings_cpus_up_in_any_order,
        a_cpu_that_comes_late_waits_until_it_is_asked_for_again,
        a_probe_is_hit_before_a_cpus_slots_are_set_up,
    ],
};

/// A test that begins with two CPUs up: CPU 1 changes slots and text while CPU 0 brings up CPUs 2 and 3.
pub static FROM_TWO: Suite =
    Suite { name: "bringup", tests: tests![cpus_come_up_while_slots_and_text_change] };

/// Functions to set breakpoints on. All are different.
macro_rules! targets {
    ($($name:ident $n:literal),*) => {$(
        specimen! {
            fn $name() {
                concat!("mov x0, #", $n), "ret"
            }
        }
    )*};
}

targets!(kept 101, reused 102, stale 103);

/// Words to set watchpoints on.
static KEPT: Watched = Watched::new();
static REUSED: Watched = Watched::new();
static STALE: Watched = Watched::new();

/// What the CPUs did first, in order. Bits 3 to 0 are the CPU; the other bits, ARRIVES or BEGINS, say what it did. The array keeps
/// only the first four.
static FIRST: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
const ARRIVES: u64 = 0x10;
const BEGINS: u64 = 0x20;

fn note(what: u64) {
    let what = what | percpu::index() as u64;
    let _ = FIRST.iter().any(|first| first.compare_exchange(0, what, Relaxed, Relaxed).is_ok());
}

fn arrives(_: &Hit, _: &mut DebugFrame) {
    note(ARRIVES);
}

fn begins(_: &Hit, _: &mut DebugFrame) {
    note(BEGINS);
}

/// For each CPU, how often it has called `time::account`.
static TICKED: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

fn ticked(_: &Kprobe, _: &mut DebugFrame) -> Then {
    TICKED.this().fetch_add(1, Relaxed);
    Then::Run
}

/// The work that a CPU is given. It calls `kept` and stores to KEPT [`OF_KEPT`] times, and does the same with `reused` and `stale`
/// [`OF_REUSED`] times.
fn work() {
    for n in 0..OF_KEPT {
        kept();
        KEPT.0[0].store(n, Relaxed);
    }
    for n in 0..OF_REUSED {
        reused();
        REUSED.0[0].store(n, Relaxed);
        stale();
        STALE.0[0].store(n, Relaxed);
    }
}

/// How often [`work`] on one CPU hits each slot that was kept, and each slot that has the number of a removed one.
const OF_KEPT: u64 = 3;
const OF_REUSED: u64 = 5;

/// Makes `cpu` run `work`, and waits for the end.
fn on(cpu: usize, work: idle::Work) -> Outcome {
    check!(idle::give(cpu, work), "cpu{cpu} has something to do");
    // The CPU's tick may be paused, and an idle CPU without interrupts does not look for work.
    smp::kick_slots();
    while !idle::is_idle(cpu) {
        kernel::arch::barrier::relax();
    }
    Ok(())
}

/// A watchpoint on what a CPU writes first with debug exceptions open, and a breakpoint on the first function that it calls.
fn first_things() -> [Request; 2] {
    let last_up = (&raw const smp::LAST_UP).addr() as u64;
    [watchpoint_at(last_up, 8, Access::Write), breakpoint_at(address_of!(idle::run))]
}

/// The first write with D open, the first call and the first tick of a CPU that comes up each hit their slot. A slot that was
/// removed before is not hit, even if another slot has its number now.
fn a_cpu_that_comes_up_has_the_slots_from_its_first_instruction_on() -> Outcome {
    check_eq!(smp::online_count(), 1, "CPUs are held back");
    let [writes, calls] = first_things();
    // These two are removed before CPU 1 comes up, and `reused_slots` get their numbers.
    let removed = [
        Slot::counting(&breakpoint_at(address_of!(stale)))?,
        Slot::counting(&watchpoint_at(STALE.address(0), 8, Access::Write))?,
    ];
    let kept_slots = [
        Slot::counting(&breakpoint_at(address_of!(kept)))?,
        Slot::counting(&watchpoint_at(KEPT.address(0), 8, Access::Write))?,
    ];
    let removed_later = [
        Slot::counting(&breakpoint_at(address_of!(stale) + 4))?,
        Slot::counting(&watchpoint_at(STALE.address(1), 8, Access::Write))?,
    ];
    let numbers = [removed[0].0.id().index, removed[1].0.id().index];
    drop(removed);
    let reused_slots = [
        Slot::counting(&breakpoint_at(address_of!(reused)))?,
        Slot::counting(&watchpoint_at(REUSED.address(0), 8, Access::Write))?,
    ];
    check_eq!(
        [reused_slots[0].0.id().index, reused_slots[1].0.id().index],
        numbers,
        "the numbers are used again"
    );
    drop(removed_later);
    let first = [Slot::calling(&writes, watcher!(arrives))?, Slot::calling(&calls, watcher!(begins))?];
    let tick = watchpoint_at(core::ptr::from_ref(time::TICKS.of(1)) as u64, 8, Access::Write);
    let tick = Slot::counting(&tick)?;
    kprobe::register(address_of!(time::account), Some(ticked), None).map_err(failed)?;

    let up = smp::bring_up(1);
    let at_once = FIRST.each_ref().map(|first| first.load(Relaxed));
    let worked = up.map_err(failed).and_then(|()| on(1, work));
    let ticks = on(1, || {
        while TICKED.this().load(Relaxed) < 3 {
            kernel::irq::off::wait();
        }
        let _off = kernel::irq::off::IrqOff::new();
        time::pause();
    });
    let (hits, calls) = (tick.hits(), TICKED.of(1).load(Relaxed));
    let resumed = on(1, time::resume);
    kprobe::unregister(address_of!(time::account)).map_err(failed)?;
    worked.and(ticks).and(resumed)?;
    check_eq!(
        at_once[0],
        ARRIVES | 1,
        "the CPU's first write hits, before any other CPU knows that it is up"
    );
    check_eq!(FIRST.each_ref().map(|first| first.load(Relaxed)), [ARRIVES | 1, BEGINS | 1, 0, 0]);
    check_eq!(first.each_ref().map(Slot::hits), [Some(1), Some(1)]);
    check_eq!(hits, Some(calls), "hits of the watchpoint on its tick counter since it is up, and ticks");
    check_eq!(kept_slots.each_ref().map(Slot::hits), [Some(OF_KEPT); 2]);
    check_eq!(reused_slots.each_ref().map(Slot::hits), [Some(OF_REUSED); 2]);
    check_eq!(smp::bring_up(1), Err(BringUpError::Online { cpu: 1 }));
    Ok(())
}

/// A slot of one CPU alone is hit when that CPU comes up, and by no other CPU that comes up before or after it.
fn a_cpu_that_comes_up_has_one_cpus_slots_too() -> Outcome {
    check_eq!(smp::online_count(), 1, "CPUs are held back");
    let [writes, calls] = first_things();
    let count = Disposition::Count;
    let of_two = [Slot::on(&writes, Cpus::of(2), count)?, Slot::on(&calls, Cpus::of(2), count)?];
    let of_one = Slot::on(&calls, Cpus::of(1), count)?;
    let counts = || (of_two.each_ref().map(Slot::hits), of_one.hits());
    smp::bring_up(2).map_err(failed)?;
    on(2, || ())?;
    check_eq!(counts(), ([Some(1); 2], Some(0)));
    smp::bring_up(1).map_err(failed)?;
    on(1, || ())?;
    check_eq!(counts(), ([Some(1); 2], Some(1)));
    smp::bring_up(3).map_err(failed)?;
    on(3, || ())?;
    check_eq!(counts(), ([Some(1); 2], Some(1)));
    Ok(())
}

/// The test types what a user would type: first a breakpoint is set, then the CPUs are brought up, not in the order of their
/// numbers.
fn the_monitor_brings_cpus_up_in_any_order() -> Outcome {
    let mut session = Session::new();
    let mut shown = |line: &str| {
        let mut out = String::new();
        session.execute(line, &mut out).map(|_| out).map_err(failed)
    };
    check_eq!(shown("cpu")?, "  cpu0  online\n  cpu1  held back\n  cpu2  held back\n  cpu3  held back\n");
    shown("break kernel::idle::run")?;
    for (n, cpu) in [3, 1, 2].into_iter().enumerate() {
        let said = shown(&alloc::format!("cpu {cpu} online"))?;
        check_eq!(said, alloc::format!("cpu{cpu}: online\n"));
        on(cpu, || ())?;
        let (list, hits) = (shown("break")?, alloc::format!("{}", n + 1));
        let line = list.lines().find(|line| line.contains("kernel::idle::run"));
        check_eq!(line.and_then(|line| line.split_whitespace().nth(2)), Some(hits.as_str()), "{list}");
        let slots = shown("slots")?;
        let line = slots.lines().find(|line| line.contains("kernel::idle::run"));
        let cpus = ["0,3", "0-1,3", "0-3"][n];
        check_eq!(line.and_then(|line| line.split_whitespace().nth(3)), Some(cpus), "{slots}");
    }
    check!(!shown("cpu")?.contains("held back"));
    Ok(())
}

/// Nobody waits for a CPU that was started. When it comes it must stay away from rendezvous and slots, which do not know of it.
fn a_cpu_that_comes_late_waits_until_it_is_asked_for_again() -> Outcome {
    // A tick of the timer is too short for a CPU to come, or just long enough.
    match smp::bring_up_within(3, 1) {
        Ok(()) => check_eq!(smp::online_count(), 2),
        Err(error) => {
            check_eq!((error, smp::online_count()), (BringUpError::Silent { cpu: 3 }, 1));
            smp::bring_up(3).map_err(failed)?;
        }
    }
    on(3, || ())?;
    for cpu in [2, 1] {
        let online = smp::online_count();
        // A second call with nobody waiting must not start the CPU again.
        for _ in 0..2 {
            check_eq!(smp::bring_up_within(cpu, 0), Err(BringUpError::Silent { cpu }));
        }
        let (start, wait) = (timer::now(), timer::frequency() / 20);
        while timer::now() - start < wait {
            kernel::arch::barrier::relax();
        }
        check_eq!(smp::online_count(), online, "cpu{cpu} has come by itself");
        let slot = Slot::on(&breakpoint_at(address_of!(kept)), Cpus::ALL, Disposition::Count)?;
        smp::bring_up(cpu).map_err(failed)?;
        on(cpu, || {
            kept();
        })?;
        check_eq!((slot.hits(), smp::online_count()), (Some(1), online + 1));
    }
    Ok(())
}

/// A probe makes an interrupt pending while the CPU that comes up still has everything masked. So the first code that the CPU runs
/// with D open is the interrupt's handler.
fn an_interrupt_that_a_cpu_takes_first_of_all_hits_its_slots() -> Outcome {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &mut Frame) {
        kept();
        KEPT.0[0].store(1, Relaxed);
        note(BEGINS);
        TAKEN.fetch_add(1, Relaxed);
    }
    fn interrupt(_: &Kprobe, _: &mut DebugFrame) -> Then {
        interrupt_me();
        Then::Run
    }
    check_eq!(smp::online_count(), 1, "CPUs are held back");
    let [writes, _] = first_things();
    let _on_demand = OnDemand::new(handler);
    let slots = [
        Slot::counting(&breakpoint_at(address_of!(kept)))?,
        Slot::counting(&watchpoint_at(KEPT.address(0), 8, Access::Write))?,
    ];
    let first = Slot::calling(&writes, watcher!(arrives))?;
    kprobe::register(address_of!(time::init_cpu), Some(interrupt), None).map_err(failed)?;
    let up = smp::bring_up(1);
    let probed = kprobe::unregister(address_of!(time::init_cpu));
    up.map_err(failed)?;
    check_eq!(probed, Ok((1, 0)));
    check_eq!(TAKEN.load(Relaxed), 1);
    check_eq!(FIRST.each_ref().map(|first| first.load(Relaxed)), [BEGINS | 1, ARRIVES | 1, 0, 0]);
    check_eq!((slots.each_ref().map(Slot::hits), first.hits()), ([Some(1); 2], Some(1)));
    Ok(())
}

/// MDSCR_EL1 is UNKNOWN out of reset. The first exception that a CPU takes comes long before the CPU's slots are set up, and
/// MDSCR_EL1 must already hold what the kernel believes it to hold. The `dirty.` boots of xtask run this test with garbage in
/// MDSCR_EL1.
fn a_probe_is_hit_before_a_cpus_slots_are_set_up() -> Outcome {
    static MDSCR: AtomicU64 = AtomicU64::new(u64::MAX);
    fn look(_: &Kprobe, _: &mut DebugFrame) -> Then {
        MDSCR.store(mdscr::read(), Relaxed);
        Then::Run
    }
    check_eq!(smp::online_count(), 1, "CPUs are held back");
    let place = address_of!(gic::init_cpu);
    kprobe::register(place, Some(look), None).map_err(failed)?;
    let up = smp::bring_up(1);
    let probed = kprobe::unregister(place);
    up.map_err(failed)?;
    check_eq!(probed, Ok((1, 0)));
    check_eq!(MDSCR.load(Relaxed), 0, "MDSCR_EL1");
    on(1, work)
}

/// CPU 1 sets and removes slots and probes while two other CPUs come up. Afterwards every slot that is still set is in
/// force on each of them, and no removed slot is.
fn cpus_come_up_while_slots_and_text_change() -> Outcome {
    static STOP: AtomicBool = AtomicBool::new(false);
    static WRONG: AtomicU64 = AtomicU64::new(0);
    fn change() -> Outcome {
        Slot::counting(&breakpoint_at(address_of!(stale))).and_then(|slot| {
            let watched = Slot::counting(&watchpoint_at(STALE.address(0), 8, Access::Write))?;
            stale();
            STALE.0[0].store(1, Relaxed);
            check_eq!((slot.hits(), watched.hits()), (Some(1), Some(1)));
            Ok(())
        })?;
        kprobe::register(address_of!(reused), None, None).map_err(failed)?;
        reused();
        check_eq!(kprobe::unregister(address_of!(reused)), Ok((1, 0)));
        Ok(())
    }
    fn change_until_told() {
        while !STOP.load(Acquire) {
            WRONG.fetch_add(u64::from(change().is_err()), Relaxed);
        }
    }
    check_eq!(smp::online_count(), 2, "CPUs are held back");
    let kept_slots = [
        Slot::counting(&breakpoint_at(address_of!(kept)))?,
        Slot::counting(&watchpoint_at(KEPT.address(0), 8, Access::Write))?,
    ];
    check!(idle::give(1, change_until_told));
    let up = smp::bring_up(2).and_then(|()| smp::bring_up(3));
    STOP.store(true, Release);
    while !idle::is_idle(1) {
        kernel::arch::barrier::relax();
    }
    up.map_err(failed)?;
    check_eq!(WRONG.load(Relaxed), 0, "changes that went wrong");
    on_every_cpu(|| {
        work();
        Ok(())
    })?;
    check_eq!(kept_slots.each_ref().map(Slot::hits), [Some(4 * OF_KEPT); 2]);
    Ok(())
}
