//! The debug state of one context as one value (rule I9).
//!
//! A context is a thread, an interrupt's handler, or whatever else runs at EL1 between an exception and its return. Its debug
//! state has one holder at a time: the CPU while the context runs, the CPU's stash while an interrupt's handler runs in its
//! place (M8), the thread while another one has the CPU (I5). [`CpuDebug::take_stepping`] and [`CpuDebug::give_stepping`] move
//! it, whole: nothing of it can be forgotten, and nothing of it stays behind.

use super::session::Session;
use super::step::Stepped;
use super::{CpuDebug, slots};
use ::slots::Suspended;
use rules::step::Owners;

/// The debug state of a context that does not run.
#[derive(Clone, Copy)]
pub struct Stepping {
    /// Who has asked for a step of the context.
    pub owners: Owners,
    /// What a debugger does with the steps of the context.
    session: Option<Session>,
    /// The slots that are suspended while the context runs, so that its next instruction can run once.
    suspended: Suspended,
    /// How the debugger's step came about that is not reported yet.
    stepped: Stepped,
    /// Where the free run of the context began (H9).
    free_from: u64,
}

impl Stepping {
    /// Nobody steps the context.
    pub const NONE: Self = Self {
        owners: Owners::empty(),
        session: None,
        suspended: Suspended::new(),
        stepped: Stepped::Instruction,
        free_from: 0,
    };

    /// Nothing is stepped over any more: no slot is suspended when the context goes on. A context that ran free for nothing else
    /// does so no more.
    pub fn end_step_over(&mut self) {
        self.suspended.clear();
        self.owners.remove(Owners::STEP_OVER);
        if self.owners == Owners::RUNS_FREE {
            self.owners = Owners::empty();
        }
    }
}

impl CpuDebug {
    /// Takes the running context's state off this CPU: the CPU has no owner of a step any more, and every slot that was
    /// suspended for the context is armed again. D is masked; MDSCR_EL1 and the slots' ISB are owed.
    #[inline(always)]
    pub fn take_stepping(&self) -> Stepping {
        let taken = Stepping {
            owners: self.owners.get(),
            session: self.session.take(),
            suspended: slots::stash(self),
            stepped: self.stepped.get(),
            free_from: self.free_from.get(),
        };
        self.set_owners(Owners::empty());
        taken
    }

    /// Makes a state that was taken the running context's. Says whether a slot is suspended now: those that are gone, or in
    /// another use, are not. D is masked; MDSCR_EL1 and the slots' ISB are owed.
    #[inline(always)]
    pub fn give_stepping(&self, stepping: &Stepping) -> bool {
        self.session.set(stepping.session);
        self.stepped.set(stepping.stepped);
        self.free_from.set(stepping.free_from);
        self.set_owners(stepping.owners);
        slots::unstash(self, &stepping.suspended)
    }
}
