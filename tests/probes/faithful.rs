//! Rule K1: code under a probe does exactly what it does without the probe.

use super::specimens::{AT, OUT_OF_LINE, SIMULATED, Specimen, State};
use crate::address_of;
use crate::failed;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::smp;

static POSTS: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    POSTS.fetch_add(1, Relaxed);
}

fn inputs() -> impl Iterator<Item = State> {
    let operands = [0, 1, 1 << 31, 1 << 63, 0xffff_ffff, u64::MAX];
    (0..16).flat_map(move |flags| operands.map(|operand| State::new(flags << 28, operand)))
}

fn same_as_native(specimens: &[Specimen], how: &str) -> Outcome {
    // All runs use the same memory, so that registers which hold addresses compare equal.
    let mut memory = alloc::boxed::Box::new(State::new(0, 0));
    // Each registration waits for all CPUs, while what an instruction does depends on none of them. So where there are several CPUs
    // only a sample is tried.
    let every = if smp::online_count() == 1 { 1 } else { 7 };
    for Specimen { text, run } in specimens.iter().step_by(every) {
        let mut run_with = |state: State| {
            *memory = state;
            run(&mut memory);
            *memory
        };
        let native: alloc::vec::Vec<State> = inputs().map(&mut run_with).collect();
        POSTS.store(0, Relaxed);
        let address = address_of!(*run) + AT;
        let probe = kprobe::register(address, Some(pre), Some(post)).map_err(failed)?;
        let done = probe.how();
        let mut differs = None;
        for (state, native) in inputs().zip(&native) {
            let probed = run_with(state);
            if probed != *native && differs.is_none() {
                differs = Some((state, probed, *native));
            }
        }
        check_eq!(kprobe::unregister(address), Ok((native.len() as u64, 0)), "{text}");
        check_eq!(POSTS.load(Relaxed), native.len() as u64, "{text}");
        check_eq!(done, how, "{text}");
        check_eq!(differs, None, "{text}: in, under a probe, natively");
    }
    Ok(())
}

pub fn simulated_instructions_do_what_they_do_natively() -> Outcome {
    same_as_native(SIMULATED, "simulated")
}

pub fn out_of_line_instructions_do_what_they_do_natively() -> Outcome {
    same_as_native(OUT_OF_LINE, "out of line")
}
