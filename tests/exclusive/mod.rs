//! Rule H9: load-exclusive/store-exclusive sequences under breakpoints, watchpoints and a debugger's steps.

mod alu;
mod between;
mod breakpoints;
mod code;
mod stepping;
mod stuck;
mod watching;

use ::slots::{Access, Cpus, Privilege, Request, SlotError, SlotId};
use alu::software_and_hardware_agree;
use between::*;
use breakpoints::*;
use harness::ktest::Ended;
use harness::suite;
use kernel::debug::slots::{self, Disposition};
use stepping::*;
use stuck::*;
use watching::*;

suite!("exclusive":
    software_and_hardware_agree,
    the_image_lists_the_exclusives_of_its_text,
    no_breakpoint_inside_a_sequence,
    what_is_refused_would_never_end,
    a_breakpoint_on_the_load_counts_attempts,
    every_form_under_a_watchpoint_on_one_cpu,
    every_form_under_a_watchpoint_on_all_cpus,
    a_lock_under_a_watchpoint_on_all_cpus,
    the_console_lock_under_a_watchpoint,
    loads_beside_a_widened_watchpoint_are_silent,
    slots_on_one_word_are_told_each_once,
    a_sequence_is_one_step,
    a_step_waits_for_another_cpu_and_says_so,
    an_interrupt_during_a_sequence_is_taken_behind_it,
    steps_through_atomics_on_all_cpus,
    steps_through_a_lock_on_all_cpus,
    all_slots_in_use,
    a_sequence_that_cannot_be_run_gets_on,
    a_lone_load_exclusive_is_an_ordinary_step,
    a_sequence_that_faults,
    an_ordinary_access_between_the_exclusives_is_hit_once_an_attempt,
    a_handler_may_leave_a_sequence_at_an_ordinary_access,
    a_free_run_ends_with_its_threads_turn,
);

fn watch(address: u64, length: u64, access: Access, disposition: Disposition) -> Result<SlotId, Ended> {
    let request = Request::Watchpoint { address, length, access, privilege: Privilege::El1 };
    slots::install(&request, Cpus::ALL, disposition).map_err(super::failed)
}

fn breakpoint(address: u64) -> Result<SlotId, SlotError> {
    let request = Request::Breakpoint { address, privilege: Privilege::El1 };
    slots::install(&request, Cpus::ALL, Disposition::Count)
}

fn remove(id: SlotId) -> Result<u64, Ended> {
    let hits = slots::hits(id).ok_or_else(|| super::failed("the slot is gone"))?;
    slots::remove(id).map_err(super::failed)?;
    Ok(hits)
}

/// Waits for the next tick, which ends a free run as every interrupt does.
fn wait_a_tick() {
    let before = kernel::time::ticks();
    while kernel::time::ticks() == before {
        core::hint::spin_loop();
    }
}
