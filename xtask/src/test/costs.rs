//! `mode=bench` and `mode=stretches` as part of `qemu-test`: every row and every path is there, the boots come to their end, and
//! what is counted in two ways agrees. The barriers of the paths are there, and no superfluous ones ([`trace`]).
//!  What the figures are is no test's affair: the checked build's are no one's costs.

use super::outcome::{Case, Outcome};
use super::{Kernel, matrix};
use crate::args::QemuTest;
use crate::bench::{self, trace};
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
    let mut cases = Vec::new();
    let mut tail = String::new();
    let mut case = |name: &str, wrong: String| {
        let why = wrong.lines().next().map(str::to_owned);
        cases.push(Case::new("bench", name, why.map_or(Verdict::Passed, Verdict::Failed)));
        tail += &wrong;
    };
    match bench::measure_with_traces(kernel, machine) {
        Ok((_, traces)) => {
            case("costs", String::new());
            case("barriers", trace::check_paths(&traces).join("\n"));
        }
        Err(error) => case("costs", format!("{error:#}")),
    }
    Outcome {
        name,
        cases,
        tail,
        replay: machine.shell_line(&Start::Kernel(&kernel.image)),
        wall: begin.elapsed(),
    }
}
