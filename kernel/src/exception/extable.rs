//! The exception table: the addresses of instructions that may fault, and for each the address at which the kernel goes
//! on after the fault.

use core::ops::Range;

#[repr(C)]
struct Entry {
    fault: u64,
    fixup: u64,
}

unsafe extern "C" {
    static __ex_table_start: Entry;
    static __ex_table_end: Entry;
}

/// The address at which the kernel goes on after a fault at `pc`. None if the table has no entry for `pc`. Any context.
#[unsafe(link_section = ".noprobe.text")]
pub fn fixup(pc: u64) -> Option<u64> {
    let Range { start, end } = (&raw const __ex_table_start)..(&raw const __ex_table_end);
    let mut entry = start;
    while entry < end {
        // SAFETY: the linker script puts whole entries between the two symbols, in memory that nobody writes.
        let Entry { fault, fixup } = unsafe { entry.read() };
        if fault == pc {
            return Some(fixup);
        }
        entry = entry.wrapping_add(1);
    }
    None
}
