//! Words of a program that the kernel reads and writes by its own mapping of their pages.
//!
//! Such an access has to come under the lock of the address space, as [`Space::poke`] does it. If a fork came between the moment at which the
//! page is found and the access, the page would be shared with the child: the child would see what is written, and the program would lose it
//! if it got its copy first.

use super::{Inner, PAGE_BYTES, Space, Unrepaired};
use crate::sched::MutexGuard;
use maps::Access;

/// An address space whose mappings and pages stay as they are for as long as the value exists.
pub struct Steady<'a> {
    space: &'a Space,
    inner: MutexGuard<'a, Inner>,
}

impl Space {
    /// Has the mappings and pages stay as they are. Until the value is dropped no user memory may be accessed at its own address, because
    /// a fault would wait for ever, and the thread may not wait for what other programs do. Thread context; may sleep.
    pub fn steady(&self) -> Steady<'_> {
        Steady { space: self, inner: self.inner.lock() }
    }
}

impl Steady<'_> {
    /// Where the kernel finds the byte at an address: the page is brought in, and for a write made the program's own. The place is valid up
    /// to the end of the page, and as long as `self` exists. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`Space::fault`]; `Segv` if the program itself may not make the access.
    pub fn place(&mut self, address: u64, access: Access) -> Result<*mut u8, Unrepaired> {
        self.inner.maps.access(address, access).map_err(Unrepaired::Segv)?;
        let write = access == Access::Write;
        // The reference may go: the entry of the tables has one of its own, which stays while the lock is held.
        let page = self.inner.page_for_tracer(&self.space.context, address, write)?;
        Ok(page.address().wrapping_add((address % PAGE_BYTES) as usize))
    }
}
