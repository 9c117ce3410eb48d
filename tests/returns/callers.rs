//! The real caller of a probed function, as backtraces and a debugger's steps see it from inside of the call.

use super::{Probe, wanted};
use crate::address_of;
use crate::steps::client::{Told, Why, debugged};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::debugger::{Plan, Resume};
use kernel::debug::session::Stepped;
use kernel::exception::{DebugFrame, brk};
use kernel::kprobe::{Instance, ReturnProbe};
use kernel::report::backtrace::Backtrace;
use kernel::sync::IrqMutex;

static RETURNS: AtomicU64 = AtomicU64::new(0);

fn counts(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    RETURNS.fetch_add(1, Relaxed);
}

static TRACE: IrqMutex<String> = IrqMutex::new(String::new());

#[inline(never)]
fn looks(n: u64) -> u64 {
    *TRACE.lock() = Backtrace::here().to_string();
    black_box(n) + 5
}

#[inline(never)]
fn asks(n: u64) -> u64 {
    black_box(looks(n)) + 7
}

#[inline(never)]
fn wants_to_know(n: u64) -> u64 {
    black_box(asks(n)) + 11
}

pub fn backtraces_show_the_real_callers() -> Outcome {
    let names = || -> Vec<String> {
        let trace = TRACE.lock().clone();
        let name = |line: &str| {
            line.split_whitespace().nth(1).map(|place| place.split('+').next().unwrap_or("").into())
        };
        trace.lines().filter_map(name).collect()
    };
    wants_to_know(1);
    let without = names();
    let place = without.iter().position(|name| name.ends_with("callers::wants_to_know"));
    check!(place.is_some(), "{without:?}");
    RETURNS.store(0, Relaxed);
    // Two probes are on `asks`, so the return address that one of them replaces is the BRK of the other.
    let on = [address_of!(looks), address_of!(asks), address_of!(asks), address_of!(wants_to_know)];
    let probes = [
        Probe::new(&wanted(on[0], counts))?,
        Probe::new(&wanted(on[1], counts))?,
        Probe::new(&wanted(on[2], counts))?,
        Probe::new(&wanted(on[3], counts))?,
    ];
    check_eq!(wants_to_know(1), 24);
    check_eq!(names(), without);
    check_eq!(probes.map(Probe::remove), [(1, 0); 4]);
    check_eq!(RETURNS.load(Relaxed), 4);
    Ok(())
}

specimen! {
    fn callee(n: u64) -> u64 {
        "add x0, x0, #1", "add x0, x0, #9", "ret"
    }

    fn stops(n: u64) -> u64 {
        "stp x29, x30, [sp, #-16]!", // 0
        "brk #{debugger}",           // 1
        "bl {callee}",               // 2
        "add x0, x0, #8",            // 3
        "ldp x29, x30, [sp], #16",   // 4
        "ret",                       // 5
        debugger = const brk::DEBUGGER,
        callee = sym callee,
    }
}

/// Calls `stops(1)` with a debugger that gives these answers. Returns why and where the debugger was told, as words from the start
/// of `stops`.
fn stops_with(answers: &'static [Resume]) -> Result<Vec<(Why, i64)>, harness::ktest::Ended> {
    let told = debugged(answers, || {
        check_eq!(stops(1), 19);
        Ok(())
    })?;
    let word = |pc: u64| pc.wrapping_sub(address_of!(stops)) as i64 / 4;
    Ok(told.into_iter().map(|Told { why, pc, .. }| (why, word(pc))).collect())
}

pub fn a_step_over_a_call_ends_behind_it() -> Outcome {
    const OVER: Resume = Resume::Step(Plan::Over);
    RETURNS.store(0, Relaxed);
    let probe = Probe::new(&wanted(address_of!(callee), counts))?;
    let told = stops_with(&[OVER, OVER])?;
    let instruction = Why::Step(Stepped::Instruction);
    check_eq!(told, [(Why::Brk, 2), (Why::Step(Stepped::Call), 3), (instruction, 4)]);
    check_eq!(RETURNS.load(Relaxed), 1);
    check_eq!(probe.remove(), (1, 0));
    Ok(())
}

/// Rule M12: a step at the return waits for the return probe's handler, and is due at the caller.
pub fn single_steps_come_back_to_the_caller() -> Outcome {
    const ONE: Resume = Resume::Step(Plan::One);
    RETURNS.store(0, Relaxed);
    let probe = Probe::new(&wanted(address_of!(callee), counts))?;
    let told = stops_with(&[ONE, ONE, ONE, ONE, ONE, ONE])?;
    let places: Vec<i64> = told.iter().map(|&(_, word)| word).collect();
    let entry = (address_of!(callee).wrapping_sub(address_of!(stops))) as i64 / 4;
    check_eq!((places.len(), &places[..4]), (7, &[2, entry, entry + 1, entry + 2][..]));
    // The RET goes to the return probe's BRK, where one more step lands. The next one lands in the caller.
    check_eq!(&places[5..], [3, 4]);
    check_eq!(RETURNS.load(Relaxed), 1);
    check_eq!(probe.remove(), (1, 0));
    Ok(())
}
