//! The kernel's tests with a probe on every instruction that can be probed: on every so-many-th
//! in the quick matrix, on all in the full one; once with BRKs, once with probes that are optimised.

use super::outcome::Outcome;
use super::{Extent, Kernel};
use crate::args::QemuTest;
use crate::machines::PROBES_EVERYWHERE;
use crate::qemu::Machine;
use std::time::Duration;

/// Its name for filters.
pub const NAME: &str = "probes_everywhere";

/// In the quick matrix a probe is on every so-many-th instruction.
const SAMPLE: u64 = 64;
/// A boot with a probe on every instruction takes some fifty times as long as one without.
const LIMIT: Duration = Duration::from_secs(3600);

/// The machines. With a probe on each instruction ticks are of 250 a second at most: the way of one is tens of thousands of
/// instructions then. So is that of a sample of the differential test, whose own boots have many more of them.
pub fn machines(arguments: &QemuTest) -> Vec<Machine> {
    let (probes, hz) = match arguments.matrix {
        Extent::Quick => (format!("{SAMPLE} seed=0"), 1000),
        Extent::Full => ("all".into(), 250),
    };
    let mode = format!("mode=test hz={hz} samples=50 loglevel=error probes={probes}");
    PROBES_EVERYWHERE.map(|config| arguments.common.machine(config.machine(&mode))).into()
}

/// Runs them on one of these.
pub fn run(kernel: &Kernel, arguments: &QemuTest, machine: &Machine) -> Outcome {
    let limit = if arguments.matrix == Extent::Full { Some(LIMIT) } else { kernel.limit };
    let kernel = Kernel { limit: arguments.common.limit(limit), ..kernel.clone() };
    let probes = machine.append.split_once("probes=").map_or("", |(_, probes)| probes);
    kernel.tests(format!("{NAME} ({probes}), {}", super::matrix::name(machine)), machine)
}
