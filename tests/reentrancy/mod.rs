//! Rules I8 and M14. A function that is documented for any context must also work in a probe's handler which has interrupted the
//! same function, at each instruction, even where D, A, I and F are masked. Nothing may be lost, done twice or garbled.

mod at_each;
mod console;
mod debugger;
mod deferred;
mod masks;

use console::*;
use debugger::*;
use deferred::*;
use masks::*;

harness::suite!("reentrancy":
    work_is_deferred_in_the_middle_of_deferring,
    work_is_deferred_while_deferred_work_runs,
    a_queue_that_gets_full_loses_nothing,
    a_reschedule_is_wanted_while_deferred_work_begins_and_ends,
    deferred_work_is_wanted_in_the_middle_of_a_reschedule,
    text_is_printed_in_the_middle_of_printing,
    text_is_printed_where_the_console_is_taken,
    interrupt_guards_come_and_go_in_the_middle_of_others,
    warnings_are_all_counted,
    stops_without_a_debugger_are_all_counted,
    slots_come_and_go_in_the_middle_of_others,
    slots_of_all_cpus_come_and_go_in_the_middle_of_others,
    debuggers_come_and_go_in_the_middle_of_others,
    a_step_goes_on_whatever_debugger_comes_and_goes,
    calls_run_over_come_and_go_in_the_middle_of_others,
    calls_return_in_the_middle_of_others,
    interrupts_change_groups_in_the_middle_of_others,
    what_nothing_may_come_between_cannot_be_probed,
);
