//! The debug state of one context as one value (rule I9).
//!
//! A context is a thread, an interrupt's handler, or whatever else runs at EL1 between an exception and its return. Its debug
//! state has one holder at a time: the CPU while the context runs, the CPU's stash while an interrupt's handler runs in its
//! place (M8), the thread while another thread has the CPU (I5). [`step`](super::step) moves a [`Stepping`] between them, whole: no
//! field can be forgotten, and nothing of a context stays behind on the CPU that it has left.

use super::client::{Client, Hook, Predicate, Stepped};
use ::slots::Suspended;
use rules::plan::Course;
use rules::step::Owners;

/// What a debugger does with the steps of a context.
#[derive(Clone, Copy)]
pub enum Session {
    /// Every step calls the hook.
    Hook(Hook),
    /// The end of the plan calls the client.
    Plan {
        /// What is left of the plan.
        course: Course<Predicate>,
        /// The client that has made the plan.
        client: &'static Client,
    },
}

impl Session {
    /// Whether this is a plan of the client `of`.
    #[inline(always)]
    pub fn is_of(&self, of: &Client) -> bool {
        matches!(self, Self::Plan { client, .. } if client.is(of))
    }
}

/// The debug state of a context that does not run.
#[derive(Clone, Copy)]
pub struct Stepping {
    /// Who has asked for a step of the context.
    pub owners: Owners,
    /// What a debugger does with the steps of the context.
    pub(super) session: Option<Session>,
    /// The slots that are suspended while the context runs, so that its next instruction can run once.
    pub(super) suspended: Suspended,
    /// How the debugger's step under way comes about, for the report at its end.
    pub(super) stepped: Stepped,
    /// Where the free run of the context began (H9).
    pub(super) free_from: u64,
}

impl Stepping {
    /// The state of a context that nobody steps.
    pub const NONE: Self = Self {
        owners: Owners::empty(),
        session: None,
        suspended: Suspended::new(),
        stepped: Stepped::Instruction,
        free_from: 0,
    };

    /// Ends a step-over: when the context goes on, no slot is suspended. If the context ran free for the step-over
    /// only, it does not run free any more.
    pub fn end_step_over(&mut self) {
        self.suspended.clear();
        self.owners.remove(Owners::STEP_OVER);
        if self.owners == Owners::RUNS_FREE {
            self.owners = Owners::empty();
        }
    }
}
