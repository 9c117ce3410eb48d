//! `/proc`, and the few files of `/sys` that programs read. The crate `procfs` has the names and the layouts; here are the values.
//!
//! Nothing here is kept: a directory is looked up, and a text is made, when somebody asks. Of a process that has ended meanwhile there is
//! nothing to see, whatever was open: a directory has no entries (ENOENT), a text gives ESRCH, memory gives no bytes.

mod memory;
mod node;
mod text;

use crate::fs::Mount;
use crate::fs::node::{FileSystem, Node};
use alloc::sync::Arc;
use files::FileError;
use linux_raw_sys::general as raw;
use node::ProcNode;
use procfs::Name;

struct Proc;
struct Sys;

impl FileSystem for Proc {
    fn root(&self) -> Arc<dyn Node> {
        ProcNode::fixed(Name::PROC)
    }

    fn device(&self) -> u64 {
        3
    }

    fn magic(&self) -> u32 {
        raw::PROC_SUPER_MAGIC
    }
}

impl FileSystem for Sys {
    fn root(&self) -> Arc<dyn Node> {
        ProcNode::fixed(Name::SYS)
    }

    fn device(&self) -> u64 {
        4
    }

    fn magic(&self) -> u32 {
        raw::SYSFS_MAGIC
    }
}

static PROC: Proc = Proc;
static SYS: Sys = Sys;

/// Mounts both. Called once, before the first program starts.
///
/// # Errors
/// As [`crate::fs::mount`].
pub fn mount() -> Result<(), FileError> {
    crate::fs::mount(b"proc", Mount(&PROC))?;
    crate::fs::mount(b"sys", Mount(&SYS))
}
