//! "Interrupts off", with two back ends chosen at boot: PSTATE.I, or the GICv3's priority mask, which leaves room for an NMI.
//!
//! With the priority mask an [`IrqOff`] section still takes interrupts of NMI priority (rule M9). PSTATE.I stays what the
//! rules are about: it is set in every handler, whichever back end is used.

use crate::arch::daif;
use crate::drivers::gic::{self, PriorityMask};
use crate::percpu::PerCpu;
use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use rules::pstate::Daif;

static BY_PRIORITY: AtomicBool = AtomicBool::new(false);
static OUT_OF_ORDER: AtomicU64 = AtomicU64::new(0);

struct Nesting {
    depth: Cell<u32>,
    /// What an outer guard that went too early would have put back.
    owed: Cell<Option<Before>>,
}

static NESTING: PerCpu<Nesting> = crate::per_cpu!(Nesting { depth: Cell::new(0), owed: Cell::new(None) });

#[derive(Clone, Copy)]
enum Before {
    Pstate(Daif),
    Priority(PriorityMask),
}

/// Chooses the back end: the priority mask instead of PSTATE.I. Once, at boot, before other CPUs run.
pub fn use_priority() {
    BY_PRIORITY.store(true, Relaxed);
}

/// Whether the priority mask is used. Any context.
pub fn by_priority() -> bool {
    BY_PRIORITY.load(Relaxed)
}

/// How many guards were dropped out of order so far. Any context.
pub fn out_of_order() -> u64 {
    OUT_OF_ORDER.load(Relaxed)
}

fn mask() -> Before {
    if by_priority() {
        let before = gic::priority_mask();
        gic::set_priority_mask(PriorityMask::Masked);
        Before::Priority(before)
    } else {
        let before = daif::read();
        daif::set::<{ daif::IF }>();
        Before::Pstate(before)
    }
}

fn restore(before: Before) {
    match before {
        Before::Priority(before) => gic::set_priority_mask(before),
        // Only what `mask` set: D and A may have been changed by an exception's entry code in between.
        Before::Pstate(before) if !before.contains(Daif::I) => daif::clear::<{ daif::IF }>(),
        Before::Pstate(_) => {}
    }
}

/// Interrupts are off on this CPU for as long as this lives. Guards nest; the last one dropped puts back what the first one
/// found, and one dropped out of order is counted and reported.
pub struct IrqOff {
    depth: u32,
    before: Before,
    /// Bound to its CPU.
    local: PhantomData<*const ()>,
}

impl IrqOff {
    /// Switches interrupts off. Any context.
    pub fn new() -> Self {
        let before = mask();
        let nesting = NESTING.this();
        let depth = nesting.depth.get() + 1;
        nesting.depth.set(depth);
        Self { depth, before, local: PhantomData }
    }
}

impl Default for IrqOff {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for IrqOff {
    fn drop(&mut self) {
        let nesting = NESTING.this();
        let depth = nesting.depth.get();
        nesting.depth.set(depth - 1);
        if depth == self.depth && nesting.owed.get().is_none() {
            restore(self.before);
            return;
        }
        if self.depth == 1 {
            nesting.owed.set(Some(self.before));
        }
        if depth == 1
            && let Some(before) = nesting.owed.take()
        {
            restore(before);
        }
        // Last: whatever takes a guard of its own in here must find the nesting as it will be.
        if depth != self.depth {
            OUT_OF_ORDER.fetch_add(1, Relaxed);
            log::error!("interrupt guard {} dropped while guard {depth} is alive", self.depth);
        }
    }
}

/// Whether ordinary interrupts can be taken now. Any context.
pub fn enabled() -> bool {
    !daif::read().contains(Daif::I) && (!by_priority() || gic::priority_mask() == PriorityMask::Unmasked)
}

/// Waits for an interrupt with interrupts on, and lets its handler run.
///
/// A CPU whose priority mask hides an interrupt is not woken by it, so waiting goes by PSTATE.I in both back ends.
pub fn wait() {
    crate::arch::barrier::wfi();
}
