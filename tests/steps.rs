//! Single steps.

use crate::debug::step::{self, Wish};
use crate::exception::Frame;
use crate::ktest::Outcome;
use crate::{check, suite};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

suite!("steps": a_loop_can_be_stepped);

static STEPS: AtomicU64 = AtomicU64::new(0);

fn count(_: &mut Frame) -> Wish {
    STEPS.fetch_add(1, Relaxed);
    Wish::Step
}

fn a_loop_can_be_stepped() -> Outcome {
    let before = STEPS.load(Relaxed);
    step::step_with(count, || {
        for n in 0..10 {
            core::hint::black_box(n);
        }
    })
    .map_err(super::failed)?;
    check!(STEPS.load(Relaxed) - before > 20);
    Ok(())
}
