//! Interrupts: who handles which, and "interrupts off".

pub mod deferred;
mod init;
pub mod off;

pub use init::init;

use crate::drivers::gic;
use crate::exception::Frame;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

pub use gic::IntId;

/// Handles an interrupt: interrupt context, D and A open (M8), or NMI context, all masked (M9).
pub type Handler = fn(&mut Frame);

/// Highest interrupt number with a handler, plus one.
const HANDLERS: usize = 128;

static TABLE: [AtomicPtr<()>; HANDLERS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; HANDLERS];

/// Software-generated interrupts of the kernel.
pub mod sgi {
    /// Bring the slots into line with their records.
    pub const SLOTS: u32 = 0;
    /// Stand still while text is changed.
    pub const RENDEZVOUS: u32 = 1;
    /// Stop, until let go or for good.
    pub const STOP: u32 = 2;
    /// Look at the run queue; or a reschedule that a step forbade is due.
    pub const RESCHEDULE: u32 = 6;
    /// For tests: an ordinary one.
    pub const TEST: u32 = 3;
    /// For tests: of NMI priority where the controller has priorities.
    pub const TEST_NMI: u32 = 4;
    /// For tests: in group 0, an FIQ.
    pub const TEST_FIQ: u32 = 5;
    /// For tests: one that the handler of another interrupt sends.
    pub const TEST_CHAINED: u32 = 7;
}

/// Names the handler of an interrupt, on all CPUs. Thread context.
///
/// # Panics
/// If the number is out of range.
pub fn set_handler(intid: u32, handler: Handler) {
    TABLE[intid as usize].store(handler as *mut (), Relaxed);
}

/// What is to be handled; None if it is gone again. Entry code, masked.
#[inline(always)]
pub fn acknowledge() -> Option<IntId> {
    gic::acknowledge()
}

/// Whether the interrupt has NMI priority (M9).
#[inline(always)]
pub fn is_nmi(interrupt: IntId) -> bool {
    off::by_priority() && gic::is_nmi_priority(interrupt.id())
}

/// Calls the interrupt's handler, and ends it.
#[inline(always)]
pub fn handle(interrupt: IntId, frame: &mut Frame) {
    call(interrupt, frame);
    gic::end(interrupt);
}

/// Acknowledges, handles and ends an FIQ. Entry code, masked as M8 says.
#[inline(never)]
pub fn handle_fiq(frame: &mut Frame) {
    if let Some(interrupt) = gic::acknowledge_group0() {
        call(interrupt, frame);
        gic::end_group0(interrupt);
    }
}

#[inline(always)]
fn call(interrupt: IntId, frame: &mut Frame) {
    let intid = interrupt.id();
    let handler = TABLE.get(intid as usize).map_or(core::ptr::null_mut(), |entry| entry.load(Relaxed));
    if handler.is_null() {
        unexpected(intid);
    } else {
        // SAFETY: only `set_handler` stores here, and what it stores is a `Handler`.
        let handler: Handler = unsafe { core::mem::transmute(handler) };
        handler(frame);
    }
}

#[cold]
fn unexpected(intid: u32) {
    log::error!("interrupt {intid} has no handler");
}
