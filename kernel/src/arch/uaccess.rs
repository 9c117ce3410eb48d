//! Accesses that may fault and say so.

use core::arch::asm;

/// The address could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// Reads a byte. Any context; in a debug context too, since the fault is fixed up and never sleeps (rule M6).
///
/// # Errors
/// [`Fault`] if nothing readable is there.
#[inline(never)]
pub fn read_u8(address: u64) -> Result<u8, Fault> {
    let (value, failed): (u64, u64);
    // SAFETY: a load into a register; a fault goes to label 3 by the table of `exception::extable`.
    unsafe {
        asm!(
            "mov {failed}, #0",
            "2: ldrb {value:w}, [{address}]",
            "b 4f",
            "3: mov {failed}, #1",
            "4:",
            ".pushsection .ex_table, \"a\"",
            ".quad 2b, 3b",
            ".popsection",
            address = in(reg) address,
            value = out(reg) value,
            failed = out(reg) failed,
            options(nostack, readonly, preserves_flags),
        );
    }
    if failed == 0 { Ok(value as u8) } else { Err(Fault) }
}

/// Reads an instruction word. Any context.
///
/// # Errors
/// [`Fault`] if nothing readable is there, or the address is not a multiple of 4.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn read_u32(address: u64) -> Result<u32, Fault> {
    if !address.is_multiple_of(4) {
        return Err(Fault);
    }
    let (value, failed): (u64, u64);
    // SAFETY: as in `read_u8`.
    unsafe {
        asm!(
            "mov {failed}, #0",
            "2: ldr {value:w}, [{address}]",
            "b 4f",
            "3: mov {failed}, #1",
            "4:",
            ".pushsection .ex_table, \"a\"",
            ".quad 2b, 3b",
            ".popsection",
            address = in(reg) address,
            value = out(reg) value,
            failed = out(reg) failed,
            options(nostack, readonly, preserves_flags),
        );
    }
    if failed == 0 { Ok(value as u32) } else { Err(Fault) }
}
