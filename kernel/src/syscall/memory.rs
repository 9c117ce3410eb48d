//! The address space.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::Descriptor;
use crate::space::{Backing, Space, Unrepaired};
use crate::task::{Task, user};
use alloc::sync::Arc;
use linux_raw_sys::general as raw;
use maps::{Access, Flags, Placement, Prot, Remap, Request};

/// The address space of the running task.
fn space(task: &Task) -> Result<Arc<Space>, Errno> {
    task.space().ok_or(Errno::ENOMEM)
}

/// brk
pub fn brk(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let limits = task.process.limits();
    let wanted = frame.x[0];
    Ok(space(task)?.change(|maps, changes| maps.brk(wanted, &limits, Backing::Anonymous, changes)))
}

/// mmap
pub fn mmap(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [hint, len, prot, flags, descriptor, offset, ..] = frame.x;
    let flags = flags as u32;
    let shared = match flags & raw::MAP_TYPE {
        raw::MAP_PRIVATE => false,
        raw::MAP_SHARED | raw::MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    let mut kind = Flags::empty();
    kind.set(Flags::SHARED, shared);
    kind.set(Flags::GROWS_DOWN, flags & raw::MAP_GROWSDOWN != 0);
    let mut may = Prot::all();
    let backing = if flags & raw::MAP_ANONYMOUS != 0 {
        if shared { Backing::shared() } else { Backing::Anonymous }
    } else {
        let file = task.process.files.lock().get(descriptor)?;
        if !file.readable {
            return Err(Errno::EACCES);
        }
        let Descriptor::File(object) = &file.what else { return Err(Errno::ENODEV) };
        if shared && !file.writable {
            may.remove(Prot::WRITE);
        }
        Backing::Object(object.clone())
    };
    let placement = match flags & (raw::MAP_FIXED | raw::MAP_FIXED_NOREPLACE) {
        0 => Placement::Hint,
        raw::MAP_FIXED => Placement::Fixed,
        _ => Placement::FixedNoReplace,
    };
    let request =
        Request { hint, len, placement, prot: Prot::from_mmap(prot), may, flags: kind, backing, offset };
    Ok(space(task)?.map(request, &task.process.limits())?)
}

/// An address without the tag byte, which calls that name memory ignore as loads and stores do (TCR_EL1.TBI0), as on Linux.
fn untagged(address: u64) -> u64 {
    if address >> 55 & 1 == 0 { address & !(0xff << 56) } else { address }
}

/// munmap
pub fn munmap(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    space(task)?.unmap(untagged(frame.x[0]), frame.x[1])?;
    Ok(0)
}

/// mprotect
pub fn mprotect(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [address, len, prot, ..] = frame.x;
    let limits = task.process.limits();
    let address = untagged(address);
    space(task)?.change(|maps, changes| maps.protect(address, len, prot, &limits, changes))?;
    Ok(0)
}

/// mremap
pub fn mremap(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [addr, old_len, new_len, flags, new_addr, ..] = frame.x;
    let addr = untagged(addr);
    let request = Remap { addr, old_len, new_len, flags, new_addr };
    Ok(space(task)?.remap(request, &task.process.limits())?)
}

/// The address space of the task, if pages are mapped from one address on without a hole. The length is that of the pages.
fn mapped(task: &Task, start: u64, length: u64) -> Result<Arc<Space>, Errno> {
    let space = space(task)?;
    let whole = space.look(|maps| maps.advise(start, length, |_, _| ()));
    whole.map(|()| space).map_err(Errno::from)
}

/// The first page and the length in pages of a range that begins anywhere in a page.
fn pages_of(start: u64, length: u64) -> Result<(u64, u64), Errno> {
    let first = start & !(maps::PAGE - 1);
    let end = start.checked_add(length).and_then(|end| end.checked_next_multiple_of(maps::PAGE));
    Ok((first, end.ok_or(Errno::EINVAL)? - first))
}

/// mincore: pages of files are always in memory, others once they were touched.
pub fn mincore(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [start, length, to, ..] = frame.x;
    let start = untagged(start);
    if !start.is_multiple_of(maps::PAGE) {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(maps::PAGE).ok_or(Errno::ENOMEM)?;
    for (n, page) in (0..length).step_by(maps::PAGE as usize).enumerate() {
        let space = mapped(task, start.saturating_add(page), maps::PAGE).map_err(|_| Errno::ENOMEM)?;
        user::write(to.wrapping_add(n as u64), &[space.is_in_memory(start + page).into()])?;
    }
    Ok(0)
}

/// msync: files are in memory, and mappings share their pages.
pub fn msync(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [start, length, flags, ..] = frame.x;
    let start = untagged(start);
    let (flags, both) = (flags as u32, raw::MS_ASYNC | raw::MS_SYNC);
    if flags & !(both | raw::MS_INVALIDATE) != 0 || flags & both == both || !start.is_multiple_of(maps::PAGE)
    {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(maps::PAGE).ok_or(Errno::ENOMEM)?;
    mapped(task, start, length).map(|_| 0)
}

/// mlock: no page is ever given up, so a lock only has the pages come in.
pub fn mlock(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let (start, length) = pages_of(untagged(frame.x[0]), frame.x[1])?;
    let space = mapped(task, start, length)?;
    for page in (start..start + length).step_by(maps::PAGE as usize) {
        // As in Linux, a page that the program may not read does not come in, and is no error.
        if space.fault(page, Access::Read, &task.process.limits()) == Err(Unrepaired::NoMemory) {
            return Err(Errno::ENOMEM);
        }
    }
    Ok(0)
}

/// mlock2
pub fn mlock2(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    match frame.x[2] as u32 {
        0 => mlock(task, frame),
        raw::MLOCK_ONFAULT => munlock(task, frame),
        _ => Err(Errno::EINVAL),
    }
}

/// munlock
pub fn munlock(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let (start, length) = pages_of(untagged(frame.x[0]), frame.x[1])?;
    mapped(task, start, length).map(|_| 0)
}

/// mlockall: the pages come in when they are touched, and stay.
pub fn mlockall(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let flags = frame.x[0] as u32;
    let known = raw::MCL_CURRENT | raw::MCL_FUTURE | raw::MCL_ONFAULT;
    let some = flags & (raw::MCL_CURRENT | raw::MCL_FUTURE) != 0;
    if flags & !known == 0 && some { Ok(0) } else { Err(Errno::EINVAL) }
}

/// munlockall
pub fn munlockall(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(0)
}

/// madvise: DONTNEED drops pages; other advice is taken note of and ignored.
pub fn madvise(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [address, len, advice, ..] = frame.x;
    let space = space(task)?;
    let drop = advice == u64::from(raw::MADV_DONTNEED);
    space.advise(untagged(address), len, drop)?;
    Ok(0)
}
