use linux_raw_sys::{errno, general};

/// Why an operation on the address space failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// EINVAL: an argument that no state of the address space could make right.
    Invalid,
    /// ENOMEM: no room, a hole in the range, a limit, too many mappings, or the kernel is out of memory.
    NoMemory,
    /// EEXIST: MAP_FIXED_NOREPLACE, and something is mapped there.
    Exists,
    /// EACCES: the permission is not within [`Mapping::may`](crate::Mapping::may).
    Access,
    /// EFAULT: nothing is mapped there, or not in one mapping.
    Fault,
    /// EPERM: the address is below [`Layout::min`](crate::Layout::min).
    NotPermitted,
    /// EOVERFLOW: the file's offset and the length together exceed what a file may have.
    Overflow,
}

impl Error {
    /// Linux's number, positive.
    pub const fn errno(self) -> i32 {
        let number = match self {
            Self::Invalid => errno::EINVAL,
            Self::NoMemory => errno::ENOMEM,
            Self::Exists => errno::EEXIST,
            Self::Access => errno::EACCES,
            Self::Fault => errno::EFAULT,
            Self::NotPermitted => errno::EPERM,
            Self::Overflow => errno::EOVERFLOW,
        };
        number as i32
    }
}

/// Why a program may not access an address. A system call returns EFAULT for both; a fault of the program is SIGSEGV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No mapping contains the address. [`Maps::grow_stack`](crate::Maps::grow_stack) may yet help.
    NotMapped,
    /// The mapping does not permit this access.
    NotPermitted,
}

impl Fault {
    /// The si_code of the SIGSEGV: SEGV_MAPERR or SEGV_ACCERR.
    pub const fn si_code(self) -> i32 {
        let code = match self {
            Self::NotMapped => general::SEGV_MAPERR,
            Self::NotPermitted => general::SEGV_ACCERR,
        };
        code as i32
    }
}
