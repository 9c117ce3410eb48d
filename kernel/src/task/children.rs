//! How processes stop, go on and end, and what their parents are told of it.

use super::process::{Pid, Process, Status};
use super::table::{Listed, Table};
use crate::sched::{self, TaskId};
use linux_raw_sys::general as raw;
use signals::{Fields, Info, Signal};

/// USER_HZ: nanoseconds of the ticks in which times are told.
const TICK: u64 = 10_000_000;

/// What has happened to a child or a tracee.
pub(super) struct Change {
    /// Its number.
    pub id: Pid,
    /// CLD_*.
    pub code: u32,
    /// The exit status or the signal, by the code.
    pub status: i32,
}

impl Table {
    /// Has a process that stops, or has stopped, go on.
    pub fn go_on(&mut self, pid: Pid) {
        let Some(entry) = self.process(pid) else { return };
        let stopped = entry.stopped.take();
        entry.stop_to_tell = None;
        for member in &mut entry.members {
            member.halted = false;
            member.may_stop = false;
            if let Some(trace) = member.trace.as_deref_mut() {
                trace.process_goes_on();
            }
            member.task.alert();
        }
        if stopped.is_some() {
            let told = !core::mem::replace(&mut entry.stopping, false);
            if told {
                entry.continue_to_tell = true;
                self.tell_parent(pid, raw::CLD_CONTINUED, Signal::SIGCONT.number() as i32);
            }
        }
    }

    /// Stops a process by a signal that one of its tasks has taken.
    pub fn stop(&mut self, pid: Pid, signal: Signal) {
        let Some(entry) = self.process(pid) else { return };
        if entry.stopped.is_none() {
            entry.stopped = Some(signal);
            entry.stopping = true;
            entry.continue_to_tell = false;
            for member in &mut entry.members {
                if let Some(trace) = member.trace.as_deref_mut() {
                    trace.ask_to_stop();
                }
                member.task.alert();
            }
            return;
        }
        // It has stopped already, but its tracer may have had tasks go on: these stop again, by this signal.
        entry.stopped = Some(signal);
        for member in &mut entry.members {
            if let Some(trace) = member.trace.as_deref_mut().filter(|trace| trace.stop.is_none()) {
                trace.ask_to_stop();
                member.task.alert();
            }
        }
    }

    /// Tells the parent of a stop once all tasks have halted.
    pub fn check_stop(&mut self, pid: Pid) {
        let Some(entry) = self.process(pid) else { return };
        let Some(signal) = entry.stopped else { return };
        if entry.stopping && entry.members.iter().all(|member| member.halted) {
            entry.stopping = false;
            entry.stop_to_tell = Some(signal);
            self.tell_parent(pid, raw::CLD_STOPPED, signal.number() as i32);
        }
    }

    /// Sends the parent the signal for a change of a child, and wakes it if it waits.
    fn tell_parent(&mut self, pid: Pid, code: u32, status: i32) {
        let Some(child) = self.process(pid) else { return };
        let ended = !matches!(code, raw::CLD_STOPPED | raw::CLD_CONTINUED);
        let signal = if ended { child.exit_signal } else { Some(Signal::SIGCHLD) };
        let parent = child.parent;
        // A parent that traces its child is told of stops as its tracer.
        let traces = child.members.first().and_then(|member| member.trace.as_deref());
        if !ended && traces.is_some_and(|trace| trace.of == parent) {
            return;
        }
        self.tell(parent, signal, &Change { id: pid, code, status }, ended);
    }

    /// Sends a process the signal for a change of a child or a tracee, and wakes it if it waits.
    pub fn tell(&mut self, who: Pid, signal: Option<Signal>, change: &Change, ended: bool) {
        let Some(process) = self.process(who).map(|entry| entry.process.clone()) else { return };
        if let Some(waiter) = self.tell_but_one(&process, signal, change, ended) {
            // The table's lock keeps interrupts off.
            sched::wake_masked(waiter);
        }
    }

    /// As [`tell`](Self::tell), but leaves it to the caller to wake the thread that waits longest, if one waits.
    #[inline(always)]
    pub fn tell_but_one(
        &mut self,
        process: &Process,
        signal: Option<Signal>,
        change: &Change,
        ended: bool,
    ) -> Option<TaskId> {
        let entry = self.entry(process)?;
        let wants = ended || entry.actions.wants_child_stops();
        if let Some(signal) = signal
            && wants
            && !entry.loses(signal)
        {
            self.send_change(process, signal, change);
        }
        // The table's lock keeps interrupts off.
        process.changed.wake_but_one_masked()
    }

