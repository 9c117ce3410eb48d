//! The saved registers of an interrupted context, and the snapshot of the syndrome registers.

use core::ops::{Deref, DerefMut};
use rules::pstate::Daif;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The registers that the vectors save (rule I7), and their snapshot of the syndrome registers (rule I3). `vectors.S`
/// knows the layout.
///
/// A handler may change `x`, `sp`, `pc` and `pstate`: the exception return loads the registers from the frame. These four come first, in the
/// order in which Linux has them in signal frames and in NT_PRSTATUS.
#[repr(C)]
#[derive(Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// SP_EL1 of the interrupted context, also if the context runs on SP_EL0. For an exception from EL0: SP_EL0.
    pub sp: u64,
    /// ELR_EL1.
    pub pc: u64,
    /// SPSR_EL1.
    pub pstate: u64,
    /// ESR_EL1.
    pub esr: u64,
    /// FAR_EL1.
    pub far: u64,
    /// A frame record (x29, pc), by which backtraces find the interrupted context.
    record: [u64; 2],
}

/// The frame of a context that a debug exception has interrupted. Only a debug context has such a frame (M10, M12,
/// M14), so a function with this argument cannot be called from a thread or from an interrupt's handler. A `DebugFrame`
/// dereferences to [`Frame`].
#[repr(transparent)]
#[derive(Debug)]
pub struct DebugFrame(Frame);

impl DebugFrame {
    /// The frame, as the frame of a debug context.
    ///
    /// # Safety
    /// The caller is a debug context: D, A, I and F are masked, and stay so for as long as the reference lives.
    #[inline(always)]
    pub unsafe fn of(frame: &mut Frame) -> &mut Self {
        // SAFETY: the layouts are the same, by `repr(transparent)`.
        unsafe { &mut *core::ptr::from_mut(frame).cast() }
    }

    /// As [`Frame::move_to`]. Without this method `frame.move_to(frame.pc + 4)` would borrow the frame twice.
    #[inline(always)]
    pub fn move_to(&mut self, pc: u64) {
        self.0.move_to(pc);
    }
}

impl Deref for DebugFrame {
    type Target = Frame;

    #[inline(always)]
    fn deref(&self) -> &Frame {
        &self.0
    }
}

impl DerefMut for DebugFrame {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Frame {
        &mut self.0
    }
}

/// The frame of a program: an exception from EL0 has saved it at the top of its thread's kernel stack, and the program goes on with what
/// it holds. Only the handlers of such exceptions have one. An `El0Frame` dereferences to [`Frame`].
#[repr(transparent)]
#[derive(Debug)]
pub struct El0Frame(Frame);

impl Deref for El0Frame {
    type Target = Frame;

    #[inline(always)]
    fn deref(&self) -> &Frame {
        &self.0
    }
}

impl DerefMut for El0Frame {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Frame {
        &mut self.0
    }
}

/// Size of a frame on the stack, in bytes.
pub const FRAME_SIZE: usize = size_of::<Frame>();
const _: () = assert!(FRAME_SIZE == 304 && FRAME_SIZE.is_multiple_of(16));

/// ESR_EL1.EC: the classes that the kernel tells apart (DDI 0487 D24.2.40).
pub mod ec {
    #![allow(missing_docs, reason = "the architecture's names")]
    pub const UNKNOWN: u64 = 0x00;
    pub const ILLEGAL_STATE: u64 = 0x0e;
    pub const SVC64: u64 = 0x15;
    pub const INSTRUCTION_ABORT_LOWER: u64 = 0x20;
    pub const INSTRUCTION_ABORT_SAME: u64 = 0x21;
    pub const PC_ALIGNMENT: u64 = 0x22;
    pub const DATA_ABORT_LOWER: u64 = 0x24;
    pub const DATA_ABORT_SAME: u64 = 0x25;
    pub const SP_ALIGNMENT: u64 = 0x26;
    pub const BREAKPOINT_LOWER: u64 = 0x30;
    pub const BREAKPOINT_SAME: u64 = 0x31;
    pub const STEP_LOWER: u64 = 0x32;
    pub const STEP_SAME: u64 = 0x33;
    pub const WATCHPOINT_LOWER: u64 = 0x34;
    pub const WATCHPOINT_SAME: u64 = 0x35;
    pub const BRK64: u64 = 0x3c;
}

impl Frame {
    /// ESR_EL1.EC of the snapshot.
    #[inline(always)]
    pub fn class(&self) -> u64 {
        self.esr >> 26 & 0x3f
    }

    /// The masks of the interrupted context.
    #[inline(always)]
    pub fn masks(&self) -> Daif {
        Daif::of(self.pstate)
    }

    /// Whether the context is a program at EL0.
    #[inline(always)]
    pub fn is_of_el0(&self) -> bool {
        const M: u64 = 0x1f;
        self.pstate & M == 0
    }

    /// Has the context go on at `pc`, and clears SPSR.SS (rule M13: a handler that moves ELR clears SPSR.SS).
    #[inline(always)]
    pub fn move_to(&mut self, pc: u64) {
        self.pc = pc;
        self.pstate = rules::step::moved(self.pstate);
    }

    /// A frame of zeros, for a panic, which has no frame, and for tests.
    pub const fn zeroed() -> Self {
        Self { x: [0; 31], sp: 0, pc: 0, pstate: 0, esr: 0, far: 0, record: [0; 2] }
    }
}
