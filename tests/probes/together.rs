//! Probes together with slots, interrupts and faults on the same instruction (rules K6, K7, K8).

use crate::address_of;
use crate::failed;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me, watchpoint_at};
use ::slots::Access;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::daif;
use kernel::debug::{slots::Hit, stats};
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::watcher;
use rules::pstate::Daif;

const ROUNDS: u64 = 100;

specimen! {
    fn outer(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }

    fn outer_simulated(n: u64) -> u64 {
        "b . + 4", "add x0, x0, #1", "ret"
    }

    fn inner(n: u64) -> u64 {
        "add x0, x0, #2", "ret"
    }
}

static WRONG: AtomicU64 = AtomicU64::new(0);
static POSTS: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    WRONG.fetch_add(u64::from(inner(5) != 7), Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    POSTS.fetch_add(1, Relaxed);
}

/// A breakpoint and a probe are on one instruction, and the probe's handler calls a function with another probe. Each of the three
/// is hit once.
pub fn a_breakpoint_and_a_probe_and_a_probe_in_its_handler_hit_once_each() -> Outcome {
    for function in [outer, outer_simulated] {
        let (stepped, completed) = (stats::STEP_OVERS.here(), stats::COMPLETED_IN_SOFTWARE.here());
        WRONG.store(0, Relaxed);
        POSTS.store(0, Relaxed);
        let breakpoint = Slot::counting(&breakpoint_at(address_of!(function)))?;
        kprobe::register(address_of!(function), Some(pre), Some(post)).map_err(failed)?;
        kprobe::register(address_of!(inner), None, Some(post)).map_err(failed)?;
        for n in 1..=ROUNDS {
            check_eq!(function(n), n + 1);
            check_eq!(breakpoint.hits(), Some(n));
        }
        check_eq!(stats::STEP_OVERS.here() - stepped, 0, "never by hardware step (K8)");
        check_eq!(stats::COMPLETED_IN_SOFTWARE.here() - completed, ROUNDS);
        check_eq!(kprobe::unregister(address_of!(function)), Ok((ROUNDS, 0)));
        check_eq!(kprobe::unregister(address_of!(inner)), Ok((ROUNDS, 0)));
        check_eq!((POSTS.load(Relaxed), WRONG.load(Relaxed)), (2 * ROUNDS, 0));
        check_eq!(function(0), 1);
        check_eq!(breakpoint.hits(), Some(ROUNDS + 1), "the breakpoint is as it was without the probe");
    }
    Ok(())
}

/// The handler of a breakpoint makes an interrupt pending, which is taken before the probe on the same instruction is hit. The
/// interrupt's handler then runs through the same breakpoints and probes.
pub fn a_breakpoint_and_a_probe_hit_once_each_under_interrupts() -> Outcome {
    static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &mut Frame) {
        INTERRUPTS.fetch_add(1, Relaxed);
        WRONG.fetch_add(u64::from(outer(5) != 6 || outer_simulated(5) != 6), Relaxed);
    }
    fn raise(_: &Hit, frame: &mut DebugFrame) {
        if !frame.masks().contains(Daif::I) {
            interrupt_me();
        }
    }
    let _interrupt = OnDemand::new(handler);
    WRONG.store(0, Relaxed);
    INTERRUPTS.store(0, Relaxed);
    let functions = [outer, outer_simulated];
    let slots = [
        Slot::calling(&breakpoint_at(address_of!(outer)), watcher!(raise))?,
        Slot::calling(&breakpoint_at(address_of!(outer_simulated)), watcher!(raise))?,
    ];
    for function in functions {
        kprobe::register(address_of!(function), Some(pre), Some(post)).map_err(failed)?;
    }
    for n in 0..ROUNDS {
        check_eq!((outer(n), outer_simulated(n)), (n + 1, n + 1));
    }
    let counts = functions.map(|function| kprobe::unregister(address_of!(function)));
    check_eq!((INTERRUPTS.load(Relaxed), WRONG.load(Relaxed)), (2 * ROUNDS, 0));
    check_eq!(counts, [Ok((3 * ROUNDS, 0)); 2]);
    check_eq!(slots.each_ref().map(Slot::hits), [Some(3 * ROUNDS); 2]);
    Ok(())
}

specimen! {
    fn store(to: &AtomicU64, value: u64) {
        "str x1, [x0]", "ret"
    }
}

/// Rule K8: the copy runs with I and F masked and D open; M10, K1: a slot's handler is shown the probed context.
pub fn a_watchpoint_hit_by_a_copy_is_hit_once_in_the_probed_context() -> Outcome {
    static CELL: AtomicU64 = AtomicU64::new(0);
    static SHOWN: AtomicU64 = AtomicU64::new(0);
    fn look(_: &Hit, frame: &mut DebugFrame) {
        SHOWN.fetch_add(u64::from(frame.pc == address_of!(store) && frame.masks().is_empty()), Relaxed);
    }
    SHOWN.store(0, Relaxed);
    POSTS.store(0, Relaxed);
    let address = address_of!(store);
    let watchpoint = Slot::calling(&watchpoint_at(&raw const CELL as u64, 8, Access::Write), watcher!(look))?;
    let breakpoint = Slot::counting(&breakpoint_at(address))?;
    kprobe::register(address, None, Some(post)).map_err(failed)?;
    for n in 1..=ROUNDS {
        store(&CELL, n);
        check_eq!(CELL.load(Relaxed), n);
        check_eq!(daif::read(), Daif::empty(), "the masks are back");
        check_eq!((watchpoint.hits(), breakpoint.hits()), (Some(n), Some(n)));
    }
    check_eq!(kprobe::unregister(address), Ok((ROUNDS, 0)));
    check_eq!((SHOWN.load(Relaxed), POSTS.load(Relaxed)), (ROUNDS, ROUNDS));
    Ok(())
}

specimen! {
    /// Loads from `from`; if that faults, from `instead`, with the same instruction again.
    fn load(from: u64, instead: u64) -> u64 {
        "mov x2, x0",
        "2: ldr x0, [x2]",
        "ret",
        "3: mov x2, x1",
        "b 2b",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 3b",
        ".popsection",
    }
}

/// Rules K7 and X1: the fix-up is found by the probed address, in the masks of the probed context, and the instruction is
/// attempted twice.
pub fn a_fault_in_a_copy_is_the_probed_instructions_and_is_retried() -> Outcome {
    const NOWHERE: u64 = 0xffff_ffff_0000_0000;
    static CELL: AtomicU64 = AtomicU64::new(42);
    let cell = &raw const CELL as u64;
    let address = address_of!(load) + 4;
    POSTS.store(0, Relaxed);
    check_eq!(load(NOWHERE, cell), 42);
    let breakpoint = Slot::counting(&breakpoint_at(address))?;
    kprobe::register(address, None, Some(post)).map_err(failed)?;
    for n in 1..=20 {
        check_eq!(load(NOWHERE, cell), 42);
        check_eq!(daif::read(), Daif::empty());
        daif::set::<{ daif::IF }>();
        let result = load(NOWHERE, cell);
        let masks = daif::read();
        daif::clear::<{ daif::IF }>();
        check_eq!((result, masks), (42, Daif::I | Daif::F));
        check_eq!(breakpoint.hits(), Some(4 * n));
    }
    check_eq!(kprobe::unregister(address), Ok((80, 0)));
    check_eq!(POSTS.load(Relaxed), 40, "the post-handler of the attempts that completed");
    check!(kprobe::depth() == 0);
    Ok(())
}
