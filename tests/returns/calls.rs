//! What the handlers of a return probe see and may change, for each call.

use super::{Probe, wanted};
use crate::address_of;
use crate::order::{self, entered, returned};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::exception::DebugFrame;
use kernel::kprobe::{Instance, ReturnProbe, WantedReturn};

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }

    /// Calls `target` and adds 16 and 32 to its result.
    fn calls(n: u64) -> u64 {
        "stp x29, x30, [sp, #-16]!",
        "bl {target}",
        "add x0, x0, #16",
        "add x0, x0, #32",
        "ldp x29, x30, [sp], #16",
        "ret",
        target = sym target,
    }
}

/// The address that the call of `target` in [`calls`] returns to.
fn behind_call() -> u64 {
    address_of!(calls) + 2 * 4
}

static RETURNS: AtomicU64 = AtomicU64::new(0);
/// How often a handler has seen something that it should not have seen.
static WRONG: AtomicU64 = AtomicU64::new(0);

fn reset() {
    RETURNS.store(0, Relaxed);
    WRONG.store(0, Relaxed);
}

pub fn the_handler_runs_once_a_call_and_stands_at_the_caller() -> Outcome {
    fn handler(probe: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
        let n = RETURNS.fetch_add(1, Relaxed);
        let right = frame.pc == behind_call()
            && instance.returns_to() == frame.pc
            && frame.x[0] == n + 2
            && probe.address() == address_of!(target)
            && probe.active() == 1
            && frame.masks().is_empty();
        WRONG.fetch_add(u64::from(!right), Relaxed);
    }
    reset();
    let probe = Probe::new(&wanted(address_of!(target), handler))?;
    for n in 1..=100 {
        check_eq!(calls(n), n + 49);
        check_eq!((RETURNS.load(Relaxed), WRONG.load(Relaxed)), (n, 0));
        check_eq!(probe.counts(), (n, 0, 0));
    }
    check_eq!(probe.remove(), (100, 0));
    check_eq!(calls(1), 50);
    check_eq!(RETURNS.load(Relaxed), 100);
    Ok(())
}

pub fn a_handler_can_change_the_result_and_where_it_returns_to() -> Outcome {
    fn handler(_: &ReturnProbe, _: &Instance, frame: &mut DebugFrame) {
        frame.x[0] = 1000;
        frame.pc += 4;
    }
    let probe = Probe::new(&wanted(address_of!(target), handler))?;
    check_eq!([calls(5), calls(6)], [1032; 2]);
    check_eq!(probe.remove(), (2, 0));
    Ok(())
}

pub fn an_entry_handler_can_decline() -> Outcome {
    fn entry(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) -> bool {
        let right = frame.pc == address_of!(target)
            && frame.x[30] == behind_call()
            && instance.returns_to() == behind_call();
        WRONG.fetch_add(u64::from(!right), Relaxed);
        frame.x[0].is_multiple_of(2)
    }
    fn handler(_: &ReturnProbe, _: &Instance, frame: &mut DebugFrame) {
        RETURNS.fetch_add(1, Relaxed);
        WRONG.fetch_add(u64::from(frame.x[0].is_multiple_of(2)), Relaxed);
    }
    reset();
    // The probe has one instance only, so a call that the entry handler declines must give it back.
    let probe = Probe::new(&WantedReturn {
        entry: Some(entry),
        instances: 1,
        ..wanted(address_of!(target), handler)
    })?;
    for n in 0..100 {
        check_eq!(calls(n), n + 49);
    }
    check_eq!(probe.counts(), (50, 0, 0));
    check_eq!(probe.0.map(ReturnProbe::declined), Some(50));
    check_eq!(probe.remove(), (50, 0));
    check_eq!((RETURNS.load(Relaxed), WRONG.load(Relaxed)), (50, 0));
    Ok(())
}

specimen! {
    /// Computes n + (n - 1) + ... + 1 by calling itself.
    pub fn adds_up(n: u64) -> u64 {
        "cbz x0, 1f",
        "stp x29, x30, [sp, #-32]!",
        "str x0, [sp, #16]",
        "sub x0, x0, #1",
        "bl {adds_up}",
        "ldr x1, [sp, #16]",
        "add x0, x0, x1",
        "ldp x29, x30, [sp], #32",
        "1: ret",
        adds_up = sym adds_up,
    }
}

/// An entry handler: keeps the argument and SP in the call's instance.
pub fn remembers(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) -> bool {
    instance.data(0).store(frame.x[0], Relaxed);
    instance.data(1).store(frame.sp, Relaxed);
    true
}

/// The handler of returns of `adds_up`: checks result and SP against what [`remembers`] has kept.
pub fn compares(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
    let n = instance.data(0).load(Relaxed);
    let right = frame.x[0] == n * (n + 1) / 2 && instance.data(1).load(Relaxed) == frame.sp;
    WRONG.fetch_add(u64::from(!right), Relaxed);
    RETURNS.fetch_add(1, Relaxed);
}

/// How many returns [`compares`] has seen since the last call of this function, and how many of them were wrong.
pub fn compared() -> (u64, u64) {
    (RETURNS.swap(0, Relaxed), WRONG.swap(0, Relaxed))
}

pub fn every_call_has_data_of_its_own() -> Outcome {
    reset();
    let all =
        WantedReturn { entry: Some(remembers), instances: 64, ..wanted(address_of!(adds_up), compares) };
    let probe = Probe::new(&all)?;
    for depth in [0, 1, 2, 20, 63] {
        check_eq!(adds_up(depth), depth * (depth + 1) / 2);
        check_eq!(compared(), (depth + 1, 0));
    }
    check_eq!(probe.remove(), (91, 0));
    Ok(())
}

