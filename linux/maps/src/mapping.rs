use core::ops::Range;

use bitflags::bitflags;

use crate::{
    page::PAGE,
    prot::{Access, Prot},
};

/// What lies behind a mapping: the caller's type. Cloned whenever a mapping is split, so it should be a small value or
/// a counted reference.
pub trait Backing: Clone {
    /// Whether both are the same object, so that a mapping of one may continue a mapping of the other where the offsets
    /// do. A backing must be the same as its own clones.
    fn same(&self, other: &Self) -> bool;

    /// Whether this is private memory without an object behind it: pages are zero when first touched, and only page tables
    /// refer to them. Such a mapping has no offset: [`Mapping::offset`] is always 0.
    ///
    /// False for files, and for MAP_SHARED | MAP_ANONYMOUS memory, which is an object that processes share.
    fn is_anonymous(&self) -> bool;
}

bitflags! {
    /// The kind of a mapping. Only mappings of one kind merge.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Flags: u8 {
        /// MAP_SHARED. Without it: private, writes are copied first.
        const SHARED = 1 << 0;
        /// MAP_GROWSDOWN: a stack, which [`Maps::grow_stack`](crate::Maps::grow_stack) extends. Only private anonymous memory.
        const GROWS_DOWN = 1 << 1;
        /// Memory of the kernel's own, such as the vDSO (Linux: VM_DONTEXPAND): mremap may move but not grow
        /// it, and it never merges with a neighbour.
        const DONT_EXPAND = 1 << 2;
    }
}

/// A range of pages, mapped with one permission from one backing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping<B> {
    /// The first address, a multiple of [`PAGE`].
    pub start: u64,
    /// The address behind the last byte, a multiple of [`PAGE`], above `start`.
    pub end: u64,
    /// What the program asked for.
    pub prot: Prot,
    /// What [`Maps::protect`](crate::Maps::protect) may make of `prot` (Linux: VM_MAYREAD, ...).
    pub may: Prot,
    /// The kind.
    pub flags: Flags,
    /// Where in the backing `start` lies, in bytes, a multiple of [`PAGE`]; 0 for anonymous memory.
    pub offset: u64,
    /// What lies behind.
    pub backing: B,
}

impl<B> Mapping<B> {
    /// The addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// How many pages, touched or not.
    pub fn pages(&self) -> u64 {
        (self.end - self.start) / PAGE
    }

    /// Whether it contains the address.
    pub fn contains(&self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }

    /// Whether the mapping permits the access, see [`Prot::allows`].
    pub fn allows(&self, access: Access) -> bool {
        self.prot.allows(access)
    }

    /// The four letters of /proc/PID/maps, such as `r-xp`.
    pub fn letters(&self) -> [char; 4] {
        let letter = |prot, letter| if self.prot.contains(prot) { letter } else { '-' };
        [
            letter(Prot::READ, 'r'),
            letter(Prot::WRITE, 'w'),
            letter(Prot::EXEC, 'x'),
            if self.flags.contains(Flags::SHARED) { 's' } else { 'p' },
        ]
    }

    /// Whether RLIMIT_DATA counts the mapping: private and writable, and no stack.
    pub(crate) fn is_data(&self) -> bool {
        is_data(self.prot, self.flags)
    }

    /// The first address that placement keeps free: a stack needs room below itself.
    pub(crate) fn start_with_guard(&self, guard: u64) -> u64 {
        if self.flags.contains(Flags::GROWS_DOWN) { self.start.saturating_sub(guard) } else { self.start }
    }
}

/// As [`Mapping::is_data`], for a mapping that does not exist yet.
pub(crate) fn is_data(prot: Prot, flags: Flags) -> bool {
    prot.contains(Prot::WRITE) && !flags.intersects(Flags::SHARED.union(Flags::GROWS_DOWN))
}

impl<B: Backing> Mapping<B> {
    /// Where in the backing the address lies, in bytes; 0 for anonymous memory. The address must be within the mapping.
    pub fn offset_of(&self, addr: u64) -> u64 {
        if self.backing.is_anonymous() {
            return 0;
        }
        self.offset.wrapping_add(addr.wrapping_sub(self.start))
    }

    /// The part of the mapping within the range, which overlaps it.
    pub(crate) fn clipped(&self, range: &Range<u64>) -> Self {
        let start = self.start.max(range.start);
        Self { start, end: self.end.min(range.end), offset: self.offset_of(start), ..self.clone() }
    }

    /// Whether `next` lies directly above and is alike, so that both can be one mapping.
    pub(crate) fn joins(&self, next: &Self) -> bool {
        self.end == next.start
            && self.prot == next.prot
            && self.may == next.may
            && self.flags == next.flags
            && !self.flags.contains(Flags::DONT_EXPAND)
            && self.backing.same(&next.backing)
            && self.offset_of(self.end) == next.offset
    }
}
