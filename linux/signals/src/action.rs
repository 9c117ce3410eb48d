//! What a process does on each signal: the table that `rt_sigaction` reads and writes.

use bitflags::bitflags;
use linux_raw_sys::general as raw;

use crate::{DefaultAction, Error, SigSet, Signal};

bitflags! {
    /// The flags of `struct sigaction` that Linux keeps. All others are dropped when an action is set, and so a program that asks
    /// with SA_UNSUPPORTED learns that they are unknown.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ActionFlags: u64 {
        /// SIGCHLD: do not tell of children that stop or continue.
        const NOCLDSTOP = raw::SA_NOCLDSTOP as u64;
        /// SIGCHLD: children leave no zombies.
        const NOCLDWAIT = raw::SA_NOCLDWAIT as u64;
        /// The handler takes three arguments.
        const SIGINFO = raw::SA_SIGINFO as u64;
        /// The handler wants the tags of addresses in `si_addr`.
        const EXPOSE_TAGBITS = raw::SA_EXPOSE_TAGBITS as u64;
        /// The restorer address is to be used.
        const RESTORER = raw::SA_RESTORER as u64;
        /// The handler runs on the alternate stack.
        const ONSTACK = raw::SA_ONSTACK as u64;
        /// System calls that the signal cuts are restarted.
        const RESTART = raw::SA_RESTART as u64;
        /// The signal is not blocked while its handler runs.
        const NODEFER = raw::SA_NODEFER as u64;
        /// The action is the default again once the handler has started.
        const RESETHAND = raw::SA_RESETHAND as u64;
    }
}

/// Who handles a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Handler {
    /// SIG_DFL: the kernel, by [`Signal::default_action`].
    #[default]
    Default,
    /// SIG_IGN: nobody.
    Ignore,
    /// The function at this address. Neither 0 nor 1.
    Address(u64),
}

/// One entry of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Action {
    /// Who handles the signal.
    pub handler: Handler,
    /// How.
    pub flags: ActionFlags,
    /// Where the handler returns to if [`ActionFlags::RESTORER`] is set. Kept as given otherwise.
    pub restorer: u64,
    /// What is blocked while the handler runs, beside what was blocked already.
    pub mask: SigSet,
}

impl Action {
    /// The action in the four words of AArch64's `struct sigaction`: handler, flags, restorer, mask.
    pub fn from_words([handler, flags, restorer, mask]: [u64; 4]) -> Self {
        let handler = match handler {
            0 => Handler::Default,
            1 => Handler::Ignore,
            address => Handler::Address(address),
        };
        Self { handler, flags: ActionFlags::from_bits_truncate(flags), restorer, mask: SigSet(mask) }
    }

    /// The four words of AArch64's `struct sigaction`: handler, flags, restorer, mask.
    pub fn to_words(self) -> [u64; 4] {
        let handler = match self.handler {
            Handler::Default => 0,
            Handler::Ignore => 1,
            Handler::Address(address) => address,
        };
        [handler, self.flags.bits(), self.restorer, self.mask.0]
    }

    /// Whether `signal` does nothing under this action.
    pub fn ignores(&self, signal: Signal) -> bool {
        let nothing = matches!(signal.default_action(), DefaultAction::Ignore | DefaultAction::Continue);
        self.handler == Handler::Ignore || (self.handler == Handler::Default && nothing)
    }
}

/// The actions of a process. `fork` copies the table, threads (CLONE_SIGHAND) share it.
#[derive(Clone, Debug)]
pub struct Actions {
    table: [Action; Signal::MAX as usize],
    /// What [`Actions::force_fatal`] has decided: no thread can set a handler before the process ends.
    fatal: SigSet,
}

/// What [`Actions::set`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replaced {
    /// The action before.
    pub old: Action,
    /// What the caller must flush from the queue of the process and of each of its threads: the signal, if it is ignored now.
    pub flush: SigSet,
}

/// What sending a signal does at once, before its delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Generation {
    /// What the sender must flush from the queue of the process and of each of its threads: a stop signal and SIGCONT each remove
    /// the other, whether blocked or not.
    pub flush: SigSet,
    /// The signal is SIGCONT: if the process is stopped it continues now, even if it blocks, ignores or handles SIGCONT.
    pub continues: bool,
    /// The signal is not to be queued, because the receiver ignores it.
    pub discard: bool,
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

impl Actions {
    /// Every action is the default.
    pub const fn new() -> Self {
        const DEFAULT: Action = Action {
            handler: Handler::Default,
            flags: ActionFlags::empty(),
            restorer: 0,
            mask: SigSet::EMPTY,
        };
        Self { table: [DEFAULT; Signal::MAX as usize], fatal: SigSet::EMPTY }
    }

