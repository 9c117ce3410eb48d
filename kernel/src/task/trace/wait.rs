//! What `wait4` and `waitid` tell a tracer of its tracees.

use super::super::Task;
use super::super::process::{Pid, Status};
use super::super::table::Table;
use super::super::told::{Event, Wanted, Which};
use crate::sched;
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

/// What was found.
pub(in super::super) enum Found {
    Event(Event),
    /// There are such tracees, and nothing to be told of them.
    Nothing,
    NoTracee,
}

impl Wanted {
    fn means(&self, tid: Pid, group: Pid) -> bool {
        match self.which {
            Which::Any => true,
            Which::Process(wanted) => wanted == tid,
            Which::Group(wanted) => wanted == group,
        }
    }
}

impl Table {
    /// Looks for something to tell a tracer of tasks that run, or have ended as others than the first ones of their processes.
    pub fn look_at_tracees(&mut self, me: &Task, wanted: &Wanted) -> Found {
        let has = |option: u32| wanted.options & option != 0;
        let (own, thread) = (me.process.pid, me.thread());
        let mine = |of: Pid, tracer| of == own && (!has(raw::__WNOTHREAD) || tracer == thread);
        let mut found = Found::NoTracee;
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
            for member in &mut entry.members {
                let Some(trace) = member.trace.as_deref_mut() else { continue };
                if !mine(trace.of, trace.tracer) || !wanted.means(member.task.tid(), group) {
                    continue;
                }
                found = Found::Nothing;
                let Some(stop) = trace.stop.filter(|_| trace.to_tell) else { continue };
                if !has(raw::WNOWAIT) {
                    trace.to_tell = false;
                }
                return Found::Event(Event {
                    pid: member.task.tid(),
                    code: raw::CLD_TRAPPED,
                    status: stop.code.cast_signed(),
                    run_time: sched::run_time(member.task.thread()),
                });
            }
        }
        let dead = self.dead.iter().position(|dead| {
            mine(dead.tracer.process, dead.tracer.thread) && wanted.means(dead.tid, dead.group)
        });
        let Some(at) = dead else { return found };
        if !has(raw::WEXITED) {
            return Found::Nothing;
        }
        let dead = &self.dead[at];
        let event = Event {
            pid: dead.tid,
            code: code_of(dead.status),
            status: value_of(dead.status),
            run_time: dead.run_time,
        };
        if !has(raw::WNOWAIT) {
            let of = self.dead.remove(at).of;
            self.count_tracee_out(own);
            self.tell_of_end(of);
        }
        Found::Event(event)
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
