//! Processes and tasks as others look at them: what `/proc` shows.
//!
//! A [`Subject`] does not keep what it names alive, and never names another process that gets the same number later. Everything that is under
//! the table's lock is copied at once, into [`Facts`]; memory, files and places are looked at afterwards, without that lock.

use super::process::{Pid, Process, Status};
use super::signal::ROOM;
use super::table::{Entry, Member, Table, table};
use super::{Task, current};
use crate::errno::Errno;
use crate::sched::{self, CpuSet, Policy, TaskState};
use crate::space::Space;
use alloc::sync::{Arc, Weak};
use procfs::State;
use signals::{Handler, SigSet, Signal};

/// A process, or one of its tasks, that somebody looks at.
#[derive(Clone)]
pub struct Subject {
    pid: Pid,
    process: Weak<Process>,
    task: Option<(Pid, Weak<Task>)>,
}

/// What the table says of a process or a task.
pub struct Facts {
    /// The number of the task, or of the process.
    pub id: Pid,
    /// The process.
    pub pid: Pid,
    /// Its parent, its group and its session.
    pub parent: Pid,
    /// Its group.
    pub group: Pid,
    /// Its session.
    pub session: Pid,
    /// What it is doing.
    pub state: State,
    /// The process that traces it; 0 if none does.
    pub tracer: Pid,
    /// How many tasks the process has.
    pub threads: u32,
    /// When it was made, in nanoseconds since the machine's start.
    pub started: u64,
    /// How long the task, or all of the process, has run, and the children that were waited for, in nanoseconds.
    pub run_time: u64,
    /// How long children that were waited for ran.
    pub children_time: u64,
    /// Signals that wait for the task, and for the process.
    pub pending: [SigSet; 2],
    /// How many of these there are, and how many there may be.
    pub queued: (usize, usize),
    /// Blocked signals.
    pub blocked: SigSet,
    /// Ignored signals.
    pub ignored: SigSet,
    /// Signals with a handler.
    pub caught: SigSet,
    /// How the scheduler treats it.
    pub policy: Policy,
    /// Where it may run.
    pub affinity: CpuSet,
    /// Where it runs, or has run.
    pub cpu: u32,
    /// The signal that the parent gets at the end; 0 for none, -1 for a task that is not the process's first.
    pub exit_signal: i32,
    /// The status that wait4 gives.
    pub exit_code: u32,
}

/// The process with the lowest number that is not below `from`. Thread context.
pub fn next_process(from: Pid) -> Option<Pid> {
    table().processes.range(from..).next().map(|(pid, _)| *pid)
}

/// How many tasks run or wait for a CPU. Thread context.
pub fn running() -> u64 {
    let table = table();
    let members = table.processes.values().flat_map(|entry| &entry.members);
    members.filter(|member| state_of(member) == State::Running).count() as u64
}

/// How long all programs have run together, in nanoseconds. Thread context.
pub fn run_time() -> u64 {
    table().processes.values().map(|entry| run_time_of(entry) + entry.children_time).sum()
}

fn run_time_of(entry: &Entry) -> u64 {
    let running = entry.members.iter().map(|member| sched::run_time(member.task.thread()));
    entry.run_time + running.sum::<u64>()
}

/// What a task is doing.
fn state_of(member: &Member) -> State {
    if let Some(trace) = &member.trace {
        match trace.stopped() {
            Some(_) => return State::Traced,
            None if trace.stop.is_some() => return State::Stopped,
            None => {}
        }
    } else if member.halted {
        return State::Stopped;
    }
    match sched::state(member.task.thread()) {
        Some((TaskState::Running | TaskState::Ready, _)) => State::Running,
        // The kernel's own locks are known by even numbers: nothing ends a wait for them.
        Some((TaskState::WaitsForLock(key), _)) if key.0 & 1 == 0 => State::Waiting,
        Some((TaskState::Blocked | TaskState::WaitsForLock(_), _)) => State::Sleeping,
        Some((TaskState::Exited, _)) | None => State::Zombie,
    }
}

