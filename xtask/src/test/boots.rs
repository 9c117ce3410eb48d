//! Boots of `qemu-test` that run tests: the suites on a machine of the matrix, tests with a boot of their own, and tests that must
//! end the kernel.

use super::outcome::{Case, Outcome};
use super::{judge, matrix};
use crate::capture::{Captured, capture, to_the_end};
use crate::inventory::{self, Apart, Die, Needs};
use crate::qemu::{Machine, Start};
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// The kernel under test, and the time that one of its boots may take.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub elf: PathBuf,
    pub image: PathBuf,
    /// How long one boot may take; None for no limit.
    pub limit: Option<Duration>,
}

impl Kernel {
    /// Runs the suites on one machine of the matrix.
    pub fn test(&self, machine: &Machine) -> Outcome {
        self.tests(matrix::name(machine), machine)
    }

    /// Runs a test with a boot of its own.
    pub fn apart(&self, apart: &Apart, machine: &Machine) -> Outcome {
        self.tests(format!("{}, {}", apart.name, matrix::name(machine)), machine)
    }

    /// Boots `machine`, whose boot arguments run tests, and judges the console. `name` is shown for the outcome.
    pub fn tests(&self, name: String, machine: &Machine) -> Outcome {
        self.boot(machine).map_or_else(
            |error| Outcome::not_run(&name, "boot", &error),
            |boot| {
                let cases = judge::tests(boot.end, &boot.ending(), &boot.console);
                self.outcome(&name, cases, &boot, machine)
            },
        )
    }

    /// Runs a test that must end the kernel.
    pub fn die(&self, die: &Die, machine: &Machine) -> Outcome {
        let name = format!("die {}, {}", die.name, matrix::name(machine));
        self.boot(machine).map_or_else(
            |error| Outcome::not_run(&name, "die", &error),
            |boot| {
                let verdict = judge::die(die, boot.end, &boot.ending(), &boot.console);
                self.outcome(&name, vec![Case::new("die", &die.name, verdict)], &boot, machine)
            },
        )
    }

    fn boot(&self, machine: &Machine) -> Result<Captured> {
        capture(machine, &Start::Kernel(&self.image), self.limit, to_the_end)
    }

    fn outcome(&self, name: &str, cases: Vec<Case>, boot: &Captured, machine: &Machine) -> Outcome {
        Outcome {
            name: name.into(),
            cases,
            tail: boot.tail(&self.elf),
            replay: machine.shell_line(&Start::Kernel(&self.image)),
            wall: boot.wall,
        }
    }
}

/// The machine for a test that must end the kernel: `base`, changed as the test asks.
///
/// # Errors
/// When the test asks for something that this tool does not know.
pub fn machine_for(die: &Die, base: Machine) -> Result<Machine> {
    own(&format!("mode=die die={}", die.name), &die.needs, base)
}

/// The machine for a test with a boot of its own: `base`, changed as the test asks.
///
/// # Errors
/// When the test asks for something that this tool does not know.
pub fn machine_apart(apart: &Apart, base: Machine) -> Result<Machine> {
    own(&format!("mode=apart test={}", apart.name), &apart.needs, base)
}

fn own(mode: &str, needs: &Needs, base: Machine) -> Result<Machine> {
    let mut machine = inventory::adapt(base, &needs.machine)?;
    let more = [mode, &needs.arguments, &machine.append];
    machine.append = more.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    Ok(machine)
}
