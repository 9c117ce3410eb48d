//! The rule table: for each origin and class of exception, what happens to PSTATE.D, A, I, F and to MDSCR_EL1.SS, and what the
//! handler may do.

use crate::pstate::Daif;
use core::fmt;

/// The name of a row, and its index in [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "each row says what it is for")]
pub enum RowId {
    M1,
    M2,
    M3,
    M4,
    M5,
    M6,
    M7,
    M8,
    M9,
    M10,
    M11,
    M12,
    M12b,
    M13,
    M14,
    M15,
    M16,
}

/// Where the exception was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the architecture's names")]
pub enum Origin {
    El0,
    El1,
    Any,
}

/// What happens to D, A, I, F (and, with FEAT_NMI, ALLINT) after the snapshot of ESR, FAR, ELR and SPSR, before the handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masks {
    /// This row decides nothing about the masks, because it has no handler of its own: another row decides.
    Unsaid,
    /// D, A, I and F all stay masked, as exception entry leaves them.
    Masked,
    /// D, A, I and F are all opened.
    UnmaskAll,
    /// D and A are opened, I and F stay masked.
    UnmaskDebugAndError,
    /// Each of D, A, I and F becomes what it was in the interrupted context, so the handler for masked code runs masked.
    Inherit,
    /// All stay masked while the handler reads from this CPU's debug state what has happened; then all are opened.
    MaskedThenOpen,
}

/// What happens to MDSCR_EL1.SS and to the owners of the interrupted context's step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ss {
    /// This row decides nothing about MDSCR_EL1: another row does, or nothing changes the register here.
    Unsaid,
    /// SS and owners stay as they are.
    Keep,
    /// SS is cleared, and the owners are dropped.
    Clear,
    /// Owners and suspended slots go to the stash, SS is cleared, the slots are armed again, ISB. The way out does the reverse.
    Stash,
    /// A step-over is completed in software: its slots are armed again, its owner is dropped, SPSR.SS in the frame is cleared.
    /// Steps of other owners go on, into the handler.
    CompleteStepOver,
    /// The owners wait while the probe's displaced instruction is executed.
    Park,
    /// The handler decides for the context that it returns to.
    Decide,
    /// SS becomes 1 exactly if the context that is returned to has an owner.
    Compute,
    /// SS is cleared before D is opened, and set on the way out if the task has an owner.
    ClearThenSet,
}

/// What the handler may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The row has no handler of its own.
    None,
    /// The handler may be preempted and may sleep.
    Preemptible,
    /// The handler of an interrupt from EL0: it may reschedule on the way out.
    IrqFromEl0,
    /// The handler may do what the interrupted context may do.
    Inherit,
    /// An interrupt handler.
    Irq,
    /// An NMI handler: it may only try locks.
    Nmi,
    /// Code at EL1 that runs because of a debug exception from EL1. Like an NMI handler, it may only try locks, and it does not
    /// sleep, schedule, allocate or wait for other CPUs.
    Debug,
    /// The kernel panics.
    Panic,
}

/// One rule of the table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The name of the rule.
    pub id: RowId,
    /// From where the exceptions of this row are taken.
    pub origin: Origin,
    /// The exceptions of this row, in words.
    pub class: &'static str,
    /// The masks while the handler runs.
    pub masks: Masks,
    /// What happens to MDSCR_EL1.SS and to the owners of the interrupted context.
    pub ss: Ss,
    /// What the handler may do.
    pub context: Context,
    /// What the columns cannot express; empty if they say everything.
    pub note: &'static str,
}

