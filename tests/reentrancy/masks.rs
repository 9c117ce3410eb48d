//! Guards, counters, slots, and everything else that has state for each CPU.

use super::at_each::{Subject, try_each};
use crate::address_of;
use crate::rules::code;
use crate::support::{breakpoint_at, nothing_left, watchpoint_at};
use ::slots::{Access, Cpus, Request};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check_eq, skip};
use kernel::arch::daif;
use kernel::debug::slots::{self, Disposition};
use kernel::debug::{debugger, stats};
use kernel::drivers::gic;
use kernel::irq::off::{self, IrqOff};
use kernel::irq::sgi;
use kernel::kprobe::{self, ProbeError};
use kernel::percpu;
use kernel::report::symbols;

specimen! {
    /// A place for breakpoints. A function that the compiler translates could be merged with an equal one, even with one in
    /// no-probe text.
    fn place() {
        "nop", "ret"
    }
}

pub fn interrupt_guards_come_and_go_in_the_middle_of_others() -> Outcome {
    /// Bits: 1 if interrupts were on where they must be off, 2 if they were off where they must be on, 4 if the handler's guards
    /// have not left them as they were.
    static WRONG: AtomicU64 = AtomicU64::new(0);
    #[inline(never)]
    fn guards() {
        let outer = IrqOff::new();
        let inner = IrqOff::new();
        WRONG.fetch_or(off::enabled().into(), Relaxed);
        drop(inner);
        WRONG.fetch_or(off::enabled().into(), Relaxed);
        drop(outer);
        WRONG.fetch_or(u64::from(!off::enabled()) << 1, Relaxed);
    }
    fn nested() {
        let before = off::enabled();
        let outer = IrqOff::new();
        drop(IrqOff::new());
        WRONG.fetch_or(off::enabled().into(), Relaxed);
        drop(outer);
        WRONG.fetch_or(u64::from(off::enabled() != before) << 2, Relaxed);
    }
    fn check(_: u64) -> Outcome {
        check_eq!((WRONG.load(Relaxed), daif::read().bits(), off::enabled()), (0, 0, true));
        Ok(())
    }
    let prepare = || WRONG.store(0, Relaxed);
    try_each(&Subject { outer: guards, nested, also: &["kernel::irq::off::"], prepare, check }, 30)
}

/// A counter of this CPU, and its value at the last reset.
struct Since(stats::Counter, AtomicU64);

impl Since {
    fn reset(&self) {
        self.1.store(self.0.here(), Relaxed);
    }

    fn counted(&self) -> u64 {
        self.0.here() - self.1.load(Relaxed)
    }
}

pub fn warnings_are_all_counted() -> Outcome {
    static WARNINGS: Since = Since(stats::WARNINGS, AtomicU64::new(0));
    fn warn() {
        code::warn();
    }
    fn check(nested: u64) -> Outcome {
        check_eq!(WARNINGS.counted(), 1 + nested);
        Ok(())
    }
    let level = log::max_level();
    log::set_max_level(log::LevelFilter::Off);
    let also = &["kernel::debug::bug::"];
    let outcome =
        try_each(&Subject { outer: warn, nested: warn, also, prepare: || WARNINGS.reset(), check }, 20);
    log::set_max_level(level);
    outcome
}

pub fn stops_without_a_debugger_are_all_counted() -> Outcome {
    static STOPS: Since = Since(stats::UNATTENDED, AtomicU64::new(0));
    fn stop() {
        debugger::breakpoint();
    }
    fn check(nested: u64) -> Outcome {
        check_eq!(STOPS.counted(), 1 + nested);
        Ok(())
    }
    let level = log::max_level();
    log::set_max_level(log::LevelFilter::Off);
    let also = &["kernel::debug::debugger::unattended"];
    let outcome =
        try_each(&Subject { outer: stop, nested: stop, also, prepare: || STOPS.reset(), check }, 10);
    log::set_max_level(level);
    outcome
}

