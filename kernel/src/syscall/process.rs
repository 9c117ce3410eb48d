//! Processes and threads.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::task::{Status, Task, exit_process, exit_task};
use core::sync::atomic::Ordering::Relaxed;

/// exit
pub fn exit(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    exit_task(task, frame.x[0] as u8)
}

/// exit_group
pub fn exit_group(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    exit_process(Status::Exited(frame.x[0] as u8))
}

/// set_tid_address
pub fn set_tid_address(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    task.clear_child_tid.store(frame.x[0], Relaxed);
    Ok(task.tid.into())
}

/// getpid
pub fn getpid(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(task.process.pid.into())
}

/// gettid
pub fn gettid(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(task.tid.into())
}

/// getppid
pub fn getppid(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(0)
}
