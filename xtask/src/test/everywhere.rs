//! The kernel's tests with probes everywhere: in the quick matrix a probe on every [`SAMPLE`]-th instruction that can be probed, in
//! the full matrix on every one. One machine has BRKs, the other one optimised probes.

use super::outcome::Outcome;
use super::{Extent, Kernel};
use crate::args::QemuTest;
use crate::machines::{Config, PROBES_EVERYWHERE};
use crate::qemu::Machine;
use std::time::Duration;

/// The name of this part of `qemu-test` for filters.
pub const NAME: &str = "probes_everywhere";

/// In the quick matrix one instruction of this many has a probe.
const SAMPLE: u64 = 64;
/// A boot with a probe on every instruction takes some fifty times as long as a boot without probes.
const LIMIT: Duration = Duration::from_secs(3600);

/// The machines. With a probe on every instruction, one tick takes tens of thousands of instructions, so there are only 250 ticks a
/// second. A sample of the differential test takes as long, so these boots have few samples; boots without probes have many.
pub fn machines(arguments: &QemuTest) -> Vec<Machine> {
    // In the quick matrix these machines share the instructions that `reentrancy` tries one by one, as the machines of the suites
    // do.
    let (probes, hz, shares) = match arguments.matrix {
        Extent::Quick => (format!("{SAMPLE} seed=0"), 1000, super::matrix::SHARES),
        Extent::Full => ("all".into(), 250, 1),
    };
    let machine = |(number, config): (usize, &Config)| {
        let share = number % shares;
        let mode =
            format!("mode=test hz={hz} share={share}/{shares} samples=50 loglevel=error probes={probes}");
        arguments.common.machine(config.machine(&mode))
    };
    PROBES_EVERYWHERE.iter().enumerate().map(machine).collect()
}

/// Runs the tests on one of these machines.
pub fn run(kernel: &Kernel, arguments: &QemuTest, machine: &Machine) -> Outcome {
    let limit = if arguments.matrix == Extent::Full { Some(LIMIT) } else { kernel.limit };
    let kernel = Kernel { limit: arguments.common.limit(limit), ..kernel.clone() };
    let probes = machine.append.split_once("probes=").map_or("", |(_, probes)| probes);
    kernel.tests(format!("{NAME} ({probes}), {}", super::matrix::name(machine)), machine)
}
