//! Owners of steps, and what becomes of a context's step.
//!
//! A step of a context is asked for by *owners*. They are kept apart, so that the completion of one's step never eats
//! another's. With the owners go the hardware slots that are suspended on this CPU for a step-over; what a set of slots is
//! does not matter here, so [`StepContext`] is generic over it.

use crate::pstate::{Daif, SPSR_SS};
use bitflags::bitflags;

bitflags! {
    /// Who asked for a step of a context.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Owners: u8 {
        /// The instruction under a hardware breakpoint or watchpoint is to run once.
        const STEP_OVER = 1 << 0;
        /// A debugger of the kernel.
        const DEBUGGER = 1 << 1;
        /// A tracer of the task.
        const TRACER = 1 << 2;
        /// A user probe.
        const UPROBE = 1 << 3;
    }
}

/// The step state of one context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepContext<S> {
    /// Who asked.
    pub owners: Owners,
    /// Slots that are switched off on this CPU until the step-over is done.
    pub suspended: S,
}

/// A step that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepError {
    /// The context runs with PSTATE.D set: the step would be taken only where D opens, somewhere else (rule X2).
    DebugMasked,
}

/// M13: MDSCR_EL1.SS for a context that is returned to.
#[inline(always)]
pub const fn mdscr_ss(owners: Owners) -> bool {
    !owners.is_empty()
}

/// M13: SPSR.SS after a handler moved ELR (simulation, fix-up, past a BRK): clear, so that a step that is still asked for is
/// taken before the next instruction.
#[inline(always)]
pub const fn moved(spsr: u64) -> u64 {
    spsr & !SPSR_SS
}

/// M8: whether the CPU may switch tasks on the way out of an interrupt.
pub const fn may_reschedule(stash_depth: usize) -> bool {
    stash_depth == 0
}

impl<S: Copy + Default> StepContext<S> {
    /// Asks for a step; returns the SPSR to return with (M13: a new request sets SS).
    #[inline(always)]
    pub fn request(&mut self, owner: Owners, spsr: u64) -> Result<u64, StepError> {
        if Daif::of(spsr).contains(Daif::D) {
            return Err(StepError::DebugMasked);
        }
        self.owners |= owner;
        Ok(spsr | SPSR_SS)
    }

    /// Takes an owner's request back, or completes it; returns the SPSR to return with (M13: a cancel clears SS once nobody
    /// is left). Other owners' progress is kept (I4: nothing else of SPSR changes).
    #[inline(always)]
    pub fn cancel(&mut self, owner: Owners, spsr: u64) -> u64 {
        self.owners -= owner;
        if self.owners.is_empty() { spsr & !SPSR_SS } else { spsr }
    }

    /// Ends a step-over in software (M6, M11, or the end of an out-of-line copy): the slots to re-arm now, and the SPSR.
    /// None if there is no step-over.
    #[inline(always)]
    pub fn complete_step_over(&mut self, spsr: u64) -> Option<(S, u64)> {
        if !self.owners.contains(Owners::STEP_OVER) {
            return None;
        }
        let spsr = self.cancel(Owners::STEP_OVER, spsr);
        Some((core::mem::take(&mut self.suspended), spsr))
    }

    /// Sets the whole state aside (M8, M9, M12): what is left has no owner.
    #[inline(always)]
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NZCV_EL1H: u64 = 0xf000_0005;

    fn stepping(owners: Owners) -> StepContext<u16> {
        StepContext { owners, suspended: 0b101 }
    }

    #[test]
    fn a_request_sets_ss_and_nothing_else() {
        let mut context = StepContext::<u16>::default();
        assert_eq!(context.request(Owners::DEBUGGER, NZCV_EL1H), Ok(NZCV_EL1H | SPSR_SS));
        assert!(mdscr_ss(context.owners));
    }

    #[test]
    fn x2_a_step_of_a_masked_context_is_an_error() {
        let mut context = StepContext::<u16>::default();
        let masked = NZCV_EL1H | Daif::D.bits();
        assert_eq!(context.request(Owners::DEBUGGER, masked), Err(StepError::DebugMasked));
        assert!(!mdscr_ss(context.owners));
    }

    #[test]
    fn one_owners_end_is_not_anothers() {
        let mut context = stepping(Owners::STEP_OVER | Owners::DEBUGGER);
        let (slots, spsr) = context.complete_step_over(NZCV_EL1H | SPSR_SS).unwrap();
        assert_eq!(slots, 0b101);
        assert_eq!(spsr, NZCV_EL1H | SPSR_SS, "the debugger's step is as far as it was");
        assert_eq!(context, StepContext { owners: Owners::DEBUGGER, suspended: 0 });
        assert_eq!(context.cancel(Owners::DEBUGGER, spsr), NZCV_EL1H);
    }

    #[test]
    fn a_step_over_ended_in_software_clears_the_frames_ss() {
        let mut context = stepping(Owners::STEP_OVER);
        assert_eq!(context.complete_step_over(NZCV_EL1H | SPSR_SS), Some((0b101, NZCV_EL1H)));
        assert_eq!(context.complete_step_over(NZCV_EL1H), None);
    }

    #[test]
    fn what_is_set_aside_leaves_nobody() {
        let mut context = stepping(Owners::STEP_OVER);
        let aside = context.take();
        assert!(!mdscr_ss(context.owners));
        assert_eq!(context.suspended, 0);
        assert_eq!(aside, stepping(Owners::STEP_OVER));
    }

    #[test]
    fn no_reschedule_over_a_stash() {
        assert!(may_reschedule(0));
        assert!(!may_reschedule(1));
    }
}
