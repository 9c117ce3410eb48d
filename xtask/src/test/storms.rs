//! The storm as part of `qemu-test`: a million debug exceptions, shared by its machines; in the full matrix a hundred million on
//! each machine.

use super::outcome::{Case, Outcome};
use super::{Extent, Kernel, matrix};
use crate::args::QemuTest;
use crate::qemu::Machine;
use crate::storm;

/// The name of this part of `qemu-test` for filters.
pub const NAME: &str = "storm";

fn exceptions(arguments: &QemuTest) -> u64 {
    match arguments.matrix {
        Extent::Full => storm::MANY,
        Extent::Quick => storm::share(&arguments.common, storm::EXCEPTIONS),
    }
}

/// The machines that storm, all with the same random seed.
pub fn tasks(arguments: &QemuTest) -> Vec<Machine> {
    storm::machines(&arguments.common, storm::any_seed(), exceptions(arguments))
}

/// Boots one storm on `machine`, and judges it.
pub fn run(kernel: &Kernel, arguments: &QemuTest, machine: &Machine) -> Outcome {
    let asked = exceptions(arguments);
    let limit = storm::limit(&arguments.common, asked);
    let stormed = storm::storm_one(kernel, machine, limit, &|_| ());
    Outcome {
        name: format!("storm of {asked}, seed {}, {}", stormed.seed, matrix::name(machine)),
        cases: vec![Case::new(NAME, "every_count_is_exact", stormed.verdict())],
        replay: storm::command(machine, &arguments.common, stormed.seed, asked),
        tail: stormed.tail,
        wall: stormed.wall,
    }
}
