//! The in-kernel test suites, one file or folder for each concern. `harness/src/ktest` runs them. `docs/writing-tests.md` says how
//! to write a suite.
#![cfg(target_os = "none")]
#![no_std]

extern crate alloc;

#[macro_use]
mod specimen;

mod assertions;
mod bringup;
mod deaths;
mod differential;
mod displaced;
mod el0;
mod examples;
mod exclusive;
mod gdb;
mod monitor;
mod order;
mod probes;
mod programs;
mod reentrancy;
mod returns;
mod rules;
mod slots;
mod smp;
mod steps;
mod storm;
mod support;
mod sweep;
mod threads;
mod unfit;

use harness::ktest::{Apart, Death, Suite};

/// The suites whose tests share a boot. Those in [`APART`] do not.
pub static SUITES: &[&Suite] = &[
    &rules::boot::SUITE,
    &rules::interrupts::SUITE,
    &rules::debug::SUITE,
    &rules::faults::SUITE,
    &rules::warns::SUITE,
    &rules::probes::SUITE,
    &rules::resume::SUITE,
    &rules::invariants::SUITE,
    &rules::guards::SUITE,
    &assertions::SUITE,
    &slots::SUITE,
    &probes::SUITE,
    &displaced::SUITE,
    &returns::SUITE,
    &reentrancy::SUITE,
    &steps::SUITE,
    &threads::turns::SUITE,
    &threads::steps::SUITE,
    &threads::deferred::SUITE,
    &threads::reschedules::SUITE,
    &threads::locks::SUITE,
    &programs::delivery::SUITE,
    &programs::kernels::SUITE,
    &programs::steps::SUITE,
    &programs::walks::SUITE,
    &programs::traced::SUITE,
    &programs::open::SUITE,
    &programs::crowd::SUITE,
    &programs::spaces::SUITE,
    &smp::SUITE,
    &gdb::SUITE,
    &monitor::SUITE,
    &exclusive::SUITE,
    &differential::SUITE,
    &examples::SUITE,
];

/// Tests that cannot be run with a probe on every instruction, each with the reason.
pub use unfit::UNDER_PROBES as UNFIT_UNDER_PROBES;

/// Suites whose tests each get a boot of their own.
pub static APART: &[Apart] = &[
    Apart { suite: &bringup::FROM_ONE, args: "maxcpus=1", machine: "smp4" },
    Apart { suite: &bringup::FROM_TWO, args: "maxcpus=2", machine: "smp4" },
];

/// The scenarios that `mode=sweep` interrupts at every instruction boundary, one group for each file.
pub static SCENARIOS: &[&[harness::sweep::Scenario]] = sweep::ALL;

/// The work that `mode=storm` does on every CPU at once.
pub static STORM: &harness::storm::Storm = &storm::STORM;

/// The tests that must end the kernel.
pub static DEATHS: &[Death] = deaths::ALL;

/// The test's failure, when something that the test needs has returned `error`.
fn failed(error: impl core::fmt::Debug) -> harness::ktest::Ended {
    harness::ktest::Ended::Failed(alloc::format!("{error:?}"))
}