/// All rows, in the order of [`RowId`]: `TABLE[id as usize].id == id`.
pub const TABLE: &[Row] = &[
    Row {
        id: RowId::M1,
        origin: Origin::El0,
        class: "any, if the task has an owner",
        masks: Masks::Unsaid,
        ss: Ss::ClearThenSet,
        context: Context::None,
        note: "SS is cleared, with an ISB, before D is opened, and set again on the way out with everything masked",
    },
    Row {
        id: RowId::M2,
        origin: Origin::El0,
        class: "synchronous, not debug",
        masks: Masks::UnmaskAll,
        ss: Ss::ClearThenSet,
        context: Context::Preemptible,
        note: "the masks are opened right after the snapshot",
    },
    Row {
        id: RowId::M3,
        origin: Origin::El0,
        class: "BRK, unknown immediates too",
        masks: Masks::UnmaskAll,
        ss: Ss::ClearThenSet,
        context: Context::Preemptible,
        note: "the BRK ends in SIGTRAP, or in a uprobe",
    },
    Row {
        id: RowId::M4,
        origin: Origin::El0,
        class: "step, breakpoint, watchpoint",
        masks: Masks::MaskedThenOpen,
        ss: Ss::ClearThenSet,
        context: Context::Preemptible,
        note: "the part that runs with the masks open may migrate to another CPU: it touches no per-CPU debug state, and holds a reference on what it reports",
    },
    Row {
        id: RowId::M5,
        origin: Origin::El0,
        class: "IRQ, FIQ",
        masks: Masks::UnmaskDebugAndError,
        ss: Ss::ClearThenSet,
        context: Context::IrqFromEl0,
        note: "",
    },
    Row {
        id: RowId::M6,
        origin: Origin::El1,
        class: "synchronous, not debug, not fatal",
        masks: Masks::Inherit,
        ss: Ss::CompleteStepOver,
        context: Context::Inherit,
        note: "a Debugger's step goes into the handler; at debug depth > 0 no fault sleeps: a fix-up handles it, or it is fatal (M7)",
    },
    Row {
        id: RowId::M7,
        origin: Origin::El1,
        class: "fatal, unknown BRK",
        masks: Masks::Masked,
        ss: Ss::Clear,
        context: Context::Panic,
        note: "once the exception is found to be fatal, everything is masked until the end",
    },
    Row {
        id: RowId::M8,
        origin: Origin::El1,
        class: "IRQ, FIQ",
        masks: Masks::UnmaskDebugAndError,
        ss: Ss::Stash,
        context: Context::Irq,
        note: "D is opened last; on the way out deferred work may run with I open, while the step stays on the stash; tasks are switched only if the whole stash is empty",
    },
    Row {
        id: RowId::M9,
        origin: Origin::Any,
        class: "NMI, SError",
        masks: Masks::Masked,
        ss: Ss::Stash,
        context: Context::Nmi,
        note: "only the acknowledge tells a pseudo-NMI from an IRQ, so the step is put on the stash before the acknowledge",
    },
    Row {
        id: RowId::M10,
        origin: Origin::El1,
        class: "step, breakpoint, watchpoint",
        masks: Masks::Masked,
        ss: Ss::Decide,
        context: Context::Debug,
        note: "",
    },
    Row {
        id: RowId::M11,
        origin: Origin::El1,
        class: "BRK: WARN, BUG, assertions",
        masks: Masks::Inherit,
        ss: Ss::CompleteStepOver,
        context: Context::Inherit,
        note: "the report of a WARN in preemptible code can be preempted, and that of a WARN in a debug context stays masked; how deep such reports nest is bounded",
    },
    Row {
        id: RowId::M12,
        origin: Origin::El1,
        class: "BRK: probe, out-of-line end, return probe, debugger",
        masks: Masks::Masked,
        ss: Ss::Park,
        context: Context::Debug,
        note: "",
    },
    Row {
        id: RowId::M12b,
        origin: Origin::El1,
        class: "optimised probe's trampoline, no exception",
        masks: Masks::Masked,
        ss: Ss::Unsaid,
        context: Context::Debug,
        note: "the trampoline masks everything; what the probed context has open it opens again, D and A before the displaced instruction, I and F behind it; contexts with only one of I, F and A masked, hits in a debug context, and contexts that are about to be stepped at the site go to a BRK in the trampoline, which is dealt with by M12",
    },
    Row {
        id: RowId::M13,
        origin: Origin::Any,
        class: "return from an exception",
        masks: Masks::Masked,
        ss: Ss::Compute,
        context: Context::None,
        note: "SPSR.SS stays as it was saved, with these exceptions: a new request for a step sets it; a step that is cancelled clears it; a handler that moves ELR clears it; a debugger's step that goes into the handler of a fault clears it",
    },
    Row {
        id: RowId::M14,
        origin: Origin::El1,
        class: "BRK inside a debug context",
        masks: Masks::Masked,
        ss: Ss::Keep,
        context: Context::Debug,
        note: "the BRK is taken at once, because D does not mask BRK; K5 bounds how deep these BRKs nest",
    },
    Row {
        id: RowId::M15,
        origin: Origin::El1,
        class: "watchpoint of EL0 hit by an unprivileged access",
        masks: Masks::Masked,
        ss: Ss::Decide,
        context: Context::Debug,
        note: "the access is stepped over and not reported; but a hit of a kernel's watchpoint on user memory is reported",
    },
    Row {
        id: RowId::M16,
        origin: Origin::Any,
        class: "SError",
        masks: Masks::Masked,
        ss: Ss::Stash,
        context: Context::Nmi,
        note: "as M9; an SError from EL0 is contained only if the syndrome says that the error is the task's, and is fatal otherwise (M7)",
    },
];

