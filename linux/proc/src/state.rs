//! What a task is doing.

/// What a task is doing, as `stat` and `status` show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or waits for a CPU.
    Running,
    /// It sleeps until something happens, or until a signal comes.
    Sleeping,
    /// It sleeps, and no signal ends that.
    Waiting,
    /// SIGSTOP or its like has stopped it.
    Stopped,
    /// Its tracer has stopped it.
    Traced,
    /// It has ended, and its parent does not know yet.
    Zombie,
}

impl State {
    /// The letter.
    pub const fn letter(self) -> char {
        match self {
            Self::Running => 'R',
            Self::Sleeping => 'S',
            Self::Waiting => 'D',
            Self::Stopped => 'T',
            Self::Traced => 't',
            Self::Zombie => 'Z',
        }
    }

    /// What `status` shows behind the letter.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Waiting => "disk sleep",
            Self::Stopped => "stopped",
            Self::Traced => "tracing stop",
            Self::Zombie => "zombie",
        }
    }
}