    /// The action of `signal`.
    pub fn get(&self, signal: Signal) -> Action {
        self.table[signal.number() as usize - 1]
    }

    fn get_mut(&mut self, signal: Signal) -> &mut Action {
        &mut self.table[signal.number() as usize - 1]
    }

    /// Sets the action of `signal`. SIGKILL and SIGSTOP are dropped from its mask.
    ///
    /// # Errors
    /// [`Error::Invalid`] for SIGKILL and SIGSTOP, and for a signal that is about to end the process ([`Actions::force_fatal`]).
    pub fn set(&mut self, signal: Signal, action: Action) -> Result<Replaced, Error> {
        if (SigSet::UNBLOCKABLE | self.fatal).contains(signal) {
            return Err(Error::Invalid);
        }
        let old =
            core::mem::replace(self.get_mut(signal), Action { mask: action.mask.blockable(), ..action });
        let flush = if action.ignores(signal) { SigSet::of(&[signal]) } else { SigSet::EMPTY };
        Ok(Replaced { old, flush })
    }

    /// What exec and CLONE_CLEAR_SIGHAND do: handlers become the default, flags and masks are cleared, ignored signals stay ignored.
    pub fn reset_handlers(&mut self) {
        for action in &mut self.table {
            let handler = if action.handler == Handler::Ignore { Handler::Ignore } else { Handler::Default };
            *action = Action { handler, ..Action::default() };
        }
    }

    /// What sending `signal` does at once. `blocked` is the mask of the receiving thread (of the first thread if the signal is for
    /// the process), joined with the mask that `rt_sigtimedwait` or `rt_sigsuspend` has set aside. `traced` says whether a
    /// debugger sees the receiver's signals: it also sees those that the receiver ignores.
    pub fn generate(&self, signal: Signal, blocked: SigSet, traced: bool) -> Generation {
        let continues = signal == Signal::SIGCONT;
        let flush = if continues {
            SigSet::STOPS
        } else if SigSet::STOPS.contains(signal) {
            SigSet::of(&[Signal::SIGCONT])
        } else {
            SigSet::EMPTY
        };
        // A blocked signal is kept even if it is ignored: the receiver may set a handler before it unblocks the signal.
        let discard = self.get(signal).ignores(signal) && !blocked.contains(signal) && !traced;
        Generation { flush, continues, discard }
    }

    /// Prepares for a signal that the thread cannot put off, such as a fault. If the thread blocks the signal or ignores it, the
    /// signal is unblocked and its action becomes the default, so the process ends: an instruction that faults would otherwise
    /// fault for ever. The caller then queues the signal for the thread.
    pub fn force(&mut self, signal: Signal, blocked: &mut SigSet) {
        if blocked.contains(signal) || self.get(signal).handler == Handler::Ignore {
            self.get_mut(signal).handler = Handler::Default;
            *blocked = blocked.without(signal);
        }
    }

    /// Like [`Actions::force`], and no handler runs in any case: the signal's default action ends the process.
    pub fn force_fatal(&mut self, signal: Signal, blocked: &mut SigSet) {
        self.get_mut(signal).handler = Handler::Default;
        self.fatal = self.fatal.with(signal);
        *blocked = blocked.without(signal);
    }

    /// Prepares for the SIGSEGV of a thread whose frame for `signal` could not be written. If that was the frame for SIGSEGV
    /// itself, the process ends. The caller then queues `Info::kernel(Signal::SIGSEGV)` for the thread.
    pub fn force_after_failed_frame(&mut self, signal: Signal, blocked: &mut SigSet) {
        if signal == Signal::SIGSEGV {
            self.force_fatal(signal, blocked);
        } else {
            self.force(Signal::SIGSEGV, blocked);
        }
    }

    /// Whether children that end are reaped at once instead of becoming zombies.
    pub fn reaps_children(&self) -> bool {
        let action = self.get(Signal::SIGCHLD);
        action.handler == Handler::Ignore || action.flags.contains(ActionFlags::NOCLDWAIT)
    }

    /// Whether SIGCHLD is sent when a child stops or continues.
    pub fn wants_child_stops(&self) -> bool {
        let action = self.get(Signal::SIGCHLD);
        action.handler != Handler::Ignore && !action.flags.contains(ActionFlags::NOCLDSTOP)
    }

    /// What happens once a handler of `signal` starts.
    pub(crate) fn handler_started(&mut self, signal: Signal) {
        let action = self.get_mut(signal);
        if action.flags.contains(ActionFlags::RESETHAND) {
            action.handler = Handler::Default;
        }
    }
}