impl Subject {
    /// The process with a number, or the one that has a task with this number. Thread context.
    pub fn process(id: Pid) -> Option<Self> {
        let mut table = table();
        let of_dead = |table: &Table| table.dead.iter().find(|dead| dead.tid == id).map(|dead| dead.of);
        let pid = match table.process(id) {
            Some(_) => id,
            None => table.process_of(id).or_else(|| of_dead(&table))?,
        };
        let process = Arc::downgrade(&table.process(pid)?.process);
        let whole = Self { pid, process, task: None };
        drop(table);
        if id == pid { Some(whole) } else { whole.task(id) }
    }

    /// One of the process's tasks. Thread context.
    pub fn task(&self, tid: Pid) -> Option<Self> {
        let mut table = table();
        let is_dead = tid == self.pid || table.dead.iter().any(|dead| dead.tid == tid && dead.of == self.pid);
        let entry = self.entry(&mut table)?;
        let task = match entry.members.iter().find(|member| member.task.tid() == tid) {
            Some(member) => Arc::downgrade(&member.task),
            // It has ended, and somebody is still to be told.
            None if is_dead => Weak::new(),
            None => return None,
        };
        Some(Self { task: Some((tid, task)), ..self.clone() })
    }

    /// The process's task with the lowest number that is not below `from`. Thread context.
    pub fn next_task(&self, from: Pid) -> Option<Pid> {
        let mut table = table();
        let dead = table
            .dead
            .iter()
            .filter(|dead| dead.of == self.pid)
            .map(|dead| dead.tid)
            .filter(|tid| *tid >= from)
            .min();
        let entry = self.entry(&mut table)?;
        let live = entry.members.iter().map(|member| member.task.tid()).chain([self.pid]);
        live.filter(|tid| *tid >= from).chain(dead).min()
    }

    /// Whether the task that is looked at has ended, and somebody is still to be told: of the first task that is its process's parent.
    fn is_dead(&self, table: &Table) -> bool {
        let Some((tid, _)) = self.task else { return false };
        tid == self.pid || table.dead.iter().any(|dead| dead.tid == tid && dead.of == self.pid)
    }

