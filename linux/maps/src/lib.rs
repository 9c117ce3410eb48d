//! The user address space of a process: which ranges of addresses are mapped, with which permissions, and from what. Linux
//! calls one such range a VMA.
//!
//! [`Maps`] is a sorted list of [`Mapping`]s with the operations of Linux's system calls: [`Maps::map`], [`Maps::unmap`],
//! [`Maps::protect`], [`Maps::remap`], [`Maps::brk`], [`Maps::advise`], and what a page fault needs: [`Maps::access`] and
//! [`Maps::grow_stack`]. Results and errors are Linux's (version 6.6 where versions differ). What lies behind a mapping (nothing, a
//! file, a shared memory object) is the caller's type: a [`Backing`].
//!
//! # Who does what
//! The crate has no page tables. An operation reports what the caller has to do to its page tables as [`Change`]s, through
//! a closure, in the order in which the caller must apply them. The operation calls the closure only after it has decided that it
//! succeeds, so an operation that returns an error has reported nothing and changed nothing. [`Maps::protect`] is
//! the exception, as on Linux: it stops at the first page that it cannot change, and the pages below that one stay changed.
//!
//! A page table entry that does not exist is always correct: the page fault consults [`Maps::access`] and creates the entry.
//! So a new mapping reports no change, and neither does an added permission need more than [`Change::Protected`].
//!
//! The caller removes the tag byte of an address (Linux: `untagged_addr`) before the address comes here. Lengths come
//! here as the program gave them.
//!
//! # Memory
//! The list is one `Vec`. It grows by `try_reserve` before an operation changes anything; a failure is [`Error::NoMemory`].
//! Only [`Maps::map`], [`Maps::unmap`], [`Maps::protect`], [`Maps::remap`], [`Maps::brk`] and [`Maps::fork`] allocate.
//!
//! # Where this differs from Linux
//! - Memory is not charged against a commit limit. Linux marks charged mappings (VM_ACCOUNT), and sometimes does not merge two
//!   neighbours because only one is marked; here they merge.
//! - Linux does not merge two anonymous mappings if both were touched before they became neighbours (`anon_vma`), nor after
//!   mremap moved one of them. Here anonymous neighbours that are alike always merge, except below a stack that grew.
//! - An mremap that fails leaves everything mapped. Linux may already have unmapped the destination.
//! - The first address that a program may map is a limit for everybody; Linux lets CAP_SYS_RAWIO map below it.
//!
//! ```
//! use maps::{Backing, Change, Flags, Layout, Limits, Maps, PAGE, Placement, Prot, Request};
//!
//! #[derive(Clone)]
//! struct Anonymous;
//! impl Backing for Anonymous {
//!     fn same(&self, _: &Self) -> bool { true }
//!     fn is_anonymous(&self) -> bool { true }
//! }
//!
//! let mut maps = Maps::new(Layout::new(1 << 39, 0x7f_f000_0000));
//! let limits = Limits::UNLIMITED;
//! let request = Request {
//!     hint: 0,
//!     len: 4 * PAGE,
//!     placement: Placement::Hint,
//!     prot: Prot::READ | Prot::WRITE,
//!     may: Prot::all(),
//!     flags: Flags::empty(),
//!     backing: Anonymous,
//!     offset: 0,
//! };
//! let at = maps.map(request, &limits, |_| ()).unwrap();
//! assert_eq!(at, 0x7f_f000_0000 - 4 * PAGE);
//!
//! let mut gone = Vec::new();
//! maps.unmap(at + PAGE, PAGE, |change| {
//!     if let Change::Unmapped(part) = change {
//!         gone.push(part.range());
//!     }
//! })
//! .unwrap();
//! assert_eq!(gone, [at + PAGE..at + 2 * PAGE]);
//! assert_eq!(maps.len(), 2);
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod advise;
mod brk;
mod change;
mod error;
mod layout;
mod map;
mod mapping;
mod maps;
mod page;
mod place;
mod prot;
mod protect;
mod remap;
mod stack;
mod store;
#[cfg(test)]
mod tests;

pub use change::Change;
pub use error::{Error, Fault};
pub use layout::{Layout, Limits};
pub use map::{Placement, Request};
pub use mapping::{Backing, Flags, Mapping};
pub use maps::Maps;
pub use page::PAGE;
pub use prot::{Access, Prot};
pub use remap::Remap;