/// The words that are watched: one by the operation, the other by the handler.
static WATCHED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// How many slots could not be set or not be removed.
static FAILED: AtomicU64 = AtomicU64::new(0);

fn come_and_go(request: &Request, cpus: Cpus) {
    let removed = slots::install(request, cpus, Disposition::Count).and_then(slots::remove);
    FAILED.fetch_add(removed.is_err().into(), Relaxed);
}

fn both_kinds(cpus: Cpus, word: usize) {
    come_and_go(&breakpoint_at(address_of!(place)), cpus);
    come_and_go(&watchpoint_at((&raw const WATCHED[word]).addr() as u64, 8, Access::ReadWrite), cpus);
}

fn here() -> Cpus {
    Cpus::of(percpu::index() as u32)
}

fn no_slot_is_left(_: u64) -> Outcome {
    check_eq!(FAILED.load(Relaxed), 0, "slots that could not be set or removed");
    nothing_left()
}

fn no_slot_has_failed() {
    FAILED.store(0, Relaxed);
}

pub fn slots_come_and_go_in_the_middle_of_others() -> Outcome {
    let (outer, nested) = (|| both_kinds(here(), 0), || both_kinds(here(), 1));
    try_each(&Subject { outer, nested, also: &[], prepare: no_slot_has_failed, check: no_slot_is_left }, 20)
}

pub fn slots_of_all_cpus_come_and_go_in_the_middle_of_others() -> Outcome {
    let (outer, nested) = (|| both_kinds(Cpus::ALL, 0), || both_kinds(Cpus::ALL, 1));
    try_each(&Subject { outer, nested, also: &[], prepare: no_slot_has_failed, check: no_slot_is_left }, 20)
}

pub fn interrupts_change_groups_in_the_middle_of_others() -> Outcome {
    /// An SGI that is never sent.
    const OTHER: u32 = 8;
    static WRONG: AtomicU64 = AtomicU64::new(0);
    fn note(done: Result<(), gic::GicError>) {
        WRONG.fetch_add(done.is_err().into(), Relaxed);
    }
    fn outer() {
        note(gic::set_group0(sgi::TEST_FIQ));
    }
    fn nested() {
        note(gic::set_group0(OTHER));
    }
    fn reset() {
        note(gic::set_group1(sgi::TEST_FIQ));
        note(gic::set_group1(OTHER));
        WRONG.store(0, Relaxed);
    }
    fn check(nested: u64) -> Outcome {
        let groups = [sgi::TEST_FIQ, OTHER].map(|id| gic::is_group0(id).ok());
        check_eq!(groups, [Some(true), Some(nested != 0)], "which SGIs are of group 0");
        check_eq!(WRONG.load(Relaxed), 0);
        Ok(())
    }
    if gic::version().map_err(crate::failed)? != 3 {
        skip!("groups need a GICv3");
    }
    let also = &["kernel::drivers::gic::"];
    let outcome = try_each(&Subject { outer, nested, also, prepare: reset, check }, 5);
    reset();
    outcome
}

/// An exception in the middle of one of these functions would break what the function does. So they must be in no-probe text.
pub fn what_nothing_may_come_between_cannot_be_probed() -> Outcome {
    const NAMES: [&str; 8] = [
        "kernel::drivers::pl011::Pl011::take",
        "kernel::drivers::gic::change_groups",
        "kernel::debug::slots::install",
        "kernel::debug::slots::local::breakpoint_hits",
        "kernel::debug::slots::read_registers",
        "kernel::debug::session::hold",
        "kernel::debug::session::end_of",
        "kernel::debug::exclusive::run",
    ];
    for name in NAMES {
        let address = symbols::by_name(name).map_err(crate::failed)?.address;
        let refused = kprobe::register(address, None, None).map(kprobe::remove);
        check_eq!(refused, Err(ProbeError::NoProbe(address)), "{name}");
    }
    Ok(())
}
