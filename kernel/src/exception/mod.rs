//! Exceptions: the vectors, the frame, and how the rule table is applied to each class of exceptions.
//!
//! `vectors.S` saves the registers and makes the snapshot of the syndrome registers. `el1` decides which row of the
//! table applies. `apply` does what the row says: masks and MDSCR_EL1.SS change for an exception only there and in
//! `kprobe/hit.S`, which has the row M12 built in, and its return.

pub mod apply;
pub mod brk;
pub mod el0;
mod el1;
pub mod extable;
mod fatal;
pub mod frame;
pub mod live;
mod places;
mod reason;
mod study;

pub use fatal::{Hook, Say, fatal, register_hooks};
pub use frame::{DebugFrame, El0Frame, Frame};
pub use reason::{Reason, Site};
pub use study::astray;

use crate::mm::layout;
use core::mem::offset_of;

core::arch::global_asm!(
    include_str!("cfi.S"),
    include_str!("vectors.S"),
    FRAME = const frame::FRAME_SIZE,
    X30 = const offset_of!(Frame, x) + 30 * 8,
    SP_ = const offset_of!(Frame, sp),
    PC = const offset_of!(Frame, pc),
    ESR = const offset_of!(Frame, esr),
    RECORD = const frame::FRAME_SIZE - 16,
    STACK_SHIFT = const layout::STACK_SHIFT,
    CPU_STACKS_SHIFT = const layout::CPU_STACKS_SHIFT,
    OVERFLOW_STACK = const layout::overflow_stack_top(0) - layout::STACK_ROOM,
    BUG = const brk::BUG,
    EL0_IRQ = const 8 * places::IRQ,
    EL0_FIQ = const 8 * places::FIQ,
    EL0_ERROR = const 8 * places::ERROR,
    EL0_AARCH32 = const 8 * places::AARCH32,
    EL0_BEGIN = const 8 * places::BEGIN,
);

/// Points VBAR_EL1 of this CPU at the vectors. Called when the CPU is brought up, with D, A, I, F masked.
#[unsafe(link_section = ".noprobe.text")]
pub fn init_cpu() {
    unsafe extern "C" {
        static vectors: u8;
    }
    crate::write_sysreg!("vbar_el1", (&raw const vectors).addr() as u64);
    // Exceptions use the new value from here on (DDI 0487 D24.1.2.2).
    crate::arch::barrier::isb();
}
