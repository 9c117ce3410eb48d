//! Unit tests of each operation, and a property test against a model that keeps every page apart.

mod arguments;
mod brk;
mod map;
mod model;
mod property;
mod protect;
mod remap;
mod stack;

use crate::{Backing, Change, Error, Flags, Layout, Limits, Maps, PAGE, Placement, Prot, Request};

/// What lies behind the mappings of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    Anonymous,
    /// A file, or a shared memory object.
    Object(u8),
}

impl Backing for Back {
    fn same(&self, other: &Self) -> bool {
        self == other
    }

    fn is_anonymous(&self) -> bool {
        *self == Self::Anonymous
    }
}

const RW: Prot = Prot::READ.union(Prot::WRITE);
const NO_LIMITS: &Limits = &Limits::UNLIMITED;

/// The address of a page.
const fn page(number: u64) -> u64 {
    number * PAGE
}

/// Pages 16 to 128, placement below page 112, a guard of 4 pages.
fn small() -> Layout {
    Layout { guard: page(4), ..Layout::new(page(128), page(112)) }
}

/// Private anonymous memory.
fn anonymous(hint: u64, len: u64, prot: Prot) -> Request<Back> {
    Request {
        hint,
        len,
        placement: Placement::Hint,
        prot,
        may: Prot::all(),
        flags: Flags::empty(),
        backing: Back::Anonymous,
        offset: 0,
    }
}

/// A private mapping of object 0 that begins at this page of it.
fn object(hint: u64, len: u64, first_page: u64) -> Request<Back> {
    Request { backing: Back::Object(0), offset: page(first_page), ..anonymous(hint, len, Prot::READ) }
}

fn fixed(request: Request<Back>) -> Request<Back> {
    Request { placement: Placement::Fixed, ..request }
}

fn stack(first: u64, pages: u64) -> Request<Back> {
    Request { flags: Flags::GROWS_DOWN, ..fixed(anonymous(page(first), page(pages), RW)) }
}

fn map(maps: &mut Maps<Back>, request: Request<Back>) -> Result<u64, Error> {
    maps.map(request, NO_LIMITS, |_| ())
}

/// The lines of /proc/PID/maps, with page numbers for addresses.
fn lines(maps: &Maps<Back>) -> Vec<String> {
    let line = |mapping: &crate::Mapping<Back>| {
        let letters: String = mapping.letters().iter().collect();
        format!("{}-{} {letters} {}", mapping.start / PAGE, mapping.end / PAGE, mapping.offset / PAGE)
    };
    maps.iter().map(line).collect()
}

/// A change in page numbers.
fn told(change: Change<'_, Back>) -> String {
    match change {
        Change::Unmapped(part) => format!("unmapped {}-{}", part.start / PAGE, part.end / PAGE),
        Change::Protected { range, prot } => {
            format!("protected {}-{} {}", range.start / PAGE, range.end / PAGE, prot.bits())
        }
        Change::Moved { from, to, len } => {
            format!("moved {}-{} to {}", from / PAGE, (from + len) / PAGE, to / PAGE)
        }
    }
}
