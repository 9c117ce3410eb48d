//! Policies as programs ask for them, and the priority that follows from them.

use core::cmp::Ordering;

use crate::Error;

/// How a task wants to be scheduled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// SCHED_FIFO with a priority of 1 (lowest) to 99: runs until it blocks, yields, or something more important is ready.
    Fifo(u8),
    /// SCHED_RR with a priority of 1 (lowest) to 99: like [`Policy::Fifo`], but takes turns with its equals every
    /// [`RR_QUANTUM`](crate::RR_QUANTUM).
    Rr(u8),
    /// SCHED_OTHER, and SCHED_BATCH too, with a nice value of -20 (most CPU time) to 19.
    Fair(i8),
    /// SCHED_IDLE: shares the CPU with fair tasks, but with a fifth of the weight of nice 19, and any waking fair task preempts it.
    Idle,
}

impl Policy {
    /// The priority of a task with this policy that nobody boosts. [`Error::Invalid`] if a number is out of its range.
    pub const fn priority(self) -> Result<Priority, Error> {
        match self {
            Self::Fifo(level @ 1..=99) | Self::Rr(level @ 1..=99) => Ok(Priority::RealTime(level)),
            Self::Fair(nice @ -20..=19) => Ok(Priority::Fair(nice)),
            Self::Idle => Ok(Priority::Idle),
            _ => Err(Error::Invalid),
        }
    }
}

/// How important a task is at the moment: what its policy gives, or more if somebody more important waits for one of its locks.
///
/// Ordered: the greater one is the more important one. Among fair tasks that is the one with the lower nice value, which is used for
/// inheritance and for the order of waiters only: fair tasks share a CPU by weight, none of them comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Priority {
    /// As SCHED_IDLE.
    Idle,
    /// As a fair task with this nice value.
    Fair(i8),
    /// As a real-time task with this priority, 1 to 99.
    RealTime(u8),
}

impl Priority {
    const fn rank(self) -> i16 {
        match self {
            Self::Idle => 0,
            Self::Fair(nice) => 20 - nice as i16,
            Self::RealTime(level) => 40 + level as i16,
        }
    }

    /// What decides who runs before whom: the real-time priority, or 0 for all that share the CPU by weight.
    pub(crate) const fn level(self) -> u8 {
        match self {
            Self::RealTime(level) => level,
            Self::Fair(_) | Self::Idle => 0,
        }
    }
}

impl Ord for Priority {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Priority {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
