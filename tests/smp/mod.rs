//! Slots, steps and probes on every CPU at once (rules H5, K3, K4, X1).

mod all_at_once;
mod changes;
mod parked;

use all_at_once::*;
use changes::*;
use parked::*;

harness::suite!("smp":
    a_slot_on_every_cpu_counts_every_hit,
    every_cpu_steps_its_own_code,
    a_probe_on_every_cpu_counts_every_execution,
    slots_steps_and_probes_on_every_cpu_at_once,
    every_cpu_changes_slots_at_once,
    slots_change_while_text_is_patched,
    slots_removed_by_handlers_while_every_cpu_hits_them_leave_nothing_spurious,
    every_exchange_of_text_holds_all_other_cpus,
    a_slot_is_in_force_everywhere_when_install_returns,
    a_cpu_that_was_not_told_brings_its_slots_into_line,
    every_cpu_asks_for_a_rendezvous_at_once,
    stopped_cpus_show_where_they_stand_and_go_on,
    slots_and_text_change_while_the_others_are_stopped,
    one_cpu_at_a_time_stops_the_others,
);
