//! `storm`: random installs, removals, steps, probes and interrupts on every CPU at once, from a seed; every count exact.
//!
//! The kernel does the work (`mode=storm`). This module chooses machines and seed, and reads the verdict.

mod boot;
mod report;

pub use boot::{EXCEPTIONS, MANY, any_seed, limit, machines, share, storm_one};
pub use report::command;

use crate::args::Storm;
use crate::pack;
use crate::qemu::Start;
use crate::run::{kernel, planned_image};
use crate::setup::decide::Need;
use crate::test::Kernel;
use anyhow::Result;
use report::Progress;

/// Storms on one machine after the other, and prints the results. Returns whether all counts were exact.
///
/// # Errors
/// When the kernel does not build.
pub fn storm(arguments: &Storm) -> Result<bool> {
    let common = &arguments.common;
    let seed = arguments.seed.unwrap_or_else(any_seed);
    let machines = machines(common, seed, arguments.exceptions);
    if common.dry_run {
        let image = planned_image(common);
        machines.iter().for_each(|machine| println!("{}", machine.shell_line(&Start::Kernel(&image))));
        return Ok(true);
    }
    let elf = kernel(common, Need { qemu: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let kernel = Kernel { elf, image, limit: limit(common, arguments.exceptions) };
    let mut all = Vec::new();
    for machine in &machines {
        let progress = Progress::new(machine);
        let stormed = storm_one(&kernel, machine, kernel.limit, &|line| progress.tell(line));
        progress.end();
        let text = report::text(&kernel, common, arguments.exceptions, &stormed);
        if arguments.json {
            eprint!("{text}");
        } else {
            print!("{text}");
        }
        all.push(stormed);
    }
    if arguments.json {
        print!("{}", report::json(&all));
    }
    Ok(all.iter().all(|stormed| stormed.failure.is_none()))
}
