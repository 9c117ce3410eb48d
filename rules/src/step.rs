//! Owners of steps, and what becomes of a context's step.
//!
//! Several *owners* can ask for a step of the same context at the same time. The owners are kept apart, so that the end of one
//! owner's step does not end another owner's. [`Owners::STEP_OVER`] comes with hardware slots that are suspended on this CPU; the
//! slot manager knows which.

use crate::pstate::{Daif, SPSR_SS};
use bitflags::bitflags;
use core::fmt;

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
        /// A mark beside the owners: the next instructions are an exclusive sequence that cannot be executed as one step. The
        /// context runs without a step until its next exception, which removes the mark (rule H9).
        const RUNS_FREE = 1 << 7;
    }
}

/// What has brought a program into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// An interrupt.
    Interrupt,
    /// A step, breakpoint or watchpoint exception.
    Debug,
    /// A BRK.
    Brk,
    /// Any other synchronous exception.
    Synchronous,
}

impl By {
    /// M1: the owners whose step of the program ends with the entry. A synchronous exception ends a step-over: the instruction has been executed
    /// (SVC), or it is attempted anew later, which is another hit (X1). A BRK ends the step of a tracer too, because the BRK is what the tracer
    /// is told of (T2). An interrupt ends nothing, and after a debug exception its handler has decided.
    #[inline(always)]
    pub const fn ends(self) -> Owners {
        match self {
            Self::Interrupt | Self::Debug => Owners::empty(),
            Self::Synchronous => Owners::STEP_OVER,
            Self::Brk => Owners::STEP_OVER.union(Owners::TRACER),
        }
    }
}

/// Why a context cannot be stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepError {
    /// The context runs with PSTATE.D set. The step exception would come only where D opens, and that is another place (rule X2).
    DebugMasked,
    /// Another debugger's step of the context is not over.
    Busy,
    /// The context is a program, which a debugger of the kernel does not step.
    AtEl0,
}

impl core::error::Error for StepError {}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DebugMasked => "rule X2: no step of a context with PSTATE.D masked",
            Self::Busy => "the context is being stepped already",
            Self::AtEl0 => "the context is a program at EL0, which a debugger of the kernel does not step",
        })
    }
}

/// M13: the value of MDSCR_EL1.SS for a context with these owners, when the kernel returns to it. True if there is an owner, unless
/// the context runs free (H9).
#[inline(always)]
pub const fn mdscr_ss(owners: Owners) -> bool {
    !owners.is_empty() && !owners.contains(Owners::RUNS_FREE)
}

/// M13: the SPSR after a handler has moved ELR, for example behind a simulated instruction or a BRK. SPSR.SS is cleared: the
/// instruction counts as the step, and the step exception comes before the next one.
#[inline(always)]
pub const fn moved(spsr: u64) -> u64 {
    spsr & !SPSR_SS
}

/// M8: whether the CPU may switch tasks on its way out of an interrupt. It may not while the stash holds a step of a context that
/// was interrupted.
pub const fn may_reschedule(stash_depth: usize) -> bool {
    stash_depth == 0
}

impl Owners {
    /// Adds an owner, and ends a free run (H9). Returns the SPSR for the return to the context: a new request sets SPSR.SS (M13).
    ///
    /// # Errors
    /// [`StepError::DebugMasked`] if `spsr` has D set (X2).
    #[inline(always)]
    pub fn request(&mut self, owner: Owners, spsr: u64) -> Result<u64, StepError> {
        if Daif::of(spsr).contains(Daif::D) {
            return Err(StepError::DebugMasked);
        }
        *self = self.difference(Owners::RUNS_FREE) | owner;
        Ok(spsr | SPSR_SS)
    }

    /// Removes an owner, whose step is done or no longer wanted. Returns the SPSR for the return to the context: SPSR.SS is cleared
    /// when the last owner goes (M13), and no other bit changes (I4).
    #[inline(always)]
    pub fn cancel(&mut self, owner: Owners, spsr: u64) -> u64 {
        *self -= owner;
        if self.is_empty() { spsr & !SPSR_SS } else { spsr }
    }

    /// Ends a step-over without a step exception (M6, M11, the end of an out-of-line copy). Returns the SPSR for the return to the
    /// context; the caller arms the suspended slots again. None if there is no step-over.
    #[inline(always)]
    pub fn complete_step_over(&mut self, spsr: u64) -> Option<u64> {
        self.contains(Owners::STEP_OVER).then(|| self.cancel(Owners::STEP_OVER, spsr))
    }

    /// H9: adds `owner`, and lets the context run free until its next exception. Returns the SPSR for the return to the context.
    ///
    /// # Errors
    /// As for [`request`](Self::request): with D masked, the exception that ends the free run could be far away.
    #[inline]
    pub fn run_free(&mut self, owner: Owners, spsr: u64) -> Result<u64, StepError> {
        self.request(owner, spsr)?;
        *self |= Owners::RUNS_FREE;
        Ok(moved(spsr))
    }

