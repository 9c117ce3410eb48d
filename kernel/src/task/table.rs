//! The table of all processes and tasks, under one spin lock: who is whose child, which signals wait, who stops and who has ended.
//!
//! Signals come from interrupt handlers too (the terminal, timers), so the lock is an [`IrqMutex`]. Nothing in the table has to sleep to be
//! given back: a process gives up its files and its tasks their address spaces before they leave the table.

use super::Task;
use super::process::{Pid, Process, Status};
use super::trace::state::{Dead, Trace, Tracer};
use crate::arch;
use crate::sched::TaskId;
use crate::sync::{IrqMutex, IrqMutexGuard, MaskedGuard};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use signals::{Actions, AltStack, Pending, SigSet, Signal, Timers};

/// The most processes, zombies included. Stacks of the kernel limit the number of threads.
const MOST: usize = 16384;
/// The numbers of processes and tasks are below this, as Linux's `pid_max` says by default.
pub const PID_LIMIT: Pid = 32768;
/// Where numbers start again once all have been given.
const FIRST_AGAIN: Pid = 300;

/// A task as the table knows it.
pub(super) struct Member {
    pub task: Arc<Task>,
    /// The signals that wait until they are unblocked.
    pub blocked: SigSet,
    /// The mask that `rt_sigsuspend` and its like have set aside.
    pub saved: Option<SigSet>,
    /// The task's own queue.
    pub pending: Pending,
    /// The alternate stack.
    pub alternate: AltStack,
    /// The signal of the last fault, with FAR_EL1 and ESR_EL1.
    pub fault: Option<(Signal, u64, u64)>,
    /// The task has stopped with its process.
    pub halted: bool,
    /// No SIGCONT has come since the signal was taken for which the task has stopped last: a signal by which its tracer lets it go on may stop the
    /// process.
    pub may_stop: bool,
    /// What the task's tracer has of it.
    pub trace: Option<Box<Trace>>,
    /// What a tracer that is gone has left: how the task goes on from the stop in which it still is.
    pub left: Option<Box<Trace>>,
    /// How the task ends, for its tracer.
    pub exits: Option<Status>,
    /// When the task was made, in nanoseconds since the machine's start.
    pub started: u64,
}

impl Member {
    pub fn new(task: Arc<Task>, blocked: SigSet) -> Self {
        Self {
            task,
            blocked,
            saved: None,
            pending: Pending::new(),
            alternate: AltStack::DISABLED,
            fault: None,
            halted: false,
            may_stop: false,
            trace: None,
            left: None,
            exits: None,
            started: crate::clock::nanoseconds(),
        }
    }
}

/// A process as the table knows it: until its parent has asked for its status.
pub(super) struct Entry {
    pub process: Arc<Process>,
    /// 0 if nobody waits for the process.
    pub parent: Pid,
    /// The thread that has made the process.
    pub creator: TaskId,
    /// The tracer of the process's first task, which has ended: it is told of the process's end before the parent.
    pub first_tracer: Option<Tracer>,
    pub group: Pid,
    pub session: Pid,
    /// What the parent gets when the process ends.
    pub exit_signal: Option<Signal>,
    /// The tasks that have not ended.
    pub members: Vec<Member>,
    pub actions: Box<Actions>,
    /// The signals for whichever task takes them.
    pub pending: Pending,
    /// The process ends, or has ended, like this.
    pub ends: Option<Status>,
    /// How the process ends if each task ends by itself: as the last task did.
    pub exits: Option<Status>,
    /// All tasks have ended, and the files are closed.
    pub zombie: bool,
    /// The process stops, or has stopped, by this signal.
    pub stopped: Option<Signal>,
    /// The parent was not yet told of the stop: not all tasks have halted.
    pub stopping: bool,
    /// What `wait4` has not yet told the parent.
    pub stop_to_tell: Option<Signal>,
    pub continue_to_tell: bool,
    /// How long tasks that have ended ran, in nanoseconds, and children that were waited for.
    pub run_time: u64,
    pub children_time: u64,
    /// When ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF expire, and their intervals, all in nanoseconds; 0 if never. The first one goes by the
    /// machine's clock, the others by the time that the process's tasks have run.
    pub interval_timers: [(u64, u64); 3],
    /// The timers of `timer_create`.
    pub timers: Timers,
}