    #[inline(never)]
    fn send_change(&mut self, process: &Process, signal: Signal, change: &Change) {
        let run_time = self.processes.get(&change.id).map_or(0, |child| child.run_time);
        let fields = Fields::Child {
            pid: change.id.cast_signed(),
            uid: 0,
            status: change.status,
            utime: (run_time / TICK).cast_signed(),
            stime: 0,
        };
        let info = Info { signal, errno: 0, code: change.code.cast_signed(), fields };
        let _ = self.send(process.pid, None, &info);
    }

    /// The last task of a process has ended: it is a zombie until its parent has asked for its status, and its children get another parent.
    pub fn finish(&mut self, pid: Pid) {
        let Some(entry) = self.process(pid) else { return };
        let status = entry.ends.or(entry.exits).unwrap_or(Status::Exited(0));
        entry.ends = Some(status);
        entry.zombie = true;
        entry.stopped = None;
        entry.interval_timers = [(0, 0); 3];
        entry.drop_timers();
        entry.process.set_status(status);
        let (own_group, session, parent) = (entry.group, entry.session, entry.parent);
        let children: alloc::vec::Vec<Pid> =
            self.processes.iter().filter(|(_, child)| child.parent == pid).map(|(child, _)| *child).collect();
        // The groups that this process has connected with its session: a member has a parent in another group.
        let connects =
            |parent: &Listed, child: (Pid, Pid)| parent.group != child.0 && parent.session == child.1;
        let connected =
            self.processes.get(&parent).is_some_and(|parent| connects(parent, (own_group, session)));
        let mut groups: alloc::vec::Vec<Pid> = connected.then_some(own_group).into_iter().collect();
        for child in children {
            let Some(entry) = self.process(child) else { continue };
            entry.set_parent(if pid == 1 { 0 } else { 1 });
            entry.exit_signal = entry.exit_signal.map(|_| Signal::SIGCHLD);
            if entry.group != own_group && entry.session == session {
                groups.push(entry.group);
            }
            let (zombie, ends) = (entry.zombie, entry.ends);
            if zombie && let Some(ends) = ends {
                self.tell_end(child, ends);
            }
        }
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let stopped = |entry: &Listed| entry.group == group && entry.stopped.is_some();
            if self.is_orphaned(group) && self.processes.values().any(stopped) {
                for member in self.group(group) {
                    let _ = self.send(member, None, &Info::kernel(Signal::SIGHUP));
                    let _ = self.send(member, None, &Info::kernel(Signal::SIGCONT));
                }
            }
        }
        self.tell_of_end(pid);
    }

    /// If all of a process has ended, and no tracer is still to be told of one of its tasks: the tracer of its first task is told, or its
    /// parent.
    pub fn tell_of_end(&mut self, pid: Pid) {
        if self.has_dead(pid) {
            return;
        }
        let Some(entry) = self.process(pid).filter(|entry| entry.zombie) else { return };
        let (parent, status) = (entry.parent, entry.ends.unwrap_or(Status::Exited(0)));
        let tracer = entry.first_tracer;
        match tracer.map(|tracer| tracer.process) {
            // The parent is told once the tracer was.
            Some(tracer) if tracer != parent && self.process(tracer).is_some() => {
                let (code, status) = status.change();
                self.tell(tracer, Some(Signal::SIGCHLD), &Change { id: pid, code, status }, true);
            }
            _ => self.tell_of_zombie(pid),
        }
    }

    /// Whether a tracer is still to be told of the end of one of a process's tasks.
    pub fn has_dead(&self, pid: Pid) -> bool {
        self.dead.iter().any(|dead| dead.of == pid)
    }

    /// Whether a process's parent does not want to know of its end. A parent that is its tracer is told.
    pub fn leaves_no_zombie(&mut self, pid: Pid) -> bool {
        let Some(entry) = self.process(pid) else { return false };
        let (parent, can) =
            (entry.parent, entry.exit_signal == Some(Signal::SIGCHLD) && entry.first_tracer.is_none());
        can && self.process(parent).is_some_and(|parent| parent.actions.reaps_children())
    }

    /// All of a process has ended, and its parent is told.
    pub fn tell_of_zombie(&mut self, pid: Pid) {
        let Some(entry) = self.process(pid) else { return };
        let (parent, status) = (entry.parent, entry.ends);
        let reaped = self.leaves_no_zombie(pid);
        self.tell_end(pid, status.unwrap_or(Status::Exited(0)));
        if reaped || (parent == 0 && pid != 1) {
            self.remove(pid);
        }
    }

    /// Takes a process that has ended out of the table.
    pub fn remove(&mut self, pid: Pid) -> Option<Listed> {
        let entry = self.processes.remove(&pid)?;
        if let Some(tracer) = entry.first_tracer {
            self.count_tracee_out(tracer.process);
        }
        Some(entry)
    }

    fn tell_end(&mut self, pid: Pid, status: Status) {
        let (code, status) = status.change();
        self.tell_parent(pid, code, status);
    }
}
