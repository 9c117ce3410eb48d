//! The monitor's commands, executed as if they were typed.

mod lines;
mod setting;
mod showing;
mod walking;

use alloc::format;
use alloc::string::{String, ToString};
use harness::ktest::{Ended, Suite, Test};
use kernel::monitor::{Flow, Session};

/// The tests of all files of this folder, as one suite.
pub static SUITE: Suite = Suite { name: "monitor", tests: TESTS };

macro_rules! tests {
    ($($module:ident: $($test:ident),*;)*) => {
        const TESTS: &[Test] = &[$($(Test { name: stringify!($test), run: $module::$test },)*)*];
    };
}

tests! {
    lines: what_is_wrong_is_told_and_nothing_is_set, the_end_is_told_apart, help_knows_every_command;
    setting: a_probe_counts_until_it_is_removed, a_return_probe_counts_until_it_is_removed, probes_have_names_and_groups, breakpoints_and_watchpoints_are_numbered,
        a_breakpoint_in_an_exclusive_sequence_is_refused, the_end_of_a_session_takes_everything_away;
    showing: every_rule_is_shown, the_blacklist_is_what_cannot_be_probed, slots_show_what_the_registers_hold,
        slots_of_single_cpus_show_their_own_registers, stats_show_every_counter, why_draws_the_trace_or_says_how_to_trace;
    walking: steps_go_on_where_the_last_one_ended, steps_meet_probes_and_breakpoints_once;
}

/// Executes `line`, and returns what it shows.
///
/// # Errors
/// The test has failed if the line is refused.
fn shown(session: &mut Session, line: &str) -> Result<String, Ended> {
    let mut out = String::new();
    match session.execute(line, &mut out) {
        Ok(Flow::Continue) => Ok(out),
        Ok(Flow::End) => Err(Ended::Failed(format!("'{line}' ended the session"))),
        Err(error) => Err(Ended::Failed(format!("'{line}': {error}"))),
    }
}

/// Executes `line`, which must be refused, and returns the message.
///
/// # Errors
/// The test has failed if the line is accepted.
pub fn refusal(session: &mut Session, line: &str) -> Result<String, Ended> {
    let mut out = String::new();
    match session.execute(line, &mut out) {
        Err(error) if out.is_empty() => Ok(error.to_string()),
        Err(_) => Err(Ended::Failed(format!("'{line}' was refused, but showed: {out}"))),
        Ok(_) => Err(Ended::Failed(format!("'{line}' was accepted: {out}"))),
    }
}

/// The function that the tests set probes and breakpoints on. An optimised build merges equal functions, so this one adds a number
/// that no other function adds.
#[inline(never)]
fn target(n: u64) -> u64 {
    core::hint::black_box(n) + ADDED
}

const ADDED: u64 = 0x6d6f_6e69;

/// Calls [`target`] `times` times, and tells whether all results were right.
fn call_target(times: u64) -> bool {
    (0..times).all(|n| target(n) == n + ADDED)
}
