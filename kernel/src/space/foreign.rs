//! Memory of a program as others read and write it: `/proc/PID/mem`, `process_vm_readv`.
//!
//! Bytes are copied under the lock of the address space. So no fork comes between the moment at which a page is found to be the program's
//! own and the moment at which it is written: after a fork the page would be shared, and the write would be lost or seen by the child.

use super::{Backing, Inner, PAGE_BYTES, Space, Unrepaired};
use crate::arch::cache;
use crate::mm::layout::PAGE;
use files::InodeId;
use maps::{Access, Prot};

/// What others may do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// What the program itself may do.
    Own,
    /// To read memory without access, and to write text and other private memory that the program may only read. The write gives the program
    /// a copy of the page; it changes neither the file nor other processes (Linux: FOLL_FORCE).
    Tracer,
}

/// How many pages an address space has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// All mapped pages, touched or not.
    pub mapped: u64,
    /// Those of private memory that can be written, without stacks.
    pub data: u64,
    /// Those of stacks.
    pub stack: u64,
    /// The pages that are there.
    pub resident: u64,
    /// Of these, pages of mappings of files and shared memory.
    pub of_objects: u64,
}

impl Space {
    /// Reads memory from an address on. Returns how many bytes could be read. Thread context; may sleep.
    pub fn peek(&self, address: u64, to: &mut [u8], right: Right) -> usize {
        let mut done = 0;
        while done < to.len() {
            let (at, room) = part(address, done, to.len());
            let piece = &mut to[done..done + room];
            if self.peek_page(at, piece, right).is_err() {
                break;
            }
            done += room;
        }
        done
    }

    /// Writes memory from an address on. Returns how many bytes could be written. Thread context; may sleep.
    pub fn poke(&self, address: u64, from: &[u8], right: Right) -> usize {
        let mut done = 0;
        while done < from.len() {
            let (at, room) = part(address, done, from.len());
            if self.poke_page(at, &from[done..done + room], right).is_err() {
                break;
            }
            done += room;
        }
        done
    }

    fn peek_page(&self, address: u64, to: &mut [u8], right: Right) -> Result<(), Unrepaired> {
        let mut inner = self.inner.lock();
        if right == Right::Own {
            inner.maps.access(address, Access::Read).map_err(Unrepaired::Segv)?;
        }
        let page = inner.page_for_tracer(&self.context, address, false)?;
        page.read((address % PAGE_BYTES) as usize, to);
        Ok(())
    }

    fn poke_page(&self, address: u64, from: &[u8], right: Right) -> Result<(), Unrepaired> {
        let mut inner = self.inner.lock();
        if right == Right::Own {
            inner.maps.access(address, Access::Write).map_err(Unrepaired::Segv)?;
        }
        let page = inner.page_for_tracer(&self.context, address, true)?;
        let offset = (address % PAGE_BYTES) as usize;
        page.write(offset, from);
        if inner.maps.find(address).is_some_and(|mapping| mapping.prot.contains(Prot::EXEC)) {
            cache::make_executable(page.address() as usize + offset, from.len());
        }
        Ok(())
    }

    /// Takes the pages of a file from an index on out, also those that the program has its own copies of (Linux: `unmap_mapping_range`). Thread
    /// context; may sleep.
    pub fn drop_pages(&self, inode: InodeId, first: u64) {
        let mut inner = self.inner.lock();
        let Inner { maps, tables } = &mut *inner;
        for mapping in maps.iter() {
            let Backing::Object(object) = &mapping.backing else { continue };
            if object.inode() != Some(inode) {
                continue;
            }
            let behind = first.saturating_mul(PAGE_BYTES).saturating_sub(mapping.offset);
            let start = mapping.start.saturating_add(behind);
            if start < mapping.end {
                tables.remove(&self.context, start..mapping.end);
            }
        }
    }

    /// Counts the pages. Thread context; may sleep.
    pub fn usage(&self) -> Usage {
        let inner = self.inner.lock();
        let mut usage =
            Usage { mapped: inner.maps.pages(), data: inner.maps.data_pages(), ..Usage::default() };
        for mapping in inner.maps.iter() {
            let mut there = 0;
            inner.tables.for_each(mapping.range(), |_, _| there += 1);
            usage.resident += there;
            if !maps::Backing::is_anonymous(&mapping.backing) {
                usage.of_objects += there;
            }
            if mapping.flags.contains(maps::Flags::GROWS_DOWN) {
                usage.stack += mapping.pages();
            }
        }
        usage
    }
}

/// Where the next piece of a range begins, and how long it is: up to the end of its page.
fn part(address: u64, done: usize, length: usize) -> (u64, usize) {
    let at = address.wrapping_add(done as u64);
    (at, (length - done).min(PAGE - (at % PAGE_BYTES) as usize))
}