    /// The process in the table, unless another one has its number by now.
    fn entry<'a>(&self, table: &'a mut Table) -> Option<&'a mut Entry> {
        let entry = table.process(self.pid)?;
        core::ptr::eq(Arc::as_ptr(&entry.process), self.process.as_ptr()).then_some(entry)
    }

    /// The task that is looked at: for a process its first one, or the first that is left.
    fn member<'a>(&self, entry: &'a Entry) -> Option<&'a Member> {
        let mut members = entry.members.iter();
        match &self.task {
            Some((_, task)) => members.find(|member| core::ptr::eq(Arc::as_ptr(&member.task), task.as_ptr())),
            None => members.find(|member| member.task.tid() == self.pid).or(entry.members.first()),
        }
    }

    /// Whether it still exists; a zombie does. Thread context.
    pub fn exists(&self) -> bool {
        let mut table = table();
        let is_dead = self.is_dead(&table);
        self.entry(&mut table)
            .is_some_and(|entry| self.task.is_none() || self.member(entry).is_some() || is_dead)
    }

    /// What is shared by its tasks; None if it does not exist any more, or has ended and closed its files. Thread context.
    pub fn shared(&self) -> Option<Arc<Process>> {
        self.running().map(|task| task.process.clone())
    }

    /// The task that is looked at; None if it has ended. Thread context.
    fn running(&self) -> Option<Arc<Task>> {
        let mut table = table();
        let entry = self.entry(&mut table)?;
        self.member(entry).map(|member| member.task.clone())
    }

    /// Its memory; None if it has ended. Thread context.
    pub fn space(&self) -> Option<Arc<Space>> {
        self.running()?.space()
    }

    /// Its name, up to 15 bytes and a NUL. Thread context; may sleep.
    ///
    /// # Errors
    /// ESRCH.
    pub fn name(&self) -> Result<[u8; 16], Errno> {
        if let Some(task) = self.running() {
            return Ok(*task.name.lock());
        }
        // Of a zombie only the program's name is left.
        let process = self.process.upgrade().filter(|_| self.exists()).ok_or(Errno::ESRCH)?;
        let mut name = [0; 16];
        name.iter_mut().take(15).zip(process.name.lock().iter()).for_each(|(to, byte)| *to = *byte);
        Ok(name)
    }

    /// Gives it another name. Thread context.
    ///
    /// # Errors
    /// ESRCH; EINVAL if it is of another process than the running task.
    pub fn set_name(&self, name: &[u8]) -> Result<(), Errno> {
        let task = self.running().ok_or(Errno::ESRCH)?;
        if current().is_none_or(|own| own.process.pid != task.process.pid) {
            return Err(Errno::EINVAL);
        }
        let mut new = [0; 16];
        new.iter_mut().take(15).zip(name).for_each(|(to, byte)| *to = *byte);
        *task.name.lock() = new;
        Ok(())
    }

    /// What the table says of it. Thread context.
    ///
    /// # Errors
    /// ESRCH.
    pub fn facts(&self) -> Result<Facts, Errno> {
        let mut table = table();
        let is_dead = self.is_dead(&table);
        let entry = self.entry(&mut table).ok_or(Errno::ESRCH)?;
        let member = self.member(entry);
        if self.task.is_some() && member.is_none() && !is_dead {
            return Err(Errno::ESRCH);
        }
        let first_left = self.task.is_none() && member.is_some_and(|member| member.task.tid() != self.pid);
        let thread = member.map(|member| member.task.thread());
        let with_handler = |wanted: fn(Handler) -> bool| {
            let signals = (1..=Signal::MAX).filter_map(Signal::new);
            let found = signals.filter(|signal| wanted(entry.actions.get(*signal).handler));
            found.fold(SigSet::EMPTY, SigSet::with)
        };
        let own = member.map_or(SigSet::EMPTY, |member| member.pending.signals());
        let queued = entry.pending.queued() + member.map_or(0, |member| member.pending.queued());
        let first = self.task.as_ref().is_none_or(|(tid, _)| *tid == self.pid);
        Ok(Facts {
            id: self.task.as_ref().map_or(self.pid, |(tid, _)| *tid),
            pid: self.pid,
            parent: entry.parent,
            group: entry.group,
            session: entry.session,
            // A process whose first task has ended shows itself as a zombie, as on Linux, though other tasks go on.
            state: member.filter(|_| !first_left).map_or(State::Zombie, state_of),
            tracer: member.and_then(|member| member.trace.as_deref()).map_or(0, |trace| trace.of),
            threads: entry.members.len() as u32,
            started: member.map_or(0, |member| member.started),
            run_time: match (&self.task, thread) {
                (Some(_), Some(thread)) => sched::run_time(thread),
                _ => run_time_of(entry),
            },
            children_time: entry.children_time,
            pending: [own, entry.pending.signals()],
            queued: (queued, ROOM),
            blocked: member.map_or(SigSet::EMPTY, |member| member.blocked),
            ignored: with_handler(|handler| handler == Handler::Ignore),
            caught: with_handler(|handler| !matches!(handler, Handler::Ignore | Handler::Default)),
            policy: thread.and_then(|thread| sched::policy(thread).ok()).unwrap_or(Policy::Fair(0)),
            affinity: thread.and_then(|thread| sched::affinity(thread).ok()).unwrap_or(CpuSet(0)),
            cpu: thread.and_then(sched::state).map_or(0, |(_, cpu)| cpu as u32),
            exit_signal: match entry.exit_signal {
                _ if !first => -1,
                Some(signal) => signal.number() as i32,
                None => 0,
            },
            exit_code: match entry.ends {
                Some(Status::Exited(status)) => u32::from(status) << 8,
                Some(Status::Killed(signal)) => signal.into(),
                None => 0,
            },
        })
    }
}
