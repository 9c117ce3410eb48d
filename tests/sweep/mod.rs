//! The sweep's scenarios, one file for each concern. `harness/src/sweep` runs them. `docs/writing-tests.md` says how to write a
//! scenario.

pub(super) mod code;
mod deferred;
mod displaced;
mod exclusive;
pub(super) mod faults;
mod nested;
mod optimised;
mod probes;
mod programs;
mod returns;
mod slots;
mod spurious;
mod steps;
mod threads;

use harness::sweep::Scenario;

/// All scenarios, in the order in which they are swept.
pub static ALL: &[&[Scenario]] = &[
    &slots::SCENARIOS,
    &probes::SCENARIOS,
    &optimised::SCENARIOS,
    &returns::SCENARIOS,
    &faults::SCENARIOS,
    &steps::SCENARIOS,
    &exclusive::SCENARIOS,
    &deferred::SCENARIOS,
    &spurious::SCENARIOS,
    &displaced::SCENARIOS,
    &threads::SCENARIOS,
    &nested::SCENARIOS,
    &programs::SCENARIOS,
    &programs::traced::SCENARIOS,
];
