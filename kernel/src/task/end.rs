//! The end of tasks and processes.

use super::process::Status;
use super::table::table;
use super::{Task, futex, pi, robust};
use crate::fs;
use crate::sched;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::{Relaxed, Release};

impl Task {
    /// Has the process end; the running task ends it later.
    pub(crate) fn begin_end(&self, status: Status) {
        if let Some((entry, _)) = table().own(self) {
            entry.end(status);
        }
    }
}

/// Ends the running task's process: this task at once, its other threads when they would return to EL0. Thread context.
pub fn exit_process(status: Status) -> ! {
    if let Some(task) = super::current() {
        task.begin_end(status);
    }
    end_task()
}

/// Ends the running task, and with the last one the process. Thread context.
pub fn exit_task(task: &Task, status: u8) -> ! {
    // As Linux: the process's status is that of the last thread.
    if let Some((entry, _)) = table().own(task) {
        entry.exits = Some(Status::Exited(status));
    }
    end_task()
}

/// Ends the running task. Thread context.
pub(super) fn end_task() -> ! {
    if let Some(task) = super::current() {
        task.leave_events();
        task.leave_space(None);
        let run_time = sched::run_time(task.thread());
        let mut last = false;
        let mut left = None;
        {
            let mut table = table();
            if let Some((entry, at)) = table.own(task) {
                let mut member = entry.members.remove(at);
                entry.run_time += run_time;
                last = entry.members.is_empty();
                // A signal for the process that this task was to take is another one's.
                entry.hand_over();
                // From here on nobody becomes this task's tracee.
                table.end_tracer(task.thread(), task.process.pid);
                table.tracee_ends(task.process.pid, &mut member);
                left = Some(member);
            }
        }
        drop(left);
        pi::turn_away_late(task);
        task.process.changed.wake_all();
        if last {
            task.process.files.leave();
            fs::terminal::session_ends(task.process.pid);
            let place = core::mem::take(&mut *task.process.place.lock());
            drop(place);
            table().finish(task.process.pid);
            task.process.tell_end();
        } else {
            // The others may wait for this one to stop.
            table().check_stop(task.process.pid);
        }
    }
    sched::exit()
}

impl Task {
    /// Leaves the address space, for another one or none: tells other threads by the futex at `clear_child_tid`, and a parent that waits since
    /// vfork. Thread context; may sleep.
    pub(super) fn leave_space(&self, next: Option<Arc<crate::space::Space>>) {
        // A lock that is in both lists goes to its most important waiter first: then its word names the new owner, and is not the task's any
        // more. The other way round a third one could take the free word before the waiter gets the lock.
        pi::leave(self);
        robust::leave_robust_list(self);
        let clear = self.clear_child_tid.swap(0, Relaxed);
        if clear != 0 && self.space().is_some_and(|space| Arc::strong_count(&space) > 2) {
            // A bad address is the program's own affair.
            let written = super::user::put(clear, 0_u32);
            if written.is_ok() {
                futex::wake(self, clear, 1, u32::MAX, false);
            }
        }
        self.exchange_space(next);
        self.left_space.store(true, Release);
        self.parent_waits.wake_all();
    }
}