/// A recursion is deeper than the number of instances: the outermost calls have the instances, the others are missed.
pub fn calls_beyond_the_instances_are_missed() -> Outcome {
    static LAST: AtomicU64 = AtomicU64::new(0);
    fn notes(probe: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
        compares(probe, instance, frame);
        LAST.store(LAST.load(Relaxed) * 10 + instance.data(0).load(Relaxed), Relaxed);
    }
    reset();
    let three = WantedReturn { entry: Some(remembers), instances: 3, ..wanted(address_of!(adds_up), notes) };
    let probe = Probe::new(&three)?;
    for round in 1..=50 {
        LAST.store(0, Relaxed);
        check_eq!(adds_up(9), 45);
        check_eq!((compared(), LAST.load(Relaxed)), ((3, 0), 789));
        check_eq!(probe.counts(), (3 * round, 7 * round, 0));
    }
    check_eq!(probe.remove(), (150, 350));
    Ok(())
}

/// A return probe whose handlers note ENTRY at each call and RETURN at each return.
fn both<const ENTRY: u64, const RETURN: u64>(address: u64) -> WantedReturn {
    WantedReturn { entry: Some(entered::<ENTRY>), ..wanted(address, returned::<RETURN>) }
}

pub fn nested_functions_return_in_their_order() -> Outcome {
    let outer = Probe::new(&both::<1, 2>(address_of!(calls)))?;
    let inner = Probe::new(&both::<3, 4>(address_of!(target)))?;
    for n in 0..20 {
        check_eq!(order::of(|| calls(n)), (n + 49, 1342));
    }
    check_eq!((outer.remove(), inner.remove()), ((20, 0), (20, 0)));
    Ok(())
}

pub fn two_return_probes_on_one_function() -> Outcome {
    let first = Probe::new(&both::<1, 2>(address_of!(target)))?;
    let second = Probe::new(&both::<3, 4>(address_of!(target)))?;
    for n in 0..20 {
        check_eq!(order::of(|| calls(n)), (n + 49, 1342));
    }
    check_eq!(first.remove(), (20, 0));
    check_eq!(order::of(|| calls(1)), (50, 34));
    check_eq!(second.remove(), (21, 0));
    Ok(())
}

specimen! {
    fn jumps(n: u64) -> u64 {
        "add x0, x0, #3", "b {target}", target = sym target
    }
}

/// `jumps` ends with a branch to `target`. One RET returns from both functions, and each handler sees the real caller.
pub fn a_function_that_ends_in_another_ones_call() -> Outcome {
    fn handler(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
        let here = instance.data(0).load(Relaxed);
        WRONG.fetch_add(u64::from(instance.returns_to() != here || frame.x[0] != 9), Relaxed);
        RETURNS.fetch_add(1, Relaxed);
    }
    fn entry(_: &ReturnProbe, instance: &Instance, _: &mut DebugFrame) -> bool {
        instance.data(0).store(instance.returns_to(), Relaxed);
        true
    }
    reset();
    let on = |address| WantedReturn { entry: Some(entry), ..wanted(address, handler) };
    let (first, second) = (Probe::new(&on(address_of!(jumps)))?, Probe::new(&on(address_of!(target)))?);
    check_eq!([jumps(5), jumps(5)], [9; 2]);
    check_eq!((RETURNS.load(Relaxed), WRONG.load(Relaxed)), (4, 0));
    check_eq!((first.remove(), second.remove()), ((2, 0), (2, 0)));
    Ok(())
}

/// Rule K5: calls of the function from its own handlers are missed.
pub fn a_function_in_its_own_handlers_is_missed() -> Outcome {
    fn entry(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) -> bool {
        WRONG.fetch_add(u64::from(target(10) != 11), Relaxed);
        true
    }
    fn handler(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
        RETURNS.fetch_add(1, Relaxed);
        WRONG.fetch_add(u64::from(target(20) != 21 || target(30) != 31), Relaxed);
    }
    reset();
    let probe = Probe::new(&WantedReturn { entry: Some(entry), ..wanted(address_of!(target), handler) })?;
    for n in 1..=50 {
        check_eq!(target(n), n + 1);
        check_eq!(probe.counts(), (n, 3 * n, 0));
    }
    check_eq!((RETURNS.load(Relaxed), WRONG.load(Relaxed)), (50, 0));
    check_eq!(probe.remove(), (50, 150));
    Ok(())
}

/// Rule K5: calls from the handler of another function's return probe are handled.
pub fn a_function_in_another_ones_handler_is_handled() -> Outcome {
    fn outer(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
        order::note(1);
        WRONG.fetch_add(u64::from(target(20) != 21), Relaxed);
        order::note(3);
    }
    reset();
    let first = Probe::new(&wanted(address_of!(calls_nothing), outer))?;
    let second = Probe::new(&wanted(address_of!(target), returned::<2>))?;
    for n in 0..50 {
        check_eq!(order::of(|| calls_nothing(n)), (n + 7, 123));
    }
    check_eq!(WRONG.load(Relaxed), 0);
    check_eq!((first.remove(), second.remove()), ((50, 0), (50, 0)));
    Ok(())
}

specimen! {
    fn calls_nothing(n: u64) -> u64 {
        "add x0, x0, #7", "ret"
    }
}
