//! The address space of a program: its mappings (the crate `maps`), its translation tables, and its ASID.
//!
//! Pages come in by faults. An entry of the tables that is missing, or that permits less than the mapping, is always correct: the
//! next access faults, and [`Space::fault`] repairs the entry. An entry that permits more never exists.
//!
//! Mappings and tables change under one sleeping lock. A page that is taken out of the tables is given back only after the TLBI, so no CPU
//! can reach a page that somebody else has got.

mod asid;
mod foreign;
mod object;
mod steady;
mod tables;

pub use asid::{generations as asid_generations, init_cpu, limit as limit_asids};
pub use foreign::{Right, Usage};
pub use object::{Object, Program};
pub use steady::Steady;
pub use tables::NoMemory;

use crate::arch::cache;
use crate::mm::layout::PAGE;
use crate::mm::pages::Page;
use crate::sched::Mutex;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use asid::Context;
use core::cell::RefCell;
use core::ops::Range;
use maps::{Access, Change, Error, Fault, Flags, Layout, Limits, Mapping, Maps, Prot, Remap, Request};
use spin::Once;
use tables::{Entry, Gone, Tables};

/// The address behind the last one that a program can map.
pub const TOP: u64 = 1 << 48;
/// Where mappings are placed below: above lies the first stack.
pub const MMAP_BASE: u64 = TOP - (1 << 30);

const PAGE_BYTES: u64 = PAGE as u64;

/// What lies behind a mapping.
#[derive(Clone)]
pub enum Backing {
    /// Private memory that is zero when it is first touched.
    Anonymous,
    /// An object's pages.
    Object(Arc<dyn Object>),
}

impl maps::Backing for Backing {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::Object(one), Self::Object(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

impl Backing {
    /// Memory that processes share, zero when it is first touched.
    pub fn shared() -> Self {
        Self::Object(Arc::new(Shared(Mutex::new(BTreeMap::new()))))
    }
}

/// The pages of memory that processes share (MAP_SHARED | MAP_ANONYMOUS).
struct Shared(Mutex<BTreeMap<u64, Page>>);

impl Object for Shared {
    fn page(&self, index: u64) -> Result<Option<Page>, NoMemory> {
        let mut pages = self.0.lock();
        if let Some(page) = pages.get(&index) {
            return Ok(Some(page.clone()));
        }
        let page = Page::zeroed().ok_or(NoMemory)?;
        pages.insert(index, page.clone());
        Ok(Some(page))
    }

    fn path(&self) -> alloc::string::String {
        "/dev/zero (deleted)".into()
    }

    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }
}

/// Why a fault was not repaired: the signal that the program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrepaired {
    /// SIGSEGV.
    Segv(Fault),
    /// SIGBUS with BUS_ADRERR: the page lies behind the end of the file.
    BehindEnd,
    /// There is no memory.
    NoMemory,
}

struct Inner {
    maps: Maps<Backing>,
    tables: Tables,
}

/// An address space. The last reference is dropped when no CPU uses the tables any more.
pub struct Space {
    context: Context,
    root: usize,
    inner: Mutex<Inner>,
    program: Once<Arc<Program>>,
}

