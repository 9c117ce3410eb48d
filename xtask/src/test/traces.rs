//! `qemu-test --trace`: whether what the kernel did in the boots is what the model allows.

use super::outcome::{Case, Outcome};
use crate::ktap::Verdict;
use crate::qemu::Machine;
use crate::trace::conform::{self, Replayed};

/// The suite's name.
const SUITE: &str = "trace";

/// The outcome of all replays.
pub fn outcome(replayed: &[Replayed]) -> Outcome {
    let mut records = (0, 0);
    let mut cases = Vec::new();
    let mut again = String::new();
    for boot in replayed {
        let verdict = match &boot.verdict {
            conform::Verdict::Conforms(allowed, beyond) => {
                records = (records.0 + allowed, records.1 + beyond);
                Verdict::Passed
            }
            conform::Verdict::Lost(lost) => {
                Verdict::Skipped(format!("{lost} records were lost: the rings are too small for this boot"))
            }
            conform::Verdict::Wrong(why) => {
                again = format!("cargo xtask qemu-test --trace {}", filter(&boot.machine));
                Verdict::Failed(why.clone())
            }
        };
        cases.push(Case::new(SUITE, &name(&boot.machine), verdict));
    }
    let (allowed, beyond) = records;
    Outcome {
        name: format!("traces, {allowed} records, {beyond} beyond the model"),
        cases,
        replay: again,
        ..Outcome::default()
    }
}

fn name(machine: &Machine) -> String {
    format!("{}, {}", super::matrix::name(machine), machine.append)
}

/// A filter that runs about the same.
fn filter(machine: &Machine) -> &str {
    ["test", "die"].into_iter().find_map(|name| machine.argument(name)).unwrap_or_default()
}
