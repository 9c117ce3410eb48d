//! `mode=bench` and `mode=stretches` as part of `qemu-test`.
//!
//! The boots must come to their end, every row and every path must be there, and figures that are counted in two ways must agree.
//! The paths must have their barriers, and no superfluous ones ([`trace`]). The figures themselves are not tested: `qemu-test`
//! boots the checked build, and only the costs of the release build matter.

use super::outcome::{Case, Outcome};
use super::{Kernel, matrix};
use crate::args::QemuTest;
use crate::bench::{self, trace};
use crate::ktap::Verdict;
use crate::qemu::{Machine, Start};
use crate::test::Extent;
use std::time::Instant;

/// The name of this part of `qemu-test` for filters.
pub const NAME: &str = "bench.costs";

/// The machines that are measured on. The first one is that of `cargo xtask bench`.
pub fn machines(arguments: &QemuTest) -> Vec<Machine> {
    let mut machines = bench::machines(&arguments.common);
    // QEMU writes the instructions of all CPUs into one log. With several CPUs, the barriers of one would count for a path of
    // another.
    machines.iter_mut().for_each(|machine| machine.smp = 1);
    if arguments.matrix == Extent::Quick {
        machines.truncate(1);
    }
    machines
}

/// Measures on one of these machines, and checks the barriers.
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
