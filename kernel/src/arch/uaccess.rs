//! Reads of addresses that may not be readable: they return an error instead of a fault.
//!
//! A fault is fixed up by the table of `exception::extable` and never sleeps (rule M6), so these functions may be used in any
//! context.

use core::arch::asm;

/// The address could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

/// Executes a load by the instruction given, and evaluates to its `Result`.
macro_rules! load {
    ($instruction:literal, $address:expr) => {{
        let (value, failed): (u64, u64);
        // SAFETY: a load into a register. If the load faults, the entry in the table continues at label 3.
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

/// Reads a doubleword at any address by one LDR, so it is single-copy atomic where LDR is (DDI 0487 B2.2.1). Any context.
///
/// # Errors
/// [`Fault`] if the address is not readable, or if SCTLR_EL1.A is set and the address is not aligned.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn read_u64_unaligned(address: u64) -> Result<u64, Fault> {
    load!("ldr {value}, [{address}]", address)
}
