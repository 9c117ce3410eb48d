//! What a signal does to the thread that takes it.

use crate::{Action, ActionFlags, Actions, AltStack, DefaultAction, Handler, SigSet, Signal};

/// What a signal does to the thread that takes it.
///
/// There is no variant for continuing: SIGCONT does that when it is sent ([`Actions::generate`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
#[allow(clippy::large_enum_variant)]
pub enum Delivery {
    /// Nothing: take the next signal.
    Ignore,
    /// The whole process ends by this signal.
    Terminate {
        /// The wait status says that a core was written, if one was.
        core: bool,
    },
    /// The whole process stops.
    Stop {
        /// The signal is not SIGSTOP: in an orphaned process group it does nothing, as nobody could continue the process.
        unless_orphaned: bool,
    },
    /// A handler starts.
    Handler(Entry),
}

/// How a handler starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The handler's address.
    pub handler: u64,
    /// Where the handler returns to; `None`: to the kernel's own code for it, in the vDSO.
    pub restorer: Option<u64>,
    /// The flags of the action.
    pub flags: ActionFlags,
    /// The thread's mask while the handler runs. The frame saves the mask before.
    pub blocked: SigSet,
    /// The frame goes below this address.
    pub top: u64,
    /// Whether the frame goes to the top of the alternate stack: false too if the thread runs on the alternate stack already.
    pub enters_alternate: bool,
    /// The alternate stack once the frame is written. The frame saves the stack before.
    pub alternate: AltStack,
}

/// Decides what a signal does to a thread whose mask is `blocked`, whose alternate stack is `alternate` and whose stack pointer is
/// `sp`. The mask is not asked: the caller has taken a signal that may be delivered ([`crate::take`]). With SA_RESETHAND the action
/// is the default afterwards, also if the frame then cannot be written.
#[inline(always)]
pub fn deliver(
    actions: &mut Actions,
    signal: Signal,
    blocked: SigSet,
    alternate: &AltStack,
    sp: u64,
) -> Delivery {
    let action = actions.get(signal);
    match action.handler {
        Handler::Ignore => Delivery::Ignore,
        Handler::Default => match signal.default_action() {
            DefaultAction::Ignore | DefaultAction::Continue => Delivery::Ignore,
            DefaultAction::Stop => Delivery::Stop { unless_orphaned: signal != Signal::SIGSTOP },
            DefaultAction::Terminate => Delivery::Terminate { core: false },
            DefaultAction::Core => Delivery::Terminate { core: true },
        },
        Handler::Address(handler) => {
            actions.handler_started(signal);
            Delivery::Handler(enter(&action, handler, signal, blocked, alternate, sp))
        }
    }
}

#[inline(always)]
fn enter(
    action: &Action,
    handler: u64,
    signal: Signal,
    blocked: SigSet,
    alternate: &AltStack,
    sp: u64,
) -> Entry {
    let flags = action.flags;
    let mut while_running = blocked | action.mask;
    if !flags.contains(ActionFlags::NODEFER) {
        while_running = while_running.with(signal);
    }
    let top = alternate.frame_top(flags, sp);
    Entry {
        handler,
        restorer: flags.contains(ActionFlags::RESTORER).then_some(action.restorer),
        flags,
        blocked: while_running.blockable(),
        top,
        enters_alternate: flags.contains(ActionFlags::ONSTACK) && top != sp,
        alternate: alternate.after_delivery(),
    }
}
