//! Named pipes: the tree has the name, and the pipe exists while somebody has it open.

use super::FileObject;
use super::pipe::{Pipe, PipeEnd};
use crate::errno::Errno;
use crate::sched::Mutex;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// The pipes of the named pipes that are open, by the inode's number.
static FIFOS: Mutex<Vec<(u64, Weak<Pipe>)>> = Mutex::new(Vec::new());

/// The pipe of a named pipe. Its ends hold the inode, so the number stays that of the inode.
fn find(number: u64) -> Result<Arc<Pipe>, Errno> {
    let mut fifos = FIFOS.lock();
    fifos.retain(|(_, pipe)| pipe.strong_count() > 0);
    let found = fifos.iter().find(|(of, _)| *of == number).and_then(|(_, pipe)| pipe.upgrade());
    if let Some(pipe) = found {
        return Ok(pipe);
    }
    fifos.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let pipe = Arc::new(Pipe::new());
    fifos.push((number, Arc::downgrade(&pipe)));
    Ok(pipe)
}

/// Opens a named pipe. With `wait` it sleeps until somebody has opened the other end, unless both ends are opened here. Thread context; may
/// sleep.
///
/// # Errors
/// ENXIO for a writer without `wait` while nobody reads; ERESTARTSYS, ENOMEM.
pub fn open(object: Arc<FileObject>, reads: bool, writes: bool, wait: bool) -> Result<PipeEnd, Errno> {
    let pipe = find(object.inode().number())?;
    PipeEnd::open(pipe, object, reads, writes, wait)
}
