//! Error numbers.

use linux_raw_sys::errno as raw;

/// One of Linux's error numbers. As wide as the results of system calls, so that a `Result<u64, Errno>` is returned in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(u64);

impl Errno {
    /// The error with this (positive) number.
    pub const fn new(number: u32) -> Self {
        Self(number as u64)
    }

    /// What a system call returns in X0: the negative number.
    pub const fn as_result(self) -> u64 {
        self.0.wrapping_neg()
    }

    /// The number, positive.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

macro_rules! errors {
    ($($name:ident)*) => {
        #[allow(missing_docs, reason = "Linux's names")]
        impl Errno {
            $(pub const $name: Self = Self::new(raw::$name);)*
        }
    };
}

errors! { EAGAIN EBADF EFAULT EINVAL EISDIR EMFILE ENAMETOOLONG ENOENT ENOMEM ENOSYS ENOTTY ENXIO EACCES ENODEV ENOTDIR
EPIPE ESPIPE ERANGE ENOSPC EPERM ECHILD EDEADLK EINTR ENOEXEC ESRCH ETIMEDOUT E2BIG ELOOP EOVERFLOW EOPNOTSUPP EIO EEXIST EXDEV }

/// Results that programs never see: a call that a signal has cut short, and how it wants to go on ([`signals::Cut`]).
impl Errno {
    /// The call is made again, unless a handler without SA_RESTART runs.
    pub const ERESTARTSYS: Self = Self::new(512);
    /// The call is made again in any case.
    pub const ERESTARTNOINTR: Self = Self::new(513);
    /// The call is made again, unless a handler runs.
    pub const ERESTARTNOHAND: Self = Self::new(514);
    /// `restart_syscall` goes on with the call, unless a handler runs.
    pub const ERESTART_RESTARTBLOCK: Self = Self::new(516);
}

impl From<signals::Error> for Errno {
    fn from(error: signals::Error) -> Self {
        Self::new(error.errno())
    }
}

impl From<maps::Error> for Errno {
    fn from(error: maps::Error) -> Self {
        Self::new(error.errno() as u32)
    }
}
