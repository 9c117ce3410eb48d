//! Return probes (rules K1, K4, K5, K6, M7, X1).

mod callers;
mod calls;
mod ends;
mod removal;
mod room;
mod together;
mod turns;

use crate::failed;
use callers::*;
use calls::*;
use ends::*;
use harness::ktest::Ended;
use kernel::kprobe::{self, DEFAULT_INSTANCES, ReturnHandler, ReturnProbe, WantedReturn};
use removal::*;
use room::*;
use together::*;
use turns::*;

harness::suite!("returns":
    the_handler_runs_once_a_call_and_stands_at_the_caller,
    a_handler_can_change_the_result_and_where_it_returns_to,
    an_entry_handler_can_decline,
    every_call_has_data_of_its_own,
    nested_functions_return_in_their_order,
    two_return_probes_on_one_function,
    a_function_that_ends_in_another_ones_call,
    a_function_in_its_own_handlers_is_missed,
    a_function_in_another_ones_handler_is_handled,
    calls_beyond_the_instances_are_missed,
    what_cannot_be_is_refused_with_the_reason,
    room_is_given_back,
    with_ordinary_probes_each_is_hit_once,
    with_breakpoints_each_is_hit_once,
    a_call_by_an_interrupt_handler_that_interrupts_one,
    on_every_cpu_at_once,
    threads_return_in_whatever_order,
    calls_under_way_outlive_their_probe,
    return_probes_come_and_go_while_other_cpus_call,
    unregister_leaves_them_alone,
    backtraces_show_the_real_callers,
    threads_that_end_in_a_call_give_it_back,
    a_return_probe_on_the_way_to_a_threads_end_is_given_back,
    threads_that_outlive_the_probe_give_its_room_back,
    frames_that_are_left_give_their_calls_back,
    a_step_over_a_call_ends_behind_it,
    single_steps_come_back_to_the_caller,
);

fn wanted(address: u64, handler: ReturnHandler) -> WantedReturn {
    WantedReturn { address, entry: None, handler, instances: DEFAULT_INSTANCES }
}

/// A return probe that is removed when this is dropped, also when the test has failed.
struct Probe(Option<&'static ReturnProbe>);

impl Probe {
    fn new(wanted: &WantedReturn) -> Result<Self, Ended> {
        kprobe::register_return(wanted).map(|probe| Self(Some(probe))).map_err(failed)
    }

    /// The hits, the misses, and the number of calls under way.
    fn counts(&self) -> (u64, u64, usize) {
        self.0.map_or((0, 0, 0), |probe| (probe.hits(), probe.missed(), probe.active()))
    }

    fn remove(mut self) -> (u64, u64) {
        self.0.take().map_or((0, 0), kprobe::remove_return)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.take().map(kprobe::remove_return);
    }
}
