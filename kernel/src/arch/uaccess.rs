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

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $instruction:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`Fault`] if nothing readable is there, or the address is not aligned.
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        pub fn $name(address: u64) -> Result<$type, Fault> {
            if !address.is_multiple_of(size_of::<$type>() as u64) {
                return Err(Fault);
            }
            load!($instruction, address).map(|value| value as $type)
        }
    )*};
}

reads! {
    /// Reads a byte. Any context.
    read_u8: u8 = "ldrb {value:w}, [{address}]";
    /// Reads a halfword. Any context.
    read_u16: u16 = "ldrh {value:w}, [{address}]";
    /// Reads a word, such as an instruction. Any context.
    read_u32: u32 = "ldr {value:w}, [{address}]";
    /// Reads a doubleword. Any context.
    read_u64: u64 = "ldr {value}, [{address}]";
}

/// Reads a doubleword by one load, as LDR does at any address: single-copy atomic where that is (DDI 0487 B2.2.1). Any context.
///
/// # Errors
/// [`Fault`] if nothing readable is there, or SCTLR_EL1.A is set and the address is not aligned.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn read_u64_unaligned(address: u64) -> Result<u64, Fault> {
    load!("ldr {value}, [{address}]", address)
}
