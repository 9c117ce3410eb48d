//! The address space.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::Descriptor;
use crate::space::{Backing, Space};
use crate::task::Task;
use alloc::sync::Arc;
use linux_raw_sys::general as raw;
use maps::{Flags, Placement, Prot, Remap, Request};

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

/// munmap
pub fn munmap(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    space(task)?.unmap(frame.x[0], frame.x[1])?;
    Ok(0)
}

/// mprotect
pub fn mprotect(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [address, len, prot, ..] = frame.x;
    let limits = task.process.limits();
    space(task)?.change(|maps, changes| maps.protect(address, len, prot, &limits, changes))?;
    Ok(0)
}

/// mremap
pub fn mremap(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [addr, old_len, new_len, flags, new_addr, ..] = frame.x;
    let request = Remap { addr, old_len, new_len, flags, new_addr };
    Ok(space(task)?.remap(request, &task.process.limits())?)
}

/// madvise: DONTNEED drops pages; other advice is taken note of and ignored.
pub fn madvise(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [address, len, advice, ..] = frame.x;
    let space = space(task)?;
    let drop = advice == u64::from(raw::MADV_DONTNEED);
    space.advise(address, len, drop)?;
    Ok(0)
}
