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

/// Handles an interrupt, in interrupt context with D and A open (M8), or in NMI context with everything masked (M9).
pub type Handler = fn(&mut Frame);

/// One entry for each number that an acknowledge can return. The number has 10 bits, so a lookup needs no check of its bounds.
const HANDLERS: usize = 1024;

static TABLE: [AtomicPtr<()>; HANDLERS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; HANDLERS];

/// Software-generated interrupts of the kernel.
pub mod sgi {
    /// The CPU applies the changes of slots that another CPU has made.
    pub const SLOTS: u32 = 0;
    /// The CPU stands still while another CPU changes text.
    pub const RENDEZVOUS: u32 = 1;
    /// The CPU stops, until it is let go or for good.
    pub const STOP: u32 = 2;
    /// The CPU looks at its run queue: a thread was added, or a reschedule that a step forbade is made up.
    pub const RESCHEDULE: u32 = 6;
    /// For tests: an interrupt of normal priority.
    pub const TEST: u32 = 3;
    /// For tests: an interrupt of NMI priority, if interrupts are masked by priority.
    pub const TEST_NMI: u32 = 4;
    /// For tests: an interrupt of group 0, which is taken as an FIQ.
    pub const TEST_FIQ: u32 = 5;
    /// For tests: an interrupt that the handler of another interrupt sends.
    pub const TEST_CHAINED: u32 = 7;
}

/// Names the handler of an interrupt, on all CPUs. Thread context.
///
/// # Panics
/// If the number is out of range.
pub fn set_handler(intid: u32, handler: Handler) {
    TABLE[intid as usize].store(handler as *mut (), Relaxed);
}

/// The IRQ that is to be handled; None if it was withdrawn before the acknowledge (INTID 1023). For entry code, masked.
#[inline(always)]
pub fn acknowledge() -> Option<IntId> {
    acknowledged(gic::acknowledge)
}

/// The FIQ that is to be handled, an interrupt of group 0; otherwise as [`acknowledge`].
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
    // Reads of system registers are not ordered after the acknowledge (DDI 0487 D24.1.2). Without the ISB the handler may read
    // values from before the interrupt was signalled, such as those of a timer that is not due yet.
    barrier::isb();
    Some(interrupt)
}

/// How many of the next acknowledges on each CPU shall find nothing.
#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static INJECTED: PerCpu<AtomicU32> = crate::per_cpu!(AtomicU32::new(0));

#[cfg(debug_assertions)]
#[inline(always)]
fn injected() -> bool {
    let left = INJECTED.this();
    // Called masked, and no other CPU uses the counter: a load and a store suffice.
    let count = left.load(Relaxed);
    if count != 0 {
        left.store(count - 1, Relaxed);
    }
    count != 0
}

/// For tests: the next `count` acknowledges on this CPU find nothing, as if an interrupt were withdrawn between the vector and the
/// acknowledge. The interrupt stays pending and is taken again. In release builds it does nothing and returns false. Any context.
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

/// Calls the interrupt's handler, and ends the interrupt.
#[inline(always)]
pub fn handle(interrupt: IntId, frame: &mut Frame) {
    call(interrupt, frame);
    gic::end(interrupt);
}

/// Calls the handler of an FIQ, and ends the interrupt in group 0.
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
        // SAFETY: only `set_handler` stores pointers in the table, and each of them is a `Handler`.
        let handler: Handler = unsafe { core::mem::transmute(handler) };
        handler(frame);
    }
}

#[cold]
fn unexpected(intid: u32) {
    log::error!("interrupt {intid} has no handler");
}
