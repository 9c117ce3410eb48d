//! From an [`Image`] and a place to the mappings to make.

use alloc::vec::Vec;
use core::ops::Range;

use super::{ElfError, Flaw, Image, Kind, Protection, Segment};
use crate::{PAGE_SIZE, page_ceil, page_floor, push};

/// The mappings that make an image, and the addresses that depend on where the image lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapPlan {
    /// In ascending order, whole pages, without overlap. Between them may be holes, which stay unmapped.
    pub mappings: Vec<Mapping>,
    /// The address of the first instruction: the value of `AT_ENTRY`.
    pub entry: u64,
    /// The address of the program headers: the value of `AT_PHDR`. If no segment holds them, it is the load bias and nothing is
    /// there, as on Linux.
    pub phdr: u64,
    /// The first address behind the image, a multiple of the page size. Linux begins the program break (`brk`) of an image with fixed
    /// addresses here.
    pub end: u64,
}

/// One private mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The first address, a multiple of the page size.
    pub start: u64,
    /// The length in bytes, a multiple of the page size, not 0.
    pub length: u64,
    /// How the program may access the pages.
    pub protection: Protection,
    /// What the pages hold.
    pub source: Source,
}

impl Mapping {
    /// The address behind the mapping.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// What the pages of a mapping hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Pages of the file. Pages behind its end may be among them: an access to such a page is SIGBUS.
    File {
        /// Where the first page begins in the file, a multiple of the page size.
        offset: u64,
        /// So many bytes at the end of the mapping, fewer than a page, must be set to zero before the program runs: the file has
        /// other bytes there. Not 0 only in writable mappings, and only if the page begins before the end of the file.
        zero_tail: u64,
    },
    /// Zeroes that belong to no file.
    Anonymous,
}

impl Image {
    /// Lists the mappings of the image at the load bias `bias` (see [`bias_at`](Self::bias_at)). `user` is the range of addresses that
    /// a program may map: from Linux's `mmap_min_addr` to its `TASK_SIZE`.
    ///
    /// Allocates the list, at most two mappings for each segment.
    pub fn plan(&self, bias: u64, user: Range<u64>) -> Result<MapPlan, ElfError> {
        self.try_plan(bias, &user).map_err(|flaw| self.error(flaw))
    }

    fn try_plan(&self, bias: u64, user: &Range<u64>) -> Result<MapPlan, Flaw> {
        if !bias.is_multiple_of(PAGE_SIZE) || (self.kind == Kind::Fixed && bias != 0) {
            return Err(Flaw::Bias(bias));
        }
        let mut mappings = Vec::new();
        let mut end = 0;
        for segment in &self.segments {
            end = add_segment(&mut mappings, segment, bias, user)?;
        }
        let entry = bias.wrapping_add(self.entry);
        if entry >= user.end {
            return Err(Flaw::EntryOutsideUserRange(entry));
        }
        Ok(MapPlan { mappings, entry, phdr: bias.wrapping_add(self.phdr), end })
    }
}

/// Adds the mappings of `segment` and returns the address behind them.
fn add_segment(to: &mut Vec<Mapping>, segment: &Segment, bias: u64, user: &Range<u64>) -> Result<u64, Flaw> {
    let start = bias.wrapping_add(segment.vaddr);
    let above = Flaw::AboveUserRange(start);
    // Linux holds the address of the file against TASK_SIZE too, before it adds the load bias. This also keeps the sum from wrapping
    // around between two segments.
    if segment.end() > user.end {
        return Err(above);
    }
    let first_page = page_floor(start);
    let end = start.checked_add(segment.memory_size).and_then(page_ceil).filter(|&end| end <= user.end);
    let end = end.ok_or(above)?;
    if first_page < user.start {
        return Err(Flaw::BelowUserRange(start));
    }

    let mut anonymous_start = first_page;
    if segment.file_size != 0 {
        // No overflow: `read` checked that `file_size` is at most `memory_size`, and the offset is congruent to the address.
        let file_end = start + segment.file_size;
        anonymous_start = page_ceil(file_end).ok_or(above)?;
        // Linux too leaves the bytes of the file in place if the program may not write to them.
        let zero_tail =
            if segment.memory_size > segment.file_size && segment.protection.contains(Protection::WRITE) {
                anonymous_start - file_end
            } else {
                0
            };
        add_mapping(
            to,
            Mapping {
                start: first_page,
                length: anonymous_start - first_page,
                protection: segment.protection,
                source: Source::File { offset: page_floor(segment.offset), zero_tail },
            },
        )?;
    }
    if anonymous_start < end {
        // Linux makes these pages as `brk` does: readable and writable whatever the segment asks for.
        let protection = Protection::READ | Protection::WRITE | (segment.protection & Protection::EXECUTE);
        add_mapping(
            to,
            Mapping {
                start: anonymous_start,
                length: end - anonymous_start,
                protection,
                source: Source::Anonymous,
            },
        )?;
    }
    Ok(end)
}

/// Appends `mapping`. A page that it shares with the segment before is taken from the earlier mapping, as by `MAP_FIXED`.
fn add_mapping(to: &mut Vec<Mapping>, mapping: Mapping) -> Result<(), Flaw> {
    while let Some(last) = to.last_mut()
        && last.end() > mapping.start
    {
        if last.start >= mapping.start {
            to.pop();
            continue;
        }
        last.length = mapping.start - last.start;
        if let Source::File { zero_tail, .. } = &mut last.source {
            *zero_tail = 0;
        }
    }
    push(to, mapping)?;
    Ok(())
}
