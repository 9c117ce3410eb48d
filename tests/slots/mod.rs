//! Hardware breakpoints and watchpoints (rules H1 to H8, and M8, M10 where they are about slots).

mod attribution;
mod bringup;
mod counts;
mod exact;
mod forced;
mod handlers;
mod limits;
mod privilege;
mod refused;
mod split;
mod spurious;
mod step_over;
mod tick;
mod ticks;

pub use attribution::Watched;
use attribution::*;
use bringup::*;
use counts::*;
use exact::*;
use forced::*;
use handlers::*;
use limits::*;
use privilege::*;
use refused::*;
use split::*;
use spurious::*;
use step_over::*;
use tick::*;
use ticks::*;

harness::suite!("slots":
    a_breakpoint_hits_from_install_to_remove_and_never_outside,
    a_watchpoint_hits_from_install_to_remove_and_never_outside,
    a_breakpoint_is_in_force_from_the_isb_behind_its_write_and_never_before_the_write,
    a_watchpoint_is_in_force_from_the_isb_behind_its_write_and_never_before_the_write,
    read_write_and_both_hit_what_they_say,
    every_byte_range_of_a_doubleword_hits_its_bytes_only,
    power_of_two_ranges_hit_from_the_first_to_the_last_byte,
    there_are_as_many_slots_as_the_id_register_says_and_all_work,
    a_slot_of_one_cpu_is_not_armed_on_others,
    each_cpu_has_all_of_its_slots_to_itself,
    a_request_that_no_slot_can_hold_says_why,
    a_request_for_this_cpu_alone_is_answered_as_one_for_all,
    a_slot_that_is_gone_says_so,
    no_probe_text_and_data_are_refused,
    breakpoints_in_the_slot_manager_are_survived_when_forced,
    watchpoints_on_the_slot_managers_data_are_survived_when_forced,
    slots_without_a_record_in_the_slot_manager_are_counted_and_switched_off,
    a_breakpoint_without_record_is_switched_off,
    a_watchpoint_without_record_is_switched_off,
    a_step_without_owner_is_cleared,
    a_cpu_comes_up_with_every_slot_off_and_the_locks_clear,
    mde_and_kde_are_on_only_while_a_slot_needs_them,
    every_matching_slot_gets_its_own_disposition,
    dc_zva_hits_what_it_zeroes,
    an_atomic_hits_the_slot_on_its_word_and_no_neighbour,
    pairs_hit_what_they_touch,
    pairs_of_vector_registers_hit_what_they_touch,
    slots_for_both_levels_hit_at_el1,
    slots_for_el0_do_not_hit_at_el1,
    a_range_over_two_slots_counts_as_one,
    a_range_over_two_slots_is_stepped_over_as_one,
    a_range_over_two_slots_is_set_on_all_cpus_or_not_at_all,
    a_handler_may_change_the_interrupted_context,
    a_fault_in_a_handler_leaves_its_snapshot_alone,
    a_handler_can_remove_its_own_slot,
    a_slot_installed_by_a_handler_is_in_force_at_once,
    slots_are_armed_again_in_an_interrupt_during_a_step_over,
    a_watchpoint_is_armed_again_in_an_interrupt_during_a_step_over,
    slots_are_armed_again_in_an_nmi_during_a_step_over,
    a_slot_removed_during_its_step_over_stays_removed,
    a_slot_reused_during_a_step_over_is_not_suspended,
    a_watchpoint_on_the_tick_counter_hits_every_tick,
    watchpoints_on_every_cpus_tick_counter_count_every_tick,
    watchpoints_on_every_cpus_tick_counter_are_handled_at_every_tick,
);
