//! From the machine's entry to the kernel's first instruction in the upper half.
//!
//! The assembly here is entered at EL1 or EL2 with the MMU off, by the arm64 Linux boot protocol (the device tree's
//! address in x0) on the first CPU and by PSCI `CPU_ON` on the others. The assembly leaves EL2 (`el2.S`, where every
//! control register is written; the code of `trap.S` stays at EL2), builds the tables of `tables.S`, turns the MMU on
//! and calls three functions of the kernel:
//!
//! - `kernel_early(dtb, image) -> Handover`, on the boot stack, with physical addresses that the identity map covers;
//! - `kernel_main() -> !`, on the tables and the stack that the handover names;
//! - `kernel_secondary(cpu) -> !`, on every further CPU.
#![no_std]

#[cfg(target_os = "none")]
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What `kernel_early` hands back to the assembly, in x0 and x1.
#[repr(C)]
pub struct Handover {
    /// Physical address of the kernel's final level 0 table, for TTBR1_EL1.
    pub ttbr1: u64,
    /// Top of the first CPU's stack, a virtual address.
    pub stack: u64,
}

/// The arguments of a CPU that is started later: PSCI's context argument is the physical address of this value.
///
/// `head.S` uses the offsets of the fields. The CPU reads the value with the MMU off, so it must be cleaned to memory first.
#[repr(C, align(64))]
pub struct SecondaryArgs {
    /// Physical address of the kernel's level 0 table.
    pub ttbr1: u64,
    /// Top of this CPU's stack, a virtual address.
    pub stack: u64,
    /// The CPU's index, handed to `kernel_secondary`.
    pub cpu: u64,
}

/// The address of the first CPU's console before the device tree has been read: the PL011 of QEMU's `virt` machine.
pub const DEFAULT_CONSOLE: usize = 0x0900_0000;

/// The physical address of the PL011 on which EL2 reports unexpected traps; 0 if there is none. Until the kernel has read the
/// device tree, this is [`DEFAULT_CONSOLE`].
#[cfg(target_os = "none")]
#[unsafe(no_mangle)]
static BOOT_EL2_CONSOLE: AtomicUsize = AtomicUsize::new(DEFAULT_CONSOLE);

/// Names the PL011 on which EL2 reports an unexpected trap: its physical address, from the device tree.
///
/// EL2 runs with its MMU and caches off, so the address is cleaned to memory. Any context; called once, by the first CPU.
#[cfg(target_os = "none")]
pub fn name_console(physical: usize) {
    BOOT_EL2_CONSOLE.store(physical, Relaxed);
    // SAFETY: cleaning changes no content; the DSB completes it.
    unsafe {
        core::arch::asm!("dc cvac, {}", "dsb sy", in(reg) &raw const BOOT_EL2_CONSOLE, options(nostack, preserves_flags));
    }
}

/// Assembles the boot code, and gives the kernel and `tables.S` one number: how much behind the image's start the boot tables map.
macro_rules! boot_code {
    ($behind:literal) => {
        /// How many bytes from the image's start on the boot tables map: the kernel's final tables, stacks and copies must end before.
        pub const BEHIND: usize = $behind;

        #[cfg(target_os = "none")]
        core::arch::global_asm!(
            concat!(".equ BEHIND, ", stringify!($behind)),
            include_str!("el2.S"),
            include_str!("trap.S"),
            include_str!("tables.S"),
            include_str!("head.S"),
            options(raw)
        );
    };
}

boot_code!(0x10000000);

#[cfg(target_os = "none")]
unsafe extern "C" {
    /// Entry of further CPUs; its physical address goes to PSCI `CPU_ON`.
    pub fn secondary_entry();
}
