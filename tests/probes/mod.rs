//! Kprobes (rules K1 to K8, X1, and M12, M14 where they are about probes).

mod boundaries;
mod cache;
mod counts;
mod crowded;
mod faithful;
mod literals;
mod names;
mod nesting;
mod optimised;
mod refused;
mod removal;
mod several;
mod specimens;
mod surroundings;
mod together;

use boundaries::*;
use cache::*;
use counts::*;
use crowded::*;
use faithful::*;
use literals::*;
use names::*;
use nesting::*;
use optimised::*;
use refused::*;
use removal::*;
use several::*;
use surroundings::*;
use together::*;

harness::suite!("probes":
    both_handlers_run_once_a_call,
    a_probe_without_handlers_counts,
    a_pre_handler_can_skip_the_instruction,
    handlers_can_change_every_register,
    a_probe_on_the_timers_path_sees_every_tick,
    simulated_instructions_do_what_they_do_natively,
    out_of_line_instructions_do_what_they_do_natively,
    a_literal_that_another_cpu_writes_is_read_whole,
    a_literal_on_probed_text_is_what_the_probe_replaced,
    only_instruction_boundaries_can_be_probed,
    every_reason_for_refusal_is_given,
    what_is_not_probeable_text_is_refused,
    what_is_not_there_cannot_be_removed,
    several_probes_at_one_address_are_hit_in_their_order,
    a_probe_that_is_off_is_not_hit,
    an_optimised_probes_handler_sees_what_a_brks_does,
    an_optimised_probes_handler_changes_what_a_brks_can,
    an_optimised_probe_keeps_the_masks_of_its_context,
    where_a_probe_cannot_be_optimised_there_is_a_brk,
    a_step_begun_behind_a_probe_meets_an_optimised_one,
    a_step_that_is_moved_to_an_optimised_probe_lands_on_it,
    a_step_over_a_sequence_lands_on_an_optimised_probe,
    only_instructions_of_a_function_that_can_be_probed_are_accepted,
    a_name_that_two_functions_have_is_refused_with_both,
    every_way_to_write_a_name_leads_to_its_function,
    each_wrong_place_has_its_error,
    two_hundred_and_fifty_six_probes_on_one_function,
    one_wrong_place_among_many_leaves_no_probe,
    what_debug_contexts_run_through_can_be_probed,
    many_probes_at_once,
    the_same_probe_in_its_pre_handler_is_missed,
    the_same_probe_in_its_post_handler_is_missed,
    different_probes_nest_and_hit_once,
    nesting_is_bounded_and_what_is_deeper_is_missed,
    a_breakpoint_and_a_probe_and_a_probe_in_its_handler_hit_once_each,
    a_breakpoint_and_a_probe_hit_once_each_under_interrupts,
    a_watchpoint_hit_by_a_copy_is_hit_once_in_the_probed_context,
    a_fault_in_a_copy_is_the_probed_instructions_and_is_retried,
    text_is_patched_with_cache_maintenance_in_order,
    probes_come_and_go_while_other_cpus_run_through,
    a_probe_on_a_branch_comes_and_goes_while_other_cpus_run_through,
);
