//! Interrupts: who handles which, and "interrupts off".

pub mod deferred;
mod init;
pub mod off;

pub use init::init;

use crate::arch::barrier;
use crate::drivers::gic;
use crate::exception::Frame;
#[cfg(debug_assertions)]
use crate::percpu::PerCpu;
#[cfg(debug_assertions)]
use core::sync::atomic::AtomicU32;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

pub use gic::IntId;

/// Handles an interrupt: interrupt context, D and A open (M8), or NMI context, all masked (M9).
pub type Handler = fn(&mut Frame);

/// One entry for each number that an acknowledge can give, which has 10 bits: a lookup needs no check of its bounds.
const HANDLERS: usize = 1024;

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

/// The IRQ that is to be handled; None if it is gone again (INTID 1023). Entry code, masked.
#[inline(always)]
pub fn acknowledge() -> Option<IntId> {
    acknowledged(gic::acknowledge)
}

/// The same for an FIQ: an interrupt of group 0.
#[inline(always)]
pub fn acknowledge_fiq() -> Option<IntId> {
    acknowledged(gic::acknowledge_group0)
}

#[inline(always)]
fn acknowledged(acknowledge: impl FnOnce() -> Option<IntId>) -> Option<IntId> {
    #[cfg(debug_assertions)]
    if injected() {
        return None;
    }
    let interrupt = acknowledge()?;
    // Reads of system registers are not ordered after the acknowledge (DDI 0487 D24.1.2): without it the handler may read what they
    // were before the interrupt was signalled, such as a timer that is not due yet.
    barrier::isb();
    Some(interrupt)
}

/// How many acknowledges of a CPU are still to find nothing.
#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static INJECTED: PerCpu<AtomicU32> = crate::per_cpu!(AtomicU32::new(0));

#[cfg(debug_assertions)]
#[inline(always)]
fn injected() -> bool {
    let left = INJECTED.this();
    // Masked, and this CPU's alone: a load and a store suffice.
    let count = left.load(Relaxed);
    if count != 0 {
        left.store(count - 1, Relaxed);
    }
    count != 0
}

/// For tests: the next `count` acknowledges on this CPU find nothing, as where an interrupt is withdrawn between the vector and the
/// acknowledge. The interrupt stays pending and is taken again. False, and nothing done, in release builds. Any context.
pub fn inject_spurious(count: u32) -> bool {
    #[cfg(debug_assertions)]
    INJECTED.this().store(count, Relaxed);
    #[cfg(not(debug_assertions))]
    let _ = count;
    cfg!(debug_assertions)
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

/// The same for an FIQ.
#[inline(never)]
pub fn handle_fiq(interrupt: IntId, frame: &mut Frame) {
    call(interrupt, frame);
    gic::end_group0(interrupt);
}

#[inline(always)]
fn call(interrupt: IntId, frame: &mut Frame) {
    let intid = interrupt.id();
    let handler = TABLE[intid as usize % HANDLERS].load(Relaxed);
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