impl Entry {
    pub fn new(process: Arc<Process>, actions: Box<Actions>) -> Self {
        Self {
            process,
            parent: 0,
            creator: TaskId::from_bits(0),
            first_tracer: None,
            group: 0,
            session: 0,
            exit_signal: Some(Signal::SIGCHLD),
            members: Vec::new(),
            actions,
            pending: Pending::new(),
            ends: None,
            exits: None,
            zombie: false,
            stopped: None,
            stopping: false,
            stop_to_tell: None,
            continue_to_tell: false,
            run_time: 0,
            children_time: 0,
            interval_timers: [(0, 0); 3],
            timers: Timers::new(),
        }
    }

    /// Gives the process another parent; 0 for none.
    pub fn set_parent(&mut self, parent: Pid) {
        self.parent = parent;
        self.process.parent.store(parent, core::sync::atomic::Ordering::Relaxed);
    }

    /// Has all tasks end, unless they do already.
    pub fn end(&mut self, status: Status) {
        if self.ends.is_none() {
            self.ends = Some(status);
            self.process.ends.store(true, core::sync::atomic::Ordering::Release);
            self.members.iter().for_each(|member| member.task.alert());
        }
    }
}

/// An entry that stays where it is for as long as it is in the table, so that its process can point to it ([`Table::own`]).
pub(super) struct Listed(NonNull<Entry>);

// SAFETY: the value owns its entry, as a box does.
unsafe impl Send for Listed {}

impl Listed {
    fn new(entry: Entry) -> Self {
        let entry = NonNull::from(Box::leak(Box::new(entry)));
        let this = Self(entry);
        this.process.entry.store(entry.as_ptr().cast(), Relaxed);
        this
    }
}

impl Deref for Listed {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        // SAFETY: the entry lives until this value is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl DerefMut for Listed {
    fn deref_mut(&mut self) -> &mut Entry {
        // SAFETY: as above, and the value is borrowed alone.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.process.entry.store(core::ptr::null_mut(), Relaxed);
        // SAFETY: the entry is a leaked box, and nobody uses it any more. Only a process's own tasks ask for its entry, and the tasks that one of
        // them traces. A process whose entry leaves the table has no tasks, and each of these has ended its traces, under the lock under which
        // it left the table.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// All processes by number.
pub(super) struct Table {
    pub processes: BTreeMap<Pid, Listed>,
    /// Tasks that have ended, and whose tracers were not yet told.
    pub dead: Vec<Dead>,
    /// Numbers that have been given to tasks that are not in the table yet.
    reserved: Vec<Pid>,
    last: Pid,
    /// One bit for each number, set if the number above `last` may be in use. All numbers have been used since the bits were set
    /// before `last` reaches the limit; then the bits are set anew, so that each new number costs the same, however many tasks there are.
    maybe_used: [u64; PID_LIMIT as usize / 64],
}

static TABLE: IrqMutex<Table> = IrqMutex::new(Table {
    processes: BTreeMap::new(),
    dead: Vec::new(),
    reserved: Vec::new(),
    last: 0,
    maybe_used: [0; PID_LIMIT as usize / 64],
});

/// Takes the lock of the table. Thread and interrupt context.
#[inline]
pub(super) fn table() -> IrqMutexGuard<'static, Table> {
    TABLE.lock()
}

/// Takes the lock of the table, where interrupts are off already.
#[inline(always)]
pub(super) fn table_masked() -> MaskedGuard<'static, Table> {
    arch::in_register(&TABLE).lock_masked()
}

/// Does something short with the table. Thread context.
#[inline(always)]
pub(super) fn with_table<R>(act: impl FnOnce(&mut Table) -> R) -> R {
    arch::in_register(&TABLE).with(act)
}

/// A number that nobody else has, for as long as the value lives. A task that is in the table keeps its number without it.
pub(super) struct Number(pub Pid);

impl Number {
    /// A free number; None if there are too many tasks. Thread context.
    pub fn new() -> Option<Self> {
        let mut table = table();
        if table.processes.len() + table.reserved.len() >= MOST {
            return None;
        }
        let number = match table.next_free() {
            Some(number) => number,
            None => {
                table.last = FIRST_AGAIN - 1;
                table.look_at_numbers();
                table.next_free()?
            }
        };
        table.reserved.try_reserve(1).ok()?;
        table.reserved.push(number);
        table.last = number;
        Some(Self(number))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        table().reserved.retain(|number| *number != self.0);
    }
}

impl Table {
    /// The first number above `last` that nobody has.
    fn next_free(&self) -> Option<Pid> {
        (self.last + 1..PID_LIMIT)
            .find(|&number| self.maybe_used[number as usize / 64] >> (number % 64) & 1 == 0)
    }

