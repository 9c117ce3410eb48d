//! Ends the machine with a status.

use crate::arch::{barrier, daif, psci};
use core::arch::asm;

/// The status of a run that has succeeded.
pub const SUCCESS: u32 = 0;
/// The status after failed tests or commands.
pub const FAILURE: u32 = 1;
/// The status after a panic.
pub const PANIC: u32 = 101;

/// Ends the machine by semihosting, which passes the status on. Without semihosting PSCI switches the machine off. Without either
/// the CPU waits for ever.
pub fn exit(status: u32) -> ! {
    daif::set::<{ daif::ALL }>();
    const SYS_EXIT: u64 = 0x18;
    const ADP_STOPPED_APPLICATION_EXIT: u64 = 0x20026;
    let block = [ADP_STOPPED_APPLICATION_EXIT, status as u64];
    // SAFETY: semihosting reads the two words and ends the machine. Without semihosting HLT is UNDEFINED, and the table of
    // `exception::extable` continues behind the HLT.
    unsafe {
        asm!(
            "2: hlt #0xf000",
            "3:",
            ".pushsection .ex_table, \"a\"",
            ".quad 2b, 3b",
            ".popsection",
            inout("x0") SYS_EXIT => _,
            in("x1") &raw const block,
            options(nostack),
        );
    }
    psci::system_off();
    loop {
        barrier::wfi();
    }
}
