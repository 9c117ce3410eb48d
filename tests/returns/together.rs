//! Return probes together with ordinary probes and with breakpoints at the same addresses (rule K6).

use super::{Probe, wanted};
use crate::address_of;
use crate::failed;
use crate::order::{self, post, pre, returned};
use crate::support::{Slot, breakpoint_at};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::kprobe;

specimen! {
    fn ordinary(n: u64) -> u64 {
        "add x0, x0, #1", "add x0, x0, #4", "ret"
    }

    fn simulated(n: u64) -> u64 {
        "b . + 4", "add x0, x0, #5", "ret"
    }

    /// Calls `function` twice, which adds 5 each time.
    fn calls(n: u64, function: extern "C" fn(u64) -> u64) -> u64 {
        "stp x29, x30, [sp, #-32]!",
        "str x1, [sp, #16]",
        "blr x1",
        "add x0, x0, #16",
        "ldr x1, [sp, #16]",
        "blr x1",
        "ldp x29, x30, [sp], #32",
        "ret",
    }
}

const BEHIND_CALL: u64 = 3 * 4;
const ROUNDS: u64 = 50;

/// Ordinary probes are on the entry, placed before and after the return probe, on the RET, and at the address that the call returns
/// to.
pub fn with_ordinary_probes_each_is_hit_once() -> Outcome {
    for function in [ordinary, simulated] {
        let entry = address_of!(function);
        let behind = address_of!(calls) + BEHIND_CALL;
        let first = kprobe::register(entry, Some(pre::<1>), Some(post::<3>)).map_err(failed)?;
        let returns = Probe::new(&wanted(entry, returned::<6>))?;
        let second = kprobe::register(entry, Some(pre::<2>), Some(post::<4>)).map_err(failed)?;
        let ret = kprobe::register(entry + 8, Some(pre::<5>), None).map_err(failed)?;
        let at_caller = kprobe::register(behind, Some(pre::<7>), Some(post::<8>)).map_err(failed)?;
        let mut result = Ok(());
        for n in 0..ROUNDS {
            let called = order::of(|| calls(n, function));
            if called != (n + 26, 12_345_678_123_456) {
                result = Err(failed((n, called)));
            }
        }
        let counts = [first, second, ret, at_caller].map(kprobe::remove);
        check_eq!(returns.remove(), (2 * ROUNDS, 0));
        check_eq!(counts, [(2 * ROUNDS, 0), (2 * ROUNDS, 0), (2 * ROUNDS, 0), (ROUNDS, 0)]);
        result?;
        check_eq!(calls(1, function), 27);
    }
    Ok(())
}

pub fn with_breakpoints_each_is_hit_once() -> Outcome {
    for function in [ordinary, simulated] {
        let entry = address_of!(function);
        let returns = Probe::new(&wanted(entry, returned::<1>))?;
        let at_entry = Slot::counting(&breakpoint_at(entry))?;
        let at_return = Slot::counting(&breakpoint_at(entry + 8))?;
        let at_caller = Slot::counting(&breakpoint_at(address_of!(calls) + BEHIND_CALL))?;
        for n in 1..=ROUNDS {
            check_eq!(order::of(|| calls(n, function)), (n + 26, 11));
            check_eq!(
                [at_entry.hits(), at_return.hits(), at_caller.hits()],
                [Some(2 * n), Some(2 * n), Some(n)]
            );
        }
        check_eq!(returns.remove(), (2 * ROUNDS, 0));
        check_eq!(calls(1, function), 27);
    }
    Ok(())
}
