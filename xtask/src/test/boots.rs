//! The boots of `qemu-test`: the matrix, and the tests that must die.

use super::outcome::{Case, Outcome};
use super::{judge, matrix};
use crate::capture::{Captured, capture, to_the_end};
use crate::inventory::{self, Die};
use crate::qemu::{Machine, Start};
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// What every boot needs.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub elf: PathBuf,
    pub image: PathBuf,
    /// How long a boot may take.
    pub limit: Option<Duration>,
}

impl Kernel {
    /// Runs the suites on one machine of the matrix.
    pub fn test(&self, machine: &Machine) -> Outcome {
        let name = matrix::name(machine);
        self.boot(machine).map_or_else(
            |error| Outcome::not_run(&name, "boot", &error),
            |boot| {
                let cases = judge::tests(boot.end, &boot.ending(), &boot.console);
                self.outcome(&name, cases, &boot, machine)
            },
        )
    }

    /// Runs a test that must die.
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

/// The machine for a test that must die: what the test asks for, on top of `base`.
///
/// # Errors
/// When it asks for what this tool does not know.
pub fn machine_for(die: &Die, base: Machine) -> Result<Machine> {
    let mut machine = inventory::adapt(base, &die.machine)?;
    let more = [format!("mode=die die={}", die.name), die.arguments.clone(), machine.append.clone()];
    machine.append = more.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    Ok(machine)
}
