//! Behaviours of policies at the entry of an exception and at the return from it ([`BEHAVIOURS`]), and a look at steps that land in
//! interrupt handlers, which the product's rules exclude. In the product all functions here are empty.

use super::frame::{Frame, ec};
use crate::debug::MaskedCpu;
use crate::per_cpu;
use crate::percpu::PerCpu;
use crate::policy::{BEHAVIOURS, POLICY};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rules::policies::behaviour::{Reschedules, Stashes};
use rules::pstate::{Daif, SPSR_SS};
use rules::step::mdscr_ss;
use rules::table::RowId;

/// Whether this build looks for steps that land in interrupt handlers.
const LOOKS: bool = !POLICY.is_product();

/// What a CPU knows of a stepped context.
struct Stepped {
    /// An interrupt has left the context's step live, and its step exception has not come yet.
    live: Cell<bool>,
    /// The masks that the context had before A, I and F were masked for its step.
    masks: Cell<Option<Daif>>,
    /// The way out of the interrupt does not switch threads.
    keeps_thread: Cell<bool>,
}

#[unsafe(link_section = ".noprobe.data")]
static STEPPED: PerCpu<Stepped> =
    per_cpu!(Stepped { live: Cell::new(false), masks: Cell::new(None), keeps_thread: Cell::new(false) });

#[unsafe(link_section = ".noprobe.data")]
static ASTRAY: AtomicU64 = AtomicU64::new(0);

/// How many steps of interrupted contexts have landed in the handler of the interrupt, on all CPUs. Always 0 in the product. Any
/// context.
pub fn astray() -> u64 {
    ASTRAY.load(Relaxed)
}

/// Called at the entry of an exception from EL1 whose context has owners, before the row is applied. All exceptions are masked.
#[inline(always)]
pub fn entered<const ROW: u8>(frame: &mut Frame) {
    if LOOKS && ROW == RowId::M10 as u8 && frame.class() == ec::STEP_SAME && STEPPED.this().live.take() {
        ASTRAY.fetch_add(1, Relaxed);
    }
    if BEHAVIOURS.masks_interrupts_in_steps
        && let Some(masks) = STEPPED.this().masks.take()
    {
        frame.pstate = frame.pstate & !Daif::all().bits() | masks.bits();
    }
}

/// Whether an interrupt stashes the step of the context of `frame`, if the table says that interrupts stash. All exceptions are masked.
#[inline(always)]
pub fn stashes(frame: &Frame) -> bool {
    match BEHAVIOURS.stashes {
        Stashes::WithOwners => true,
        Stashes::WithSpsrSs => frame.pstate & SPSR_SS != 0,
    }
}

/// Called on the way out of an interrupt of EL1, before [`may_switch`]. I and F are masked.
#[inline(always)]
pub fn interrupted(cpu: &MaskedCpu, frame: &Frame) {
    // An interrupt of deferred work leaves the reschedule to that work, and with it the interrupted context that counts.
    if matches!(BEHAVIOURS.reschedules, Reschedules::WithSpsrSs) && !cpu.in_deferred() {
        STEPPED.this().keeps_thread.set(frame.pstate & SPSR_SS == 0);
    }
}

/// Whether the policy lets the way out of the interrupt switch threads, if nothing else forbids it. I and F are masked.
#[inline(always)]
pub fn may_switch() -> bool {
    match BEHAVIOURS.reschedules {
        Reschedules::WithoutStash => true,
        Reschedules::WithSpsrSs => !STEPPED.this().keeps_thread.take(),
    }
}

/// Called if the row leaves the step of the interrupted context live. All exceptions are masked.
#[inline(always)]
pub fn left_live<const ROW: u8>(cpu: &MaskedCpu) {
    if LOOKS && ROW == RowId::M8 as u8 && mdscr_ss(cpu.owners.get()) {
        STEPPED.this().live.set(true);
    }
}

/// Called before the return to a context of EL1 (M13). All exceptions are masked.
#[inline(always)]
pub fn leaving(cpu: &MaskedCpu, frame: &mut Frame) {
    if LOOKS {
        // What runs behind this return is no handler of the interrupt that has left a step live.
        STEPPED.this().live.set(false);
    }
    if BEHAVIOURS.masks_interrupts_in_steps && mdscr_ss(cpu.owners.get()) {
        STEPPED.this().masks.set(Some(frame.masks()));
        frame.pstate |= (Daif::A | Daif::I | Daif::F).bits();
    }
}
