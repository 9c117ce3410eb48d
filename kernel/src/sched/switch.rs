//! Saves the registers of one thread and loads those of another.

use core::arch::naked_asm;

/// The registers that a function call preserves (AAPCS64): x19 to x29, the return address, and SP.
#[repr(C)]
pub struct Context {
    x19_to_x29: [u64; 11],
    lr: u64,
    sp: u64,
}

impl Context {
    /// An empty context, which a switch away from its thread fills.
    pub const fn new() -> Self {
        Self { x19_to_x29: [0; 11], lr: 0, sp: 0 }
    }

    /// The context of a new thread, whose first switch enters `begin` on the stack that ends at `stack_top`.
    pub fn starting_at(stack_top: usize, begin: extern "C" fn() -> !) -> Self {
        let mut x19_to_x29 = [0; 11];
        x19_to_x29[0] = begin as usize as u64;
        Self { x19_to_x29, lr: first as *const () as u64, sp: stack_top as u64 }
    }
}

/// Saves the caller's registers in `from` and continues with those in `to`. Returns when another switch loads `from`.
///
/// # Safety
/// `to` was filled by a switch or by `starting_at`, and its stack still exists; both contexts outlive the switch; I is masked and
/// D open, because masks are not part of a context (rule I5).
#[unsafe(naked)]
pub unsafe extern "C" fn switch(from: *mut Context, to: *const Context) {
    naked_asm!(
        "stp x19, x20, [x0, #0]",
        "stp x21, x22, [x0, #16]",
        "stp x23, x24, [x0, #32]",
        "stp x25, x26, [x0, #48]",
        "stp x27, x28, [x0, #64]",
        "stp x29, x30, [x0, #80]",
        "mov x2, sp",
        "str x2, [x0, #96]",
        "ldp x19, x20, [x1, #0]",
        "ldp x21, x22, [x1, #16]",
        "ldp x23, x24, [x1, #32]",
        "ldp x25, x26, [x1, #48]",
        "ldp x27, x28, [x1, #64]",
        "ldp x29, x30, [x1, #80]",
        "ldr x2, [x1, #96]",
        "mov sp, x2",
        "ret",
    )
}

/// The first instructions of a thread. They jump to `begin`, which [`Context::starting_at`] has put into x19. x29 and
/// x30 are zero, because there is no caller: backtraces end here.
#[unsafe(naked)]
extern "C" fn first() {
    naked_asm!("mov x29, xzr", "mov x30, xzr", "br x19")
}
