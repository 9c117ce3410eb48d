//! `mode=bench` and `mode=stretches` as part of `qemu-test`: every row and every path is there, the boots come to their end, and
//! what is counted in two ways agrees. What the figures are is no test's affair: the checked build's are no one's costs.

use super::outcome::{Case, Outcome};
use super::{Kernel, matrix};
use crate::args::QemuTest;
use crate::bench;
use crate::ktap::Verdict;
use crate::qemu::{Machine, Start};
use crate::test::Extent;
use std::time::Instant;

/// The test's name.
pub const NAME: &str = "bench.costs";

/// The machines; the first one is that of `cargo xtask bench`.
pub fn machines(arguments: &QemuTest) -> Vec<Machine> {
    let mut machines = bench::machines(&arguments.common);
    if arguments.matrix == Extent::Quick {
        machines.truncate(1);
    }
    machines
}

/// Measures on one of them.
pub fn run(kernel: &Kernel, machine: &Machine) -> Outcome {
    let begin = Instant::now();
    let name = format!("costs, {}", matrix::name(machine));
    let (verdict, tail) = match bench::measure(kernel, machine) {
        Ok(_) => (Verdict::Passed, String::new()),
        Err(error) => {
            let text = format!("{error:#}");
            (Verdict::Failed(text.lines().next().unwrap_or_default().into()), text)
        }
    };
    Outcome {
        name,
        cases: vec![Case::new("bench", "costs", verdict)],
        tail,
        replay: machine.shell_line(&Start::Kernel(&kernel.image)),
        wall: begin.elapsed(),
    }
}
