//! Reads that may fault and say so.
//!
//! A fault is fixed up by the table of `exception::extable` and never sleeps (rule M6), so these serve every context.

use core::arch::asm;

/// The address could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// A load by this instruction template; the outcome of the function around it.
macro_rules! load {
    ($instruction:literal, $address:expr) => {{
        let (value, failed): (u64, u64);
        // SAFETY: a load into a register. A fault of it goes to label 3, by the entry in the table.
        unsafe {
            asm!(
                "mov {failed}, #0",
                concat!("2: ", $instruction),
                "b 4f",
                "3: mov {failed}, #1",
                "4:",
                ".pushsection .ex_table, \"a\"",
                ".quad 2b, 3b",
                ".popsection",
                address = in(reg) $address,
                value = out(reg) value,
                failed = out(reg) failed,
                options(nostack, readonly, preserves_flags),
            );
        }
        if failed == 0 { Ok(value) } else { Err(Fault) }
    }};
}

/// Reads a byte. Any context.
///
/// # Errors
/// [`Fault`] if nothing readable is there.
#[inline(never)]
pub fn read_u8(address: u64) -> Result<u8, Fault> {
    load!("ldrb {value:w}, [{address}]", address).map(|value| value as u8)
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
    load!("ldr {value:w}, [{address}]", address).map(|value| value as u32)
}
