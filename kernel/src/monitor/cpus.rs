//! `cpu`: lists the CPUs, and brings up CPUs that were held back at boot.

use super::Error;
use crate::smp;
use cli::command::Cpu;
use core::fmt::Write;

/// Lists the CPUs, or brings one up.
pub fn execute(what: Cpu, out: &mut dyn Write) -> Result<(), Error> {
    match what {
        Cpu::Online { number } => {
            let cpu = usize::try_from(number).unwrap_or(usize::MAX);
            smp::bring_up(cpu)?;
            writeln!(out, "cpu{cpu}: online")?;
        }
        Cpu::List => {
            for cpu in 0..smp::present() {
                let online = smp::online().any(|online| online == cpu);
                writeln!(out, "  cpu{cpu}  {}", if online { "online" } else { "held back" })?;
            }
        }
    }
    Ok(())
}
