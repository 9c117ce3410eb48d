//! Rule I5: whether a CPU may switch to another task.

use crate::pstate::Daif;
use core::fmt;

/// The debug state of a CPU that is about to switch tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchState {
    /// The exception masks in PSTATE.
    pub masks: Daif,
    /// Whether MDSCR_EL1.SS is set.
    pub ss: bool,
    /// How many debug contexts the CPU is in.
    pub debug_depth: usize,
    /// How many probes the CPU is handling.
    pub active_probes: usize,
    /// How many entries the CPU's stash has.
    pub stash: usize,
    /// Whether a slot is suspended for a step-over at EL1.
    pub el1_slot_suspended: bool,
}

/// Why the CPU may not switch: the next task would run with a part of debug exceptions switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum SwitchFault {
    /// The CPU is in a debug context.
    DebugContext,
    /// A probe is active.
    Probe,
    /// PSTATE.D is set.
    DebugMasked,
    /// An interrupt has set a step aside.
    Stash,
    /// A slot is suspended for a step-over.
    SuspendedSlot,
    /// MDSCR_EL1.SS is set. A debugger's step must first be saved with its task.
    Stepping,
}

impl SwitchState {
    /// Checks rule I5.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn may_switch(&self) -> Result<(), SwitchFault> {
        let faults = [
            (self.masks.contains(Daif::D), SwitchFault::DebugMasked),
            (self.debug_depth != 0, SwitchFault::DebugContext),
            (self.active_probes != 0, SwitchFault::Probe),
            (self.stash != 0, SwitchFault::Stash),
            (self.el1_slot_suspended, SwitchFault::SuspendedSlot),
            (self.ss, SwitchFault::Stepping),
        ];
        faults.into_iter().find(|(wrong, _)| *wrong).map_or(Ok(()), |(_, fault)| Err(fault))
    }
}

impl core::error::Error for SwitchFault {}

impl fmt::Display for SwitchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DebugContext => "in a debug context",
            Self::Probe => "with an active probe",
            Self::DebugMasked => "with PSTATE.D set",
            Self::Stash => "with a step on the stash",
            Self::SuspendedSlot => "with a slot suspended",
            Self::Stepping => "with MDSCR_EL1.SS set",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: SwitchState = SwitchState {
        masks: Daif::empty(),
        ss: false,
        debug_depth: 0,
        active_probes: 0,
        stash: 0,
        el1_slot_suspended: false,
    };

    #[test]
    fn thread_context_may_be_switched_with_interrupts_off_too() {
        assert_eq!(GOOD.may_switch(), Ok(()));
        let off = SwitchState { masks: Daif::I | Daif::F | Daif::A, ..GOOD };
        assert_eq!(off.may_switch(), Ok(()));
    }

    #[test]
    fn each_condition_counts() {
        let bad = [
            (SwitchState { masks: Daif::D | Daif::I, ..GOOD }, SwitchFault::DebugMasked),
            (SwitchState { ss: true, ..GOOD }, SwitchFault::Stepping),
            (SwitchState { debug_depth: 1, ..GOOD }, SwitchFault::DebugContext),
            (SwitchState { active_probes: 1, ..GOOD }, SwitchFault::Probe),
            (SwitchState { stash: 1, ..GOOD }, SwitchFault::Stash),
            (SwitchState { el1_slot_suspended: true, ..GOOD }, SwitchFault::SuspendedSlot),
        ];
        for (state, fault) in bad {
            assert_eq!(state.may_switch(), Err(fault), "{fault}");
        }
    }

    #[test]
    fn faults_complete_the_sentence_that_reports_them() {
        let shown = [
            (SwitchFault::DebugContext, "in a debug context"),
            (SwitchFault::Probe, "with an active probe"),
            (SwitchFault::DebugMasked, "with PSTATE.D set"),
            (SwitchFault::Stash, "with a step on the stash"),
            (SwitchFault::SuspendedSlot, "with a slot suspended"),
            (SwitchFault::Stepping, "with MDSCR_EL1.SS set"),
        ];
        for (fault, text) in shown {
            assert_eq!(fault.to_string(), text);
        }
    }
}
