//! Error numbers.

use linux_raw_sys::errno;

/// The error number of what cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(pub u32);

#[allow(missing_docs, reason = "Linux's names")]
impl Error {
    pub const EINVAL: Self = Self(errno::EINVAL);
    pub const ENOENT: Self = Self(errno::ENOENT);
    pub const E2BIG: Self = Self(errno::E2BIG);
    pub const EOPNOTSUPP: Self = Self(errno::EOPNOTSUPP);
    pub const EPERM: Self = Self(errno::EPERM);
}