impl Space {
    /// An address space without mappings.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new(layout: Layout) -> Result<Self, NoMemory> {
        Ok(Self::of(Maps::new(layout), Tables::new()?, Once::new()))
    }

    fn of(maps: Maps<Backing>, tables: Tables, program: Once<Arc<Program>>) -> Self {
        let root = tables.root();
        Self { context: Context::new(), root, inner: Mutex::new(Inner { maps, tables }), program }
    }

    /// Says for which program the address space was made. Called once.
    pub fn set_program(&self, program: Program) {
        self.program.call_once(|| Arc::new(program));
    }

    /// The program that the address space was made for, or that of the address space that it is a copy of.
    pub fn program(&self) -> Option<Arc<Program>> {
        self.program.get().cloned()
    }

    /// Has this CPU use the address space. I is masked, and the caller keeps a reference for as long as the CPU uses it.
    pub fn use_here(&self) {
        asid::switch(Some((&self.context, self.root)));
    }

    /// Has this CPU use no address space. I is masked.
    pub fn use_none() {
        asid::switch(None);
    }

    /// Repairs the fault of an access to `address`, or finds that the access is permitted now. Thread context; may sleep.
    ///
    /// # Errors
    /// The signal that the program gets.
    pub fn fault(&self, address: u64, access: Access, limits: &Limits) -> Result<(), Unrepaired> {
        let mut inner = self.inner.lock();
        if inner.maps.find(address).is_none() {
            // Whether or not the stack may grow to the address: the question below is asked again.
            let _ = inner.maps.grow_stack(address, limits);
        }
        let inner = &mut *inner;
        let mapping = inner.maps.access(address, access).map_err(Unrepaired::Segv)?;
        inner.tables.repair(&self.context, mapping, address & !(PAGE_BYTES - 1), access)
    }

    /// mmap. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`Maps::map`].
    pub fn map(&self, request: Request<Backing>, limits: &Limits) -> Result<u64, Error> {
        self.change(|maps, changes| maps.map(request, limits, changes))
    }

    /// munmap. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`Maps::unmap`].
    pub fn unmap(&self, address: u64, length: u64) -> Result<(), Error> {
        self.change(|maps, changes| maps.unmap(address, length, changes))
    }

    /// Changes the mappings by an operation, and the tables with them. The operation reports changes by the closure it is given.
    pub fn change<R>(
        &self,
        operation: impl FnOnce(&mut Maps<Backing>, &mut dyn FnMut(Change<'_, Backing>)) -> R,
    ) -> R {
        let mut inner = self.inner.lock();
        let Inner { maps, tables } = &mut *inner;
        operation(maps, &mut |change| tables.apply(&self.context, change))
    }

    /// mremap. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`Maps::remap`].
    pub fn remap(&self, request: Remap, limits: &Limits) -> Result<u64, Error> {
        let mut inner = self.inner.lock();
        let Inner { maps, tables } = &mut *inner;
        // One closure sets tables aside before the move is decided, the other uses them afterwards.
        let tables = RefCell::new(tables);
        let result = maps.remap(
            request,
            limits,
            |to| tables.borrow_mut().reserve(to.end - to.start).map_err(|NoMemory| Error::NoMemory),
            |change| tables.borrow_mut().apply(&self.context, change),
        );
        tables.borrow_mut().release();
        result
    }

    /// Looks at the mappings. Thread context; may sleep.
    pub fn look<R>(&self, look: impl FnOnce(&Maps<Backing>) -> R) -> R {
        look(&self.inner.lock().maps)
    }

    /// A copy for a child process: private pages are shared until one of the two writes.
    ///
    /// # Errors
    /// [`NoMemory`], with nothing changed that the program can see.
    pub fn fork(&self) -> Result<Self, NoMemory> {
        let mut inner = self.inner.lock();
        let Inner { maps, tables } = &mut *inner;
        let child_maps = maps.fork().map_err(|_| NoMemory)?;
        let mut child = Tables::new()?;
        for mapping in maps.iter().filter(|mapping| !mapping.flags.contains(Flags::SHARED)) {
            // From here on neither may write the pages without a fault.
            if tables.protect(mapping.range(), |_| (mapping.prot, false)) {
                asid::flush(&self.context, mapping.range());
            }
            let mut result = Ok(());
            tables.for_each(mapping.range(), |address, entry| {
                if result.is_ok() {
                    result = child.put(address, entry.page(), mapping.prot, false, || ());
                }
            });
            result?;
        }
        let program = self.program().map_or_else(Once::new, Once::initialized);
        Ok(Self::of(child_maps, child, program))
    }

    /// madvise. With `drop` (MADV_DONTNEED) private pages read as zeros, or as the file, from here on. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`Maps::advise`].
    pub fn advise(&self, address: u64, length: u64, drop: bool) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        let Inner { maps, tables } = &mut *inner;
        maps.advise(address, length, |range, _| {
            if drop {
                tables.remove(&self.context, range);
            }
        })
    }

    /// Whether the page at an address is in memory: touched, or a page of an object. Thread context; may sleep.
    pub fn is_in_memory(&self, address: u64) -> bool {
        let inner = self.inner.lock();
        let object = |mapping: &Mapping<Backing>| matches!(mapping.backing, Backing::Object(_));
        inner.tables.get(address & !(PAGE_BYTES - 1)).is_some()
            || inner.maps.find(address).is_some_and(object)
    }

    /// The page at an address as a tracer sees it: brought in if it is not there; for `write` made the process's own first, even if
    /// the program itself may only read it.
    ///
    /// # Errors
    /// As [`Space::fault`].
    pub fn page_for_tracer(&self, address: u64, write: bool) -> Result<Page, Unrepaired> {
        self.inner.lock().page_for_tracer(&self.context, address, write)
    }
}

