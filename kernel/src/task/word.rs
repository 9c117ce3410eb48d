//! What futexes are known by.

use super::Task;
use crate::errno::Errno;
use crate::space::Space;
use alloc::sync::Arc;
use maps::Flags;

/// What a word is known by, whoever maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Memory of one address space: where the space is, and the address.
    Private(usize, u64),
    /// Memory that address spaces share: the physical address.
    Shared(u64),
}

/// What a word at an address is known by.
///
/// # Errors
/// EINVAL if it is not aligned; EFAULT if nothing is mapped there.
pub(super) fn key(space: &Arc<Space>, address: u64, private: bool) -> Result<Key, Errno> {
    const PAGE: u64 = crate::mm::layout::PAGE as u64;
    let address = address & !(0xff << 56);
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let own = Key::Private(Arc::as_ptr(space).addr(), address);
    if private {
        return Ok(own);
    }
    let shared = space.look(|maps| Some(maps.find(address)?.flags.contains(Flags::SHARED)));
    if !shared.ok_or(Errno::EFAULT)? {
        return Ok(own);
    }
    let page = space.page_for_tracer(address, false).map_err(|_| Errno::EFAULT)?;
    Ok(Key::Shared(page.physical() as u64 + address % PAGE))
}

/// The address space of a task.
///
/// # Errors
/// EFAULT if the task has left it.
pub(super) fn own_space(task: &Task) -> Result<Arc<Space>, Errno> {
    task.space().ok_or(Errno::EFAULT)
}
