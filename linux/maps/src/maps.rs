use core::ops::Range;

use crate::{
    change::Change,
    error::{Error, Fault},
    layout::Layout,
    mapping::{Backing, Mapping},
    prot::Access,
    store::Store,
};

/// The program break. The memory below it is an ordinary mapping, which other operations may replace or remove.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Break {
    pub(crate) start: u64,
    pub(crate) now: u64,
    /// How many bytes of initialised and uninitialised data the program file has: RLIMIT_DATA counts them too.
    pub(crate) data: u64,
}

/// The user address space of one process: its mappings, and the program break.
///
/// There is no lock inside: the caller holds its own around each call.
pub struct Maps<B> {
    pub(crate) layout: Layout,
    pub(crate) store: Store<B>,
    pub(crate) brk: Break,
}

impl<B: Backing> Maps<B> {
    /// An empty address space. The layout's bounds are rounded to pages; the break is at 0, so `brk` fails until
    /// [`Maps::set_brk`]. Allocates nothing.
    pub fn new(layout: Layout) -> Self {
        Self { layout: layout.sane(), store: Store::new(), brk: Break::default() }
    }

    /// Unmaps everything and begins again with another layout, for execve. Cannot fail.
    pub fn clear(&mut self, layout: Layout, mut changes: impl FnMut(Change<'_, B>)) {
        self.store.take_all(|mapping| changes(Change::Unmapped(mapping)));
        self.layout = layout.sane();
        self.brk = Break::default();
    }

    /// A copy for a child process, the break included. The caller shares or copies what the page tables hold.
    ///
    /// # Errors
    /// [`Error::NoMemory`]: the kernel is out of memory.
    pub fn fork(&self) -> Result<Self, Error> {
        Ok(Self { layout: self.layout, store: self.store.try_clone()?, brk: self.brk })
    }

    /// The bounds, rounded to pages.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.store.list().len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.store.list().is_empty()
    }

    /// How many pages are mapped, touched or not: what RLIMIT_AS limits (Linux: VmSize).
    pub fn pages(&self) -> u64 {
        self.store.usage().pages
    }

    /// How many of them RLIMIT_DATA counts (Linux: VmData).
    pub fn data_pages(&self) -> u64 {
        self.store.usage().data
    }

    /// All mappings, in the order of their addresses: the lines of /proc/PID/maps.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Mapping<B>> + ExactSizeIterator {
        self.store.list().iter()
    }

    /// The mapping that contains the address.
    pub fn find(&self, addr: u64) -> Option<&Mapping<B>> {
        self.store.find(addr)
    }

    /// The mappings that overlap the range, whole, in the order of their addresses. None for an empty range.
    pub fn overlapping(
        &self,
        range: Range<u64>,
    ) -> impl DoubleEndedIterator<Item = &Mapping<B>> + ExactSizeIterator {
        let list = if range.is_empty() { &[] } else { self.store.overlapping(&range) };
        list.iter()
    }

    /// The mapping that contains the address, if it permits the access: the question of a page fault.
    ///
    /// # Errors
    /// [`Fault::NotMapped`]: the caller may try [`Maps::grow_stack`] and ask again. [`Fault::NotPermitted`].
    pub fn access(&self, addr: u64, access: Access) -> Result<&Mapping<B>, Fault> {
        let mapping = self.find(addr).ok_or(Fault::NotMapped)?;
        if mapping.allows(access) { Ok(mapping) } else { Err(Fault::NotPermitted) }
    }

    /// How many of `len` bytes from the address on permit the access, without a gap: the length of a partial copy. Does not
    /// consider that a stack could grow.
    pub fn accessible(&self, addr: u64, len: u64, access: Access) -> u64 {
        let end = addr.saturating_add(len);
        let mut reached = addr;
        for mapping in self.overlapping(addr..end) {
            if mapping.start > reached || !mapping.allows(access) {
                break;
            }
            reached = mapping.end.min(end);
        }
        reached - addr
    }

    /// Whether all of `len` bytes from the address on permit the access. True for no bytes, as Linux has it for copies.
    pub fn covers(&self, addr: u64, len: u64, access: Access) -> bool {
        self.accessible(addr, len, access) == len
    }
}
