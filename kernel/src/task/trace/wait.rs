//! What `wait4` and `waitid` tell a tracer of its tracees.

use super::super::Task;
use super::super::process::{Pid, Status};
use super::super::table::{Member, Table};
use super::super::told::{Event, Told, Wanted, Which};
use crate::sched::{self, TaskId};
use linux_raw_sys::general as raw;

/// CLD_* of a wait status.
pub(super) fn code_of(status: u32) -> u32 {
    if status & 0x7f == 0 { raw::CLD_EXITED } else { raw::CLD_KILLED }
}

/// The exit status or the signal of a wait status.
pub(super) fn value_of(status: u32) -> i32 {
    let value = if status & 0x7f == 0 { status >> 8 & 0xff } else { status & 0x7f };
    value.cast_signed()
}

impl Member {
    /// What the running task is told of this one, if that is a tracee of it or of its process. `group` is that of the process, `creator` the
    /// thread that has made it, if that is of the running task's process.
    #[inline(always)]
    pub fn look_at_tracee(
        &mut self,
        me: &Task,
        wanted: &Wanted,
        group: Pid,
        creator: Option<TaskId>,
    ) -> Told {
        let Some(trace) = self.trace.as_deref_mut() else { return Told::NoneMeant };
        // As Linux: also who has made the process is told, if another thread of the same process traces it.
        let is_child = creator.is_some_and(|creator| is_mine(me, wanted, trace.of, creator));
        let (task, mine) = (&self.task, is_child || is_mine(me, wanted, trace.of, trace.tracer));
        if !mine || !wanted.means(task.tid(), group) {
            return Told::NoneMeant;
        }
        let Some(stop) = trace.stop.filter(|_| trace.to_tell) else { return Told::Nothing };
        if !wanted.has(raw::WNOWAIT) {
            trace.to_tell = false;
        }
        Told::Event(Event {
            pid: task.tid(),
            code: raw::CLD_TRAPPED,
            status: stop.code.cast_signed(),
            run_time: if wanted.times { sched::run_time(task.thread()) } else { 0 },
        })
    }
}

/// Whether a tracer, a thread of process `of`, is the running task or one that it asks for too.
fn is_mine(me: &Task, wanted: &Wanted, of: Pid, tracer: TaskId) -> bool {
    of == me.process.pid && (!wanted.has(raw::__WNOTHREAD) || tracer == me.thread())
}

impl Table {
    /// Looks for something to tell a tracer of tasks that run, or have ended as others than the first ones of their processes.
    pub fn look_at_tracees(&mut self, me: &Task, wanted: &Wanted) -> Told {
        let mut found = Told::NoneMeant;
        let one = match wanted.which {
            Which::Process(tid) => self.place_of(tid).map(|(pid, _)| pid),
            _ => None,
        };
        let range = match (wanted.which, one) {
            (Which::Process(_), Some(pid)) => pid..pid + 1,
            (Which::Process(_), None) => 0..0,
            _ => 0..Pid::MAX,
        };
        for (_, entry) in self.processes.range_mut(range) {
            let group = entry.group;
            let creator = Some(entry.creator).filter(|_| entry.parent == me.process.pid);
            for member in &mut entry.members {
                found = found.or(member.look_at_tracee(me, wanted, group, creator));
                if found.is_event() {
                    return found;
                }
            }
        }
        let dead = self.dead.iter().position(|dead| {
            is_mine(me, wanted, dead.tracer.process, dead.tracer.thread) && wanted.means(dead.tid, dead.group)
        });
        let Some(at) = dead else { return found };
        if !wanted.has(raw::WEXITED) {
            return Told::Nothing;
        }
        let dead = &self.dead[at];
        let event = Event {
            pid: dead.tid,
            code: code_of(dead.status),
            status: value_of(dead.status),
            run_time: dead.run_time,
        };
        if !wanted.has(raw::WNOWAIT) {
            let of = self.dead.remove(at).of;
            self.count_tracee_out(me.process.pid);
            self.tell_of_end(of);
        }
        Told::Event(event)
    }
}

impl Status {
    /// As `wait4` has it.
    pub(in super::super) fn as_wait_has_it(self) -> u32 {
        match self {
            Self::Exited(status) => u32::from(status) << 8,
            Self::Killed(signal) => signal.into(),
        }
    }
}
