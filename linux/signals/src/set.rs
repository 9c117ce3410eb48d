//! Sets of signals, laid out as Linux's `sigset_t`: bit n - 1 is signal n.

use core::fmt;
use core::ops::{BitAnd, BitOr, Not};

use linux_raw_sys::general::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK};

use crate::{Error, Signal};

/// A set of signals. The inner number is what a user program passes as its 8-byte `sigset_t`.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// SIGKILL and SIGSTOP, which can be neither blocked nor handled nor ignored.
    pub const UNBLOCKABLE: Self = Self::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    /// The signals of faults, which are delivered before all others of a thread.
    pub const SYNCHRONOUS: Self = Self::of(&[
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ]);
    /// The signals that stop a process by default.
    pub const STOPS: Self = Self::of(&[Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]);

    /// The set of the listed signals.
    pub const fn of(signals: &[Signal]) -> Self {
        let mut set = Self::EMPTY;
        let mut i = 0;
        while i < signals.len() {
            set = set.with(signals[i]);
            i += 1;
        }
        set
    }

    const fn bit(signal: Signal) -> u64 {
        1 << (signal.number() - 1)
    }

    /// Whether `signal` is in the set.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// Whether no signal is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set and `signal`.
    #[must_use]
    pub const fn with(self, signal: Signal) -> Self {
        Self(self.0 | Self::bit(signal))
    }

    /// The set without `signal`.
    #[must_use]
    pub const fn without(self, signal: Signal) -> Self {
        Self(self.0 & !Self::bit(signal))
    }

    /// The set as a mask of blocked signals may be: without SIGKILL and SIGSTOP.
    #[must_use]
    pub const fn blockable(self) -> Self {
        Self(self.0 & !Self::UNBLOCKABLE.0)
    }

    /// The mask after `rt_sigprocmask(how, set)` in a thread whose mask is `self`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `how` is none of SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK.
    pub fn changed(self, how: u32, set: Self) -> Result<Self, Error> {
        let set = set.blockable();
        match how {
            SIG_BLOCK => Ok(self | set),
            SIG_UNBLOCK => Ok(self & !set),
            SIG_SETMASK => Ok(set),
            _ => Err(Error::Invalid),
        }
    }

    /// The signal of the set with the lowest number.
    pub const fn lowest(self) -> Option<Signal> {
        Signal::new(if self.0 == 0 { 0 } else { self.0.trailing_zeros() + 1 })
    }

    /// The signals of the set, lowest number first.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let signal = rest.lowest()?;
            rest = rest.without(signal);
            Some(signal)
        })
    }
}

impl BitOr for SigSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for SigSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for SigSet {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

impl fmt::Debug for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
