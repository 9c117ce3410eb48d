//! Memory of other processes: process_vm_readv and process_vm_writev.

use super::files::Buffers;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::space::{Right, Space};
use crate::task::{Subject, Task};
use alloc::sync::Arc;

/// How many bytes are copied at once.
const PIECE: usize = 4096;

/// The caller's and the other process's ranges, and the memory of the other process. None if there is nothing to copy.
fn arguments(frame: &Frame) -> Result<Option<(Buffers, Buffers, Arc<Space>)>, Errno> {
    let [pid, local, local_count, remote, remote_count, flags, ..] = frame.x;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let local = Buffers::vector(local, local_count)?;
    if local.left() == 0 {
        return Ok(None);
    }
    let remote = Buffers::vector(remote, remote_count)?;
    if remote.left() == 0 {
        return Ok(None);
    }
    let subject = Subject::process(pid as u32).ok_or(Errno::ESRCH)?;
    let space = subject.space().ok_or(Errno::ESRCH)?;
    Ok(Some((local, remote, space)))
}

/// Copies until one side has no room, or until `copy` has copied less than it was asked to. `copy` is given the other process's address, and
/// how many bytes it shall copy.
fn transfer(
    remote: &mut Buffers,
    most: u64,
    mut copy: impl FnMut(u64, usize) -> usize,
) -> Result<u64, Errno> {
    let mut done = 0;
    while done < most {
        let Some((address, wanted)) = remote.next((most - done).min(PIECE as u64) as usize) else { break };
        let count = copy(address, wanted);
        done += count as u64;
        if count < wanted {
            // As Linux: what was copied counts, and the rest is an error only if nothing was.
            return if done == 0 { Err(Errno::EFAULT) } else { Ok(done) };
        }
    }
    Ok(done)
}

/// process_vm_readv
pub fn process_vm_readv(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let Some((mut local, mut remote, space)) = arguments(frame)? else { return Ok(0) };
    let mut piece = [0; PIECE];
    let most = local.left();
    transfer(&mut remote, most, |address, wanted| {
        let count = space.peek(address, &mut piece[..wanted], Right::Own);
        local.copy_some_out(&piece[..count])
    })
}

/// process_vm_writev
pub fn process_vm_writev(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let Some((mut local, mut remote, space)) = arguments(frame)? else { return Ok(0) };
    let mut piece = [0; PIECE];
    let most = local.left();
    transfer(&mut remote, most, |address, wanted| {
        let count = local.copy_some_in(&mut piece[..wanted]);
        space.poke(address, &piece[..count], Right::Own)
    })
}