impl Masks {
    /// The masks that the handler runs with, computed from those of the interrupted context. None where the row does not decide
    /// ([`Masks::Unsaid`]).
    #[inline(always)]
    pub const fn apply(self, interrupted: Daif) -> Option<Daif> {
        match self {
            Masks::Unsaid => None,
            Masks::Masked | Masks::MaskedThenOpen => Some(Daif::all()),
            Masks::UnmaskAll => Some(Daif::empty()),
            Masks::UnmaskDebugAndError => Some(Daif::I.union(Daif::F)),
            Masks::Inherit => Some(interrupted),
        }
    }
}

impl RowId {
    /// The row of the table with this name.
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The row with this name, such as `M12b`. The name must be in this case.
    pub fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.id.name() == name).map(|row| row.id)
    }

    /// The rule's name, as code and documents write it.
    pub const fn name(self) -> &'static str {
        const NAMES: &[&str] = &[
            "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10", "M11", "M12", "M12b", "M13", "M14",
            "M15", "M16",
        ];
        NAMES[self as usize]
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.name();
        write!(
            f,
            "{:<5} {origin} {}: masks {}, SS {}",
            self.id,
            self.class,
            self.masks.name(),
            self.ss.name()
        )?;
        if self.note.is_empty() { Ok(()) } else { write!(f, "; {}", self.note) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stands_at_its_own_index() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.id as usize, index);
            assert_eq!(RowId::by_name(row.id.name()), Some(row.id));
        }
    }

    #[test]
    fn no_row_leaves_d_masked_with_i_open() {
        for row in TABLE {
            for bits in 0..16 {
                let interrupted = Daif::of(bits << 6);
                if interrupted.holds_i1() {
                    assert!(row.masks.apply(interrupted).is_none_or(Daif::holds_i1), "{}", row.id);
                }
            }
        }
    }

    #[test]
    fn debug_context_is_masked() {
        for row in TABLE {
            if matches!(row.context, Context::Debug | Context::Nmi | Context::Panic) {
                assert_eq!(row.masks, Masks::Masked, "{}", row.id);
            }
        }
    }

    #[test]
    fn where_d_opens_for_a_new_context_ss_is_settled_first() {
        for row in TABLE {
            if matches!(row.masks, Masks::UnmaskAll | Masks::UnmaskDebugAndError) {
                assert!(matches!(row.ss, Ss::Stash | Ss::ClearThenSet), "{}: I2", row.id);
            }
        }
    }
}
