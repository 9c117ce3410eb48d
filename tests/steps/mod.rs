//! Single steps (rules X2 and I4, and what M6 to M13 say about steps).
//!
//! The stepped code is assembly with known addresses. The PCs at which steps land are compared, one by one, with the PCs that the
//! architecture prescribes.

mod branches;
pub mod client;
mod exceptions;
mod interrupts;
mod masks;
mod plans;
mod slots;
mod system;
pub mod trace;
mod whole;

use branches::*;
use exceptions::*;
use interrupts::*;
use masks::*;
use plans::*;
use slots::*;
use system::*;
use whole::*;

harness::suite!("steps":
    unconditional_branches_land_on_their_targets,
    conditional_branches_land_where_the_flags_say_and_keep_the_flags,
    comparing_and_testing_branches_land_where_the_register_says,
    every_register_survives_a_step,
    a_thousand_steps_are_a_thousand,
    wfi_and_hints_are_one_step_each,
    interrupt_masks_can_be_changed_by_stepped_code,
    a_stretch_with_debug_exceptions_masked_is_one_step,
    probes_are_hit_in_a_masked_stretch,
    an_interrupt_waits_for_the_end_of_a_masked_stretch,
    a_breakpoint_where_a_masked_stretch_begins,
    the_stack_pointer_can_be_switched_by_stepped_code,
    a_step_over_ends_on_the_other_stack_pointer,
    a_hypervisor_call_is_one_step,
    a_secure_monitor_call_is_one_step,
    slots_are_installed_and_removed_in_steps,
    a_lock_is_taken_and_given_back_in_steps,
    a_line_is_printed_in_steps,
    a_step_goes_through_a_switch_of_threads,
    threads_that_switch_have_steps_of_their_own,
    a_step_of_a_masked_context_is_an_error,
    a_step_over_a_warning_goes_into_its_handler,
    a_step_over_a_fault_goes_into_its_handler,
    steps_through_a_faults_handler_land_on_the_instruction_that_is_attempted_again,
    a_step_over_a_debuggers_brk_ends_behind_it,
    a_step_over_a_probe_ends_behind_its_instruction,
    a_step_over_a_breakpoint_is_one_step_and_one_hit,
    a_step_over_a_watchpoint_is_one_step_and_one_hit,
    a_step_over_a_breakpoint_on_a_probe_hits_both_once,
    a_step_needs_kde_and_no_mde,
    an_interrupt_before_every_step_is_never_stepped_into,
    an_nmi_before_every_step_is_never_stepped_into,
    a_step_of_an_interrupt_handler_ends_with_it,
    a_handler_steps_for_itself_in_the_middle_of_a_step,
    an_interrupt_before_a_step_overs_report,
    a_debugger_is_told_of_its_brk_and_of_one_step,
    so_many_steps_are_told_once,
    a_predicate_is_asked_behind_every_step,
    over_is_one_step_where_no_call_is,
    over_a_call_is_not_taken_in_by_recursion,
    over_a_call_goes_by_steps_where_no_slot_is_free,
    over_a_call_is_not_taken_in_by_an_interrupts_handler,
    over_a_call_is_not_taken_in_by_another_thread,
    over_a_call_that_ends_the_thread,
    a_slot_stops_in_the_debugger,
    another_stop_ends_the_plan,
    without_a_debugger_stops_are_counted,
    there_is_one_debugger,
    a_slots_handler_has_its_context_stepped,
    a_probes_handler_has_its_context_stepped,
    a_plan_that_cannot_be_is_refused,
);
