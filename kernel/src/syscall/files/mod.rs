//! Files.

mod arguments;
mod attributes;
mod buffers;
mod descriptors;
mod directories;
mod event;
mod open;
mod owner;
mod paths;
mod poll;
mod readiness;
mod select;
mod stat;
mod terminal;
mod transfer;

pub(super) use arguments::{inode, path};
pub use attributes::{fallocate, fchmod, fchmodat, fchown, fchownat, ftruncate, truncate, utimensat};
pub(super) use buffers::Buffers;
pub use descriptors::{close, close_range, dup, dup3, fcntl, pipe2};
pub use directories::{chdir, fchdir, getcwd, getdents64, umask};
pub use event::eventfd2;
pub use open::openat;
pub use paths::{linkat, mkdirat, mknodat, readlinkat, renameat, renameat2, symlinkat, unlinkat};
pub use poll::ppoll;
pub use select::pselect6;
pub use stat::{faccessat, faccessat2, fstat, fstatfs, newfstatat, statfs, statx};
pub use terminal::ioctl;
pub use transfer::{
    fadvise64, fsync, lseek, pread64, preadv, pwrite64, pwritev, read, readahead, readv, sendfile, sync,
    write, writev,
};
