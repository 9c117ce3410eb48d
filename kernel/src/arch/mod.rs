//! The architecture below the kernel: masks, barriers, PSCI, copies and accesses that may fault, caches, SIMD, and system registers that no crate names.

pub mod barrier;
pub mod cache;
pub mod copy;
pub mod daif;
pub mod el0;
pub mod fp;
pub mod mdscr;
pub mod psci;
pub mod sysreg;
pub mod uaccess;
pub mod usercopy;

/// The reference, whose value the compiler cannot know from here on. The fields of a large static are then reached from one register; the
/// compiler would compute the address of each of them by itself.
#[inline(always)]
pub fn in_register<T>(value: &'static T) -> &'static T {
    let mut address = core::ptr::from_ref(value).expose_provenance();
    // SAFETY: no instruction is executed, and the register stays as it is: the address of the static, whose provenance was exposed.
    unsafe {
        core::arch::asm!("/* {} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags));
        &*core::ptr::with_exposed_provenance(address)
    }
}
