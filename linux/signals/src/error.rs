//! Why a request is refused.

use linux_raw_sys::errno::{E2BIG, EAGAIN, EINVAL, ENOMEM, EPERM};

/// Why a request is refused. Each reason is one of Linux's error numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// EINVAL: a number or a combination of flags that Linux does not know.
    Invalid,
    /// EAGAIN: the limit of queued signals (RLIMIT_SIGPENDING) is reached, or the kernel has no memory for one more.
    Again,
    /// ENOMEM: the alternate stack is too small.
    NoMemory,
    /// EPERM: the caller runs on the alternate stack it wants to change, or claims to be the kernel.
    Permission,
    /// E2BIG: the user's siginfo has bytes set that this version of the interface does not carry.
    TooBig,
}

impl Error {
    /// Linux's error number, positive.
    pub fn errno(self) -> u32 {
        match self {
            Self::Invalid => EINVAL,
            Self::Again => EAGAIN,
            Self::NoMemory => ENOMEM,
            Self::Permission => EPERM,
            Self::TooBig => E2BIG,
        }
    }
}
