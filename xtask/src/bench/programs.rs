//! The rows that C programs measure: those of `tests/bench`, each with a boot of its own. For a new row a program prints it, and `rows` names
//! it.

use crate::capture::Captured;
use crate::qemu::Machine;
use crate::ramdisk::Contents;
use crate::test::{Kernel, programs};
use crate::user;
use anyhow::Result;

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

/// The machine for the programs: the machine of the rows, with `mode=user`.
fn machine(base: &Machine) -> Machine {
    Machine { append: base.append.replace("mode=bench", "mode=user"), ..base.clone() }
}
