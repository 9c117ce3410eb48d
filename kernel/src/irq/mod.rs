//! Interrupts: which function handles which interrupt, and how "interrupts off" is done.

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
    /// Has the receiver bring its slots into line with the records.
    pub const SLOTS: u32 = 0;
    /// Has the receiver stand still while another CPU changes text.
    pub const RENDEZVOUS: u32 = 1;
    /// Has the receiver stop, until it is let go or for good.
    pub const STOP: u32 = 2;
    /// Has the receiver switch threads: its run queue has a new thread, or a reschedule that a step has put off is due.
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

/// Registers the handler of an interrupt, for all CPUs. Thread context.
///
/// # Panics
/// If the number is out of range.
pub fn set_handler(intid: u32, handler: Handler) {
    TABLE[intid as usize].store(handler as *mut (), Relaxed);
}

/// Acknowledges an IRQ and returns its number; None if no IRQ is pending any more (INTID 1023). Called at the entry of
/// an IRQ, with all exceptions masked.
#[inline(always)]
pub fn acknowledge() -> Option<IntId> {
    acknowledge_by(gic::acknowledge)
}

/// Acknowledges an FIQ, which is an interrupt of group 0, as [`acknowledge`] does an IRQ.
#[inline(always)]
pub fn acknowledge_fiq() -> Option<IntId> {
    acknowledge_by(gic::acknowledge_group0)
}

/// Acknowledges an interrupt by `acknowledge`, and orders what the handler reads after that.
#[inline(always)]
fn acknowledge_by(acknowledge: impl FnOnce() -> Option<IntId>) -> Option<IntId> {
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

/// How many of the next acknowledges of each CPU are to find nothing: see [`inject_spurious`].
#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static INJECTED: PerCpu<AtomicU32> = crate::per_cpu!(AtomicU32::new(0));

#[cfg(debug_assertions)]
#[inline(always)]
fn injected() -> bool {
    let left = INJECTED.this();
    // Only this CPU uses the counter, and all exceptions are masked: a load and a store suffice.
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

/// Calls the handler of an interrupt, then tells the controller that the interrupt was handled.
#[inline(always)]
pub fn handle(interrupt: IntId, frame: &mut Frame) {
    call(interrupt, frame);
    gic::end(interrupt);
}

/// Does for an FIQ what [`handle`] does for an IRQ.
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
