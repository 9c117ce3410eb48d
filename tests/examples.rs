//! The code that `docs/` shows, as tests. `cargo xtask qemu-test docs` fails when a document shows Rust that no file here compiles.

use crate::{address_of, failed};
use ::slots::{Cpus, Privilege, Request};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check_eq, suite};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::slots::{self, Disposition};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then, WantedReturn};

suite!("docs": calls_are_counted, an_argument_is_changed, a_result_is_seen, a_debugger_steps_over_a_call);

#[inline(never)]
extern "C" fn square(n: u64) -> u64 {
    core::hint::black_box(n) * n
}

/// A probe on a function's first instruction is hit once for each call, and the function computes what it did before.
fn calls_are_counted() -> Outcome {
    let probe = kprobe::register(square as *const () as u64, None, None).map_err(failed)?;
    let sum: u64 = (0..10).map(|n| square(n)).sum();
    let (hits, missed) = kprobe::remove(probe);
    check_eq!(sum, 285, "0 + 1 + 4 + ... + 81");
    check_eq!((hits, missed), (10, 0));
    Ok(())
}

/// Doubles the function's argument before the function sees it.
fn doubles(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    frame.x[0] *= 2;
    Then::Run
}

fn an_argument_is_changed() -> Outcome {
    let probe = kprobe::register(square as *const () as u64, Some(doubles), None).map_err(failed)?;
    let value = square(3);
    kprobe::remove(probe);
    check_eq!(value, 36);
    Ok(())
}

static RETURNED: AtomicU64 = AtomicU64::new(0);

fn a_result_is_seen() -> Outcome {
    let wanted = WantedReturn {
        address: square as *const () as u64,
        entry: None,
        handler: |_, _, frame| RETURNED.store(frame.x[0], Relaxed),
        instances: 8,
    };
    let probe = kprobe::register_return(&wanted).map_err(failed)?;
    square(4);
    let (hits, missed) = kprobe::remove_return(probe);
    check_eq!((RETURNED.load(Relaxed), hits, missed), (16, 1, 0));
    Ok(())
}

specimen! {
    fn calls_square(n: u64) -> u64 {
        "stp x29, x30, [sp, #-16]!",
        "bl {square}", // the breakpoint is here
        "ldp x29, x30, [sp], #16",
        "ret",
        square = sym square,
    }
}

/// At the breakpoint it asks for a step over the call; when the call is over x0 holds what the call has returned.
static CLIENT: Client = Client { tell: client, data: 0 };

fn client(_: &Client, stop: Stop, frame: &mut DebugFrame) -> Resume {
    match stop {
        Stop::Slot(_) => Resume::Step(Plan::Over),
        Stop::Step(_) => {
            RETURNED.store(frame.x[0], Relaxed);
            Resume::Run
        }
        Stop::Brk | Stop::Refused(_) => Resume::Run,
    }
}

fn a_debugger_steps_over_a_call() -> Outcome {
    debugger::register(&CLIENT).map_err(failed)?;
    let call = Request::Breakpoint { address: address_of!(calls_square) + 4, privilege: Privilege::El1 };
    let slot = slots::install(&call, Cpus::ALL, Disposition::STOP).map_err(failed)?;
    let value = calls_square(5);
    slots::remove(slot).map_err(failed)?;
    debugger::unregister();
    check_eq!((value, RETURNED.load(Relaxed)), (25, 25));
    Ok(())
}
