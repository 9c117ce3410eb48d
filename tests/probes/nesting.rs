//! Probes that are hit inside of probes' handlers (rules K5, M14).

use crate::address_of;
use crate::failed;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, PostHandler, PreHandler, Then};

macro_rules! functions {
    ($($name:ident: $instruction:literal),*) => {
        $(
            specimen! {
                fn $name(n: u64) -> u64 {
                    $instruction, "add x0, x0, #1", "ret"
                }
            }
        )*
    };
}

// The first instructions run out of line and are simulated in turns.
functions!(f0: "add x0, x0, #1", f1: "b . + 4", f2: "add x0, x0, #1", f3: "nop", f4: "add x0, x0, #1", f5: "nop");

const FUNCTIONS: [extern "C" fn(u64) -> u64; 6] = [f0, f1, f2, f3, f4, f5];
const ADDED: [u64; 6] = [2, 1, 2, 1, 2, 1];

static WRONG: AtomicU64 = AtomicU64::new(0);

/// Calls function `N` from a handler. Its result must be the same there as elsewhere.
fn call<const N: usize>() {
    WRONG.fetch_add(u64::from(FUNCTIONS[N](10) != 10 + ADDED[N]), Relaxed);
}

fn pre<const N: usize>(_: &Kprobe, _: &mut DebugFrame) -> Then {
    call::<N>();
    Then::Run
}

fn post<const N: usize>(_: &Kprobe, _: &mut DebugFrame) {
    call::<N>();
}

const ROUNDS: u64 = 50;

fn recursive<const N: usize>(pre: Option<PreHandler>, post: Option<PostHandler>) -> Outcome {
    WRONG.store(0, Relaxed);
    let address = address_of!(FUNCTIONS[N]);
    kprobe::register(address, pre, post).map_err(failed)?;
    let mut sum = 0;
    for n in 0..ROUNDS {
        sum += FUNCTIONS[N](n) - n;
    }
    check_eq!(kprobe::unregister(address), Ok((ROUNDS, ROUNDS)), "hits and missed");
    check_eq!((sum, WRONG.load(Relaxed)), (ROUNDS * ADDED[N], 0));
    Ok(())
}

pub fn the_same_probe_in_its_pre_handler_is_missed() -> Outcome {
    recursive::<0>(Some(pre::<0>), None)?;
    recursive::<1>(Some(pre::<1>), None)
}

pub fn the_same_probe_in_its_post_handler_is_missed() -> Outcome {
    recursive::<0>(None, Some(post::<0>))?;
    recursive::<1>(None, Some(post::<1>))
}

/// Probes one function for each entry of `handlers`. Each handler calls the next function, which is probed, too. `expected` has the
/// hits and misses of each probe for one call of the first function.
fn chain(handlers: &[(Option<PreHandler>, Option<PostHandler>)], expected: &[(u64, u64)]) -> Outcome {
    WRONG.store(0, Relaxed);
    for (&(pre, post), function) in handlers.iter().zip(FUNCTIONS) {
        kprobe::register(address_of!(function), pre, post).map_err(failed)?;
    }
    let mut sum = 0;
    for n in 0..ROUNDS {
        sum += f0(n) - n;
    }
    for (index, &(hits, missed)) in expected.iter().enumerate() {
        let counts = kprobe::unregister(address_of!(FUNCTIONS[index]));
        check_eq!(counts, Ok((hits * ROUNDS, missed * ROUNDS)), "function {index}");
    }
    check_eq!((sum, WRONG.load(Relaxed)), (ROUNDS * ADDED[0], 0));
    Ok(())
}

pub fn different_probes_nest_and_hit_once() -> Outcome {
    let handlers = [(Some(pre::<1> as PreHandler), None), (Some(pre::<2>), None), (None, None)];
    chain(&handlers, &[(1, 0), (1, 0), (1, 0)])?;
    let both = [
        (Some(pre::<1> as PreHandler), Some(post::<1> as PostHandler)),
        (None, Some(post::<2>)),
        (None, None),
    ];
    chain(&both, &[(1, 0), (2, 0), (2, 0)])
}

/// Probes nest in four levels. The probe of a fifth level is missed: its instruction runs, but its handler is not called, and so
/// the sixth function is not called either.
pub fn nesting_is_bounded_and_what_is_deeper_is_missed() -> Outcome {
    let handlers: [(Option<PreHandler>, Option<PostHandler>); 6] = [
        (Some(pre::<1>), None),
        (Some(pre::<2>), None),
        (Some(pre::<3>), None),
        (Some(pre::<4>), None),
        (Some(pre::<5>), None),
        (None, None),
    ];
    chain(&handlers, &[(1, 0), (1, 0), (1, 0), (1, 0), (0, 1), (0, 0)])
}
