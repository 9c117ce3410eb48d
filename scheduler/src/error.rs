//! What can go wrong.

use linux_raw_sys::errno;

/// Why an operation was refused. A refused operation has changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No memory for another task or CPU (ENOMEM).
    NoMemory,
    /// No such task, or not any more (ESRCH).
    NoSuchTask,
    /// A number out of range, an affinity without an online CPU, a CPU that is not online, or a task in the wrong state (EINVAL).
    Invalid,
    /// The wait would never end, since the owner waits for the caller; or the chain of owners is longer than
    /// [`MAX_CHAIN`](crate::MAX_CHAIN) (EDEADLK).
    Deadlock,
    /// The lock is known, and belongs to somebody else (EPERM).
    NotOwner,
    /// The task still owns a lock that others wait for (EBUSY).
    HoldsLock,
}

impl Error {
    /// Linux's number for the error, positive.
    pub const fn errno(self) -> u32 {
        match self {
            Self::NoMemory => errno::ENOMEM,
            Self::NoSuchTask => errno::ESRCH,
            Self::Invalid => errno::EINVAL,
            Self::Deadlock => errno::EDEADLK,
            Self::NotOwner => errno::EPERM,
            Self::HoldsLock => errno::EBUSY,
        }
    }
}