    /// Takes all owners away, for a stash or while a displaced instruction runs (M8, M9, M12).
    #[inline(always)]
    pub fn take(&mut self) -> Self {
        core::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NZCV_EL1H: u64 = 0xf000_0005;

    #[test]
    fn a_request_sets_ss_and_nothing_else() {
        let mut owners = Owners::empty();
        assert_eq!(owners.request(Owners::DEBUGGER, NZCV_EL1H), Ok(NZCV_EL1H | SPSR_SS));
        assert!(mdscr_ss(owners));
    }

    #[test]
    fn a_second_request_of_an_owner_keeps_the_first() {
        let mut owners = Owners::STEP_OVER | Owners::DEBUGGER;
        assert_eq!(owners.request(Owners::DEBUGGER, NZCV_EL1H), Ok(NZCV_EL1H | SPSR_SS));
        assert_eq!(owners, Owners::STEP_OVER | Owners::DEBUGGER);
    }

    #[test]
    fn x2_a_step_of_a_masked_context_is_an_error() {
        let mut owners = Owners::empty();
        let masked = NZCV_EL1H | Daif::D.bits();
        assert_eq!(owners.request(Owners::DEBUGGER, masked), Err(StepError::DebugMasked));
        assert!(!mdscr_ss(owners));
    }

    #[test]
    fn one_owners_end_is_not_anothers() {
        let mut owners = Owners::STEP_OVER | Owners::DEBUGGER;
        let spsr = owners.complete_step_over(NZCV_EL1H | SPSR_SS).unwrap();
        assert_eq!(spsr, NZCV_EL1H | SPSR_SS, "the debugger's step is as far as it was");
        assert_eq!(owners, Owners::DEBUGGER);
        assert_eq!(owners.cancel(Owners::DEBUGGER, spsr), NZCV_EL1H);
    }

    #[test]
    fn a_step_over_ended_in_software_clears_the_frames_ss() {
        let mut owners = Owners::STEP_OVER;
        assert_eq!(owners.complete_step_over(NZCV_EL1H | SPSR_SS), Some(NZCV_EL1H));
        assert_eq!(owners.complete_step_over(NZCV_EL1H), None);
    }

    #[test]
    fn what_is_set_aside_leaves_nobody() {
        let mut owners = Owners::STEP_OVER;
        assert_eq!(owners.take(), Owners::STEP_OVER);
        assert!(!mdscr_ss(owners));
    }

    #[test]
    fn h9_who_runs_free_is_not_stepped_until_the_next_request() {
        let mut owners = Owners::STEP_OVER;
        assert_eq!(owners.run_free(Owners::DEBUGGER, NZCV_EL1H | SPSR_SS), Ok(NZCV_EL1H));
        assert!(owners.contains(Owners::STEP_OVER | Owners::DEBUGGER) && !mdscr_ss(owners));
        assert_eq!(owners.request(Owners::STEP_OVER, NZCV_EL1H), Ok(NZCV_EL1H | SPSR_SS));
        assert!(owners == Owners::STEP_OVER | Owners::DEBUGGER && mdscr_ss(owners));
        let masked = NZCV_EL1H | Daif::D.bits();
        assert_eq!(Owners::empty().run_free(Owners::DEBUGGER, masked), Err(StepError::DebugMasked));
    }

    #[test]
    fn an_interrupt_of_a_program_ends_no_step() {
        assert_eq!([By::Interrupt, By::Debug].map(By::ends), [Owners::empty(); 2]);
        assert_eq!(By::Synchronous.ends(), Owners::STEP_OVER);
        assert_eq!(By::Brk.ends(), Owners::STEP_OVER | Owners::TRACER);
    }

    #[test]
    fn no_reschedule_over_a_stash() {
        assert!(may_reschedule(0));
        assert!(!may_reschedule(1));
    }

    #[test]
    fn errors_name_the_rule_or_the_reason() {
        assert_eq!(StepError::DebugMasked.to_string(), "rule X2: no step of a context with PSTATE.D masked");
        assert_eq!(StepError::Busy.to_string(), "the context is being stepped already");
        assert!(StepError::AtEl0.to_string().contains("a program at EL0"));
    }

    #[test]
    fn m13_what_moves_pc_clears_ss_and_nothing_else() {
        assert_eq!(moved(NZCV_EL1H | SPSR_SS), NZCV_EL1H);
        assert_eq!(moved(NZCV_EL1H), NZCV_EL1H);
        assert_eq!(moved(u64::MAX), !(1 << 21));
    }
}
