//! What lies behind mappings, and the program that an address space was made for.

use super::tables::NoMemory;
use crate::mm::pages::Page;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use files::InodeId;

/// What lies behind a mapping that is not private anonymous memory: a file, or memory that processes share.
pub trait Object: Send + Sync {
    /// The page at an index. `None` behind the end of a file.
    ///
    /// # Errors
    /// [`NoMemory`]. Thread context; may sleep.
    fn page(&self, index: u64) -> Result<Option<Page>, NoMemory>;

    /// Copies bytes from an offset on. Returns how many: fewer than asked for at the end of a page, 0 behind the end. Thread context; may
    /// sleep.
    fn content(&self, offset: u64, to: &mut [u8]) -> usize {
        const PAGE: u64 = crate::mm::layout::PAGE as u64;
        let page = self.page(offset / PAGE).ok().flatten();
        page.map_or(0, |page| page.read((offset % PAGE) as usize, to))
    }

    /// The path for `/proc/PID/maps`.
    fn path(&self) -> String;

    /// Device and inode numbers for `/proc/PID/maps`.
    fn identity(&self) -> (u64, u64);

    /// The inode of the tree, if it is a file of the tree. It exists as long as the object does.
    fn inode(&self) -> Option<InodeId> {
        None
    }
}

/// The program that an address space was made for, as `/proc/PID` shows it (Linux has this in `mm_struct`).
pub struct Program {
    /// Its file.
    pub file: Arc<dyn Object>,
    /// The auxiliary vector, with AT_NULL.
    pub auxv: Vec<u8>,
    /// Where the strings of its arguments were put.
    pub arguments: Range<u64>,
    /// Where the strings of its environment were put.
    pub environment: Range<u64>,
    /// The lowest and the highest address of its text, and of its data.
    pub code: Range<u64>,
    /// The addresses of its initialised data.
    pub data: Range<u64>,
    /// SP at its start.
    pub stack: u64,
}
