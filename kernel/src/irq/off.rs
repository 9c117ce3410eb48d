//! "Interrupts off", with two back ends chosen at boot: PSTATE.I, or the GICv3's priority mask, which leaves room for an NMI.
//!
//! With the priority mask an [`IrqOff`] section still takes interrupts of NMI priority (rule M9). The masking rules speak of
//! PSTATE.I, which is set in every handler with either back end.

use crate::arch::daif;
use crate::drivers::gic::{self, PriorityMask};
use crate::percpu::PerCpu;
use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};
use rules::pstate::Daif;

static BY_PRIORITY: AtomicBool = AtomicBool::new(false);
static OUT_OF_ORDER: AtomicU64 = AtomicU64::new(0);

/// The [`IrqOff`] guards of a CPU. An NMI or a debug exception can interrupt this module between any two instructions; the guards
/// that its handler takes are dropped before the interrupted code goes on.
struct Guards {
    /// A bit for each guard that is alive, by the guard's number.
    alive: AtomicU64,
    /// The masks before the first guard, which the last guard puts back.
    first: Cell<Before>,
}

static GUARDS: PerCpu<Guards> =
    crate::per_cpu!(Guards { alive: AtomicU64::new(0), first: Cell::new(Before(0)) });

/// The masks before a section, in the form of the back end in use: PSTATE's, or whether the priority mask was set.
#[derive(Clone, Copy)]
struct Before(u64);

/// Chooses the priority mask as the back end, instead of PSTATE.I. Called once, at boot, before other CPUs run.
pub fn use_priority() {
    BY_PRIORITY.store(true, Relaxed);
}

/// Whether the priority mask is used. Any context.
#[inline(always)]
pub fn by_priority() -> bool {
    BY_PRIORITY.load(Relaxed)
}

/// How many guards were dropped out of order so far. Any context.
pub fn out_of_order() -> u64 {
    OUT_OF_ORDER.load(Relaxed)
}

#[inline]
fn mask() -> Before {
    if by_priority() {
        return mask_by_priority();
    }
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    Before(before.bits())
}

/// Not inlined, because most machines mask by PSTATE.
#[inline(never)]
fn mask_by_priority() -> Before {
    let before = gic::priority_mask();
    gic::set_priority_mask(PriorityMask::Masked);
    Before((before == PriorityMask::Masked).into())
}

#[inline]
fn restore(before: Before) {
    if by_priority() {
        restore_priority(before);
    } else if !Daif::from_bits_retain(before.0).contains(Daif::I) {
        // Clears only what `mask` has set: the entry code of an exception may have changed D and A since.
        daif::clear::<{ daif::IF }>();
    }
}

#[inline(never)]
fn restore_priority(before: Before) {
    gic::set_priority_mask(if before.0 != 0 { PriorityMask::Masked } else { PriorityMask::Unmasked });
}

/// Interrupts are off on this CPU while this value lives. Guards nest. The last one dropped restores the state that the first one
/// has found, whatever the order; a guard that is dropped while a later one is alive is counted and reported.
pub struct IrqOff {
    number: u32,
    /// Makes the guard neither `Send` nor `Sync`, because it belongs to one CPU.
    local: PhantomData<*const ()>,
}

impl IrqOff {
    /// Switches interrupts off. Any context.
    ///
    /// # Panics
    /// If 64 guards are alive on this CPU.
    #[inline]
    pub fn new() -> Self {
        let before = mask();
        let guards = GUARDS.this();
        let alive = guards.alive.load(Relaxed);
        let number = u64::BITS - alive.leading_zeros();
        assert!(number < u64::BITS, "interrupt guards nest deeper than {}", u64::BITS);
        // Nobody changes the value between load and store: this CPU's interrupts are off, and an NMI or a debug exception has put it back
        // when the interrupted code goes on.
        guards.alive.store(alive | 1 << number, Relaxed);
        // From here on the guards of an NMI or a debug exception see `alive != 0`, and leave `first` alone.
        compiler_fence(SeqCst);
        if alive == 0 {
            guards.first.set(before);
        }
        Self { number, local: PhantomData }
    }
}

impl Default for IrqOff {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for IrqOff {
    fn drop(&mut self) {
        let guards = GUARDS.this();
        // `first` is read before the bit is cleared: as soon as no guard is alive, the guard of an NMI or a debug exception may
        // change it.
        let first = guards.first.get();
        compiler_fence(SeqCst);
        // As in `new`.
        let alive = guards.alive.load(Relaxed) & !(1 << self.number);
        guards.alive.store(alive, Relaxed);
        if alive == 0 {
            restore(first);
        } else if alive >> self.number != 0 {
            out_of_order_drop(self.number, alive);
        }
    }
}

#[cold]
#[inline(never)]
fn out_of_order_drop(number: u32, alive: u64) {
    OUT_OF_ORDER.fetch_add(1, Relaxed);
    let latest = u64::BITS - 1 - alive.leading_zeros();
    log::error!("interrupt guard {number} dropped while guard {latest} is alive");
}

/// Whether ordinary interrupts can be taken now. Any context.
pub fn enabled() -> bool {
    !daif::read().contains(Daif::I) && (!by_priority() || gic::priority_mask() == PriorityMask::Unmasked)
}

/// Waits for an interrupt. The caller has interrupts on, so the interrupt's handler runs before this returns.
///
/// Not to be called in an [`IrqOff`] section: an interrupt that PSTATE.I masks wakes the CPU, but an interrupt that the
/// priority mask holds back does not.
pub fn wait() {
    crate::arch::barrier::wfi();
}

/// Waits for an interrupt unless `ready` says that there is nothing to wait for, and lets its handler run. Interrupts on.
///
/// `ready` is called with I and F masked, and an interrupt that PSTATE masks still ends the WFI. So no wake-up is lost
/// that comes between the two.
pub fn wait_unless(ready: impl FnOnce() -> bool) {
    daif::set::<{ daif::IF }>();
    if !ready() {
        crate::arch::barrier::wfi();
    }
    daif::clear::<{ daif::IF }>();
}
