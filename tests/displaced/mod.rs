//! Displaced instructions under watchpoints, breakpoints and steps (rules H6, K1, K8, M10, M12b, X1, X2). With a probe, the results
//! must be those without a probe; most tests here run the same code both ways, and compare.

mod clients;
mod literals;
mod places;
mod prologue;
mod system;

use crate::failed;
use clients::*;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Ended;
use kernel::arch::daif;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then, Wanted};
use kernel::mm::layout;
use literals::*;
use places::*;
use prologue::*;
use rules::pstate::Daif;
use system::*;

harness::suite!("displaced":
    a_watchpoints_handler_sees_the_probed_address_and_the_probed_masks,
    a_watchpoints_handler_can_move_the_probed_context,
    a_watchpoints_handler_can_change_the_probed_contexts_masks,
    a_plan_from_a_watchpoints_stop_counts_the_probed_instructions,
    a_watchpoints_stop_ends_a_plan_that_steps_the_probed_code,
    a_breakpoint_a_watchpoint_and_a_probe_are_hit_once_each,
    a_step_from_the_probed_address_lands_behind_the_instruction,
    no_slot_sees_the_stack_of_an_optimised_probe,
    a_step_that_is_sent_to_an_optimised_probe_lands_behind_it,
    a_simulated_literal_hits_its_watchpoints_once_an_attempt,
    a_simulated_literal_stops_where_the_instruction_would,
    a_simulated_literals_watchpoint_can_move_the_context,
    copies_and_trampolines_are_refused_to_breakpoints_and_probes,
    what_no_frame_holds_is_what_it_was_behind_every_hit,
);

/// How the probe of a test runs its instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// The test has no probe: the instruction runs natively.
    Native,
    /// A BRK, with a pre-handler.
    Pre,
    /// A BRK, with a pre-handler and a post-handler.
    Post,
    /// A branch to a trampoline, with a pre-handler.
    Optimised,
}

impl How {
    const ALL: [Self; 4] = [Self::Native, Self::Pre, Self::Post, Self::Optimised];
}

static POSTS: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    POSTS.fetch_add(1, Relaxed);
}

/// A probe that is removed when this is dropped, also when the test has failed. None for [`How::Native`].
struct Probe(Option<&'static Kprobe>);

impl Probe {
    fn on(address: u64, how: How) -> Result<Self, Ended> {
        POSTS.store(0, Relaxed);
        let wanted = Wanted {
            pre: Some(pre),
            post: (how == How::Post).then_some(post as kprobe::PostHandler),
            optimise: Some(how == How::Optimised),
            ..Wanted::at(address)
        };
        Ok(Self(match how {
            How::Native => None,
            _ => kprobe::register_all([wanted]).map_err(failed)?.first().copied(),
        }))
    }

    /// Removes the probe, and returns hits and misses. Without a probe these are what a probe that is hit by all `calls` would have
    /// counted.
    fn remove(mut self, calls: u64) -> (u64, u64) {
        self.0.take().map_or((calls, 0), kprobe::remove)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.take().map(kprobe::remove);
    }
}

/// Whether `pc` is in a copy of an instruction or in a trampoline.
fn is_astray(pc: u64) -> bool {
    layout::copies().contains(&(pc as usize))
}

/// Runs `run` with these masks.
fn masked<R>(masks: Daif, run: impl FnOnce() -> R) -> R {
    let before = daif::read();
    // SAFETY: the masks from before are put back below.
    unsafe { asm!("msr daif, {}", in(reg) masks.bits(), options(nostack, preserves_flags)) };
    let result = run();
    // SAFETY: these are the masks from before.
    unsafe { asm!("msr daif, {}", in(reg) before.bits(), options(nostack, preserves_flags)) };
    result
}

/// Runs `run` without ticks on this CPU.
fn undisturbed<R>(run: impl FnOnce() -> R) -> R {
    {
        let _off = IrqOff::new();
        kernel::time::pause();
    }
    let result = run();
    kernel::time::resume();
    result
}
