//! How a trace begins and ends.

use super::super::process::Pid;
use super::super::table::{Entry, Member, Table, table};
use super::super::{Task, calls, children::Change};
use super::state::{Dead, Kind, Options, Trace};
use crate::errno::Errno;
use crate::sched::{self, TaskId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use linux_raw_sys::general::TRAP_TRACE;
use rules::step::Owners;
use signals::{Info, Signal};

impl Entry {
    /// Begins the trace of a task. Called under the table's lock, of which the entry is a part.
    pub fn trace(&mut self, at: usize, trace: Box<Trace>, tracees: &core::sync::atomic::AtomicUsize) {
        let member = &mut self.members[at];
        tracees.fetch_add(1, AcqRel);
        member.task.calls.store(calls::traced(), Release);
        member.trace = Some(trace);
    }
}

impl Table {
    /// Ends the trace of a task, which goes on without it. A signal that its tracer has given before is delivered.
    pub fn end_trace(&mut self, pid: Pid, at: usize) {
        let Some(entry) = self.process(pid) else { return };
        let Some(mut trace) = entry.members[at].trace.take() else { return };
        let member = &mut entry.members[at];
        member.forget_tracer(&trace);
        let of = trace.of;
        if trace.stop.is_some() || trace.given.is_some() || trace.is_changed() {
            if trace.stop.is_some_and(|stop| stop.kind == Kind::Signal) && trace.to_tell {
                // As Linux: nobody has been told of the signal, so it is delivered.
                trace.given = trace.info.filter(|info| !is_of_step(info)).map(|info| info.signal);
            }
            trace.stop = None;
            member.left = Some(trace);
        }
        // The process may have stopped: then the task stops with it.
        member.task.alert();
        self.count_tracee_out(of);
    }

    /// A new task is traced from its beginning, if there is a trace for it.
    pub fn trace_child(&mut self, pid: Pid, at: usize, trace: Option<Box<Trace>>) {
        let Some(trace) = trace else { return };
        let (of, seized) = (trace.of, trace.seized);
        // The tracer may have ended since the task that makes this one was looked at.
        let is_tracer =
            |entry: &&mut Entry| entry.members.iter().any(|member| member.task.thread() == trace.tracer);
        let Some(tracer) = self.process(of).filter(is_tracer).map(|entry| entry.process.clone()) else {
            return;
        };
        if let Some(entry) = self.process(pid) {
            entry.trace(at, trace, &tracer.tracees);
            entry.members[at].begins_traced(seized);
        }
    }

    /// One tracee of a process is less.
    pub fn count_tracee_out(&mut self, of: Pid) {
        if let Some(entry) = self.process(of) {
            entry.process.tracees.fetch_sub(1, AcqRel);
        }
    }

    /// The tracer, a thread of process `of`, has left the table: so do its traces end (T5).
    pub fn end_tracer(&mut self, tracer: TaskId, of: Pid) {
        if self.process(of).is_none_or(|entry| entry.process.tracees.load(Relaxed) == 0) {
            return;
        }
        let mut tracees = Vec::new();
        for (pid, entry) in &self.processes {
            let of_tracer = |trace: &Trace| trace.tracer == tracer;
            for (at, member) in entry.members.iter().enumerate() {
                if let Some(trace) = member.trace.as_deref().filter(|trace| of_tracer(trace)) {
                    tracees.push((*pid, at, trace.options.contains(Options::EXITKILL)));
                }
            }
        }
        for (pid, at, kills) in tracees {
            if kills {
                let _ = self.send(pid, None, &Info::kernel(Signal::SIGKILL));
            }
            self.end_trace(pid, at);
        }
        let of_tracer: Vec<Dead> = self.dead.extract_if(.., |dead| dead.tracer.thread == tracer).collect();
        for dead in of_tracer {
            self.count_tracee_out(of);
            self.tell_of_end(dead.of);
        }
        let first = |entry: &Entry| entry.first_tracer.is_some_and(|of| of.thread == tracer);
        let ended: Vec<Pid> =
            self.processes.iter().filter(|(_, entry)| first(entry)).map(|(pid, _)| *pid).collect();
        for pid in ended {
            self.end_first_trace(pid);
        }
    }

    /// Ends the trace of a process whose first task has ended: if all of it has, its parent is told now.
    pub fn end_first_trace(&mut self, pid: Pid) {
        let Some(entry) = self.process(pid) else { return };
        let Some(tracer) = entry.first_tracer.take() else { return };
        let (zombie, parent) = (entry.zombie, entry.parent);
        if tracer.kills && !zombie {
            let _ = self.send(pid, None, &Info::kernel(Signal::SIGKILL));
        }
        self.count_tracee_out(tracer.process);
        if zombie && parent != tracer.process {
            self.tell_of_zombie(pid);
        } else if zombie && self.leaves_no_zombie(pid) {
            self.remove(pid);
        }
    }
}

/// Whether a signal tells a tracer of a step. It is for nobody else (T5).
pub fn is_of_step(info: &Info) -> bool {
    info.signal == Signal::SIGTRAP && info.code == TRAP_TRACE as i32
}

impl Member {
    /// The task is nobody's tracee any more.
    fn forget_tracer(&mut self, trace: &Trace) {
        let task = &self.task;
        task.calls.store(calls::untraced(), Release);
        if trace.steps {
            // A step that has been done already, and is about to be reported, is nobody's.
            task.drops_step.store(true, Relaxed);
            task.debug.cancel_step(Owners::TRACER);
            self.pending.remove(Signal::SIGTRAP, TRAP_TRACE as i32);
        }
    }
}

impl Trace {
    /// Whether the tracer has changed registers that the task has not yet taken over.
    fn is_changed(&self) -> bool {
        self.registers_changed || self.tls_changed || self.fp_changed
    }
}

/// PTRACE_TRACEME: the parent of the running task's process traces the task. Thread context.
///
/// # Errors
/// EPERM if it is traced already, or has no parent.
pub fn trace_me(task: &Task) -> Result<(), Errno> {
    let mut table = table();
    let (entry, at) = table.own(task).ok_or(Errno::ESRCH)?;
    let (pid, parent, creator) = (task.process.pid, entry.parent, entry.creator);
    if entry.members[at].trace.is_some() {
        return Err(Errno::EPERM);
    }
    let tracer = table.process(parent).ok_or(Errno::EPERM)?;
    // The thread that has made the process, or another one if that one has ended.
    let made = tracer.members.iter().find(|member| member.task.thread() == creator);
    let tracer_thread = made.or(tracer.members.first()).ok_or(Errno::EPERM)?.task.thread();
    let process = tracer.process.clone();
    let trace = Trace::new(tracer_thread, process.clone(), false, Options::empty());
    table.process(pid).ok_or(Errno::ESRCH)?.trace(at, trace, &process.tracees);
    Ok(())
}

/// PTRACE_ATTACH and PTRACE_SEIZE: the running task traces another one. Thread context.
///
/// # Errors
/// ESRCH; EPERM if the task is of the same process, is traced already or has ended.
pub fn attach(task: &Task, tid: Pid, seize: Option<Options>) -> Result<(), Errno> {
    let mut table = table();
    let Some((pid, at)) = table.place_of(tid) else {
        // A task that has ended cannot be traced any more.
        return Err(if table.process(tid).is_some() { Errno::EPERM } else { Errno::ESRCH });
    };
    if pid == task.process.pid {
        return Err(Errno::EPERM);
    }
    let entry = table.process(pid).ok_or(Errno::ESRCH)?;
    if entry.members[at].trace.is_some() || entry.ends.is_some() {
        return Err(Errno::EPERM);
    }
    let mut trace =
        Trace::new(task.thread(), task.process.clone(), seize.is_some(), seize.unwrap_or_default());
    // Of a process that has stopped the tracer is told so at once.
    trace.trap = entry.stopped.is_some();
    entry.trace(at, trace, &task.process.tracees);
    entry.members[at].task.alert();
    if seize.is_none() {
        let _ = table.send(pid, Some(tid), &Info::kernel(Signal::SIGSTOP));
    }
    Ok(())
}

impl Table {
    /// Notes that a task, which leaves the table, was traced, so that its tracer is told of its end.
    pub fn tracee_ends(&mut self, pid: Pid, member: &mut Member) {
        let Some(trace) = member.trace.take() else { return };
        let tracer = trace.tracer();
        let tid = member.task.tid();
        let Some(entry) = self.process(pid) else { return };
        if tid == pid {
            // The tracer is told once all tasks have ended. If another task calls execve it takes over the number, and nobody is told.
            if member.task.ends.load(Relaxed) && entry.ends.is_none() {
                return self.count_tracee_out(tracer.process);
            }
            entry.first_tracer = Some(tracer);
            return;
        }
        let status = match member.exits.or(entry.ends) {
            Some(status) => status.as_wait_has_it(),
            None => 0,
        };
        let group = entry.group;
        let run_time = sched::run_time(member.task.thread());
        self.dead.push(Dead { tid, of: pid, group, tracer, status, run_time });
        let change =
            Change { id: tid, code: super::wait::code_of(status), status: super::wait::value_of(status) };
        self.tell(tracer.process, Some(Signal::SIGCHLD), &change, true);
    }
}