    /// Sets the bits of all numbers in use. A number is also used while a process group or a session has it.
    fn look_at_numbers(&mut self) {
        let Self { processes, dead, reserved, maybe_used, .. } = self;
        maybe_used.fill(0);
        let mut note = |number: Pid| {
            if let Some(word) = maybe_used.get_mut(number as usize / 64) {
                *word |= 1 << (number % 64);
            }
        };
        reserved.iter().for_each(|number| note(*number));
        dead.iter().for_each(|dead| note(dead.tid));
        for (pid, entry) in processes.iter() {
            [*pid, entry.group, entry.session].into_iter().for_each(&mut note);
            entry.members.iter().for_each(|member| note(member.task.tid()));
        }
    }

    /// A process that exists, zombies included.
    pub fn process(&mut self, pid: Pid) -> Option<&mut Entry> {
        self.processes.get_mut(&pid).map(|entry| &mut **entry)
    }

    /// Adds a process.
    pub fn insert(&mut self, entry: Entry) {
        self.processes.insert(entry.process.pid, Listed::new(entry));
    }

    /// The running task and its process.
    #[inline]
    pub fn own(&mut self, task: &Task) -> Option<(&mut Entry, usize)> {
        let entry = self.entry(&task.process)?;
        let at = entry.members.iter().position(|member| core::ptr::eq(Arc::as_ptr(&member.task), task))?;
        Some((entry, at))
    }

    /// The number of the process that a task belongs to.
    pub fn process_of(&self, tid: Pid) -> Option<Pid> {
        let has = |entry: &Entry| entry.members.iter().any(|member| member.task.tid() == tid);
        self.processes.iter().find(|(_, entry)| has(entry)).map(|(pid, _)| *pid)
    }

    /// The process that a task belongs to, and the task's place in it.
    pub fn place_of(&self, tid: Pid) -> Option<(Pid, usize)> {
        let of = |entry: &Entry| entry.members.iter().position(|member| member.task.tid() == tid);
        // Nearly always the first task of a process is meant.
        if let Some(at) = self.processes.get(&tid).and_then(|entry| of(entry)) {
            return Some((tid, at));
        }
        self.processes.iter().find_map(|(pid, entry)| Some((*pid, of(entry)?)))
    }

    /// A task by its number, in its process.
    #[inline]
    pub fn member(&mut self, tid: Pid) -> Option<&mut Member> {
        // Nearly always the first task of a process is meant.
        let has_it = |first: &Member| first.task.tid() == tid;
        let listed = self.processes.get(&tid).filter(|entry| entry.members.first().is_some_and(has_it));
        match listed.map(|entry| entry.0) {
            // SAFETY: the entry is in this table, which has been borrowed alone ever since it was found.
            Some(entry) => unsafe { &mut *entry.as_ptr() }.members.first_mut(),
            None => {
                let (pid, at) = self.place_of(tid)?;
                self.process(pid)?.members.get_mut(at)
            }
        }
    }

    /// The entry of a process that has tasks: the running task's own, that of its tracer, or one that was just found in the table; None if the
    /// process is not in the table yet.
    #[inline(always)]
    pub fn entry(&mut self, process: &Process) -> Option<&mut Entry> {
        // SAFETY: null, or the process's entry in this table. The caller asks for its own process, or for that of its tracer: both have tasks, so
        // that their entries are in the table (see `Listed`). The table, which is borrowed alone, gives out one reference at a time.
        unsafe { process.entry.load(Relaxed).cast::<Entry>().as_mut() }
    }

    /// A task by its number.
    pub fn task(&self, tid: Pid) -> Option<Arc<Task>> {
        let mut members = self.processes.values().flat_map(|entry| &entry.members);
        members.find(|member| member.task.tid() == tid).map(|member| member.task.clone())
    }

    /// The processes of a group.
    pub fn group(&self, group: Pid) -> Vec<Pid> {
        self.processes.iter().filter(|(_, entry)| entry.group == group).map(|(pid, _)| *pid).collect()
    }

    /// Whether no process of the group has a parent that is in another group of the same session: nobody could continue the group.
    pub fn is_orphaned(&self, group: Pid) -> bool {
        !self.processes.values().any(|entry| {
            entry.group == group
                && !entry.zombie
                && self
                    .processes
                    .get(&entry.parent)
                    .is_some_and(|parent| parent.group != group && parent.session == entry.session)
        })
    }
}