impl Inner {
    /// As [`Space::page_for_tracer`]. The page stays the program's own as long as the lock is held.
    fn page_for_tracer(&mut self, context: &Context, address: u64, write: bool) -> Result<Page, Unrepaired> {
        let Self { maps, tables } = self;
        let page = address & !(PAGE_BYTES - 1);
        let mapping = maps.find(address).ok_or(Unrepaired::Segv(Fault::NotMapped))?;
        let private = !mapping.flags.contains(Flags::SHARED);
        if write && !private && !mapping.prot.contains(Prot::WRITE) {
            return Err(Unrepaired::Segv(Fault::NotPermitted));
        }
        // A page that the program can write is its own, even if somebody else looks at it: a copy would take it away from the program.
        if let Some(entry) = tables.get(page)
            && private
            && entry.is_writable()
        {
            return Ok(entry.page());
        }
        let access = if write && private { Access::Write } else { Access::Read };
        tables.repair(context, mapping, page, access)?;
        tables.get(page).map(Entry::page).ok_or(Unrepaired::BehindEnd)
    }
}

impl Tables {
    /// Makes the entry of a page such that the access succeeds. The mapping permits the access, or a tracer writes.
    fn repair(
        &mut self,
        context: &Context,
        mapping: &Mapping<Backing>,
        page: u64,
        access: Access,
    ) -> Result<(), Unrepaired> {
        let shared = mapping.flags.contains(Flags::SHARED);
        let write = access == Access::Write;
        let old = self.get(page);
        let (content, writable) = match (old, &mapping.backing) {
            // The page is there, and only its permissions are too few, or another thread has repaired the fault.
            (Some(entry), _) if !write || shared => (entry.page(), shared || entry.is_writable()),
            (Some(entry), _) => (self.own(entry)?, true),
            (None, Backing::Anonymous) => (Page::zeroed().ok_or(Unrepaired::NoMemory)?, true),
            (None, Backing::Object(object)) => {
                let index = mapping.offset_of(page) / PAGE_BYTES;
                let found = object.page(index).map_err(|_| Unrepaired::NoMemory)?;
                let content = found.ok_or(Unrepaired::BehindEnd)?;
                if write && !shared {
                    (content.duplicate().ok_or(Unrepaired::NoMemory)?, true)
                } else {
                    (content, shared)
                }
            }
        };
        // A copy of a page that was executable is at another physical address, where no cache knows its text.
        let executable = |entry: Entry| entry.is_executable() && entry.physical() == content.physical();
        if mapping.prot.contains(Prot::EXEC) && !old.is_some_and(executable) {
            cache::make_executable(content.address() as usize, PAGE);
        }
        let gone = asid::flush;
        self.put(page, content, mapping.prot, writable, || gone(context, page..page + PAGE_BYTES))
            .map_err(|_| Unrepaired::NoMemory)
    }

    /// The content of a private page that nobody else has: the page itself, or a copy of it.
    fn own(&self, entry: Entry) -> Result<Page, Unrepaired> {
        let page = entry.page();
        // Two references: the entry's and this one.
        if page.references() == 2 { Ok(page) } else { page.duplicate().ok_or(Unrepaired::NoMemory) }
    }

    /// Does what an operation on the mappings asks for.
    fn apply(&mut self, context: &Context, change: Change<'_, Backing>) {
        match change {
            Change::Unmapped(mapping) => self.remove(context, mapping.range()),
            Change::Protected { range, prot } => {
                let change = |entry: Entry| {
                    // What the program has written while it could not execute the page is text from here on.
                    if prot.contains(Prot::EXEC) && !entry.is_executable() {
                        cache::make_executable(entry.address(), PAGE);
                    }
                    (prot, entry.is_writable())
                };
                if self.protect(range.clone(), change) {
                    asid::flush(context, range);
                }
            }
            Change::Moved { from, to, len } => {
                self.move_pages(from, to, len);
                asid::flush(context, from..from + len);
            }
        }
    }

    /// Takes the pages out of a range, and gives them back once no CPU can reach them any more.
    fn remove(&mut self, context: &Context, range: Range<u64>) {
        let mut start = range.start;
        while start < range.end {
            let mut gone = Gone::default();
            let end = self.clear(start..range.end, &mut gone);
            if !gone.is_empty() {
                asid::flush(context, start..end);
            }
            start = end;
        }
    }
}
