//! How processes stop, go on and end, and what their parents are told of it.

use super::process::{Pid, Status};
use super::table::{Listed, Table};
use linux_raw_sys::general as raw;
use signals::{Fields, Info, Signal};

/// USER_HZ: nanoseconds of the ticks in which times are told.
const TICK: u64 = 10_000_000;

impl Table {
    /// Has a process that stops, or has stopped, go on.
    pub fn go_on(&mut self, pid: Pid) {
        let Some(entry) = self.process(pid) else { return };
        let stopped = entry.stopped.take();
        entry.stop_to_tell = None;
        for member in &mut entry.members {
            member.halted = false;
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
            entry.members.iter().for_each(|member| member.task.alert());
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
        let (parent, utime) = (child.parent, (child.run_time / TICK).cast_signed());
        let ended = !matches!(code, raw::CLD_STOPPED | raw::CLD_CONTINUED);
        let signal = if ended { child.exit_signal } else { Some(Signal::SIGCHLD) };
        let fields = Fields::Child { pid: pid.cast_signed(), uid: 0, status, utime, stime: 0 };
        let Some(entry) = self.process(parent) else { return };
        let wants = ended || entry.actions.wants_child_stops();
        let process = entry.process.clone();
        if let Some(signal) = signal
            && wants
        {
            let info = Info { signal, errno: 0, code: code as i32, fields };
            let _ = self.send(parent, None, &info);
        }
        process.changed.wake_all();
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
        *entry.process.status.lock() = Some(status);
        let (own_group, parent, signal) = (entry.group, entry.parent, entry.exit_signal);
        let children: alloc::vec::Vec<Pid> =
            self.processes.iter().filter(|(_, child)| child.parent == pid).map(|(child, _)| *child).collect();
        let mut groups = alloc::vec![own_group];
        for child in children {
            let Some(entry) = self.process(child) else { continue };
            entry.set_parent(if pid == 1 { 0 } else { 1 });
            entry.exit_signal = entry.exit_signal.map(|_| Signal::SIGCHLD);
            groups.push(entry.group);
            let (zombie, ends) = (entry.zombie, entry.ends);
            if zombie && let Some(ends) = ends {
                self.tell_end(child, ends);
            }
        }
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
        // A parent that does not want to know leaves no zombie.
        let reaped = signal == Some(Signal::SIGCHLD)
            && self.process(parent).is_some_and(|parent| parent.actions.reaps_children());
        self.tell_end(pid, status);
        if reaped || (parent == 0 && pid != 1) {
            self.processes.remove(&pid);
        }
    }

    fn tell_end(&mut self, pid: Pid, status: Status) {
        match status {
            Status::Exited(status) => self.tell_parent(pid, raw::CLD_EXITED, status.into()),
            Status::Killed(signal) => self.tell_parent(pid, raw::CLD_KILLED, signal.into()),
        }
    }
}
