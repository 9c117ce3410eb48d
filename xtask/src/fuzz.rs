//! `fuzz`: system calls with random arguments, by `tests/user/fuzz.c`, or requests of ptrace, by `tests/user/ptrace_fuzz.c`, on one CPU and on
//! four. `qemu-test` runs a sample of it.

use crate::args::Fuzz;
use crate::ktap::is_panic;
use crate::pack;
use crate::qemu::{Gic, Machine};
use crate::ramdisk::Contents;
use crate::run::kernel;
use crate::say::say;
use crate::session::End;
use crate::setup::decide::Need;
use crate::storm::any_seed;
use crate::test::{Kernel, machine_name, programs};
use crate::user::{self, Linking};
use anyhow::{Context, Result};
use std::time::Duration;

/// How long a boot may take, besides the time for its calls.
const LIMIT: Duration = Duration::from_secs(120);
/// How many calls a busy host manages in a second.
const SLOWEST: u64 = 200;

/// Runs the program on each machine, and prints what it has found. Returns whether all was well.
///
/// # Errors
/// When the host lacks something, or the kernel or the program does not build.
pub fn fuzz(arguments: &Fuzz) -> Result<bool> {
    let common = &arguments.common;
    let seed = arguments.seed.unwrap_or_else(any_seed);
    let elf = kernel(common, Need { qemu: true, user: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let limit = LIMIT + Duration::from_secs(arguments.calls / SLOWEST);
    let kernel = Kernel { elf, image, limit: common.limit(Some(limit)) };
    let all = user::compile()?;
    let name = if arguments.tracers { "ptrace_fuzz" } else { "fuzz" };
    let program = all.iter().find(|program| program.name == name && program.linking == Linking::MuslStatic);
    let program = program.with_context(|| format!("tests/user/{name}.c is missing"))?;
    let contents = Contents {
        exec: Some(program.path.clone()),
        arguments: vec![arguments.calls.to_string(), seed.to_string()],
        ..Contents::default()
    };
    let mut machines = [1, 4].map(|smp| {
        let gic = if smp == 1 { Gic::V2 } else { Gic::V3 };
        common.machine(Machine { smp, gic, append: "mode=user".into(), ..Machine::default() })
    });
    let machines = if machines[0].smp == machines[1].smp { &mut machines[..1] } else { &mut machines[..] };
    let mut good = true;
    for machine in machines {
        say!("{} calls on {}", arguments.calls, machine_name(machine));
        let (boot, _) = programs::boot_contents(&kernel, &contents, machine)?;
        let well = boot.end == End::Status(0) && !boot.console.lines().any(is_panic);
        let told = boot
            .console
            .lines()
            .filter(|line| ["fuzz: ", "ok ", "not ok "].iter().any(|word| line.starts_with(word)));
        told.for_each(|line| println!("{line}"));
        if !well {
            println!("{}\n{}", boot.ending(), boot.tail(&kernel.elf));
            println!(
                "again: cargo xtask fuzz{} --calls {} --seed {seed} --smp {}",
                if arguments.tracers { " --tracers" } else { "" },
                arguments.calls,
                machine.smp
            );
        }
        good &= well;
    }
    Ok(good)
}
