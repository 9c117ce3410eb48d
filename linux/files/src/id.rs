//! The names of inodes.

/// Names one inode. Never names another inode later, even after the inode was freed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InodeId {
    pub(crate) slot: u32,
    pub(crate) number: u64,
}

impl InodeId {
    /// The inode number that programs see, from 1 up. Numbers are not used again.
    pub const fn number(self) -> u64 {
        self.number
    }
}
