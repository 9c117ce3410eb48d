//! CPUs that are brought up after breakpoints and watchpoints were set (rule H5). Each test has a boot of its own, with CPUs held back.

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
use kernel::drivers::gic;
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::monitor::Session;
use kernel::percpu::PerCpu;
use kernel::smp::{self, BringUpError};
use kernel::{idle, percpu, time};

macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$(Test { name: stringify!($test), run: $test },)*]
    };
}

/// Where one CPU is up.
pub static FROM_ONE: Suite = Suite {
    name: "bringup",
    tests: tests![
        a_cpu_that_comes_up_has_the_slots_from_its_first_instruction_on,
        an_interrupt_that_a_cpu_takes_first_of_all_hits_its_slots,
        a_cpu_that_comes_up_has_one_cpus_slots_too,
        the_monitor_brings_cpus_up_in_any_order,
        a_probe_is_hit_before_a_cpus_slots_are_set_up,
    ],
};

/// Where two are, one of which changes slots and text while further ones come up.
pub static FROM_TWO: Suite =
    Suite { name: "bringup", tests: tests![cpus_come_up_while_slots_and_text_change] };

/// Functions to set breakpoints on; no two alike.
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

/// What the CPUs did first, in order: bits 3 to 0 the CPU, the others which slot was hit. Further hits are not kept.
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

/// Calls of `time::account`, a CPU.
static TICKED: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

fn ticked(_: &Kprobe, _: &mut DebugFrame) -> Then {
    TICKED.this().fetch_add(1, Relaxed);
    Then::Run
}

/// What a CPU is given to do: it hits each slot that often.
fn work() {
    for n in 0..3 {
        kept();
        KEPT.0[0].store(n, Relaxed);
    }
    for n in 0..5 {
        reused();
        REUSED.0[0].store(n, Relaxed);
        stale();
        STALE.0[0].store(n, Relaxed);
    }
}

/// Hits a CPU's [`work`] makes.
const OF_KEPT: u64 = 3;
const OF_REUSED: u64 = 5;

/// Has a CPU do something, and waits for it.
fn on(cpu: usize, work: idle::Work) -> Outcome {
    check!(idle::give(cpu, work), "cpu{cpu} has something to do");
    // It may be without a tick.
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

/// The first write with D open, the first call, the first tick: each is hit. What was removed is not, nor what had its number.
fn a_cpu_that_comes_up_has_the_slots_from_its_first_instruction_on() -> Outcome {
    check_eq!(smp::online_count(), 1, "CPUs are held back");
    let [writes, calls] = first_things();
    // Removed below: one number is used again, one is not.
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
    let first = [Slot::calling(&writes, arrives)?, Slot::calling(&calls, begins)?];
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
    check_eq!(at_once[0], ARRIVES | 1, "its first write, before anybody knows that it is up");
    check_eq!(FIRST.each_ref().map(|first| first.load(Relaxed)), [ARRIVES | 1, BEGINS | 1, 0, 0]);
    check_eq!(first.each_ref().map(Slot::hits), [Some(1), Some(1)]);
    check_eq!(hits, Some(calls), "hits of the watchpoint on its tick counter since it is up, and ticks");
    check_eq!(kept_slots.each_ref().map(Slot::hits), [Some(OF_KEPT); 2]);
    check_eq!(reused_slots.each_ref().map(Slot::hits), [Some(OF_REUSED); 2]);
    check_eq!(smp::bring_up(1), Err(BringUpError::Online { cpu: 1 }));
    Ok(())
}

/// A slot of the CPU that comes up alone, and one of the others alone.
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

/// As a user does it: a breakpoint, then the CPUs, the last one first.
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

/// What a CPU does first of all with D open is then an interrupt's handler: a probe has made it pending while everything was masked.
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
    let first = Slot::calling(&writes, arrives)?;
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

/// What a CPU has in MDSCR_EL1 out of reset is UNKNOWN: the first exception that it takes must find there what the kernel believes to be
/// there, long before its slots are set up. `dirty.` boots of the tool run this with MDSCR_EL1 in disorder.
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

/// One CPU sets and removes slots and probes all the while that two come up. Behind it nothing is in force that was removed, and all that
/// is there.
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
    check_eq!(WRONG.load(Relaxed), 0, "of the changes");
    on_every_cpu(|| {
        work();
        Ok(())
    })?;
    check_eq!(kept_slots.each_ref().map(Slot::hits), [Some(4 * OF_KEPT); 2]);
    Ok(())
}
