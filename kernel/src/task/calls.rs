//! The functions of system calls that a task has. A task that is traced has others, which tell its tracer of each call.

use super::Task;
use crate::errno::Errno;
use crate::exception::Frame;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// A system call. Its arguments are in the frame.
pub type Call = fn(&Task, &mut Frame) -> Result<u64, Errno>;

/// One more than the highest number that a call of this kernel can have.
pub const CALLS: usize = 512;

/// The calls by number.
pub type Table = [Call; CALLS];

static NONE: Table = [none; CALLS];
static UNTRACED: AtomicPtr<Table> = AtomicPtr::new((&raw const NONE).cast_mut());
static TRACED: AtomicPtr<Table> = AtomicPtr::new((&raw const NONE).cast_mut());

fn none(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Err(Errno::ENOSYS)
}

/// From here on new tasks have these calls: those of the first table while nobody traces them, else those of the second. Called once,
/// before the first program starts.
pub fn set_calls(untraced: &'static Table, traced: &'static Table) {
    UNTRACED.store((&raw const *untraced).cast_mut(), Relaxed);
    TRACED.store((&raw const *traced).cast_mut(), Relaxed);
}

/// The functions of system calls for tasks that nobody traces. Any context.
pub fn untraced() -> *mut Table {
    UNTRACED.load(Relaxed)
}

/// The functions of system calls for tasks that are traced. Any context.
pub fn traced() -> *mut Table {
    TRACED.load(Relaxed)
}
