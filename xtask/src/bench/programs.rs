//! The rows that C programs measure: those of `tests/bench`, each with a boot of its own. For a new row a program prints it, and `rows` names
//! it.

use crate::capture::Captured;
use crate::qemu::Machine;
use crate::ramdisk::{self, Contents, Packed};
use crate::test::{Kernel, programs};
use crate::user;
use anyhow::Result;
use std::path::PathBuf;

/// Boots every program of `tests/bench` on a machine. Returns the boots.
///
/// # Errors
/// When a program does not compile, or QEMU does not start.
pub fn measure(kernel: &Kernel, base: &Machine) -> Result<Vec<Captured>> {
    let machine = machine(base);
    user::compile_bench()?
        .into_iter()
        .map(|program| {
            let contents = Contents { exec: Some(program), ..Contents::default() };
            programs::boot_contents(kernel, &contents, &machine).map(|(boot, _)| boot)
        })
        .collect()
}

/// A program of `tests/bench`, ready for a boot.
pub struct Ready {
    pub program: PathBuf,
    pub machine: Machine,
    /// The machine's ramdisk, which is removed with this value.
    _ramdisk: Packed,
}

/// Prepares the boot of every program of `tests/bench`.
///
/// # Errors
/// When a program does not compile, or a ramdisk cannot be made.
pub fn ready(base: &Machine) -> Result<Vec<Ready>> {
    let ready = |program: PathBuf| {
        let ramdisk = ramdisk::pack(&Contents { exec: Some(program.clone()), ..Contents::default() })?;
        let machine = programs::with_ramdisk(&machine(base), &ramdisk);
        Ok(Ready { program, machine, _ramdisk: ramdisk })
    };
    user::compile_bench()?.into_iter().map(ready).collect()
}

/// The machine for the programs: the machine of the rows, with `mode=user`.
fn machine(base: &Machine) -> Machine {
    Machine { append: base.append.replace("mode=bench", "mode=user"), ..base.clone() }
}
