//! The tests and scenarios that cannot be run with a probe on every instruction (`probes=all`), each with the reason.

use super::sweep::{code, faults};
use harness::ktest::everywhere::{Departure, Unfit};

/// An exception at these instructions ends the kernel, and a probe's hit is an exception too.
const ON_SP_EL0: &str =
    "runs instructions on SP_EL0, where no exception may be taken, so no probe may be hit";
/// At these instructions SP does not point to a stack. An exception there ends the kernel, and a probe's hit is an exception too.
const NO_STACK: &str =
    "runs instructions whose SP is no stack, where no exception may be taken, so no probe may be hit";
/// With a probe on every instruction one search of the whole symbol table makes a million hits, and these tests search hundreds of
/// times.
const SEARCHES: &str =
    "searches the whole symbol table hundreds of times, with a million hits in each search";

/// K8: the displaced instruction runs with interrupts masked, so no interrupt comes in the middle of the step-over.
const MASKED: &str = "expects an interrupt in the middle of a step-over, but the interrupt waits if a probe is on the instruction (K8)";
/// M12, M13: a step over an instruction with a probe is completed in software.
const IN_SOFTWARE: &str =
    "counts step exceptions, but a step over an instruction with a probe is completed in software (M13)";

/// I8: the kernel changes owners in no-probe text only. These tests change owners themselves, in text that has probes here. A
/// probe's BRK in the middle would return with MDSCR_EL1.SS set for an owner that never asked for a step.
const OWNERS: &str = "changes owners of steps by itself, in text that has probes here";

/// M12: while the displaced instruction runs, the owners of the step are parked, and MDSCR_EL1.SS is set for owners only.
const SET_ASIDE: &str = "reads MDSCR_EL1 in a stepped instruction, but the step is set aside if a probe is on the instruction (M12)";

/// DDI 0487 D1.3.1: an exception is a context synchronization event.
const SYNCHRONISES: &str =
    "checks what a register write does before its ISB, but a probe's exception in between synchronises";
/// These tests remove by address, where they expect that nothing is placed. With `probes=all` a probe of the harness is at that
/// address, and would be removed.
const BY_ADDRESS: &str =
    "removes by address where nothing should be, and would remove a probe of the harness";

/// The harness has placed another probe at the address. So the text there changes neither when the test's own probe is placed nor
/// when it is removed.
const ALREADY: &str =
    "expects that its probe changes the text at its address, but a probe of the harness is there already";

/// The tests and scenarios are skipped. The code of the departures is run, but is left out when the counts of neighbouring
/// instructions are compared.
pub static UNDER_PROBES: Unfit = Unfit { tests: TESTS, scenarios: SCENARIOS, departures: DEPARTURES };

const DEPARTURES: &[Departure] = &[
    (|| code::line as *const () as u64, "a breakpoint's handler skips the second instruction"),
    (|| faults::reads_nothing as *const () as u64, "its fault ends the kernel, which is caught"),
];

/// Where two probes are at one address, neither of them is optimised.
const OPTIMISED: &str = "expects its probe to be optimised, but a probe of the harness is there already";

const SCENARIOS: &[(&str, &str)] = &[
    ("reschedule-put-off", "counts the instructions up to the switch, and the hits of probes add to them"),
    ("probe-optimised", OPTIMISED),
    ("probe-optimised-nested", OPTIMISED),
    ("probe-optimised-faults", OPTIMISED),
    ("probe-optimised-stepped", OPTIMISED),
    ("probe-optimised-breakpoint", OPTIMISED),
    ("displaced-watchpoint-step-optimised", OPTIMISED),
];

/// A load reads a literal in text as data. A probe on the literal puts a BRK there, and a load that runs natively reads the BRK.
const LITERALS: &str = "loads words of text as data, and would read the BRKs of the probes that are on them";

const TESTS: &[(&str, &str)] = &[
    ("displaced.a_simulated_literal_hits_its_watchpoints_once_an_attempt", LITERALS),
    ("rule-interrupts.m8_irq_in_a_step_over", IN_SOFTWARE),
    ("rule-interrupts.m8_fiq_in_a_step_over", IN_SOFTWARE),
    ("rule-interrupts.m8_a_spurious_irq_in_a_step_over", IN_SOFTWARE),
    ("rule-interrupts.m8_a_spurious_fiq_in_a_step_over", IN_SOFTWARE),
    ("rule-interrupts.m8_the_stash_holds_as_much_as_it_says", OWNERS),
    ("rule-debug.m10_every_owner_gets_its_step", IN_SOFTWARE),
    ("rule-debug.m10_a_breakpoint_and_a_watchpoint_share_a_step", IN_SOFTWARE),
    ("rule-faults.m6_each_attempt_is_a_hit", IN_SOFTWARE),
    ("rule-probes.m14_a_probe_in_a_debug_context", IN_SOFTWARE),
    ("slots.a_watchpoint_is_in_force_from_the_isb_behind_its_write_and_never_before_the_write", SYNCHRONISES),
    ("rule-faults.m6_stays_masked_in_a_debug_context", IN_SOFTWARE),
    ("slots.a_watchpoint_is_armed_again_in_an_interrupt_during_a_step_over", MASKED),
    ("steps.a_handler_steps_for_itself_in_the_middle_of_a_step", IN_SOFTWARE),
    ("steps.an_interrupt_before_a_step_overs_report", IN_SOFTWARE),
    ("steps.the_stack_pointer_can_be_switched_by_stepped_code", ON_SP_EL0),
    ("steps.a_step_over_ends_on_the_other_stack_pointer", ON_SP_EL0),
    ("steps.over_a_call_goes_by_steps_where_no_slot_is_free", IN_SOFTWARE),
    ("steps.a_step_needs_kde_and_no_mde", SET_ASIDE),
    ("exclusive.software_and_hardware_agree", NO_STACK),
    ("probes.only_instructions_of_a_function_that_can_be_probed_are_accepted", SEARCHES),
    ("probes.a_name_that_two_functions_have_is_refused_with_both", SEARCHES),
    ("probes.every_way_to_write_a_name_leads_to_its_function", SEARCHES),
    ("monitor.what_is_wrong_is_told_and_nothing_is_set", SEARCHES),
    ("probes.a_probe_that_is_off_is_not_hit", ALREADY),
    ("probes.an_optimised_probes_handler_sees_what_a_brks_does", ALREADY),
    ("probes.a_step_begun_behind_a_probe_meets_an_optimised_one", ALREADY),
    ("probes.a_step_that_is_moved_to_an_optimised_probe_lands_on_it", ALREADY),
    ("probes.a_step_over_a_sequence_lands_on_an_optimised_probe", ALREADY),
    ("probes.where_a_probe_cannot_be_optimised_there_is_a_brk", ALREADY),
    ("probes.text_is_patched_with_cache_maintenance_in_order", ALREADY),
    ("probes.what_is_not_there_cannot_be_removed", BY_ADDRESS),
    ("returns.unregister_leaves_them_alone", BY_ADDRESS),
    ("probes.each_wrong_place_has_its_error", SEARCHES),
];
