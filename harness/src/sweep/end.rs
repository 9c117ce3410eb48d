//! For scenarios in which the kernel ends (M7): the end is caught where its report would begin, so that the sweep can go on.

use core::arch::naked_asm;
use core::cell::{Cell, UnsafeCell};
use kernel::arch::{daif, mdscr};
use kernel::debug::{self, slots};
use kernel::exception::Frame;
use rules::pstate::Daif;

/// The registers that [`enter`] restores: x19 to x30, and SP.
type Context = [u64; 13];

/// The registers of the innermost [`until_the_end`], where the end is caught. They lie on the stack of the CPU that sweeps.
struct Catcher(Cell<*mut Context>);

// SAFETY: only the CPU that sweeps uses it; an interrupt restores the value that it has found.
unsafe impl Sync for Catcher {}

static CATCHER: Catcher = Catcher(Cell::new(core::ptr::null_mut()));

/// Runs `body`, which ends the kernel. Returns one number for the place and the reason that the report would have shown; 0 if `body` has
/// returned. Any context with D open.
pub fn until_the_end(body: extern "C" fn()) -> u64 {
    let context = UnsafeCell::new([0; 13]);
    let masks = daif::read();
    let outer = CATCHER.0.replace(context.get());
    let seen = enter(body, context.get());
    CATCHER.0.set(outer);
    daif::write(masks);
    seen
}

/// Called when the kernel ends, after M7 has been applied and before the report about `frame`. If the scenario is in [`until_the_end`] and M7
/// holds, execution goes on there. Otherwise this returns, and the kernel ends.
pub fn caught(frame: &Frame) {
    let context = CATCHER.0.replace(core::ptr::null_mut());
    if context.is_null() {
        return;
    }
    let cpu = debug::this();
    let steps = !cpu.owners.get().is_empty() || mdscr::read() & mdscr::SS != 0 || slots::any_suspended();
    if daif::read() != Daif::all() || steps {
        return;
    }
    let seen = [frame.pc, frame.esr, frame.far, frame.pstate, cpu.depth.get().into()];
    let seen = seen.iter().fold(1, |sum: u64, value| sum.wrapping_mul(31).wrapping_add(*value));
    // SAFETY: `enter` has filled it, and its caller is still on the stack. The frames in between hold nothing that must be dropped.
    unsafe { leave(context, seen) }
}

/// Saves the caller's registers in `context` and calls `body`. Returns 0, or the value that [`leave`] was given.
#[unsafe(naked)]
extern "C" fn enter(body: extern "C" fn(), context: *mut Context) -> u64 {
    naked_asm!(
        "stp x19, x20, [x1]",
        "stp x21, x22, [x1, #16]",
        "stp x23, x24, [x1, #32]",
        "stp x25, x26, [x1, #48]",
        "stp x27, x28, [x1, #64]",
        "stp x29, x30, [x1, #80]",
        "mov x2, sp",
        "str x2, [x1, #96]",
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "blr x0",
        "mov x0, #0",
        "ldp x29, x30, [sp], #16",
        "ret",
    )
}

/// Returns `value` from the [`enter`] that filled `context`.
///
/// # Safety
/// That [`enter`] must be on this stack, and must not have returned.
#[unsafe(naked)]
unsafe extern "C" fn leave(context: *const Context, value: u64) -> ! {
    naked_asm!(
        "ldp x19, x20, [x0]",
        "ldp x21, x22, [x0, #16]",
        "ldp x23, x24, [x0, #32]",
        "ldp x25, x26, [x0, #48]",
        "ldp x27, x28, [x0, #64]",
        "ldp x29, x30, [x0, #80]",
        "ldr x2, [x0, #96]",
        "mov sp, x2",
        "mov x0, x1",
        "ret",
    )
}
