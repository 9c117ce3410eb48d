//! What the values of the table's columns mean, in words, for documents that are made from the table.

use crate::table::{Context, Masks, Origin, Ss};

impl Origin {
    /// From where the exception is taken.
    pub const fn meaning(self) -> &'static str {
        match self {
            Origin::El0 => "from EL0",
            Origin::El1 => "from EL1",
            Origin::Any => "from EL0 or EL1",
        }
    }
}

impl Masks {
    /// What happens to the masks; None where the row says nothing of them.
    pub const fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Masks::Unsaid => return None,
            Masks::Masked => "D, A, I and F stay masked",
            Masks::UnmaskAll => "D, A, I and F are all unmasked",
            Masks::UnmaskDebugAndError => "D and A are unmasked, I and F stay masked",
            Masks::Inherit => "each mask becomes what it was in the interrupted context",
            Masks::MaskedThenOpen => {
                "all stay masked while the handler reads this CPU's debug state, then all are unmasked"
            }
        })
    }
}

impl Ss {
    /// What happens to MDSCR_EL1.SS and to the owners of the interrupted context's step; None where the row says nothing of them.
    pub const fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Ss::Unsaid => return None,
            Ss::Keep => "SS and the owners stay as they are",
            Ss::Clear => "SS is cleared, and the owners are dropped",
            Ss::Stash => {
                "the owners and the suspended slots go to the stash, SS is cleared, the slots are armed again, and an ISB follows; on the way out all of that is undone"
            }
            Ss::CompleteStepOver => {
                "a step-over is completed in software: its slots are armed again, its owner is dropped, the frame's SS is cleared; a debugger's step goes on into the handler"
            }
            Ss::Park => {
                "the owners wait while the displaced instruction (the one that the BRK replaces) runs"
            }
            Ss::Decide => "the handler decides for the context that it returns to",
            Ss::Compute => "SS becomes 1 exactly if the context that is returned to has an owner",
            Ss::ClearThenSet => {
                "SS is cleared before D is unmasked, and set again on the way out if the task has an owner"
            }
        })
    }
}

impl Context {
    /// What the handler may do; None where the row has no handler of its own.
    pub const fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Context::None => return None,
            Context::Preemptible => "may be preempted, and may sleep",
            Context::IrqFromEl0 => "is an interrupt handler; the way out may reschedule",
            Context::Inherit => "may do what the interrupted context may do",
            Context::Irq => "is an interrupt handler",
            Context::Nmi => "is an NMI handler: it may only try locks",
            Context::Debug => {
                "runs in debug context: it does not sleep, schedule or allocate, it may only try locks, and it waits for no other CPU"
            }
            Context::Panic => "ends in a panic",
        })
    }
}
