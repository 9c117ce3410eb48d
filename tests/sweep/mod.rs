//! The sweep's scenarios, a file a concern. `kernel/src/sweep` runs them; README.md says how to write one.

pub(super) mod code;
mod deferred;
mod displaced;
mod exclusive;
pub(super) mod faults;
mod nested;
mod optimised;
mod probes;
mod returns;
mod slots;
mod spurious;
mod steps;
mod threads;

use harness::sweep::Scenario;

/// All scenarios.
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
];
