//! Why an operation on files or pipes failed, and Linux's number for the reason.

use linux_raw_sys::errno;

/// Why an operation on the tree failed. Each variant is one of Linux's error numbers, but for `FileLimit` and `TooBig`, which
/// share EFBIG.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FileError {
    /// EPERM: only the owner or root may do this, or nobody may do this to such an inode.
    NotPermitted,
    /// ENOENT: a component of the path does not exist, the path is empty, or the directory was removed.
    NotFound,
    /// ENXIO: an offset at or behind the end of the file, or the opening of a socket.
    NoSuchAddress,
    /// ENOMEM: the allocator or [`Page::zeroed`](crate::Page::zeroed) had no memory left.
    NoMemory,
    /// EACCES: the permission bits of the inode, or of a directory on the way to it, forbid the access.
    Denied,
    /// EBUSY: a mount point, or a last component ("/", ".", "..") that cannot be renamed or removed.
    Busy,
    /// EEXIST: the name exists already.
    Exists,
    /// ENODEV: space can be reserved for regular files only.
    NoDevice,
    /// ENOTDIR: a component that has to be a directory is none.
    NotDirectory,
    /// EISDIR: a directory where none is allowed.
    IsDirectory,
    /// EINVAL: an argument that makes no sense for this kind of inode, or a directory that would be moved into itself.
    Invalid,
    /// EFBIG: the caller's limit of the size of files ([`Caller::file_size`](crate::Caller::file_size)). Linux also sends SIGXFSZ.
    FileLimit,
    /// EFBIG: the tree's limit of the size of a file. Linux sends no signal.
    TooBig,
    /// ENOSPC: the tree's limit of pages or of inodes.
    NoSpace,
    /// ENAMETOOLONG: a component of more than 255 bytes, or a path of more than 4095.
    NameTooLong,
    /// ENOTEMPTY: a directory that still has entries.
    NotEmpty,
    /// ELOOP: more than 40 symbolic links on the way, or a symbolic link where none may be followed.
    Loop,
    /// EOPNOTSUPP: the mode of a symbolic link cannot be changed.
    NotSupported,
    /// ESTALE: the inode of this [`InodeId`](crate::InodeId) has been freed. The user of the tree forgot to hold it.
    Stale,
}

impl FileError {
    /// Linux's error number, positive.
    pub const fn errno(self) -> i32 {
        (match self {
            Self::NotPermitted => errno::EPERM,
            Self::NotFound => errno::ENOENT,
            Self::NoSuchAddress => errno::ENXIO,
            Self::NoMemory => errno::ENOMEM,
            Self::Denied => errno::EACCES,
            Self::Busy => errno::EBUSY,
            Self::Exists => errno::EEXIST,
            Self::NoDevice => errno::ENODEV,
            Self::NotDirectory => errno::ENOTDIR,
            Self::IsDirectory => errno::EISDIR,
            Self::Invalid => errno::EINVAL,
            Self::FileLimit | Self::TooBig => errno::EFBIG,
            Self::NoSpace => errno::ENOSPC,
            Self::NameTooLong => errno::ENAMETOOLONG,
            Self::NotEmpty => errno::ENOTEMPTY,
            Self::Loop => errno::ELOOP,
            Self::NotSupported => errno::EOPNOTSUPP,
            Self::Stale => errno::ESTALE,
        }) as i32
    }
}

impl core::fmt::Display for FileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotPermitted => "operation not permitted",
            Self::NotFound => "no such file or directory",
            Self::NoSuchAddress => "no such device or address",
            Self::NoMemory => "out of memory",
            Self::Denied => "permission denied",
            Self::Busy => "device or resource busy",
            Self::Exists => "file exists",
            Self::NoDevice => "no such device",
            Self::NotDirectory => "not a directory",
            Self::IsDirectory => "is a directory",
            Self::Invalid => "invalid argument",
            Self::FileLimit => "file too large for the process's limit",
            Self::TooBig => "file too large",
            Self::NoSpace => "no space left in the tree",
            Self::NameTooLong => "file name too long",
            Self::NotEmpty => "directory not empty",
            Self::Loop => "too many levels of symbolic links",
            Self::NotSupported => "operation not supported",
            Self::Stale => "the inode was freed",
        })
    }
}

impl core::error::Error for FileError {}

/// What the operations on the tree return.
pub type Result<T> = core::result::Result<T, FileError>;

/// Why an operation on a pipe failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PipeError {
    /// ENOMEM.
    NoMemory,
    /// EBUSY: the pipe has more bytes than the new size.
    Busy,
    /// EINVAL: a size above 2 GiB.
    Invalid,
    /// EPERM: a size above [`Pipe::MAX_SIZE`](crate::Pipe::MAX_SIZE), for which one must be root.
    NotPermitted,
}

impl PipeError {
    /// Linux's error number, positive.
    pub const fn errno(self) -> i32 {
        (match self {
            Self::NoMemory => errno::ENOMEM,
            Self::Busy => errno::EBUSY,
            Self::Invalid => errno::EINVAL,
            Self::NotPermitted => errno::EPERM,
        }) as i32
    }
}

impl core::fmt::Display for PipeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoMemory => "out of memory",
            Self::Busy => "the pipe has more bytes than the new size",
            Self::Invalid => "the size is too large for any pipe",
            Self::NotPermitted => "only root may make a pipe so large",
        })
    }
}

impl core::error::Error for PipeError {}
