//! The 64 signals and what each does if the process has set nothing.

use core::fmt;
use core::num::NonZeroU8;

use linux_raw_sys::general as raw;

/// A signal: a number from 1 to 64. Numbers below 32 are the standard signals, the others are realtime signals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(NonZeroU8);

/// What a signal does to a process that has set no handler for the signal and does not ignore it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// The whole process ends.
    Terminate,
    /// The whole process ends; `WCOREDUMP` is true in its wait status if a core was written.
    Core,
    /// The whole process stops until SIGCONT.
    Stop,
    /// Delivery does nothing: SIGCONT has already continued the process when it was sent ([`crate::Actions::generate`]).
    Continue,
    /// Nothing happens.
    Ignore,
}

/// Defines the constants of the standard signals and the table of their names from one list.
macro_rules! signals {
    ($($name:ident),*) => {
        /// The standard signals. Their numbers are the same on every architecture that Linux calls generic.
        #[allow(missing_docs)]
        impl Signal {
            $(pub const $name: Self = Self::standard(raw::$name);)*
        }

        const NAMES: &[(Signal, &str)] = &[$((Signal::$name, stringify!($name))),*];
    };
}

signals!(
    SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2,
    SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,
    SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS
);

impl Signal {
    /// The highest signal number.
    pub const MAX: u32 = raw::_NSIG;

    /// `None` unless `number` is from 1 to 64.
    pub const fn new(number: u32) -> Option<Self> {
        if number > Self::MAX {
            return None;
        }
        match NonZeroU8::new(number as u8) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Only for constants: a bad number fails when the crate is compiled.
    const fn standard(number: u32) -> Self {
        match Self::new(number) {
            Some(signal) => signal,
            None => panic!("not a signal number"),
        }
    }

    /// The signal's number, 1 to 64.
    pub const fn number(self) -> u32 {
        self.0.get() as u32
    }

    /// Whether several instances of the signal can be queued.
    pub const fn is_realtime(self) -> bool {
        self.number() >= raw::SIGRTMIN
    }

    /// The name of a standard signal, such as `SIGHUP`; `None` for realtime signals.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(signal, _)| *signal == self).map(|(_, name)| *name)
    }

    /// What the signal does by default.
    pub const fn default_action(self) -> DefaultAction {
        match self.number() {
            raw::SIGQUIT | raw::SIGILL | raw::SIGTRAP | raw::SIGABRT | raw::SIGBUS | raw::SIGFPE => {
                DefaultAction::Core
            }
            raw::SIGSEGV | raw::SIGXCPU | raw::SIGXFSZ | raw::SIGSYS => DefaultAction::Core,
            raw::SIGSTOP | raw::SIGTSTP | raw::SIGTTIN | raw::SIGTTOU => DefaultAction::Stop,
            raw::SIGCONT => DefaultAction::Continue,
            raw::SIGCHLD | raw::SIGWINCH | raw::SIGURG => DefaultAction::Ignore,
            _ => DefaultAction::Terminate,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "SIGRTMIN+{}", self.number() - raw::SIGRTMIN),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
