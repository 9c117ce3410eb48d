//! What a transition can break while it is under way, so that the state after it does not show it.

/// A rule that a transition has broken while it was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Broken {
    /// ELR_EL1 and SPSR_EL1 were loaded with exceptions open.
    ReturnsOpen,
    /// A bit of SPSR_EL1 other than SS was changed for a step.
    Flags,
    /// Threads were switched in a debug context.
    SwitchInDebugContext,
    /// Threads were switched while a probe is active.
    SwitchInProbe,
    /// Threads were switched with PSTATE.D set.
    SwitchWithDMasked,
    /// Threads were switched with a step on the stash.
    SwitchWithStash,
    /// Threads were switched with a slot suspended.
    SwitchWithSuspendedSlot,
    /// Threads were switched with MDSCR_EL1.SS set.
    SwitchStepping,
    /// The scheduler was asked while the handler of an interrupt was interrupted in the middle.
    SwitchInHandler,
    /// The first phase of M4 ran with exceptions open.
    FirstPhaseOpen,
    /// An attempt that a slot is for was executed with D open, and was not hit.
    HitLost,
    /// One attempt was hit twice.
    HitTwice,
    /// A context executed a second instruction before the step exception.
    StepTwice,
    /// A step exception came before the context had executed an instruction.
    StepEarly,
    /// A step exception came in another context than the one that an owner had asked it for.
    StepElsewhere,
    /// A step of a context with D masked was granted.
    StepOfMasked,
    /// A step exception came and the CPU had no owner.
    StepOfNobody,
    /// Interrupts nested deeper than the stash.
    StashFull,
}

impl Broken {
    /// All values, each at the index `value as usize`.
    pub const ALL: [Broken; 18] = [
        Broken::ReturnsOpen,
        Broken::Flags,
        Broken::SwitchInDebugContext,
        Broken::SwitchInProbe,
        Broken::SwitchWithDMasked,
        Broken::SwitchWithStash,
        Broken::SwitchWithSuspendedSlot,
        Broken::SwitchStepping,
        Broken::SwitchInHandler,
        Broken::FirstPhaseOpen,
        Broken::HitLost,
        Broken::HitTwice,
        Broken::StepTwice,
        Broken::StepEarly,
        Broken::StepElsewhere,
        Broken::StepOfMasked,
        Broken::StepOfNobody,
        Broken::StashFull,
    ];

    /// The name of the property that this breaks.
    pub const fn property(self) -> &'static str {
        match self {
            Broken::ReturnsOpen => "return_path_is_masked",
            Broken::Flags => "spsr_is_kept",
            Broken::SwitchInDebugContext
            | Broken::SwitchInProbe
            | Broken::SwitchWithDMasked
            | Broken::SwitchWithStash
            | Broken::SwitchWithSuspendedSlot
            | Broken::SwitchStepping => "switch_is_clean",
            Broken::SwitchInHandler => "handlers_run_to_their_end",
            Broken::FirstPhaseOpen => "first_phase_is_masked",
            Broken::HitLost | Broken::HitTwice => "an_attempt_is_one_hit",
            Broken::StepTwice | Broken::StepEarly | Broken::StepElsewhere => "a_step_is_one_instruction",
            Broken::StepOfMasked => "masked_code_is_not_stepped",
            Broken::StepOfNobody => "a_step_has_an_owner",
            Broken::StashFull => "stash_is_in_order",
        }
    }

    /// What has happened, in words.
    pub const fn says(self) -> &'static str {
        match self {
            Broken::ReturnsOpen => "ELR_EL1 and SPSR_EL1 are loaded with exceptions open",
            Broken::Flags => "for a step, a bit of SPSR_EL1 other than SS is changed",
            Broken::SwitchInDebugContext => "threads are switched in a debug context",
            Broken::SwitchInProbe => "threads are switched with an active probe",
            Broken::SwitchWithDMasked => "threads are switched with PSTATE.D set",
            Broken::SwitchWithStash => "threads are switched with a step on the stash",
            Broken::SwitchWithSuspendedSlot => "threads are switched with a slot suspended",
            Broken::SwitchStepping => "threads are switched with MDSCR_EL1.SS set",
            Broken::SwitchInHandler => {
                "the scheduler is asked while an interrupt's handler is interrupted in the middle"
            }
            Broken::FirstPhaseOpen => "the first phase of M4 runs with exceptions open",
            Broken::HitLost => "an attempt that a slot is for is executed with D open, and not hit",
            Broken::HitTwice => "one attempt is hit twice",
            Broken::StepTwice => {
                "a context executes a second instruction, and the step exception after the first has not come"
            }
            Broken::StepEarly => {
                "a step exception comes, and the context has not executed an instruction since the request"
            }
            Broken::StepElsewhere => {
                "a step exception comes in another context than the one that was to be stepped"
            }
            Broken::StepOfMasked => "a step of a context with D masked is granted",
            Broken::StepOfNobody => "a step exception comes, and the CPU has no owner of a step",
            Broken::StashFull => "interrupts nest deeper than the stash",
        }
    }
}
