//! The timers of `setitimer` and of `timer_create`: a thread of the kernel sleeps until the next timer of any process expires, and sends its
//! signal. When a timer that goes by CPU time expires depends on how long the process's tasks run; the thread looks at the earliest instant
//! at which it can, and again if it has not.

use super::Task;
use super::table::{Entry, Listed, Table, table};
use crate::clock;
use crate::errno::Errno;
use crate::sched::{self, Alarm, CpuSet, Policy, TaskId};
use alloc::boxed::Box;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use signals::{Info, Notify, Setting, Signal};
use spin::Once;

/// The number of the thread that sends the signals.
static THREAD: AtomicU64 = AtomicU64::new(0);
static STARTED: Once<bool> = Once::new();

/// One of the timers of `setitimer`. The value is the number of ITIMER_REAL and so on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    /// By the machine's clock.
    Real,
    /// By the time that the process runs at EL0; time in the kernel is not counted apart.
    Virtual,
    /// By the time that the process runs.
    Profiling,
}

impl Interval {
    const ALL: [Self; 3] = [Self::Real, Self::Virtual, Self::Profiling];

    fn signal(self) -> Signal {
        match self {
            Self::Real => Signal::SIGALRM,
            Self::Virtual => Signal::SIGVTALRM,
            Self::Profiling => Signal::SIGPROF,
        }
    }

    /// The time by which the timer goes.
    fn now(self, entry: &Entry) -> u64 {
        match self {
            Self::Real => clock::nanoseconds(),
            Self::Virtual | Self::Profiling => entry.own_time(),
        }
    }

    /// When the timer can expire at the earliest, by the machine's clock; None if it does not run.
    fn next(self, entry: &Entry) -> Option<u64> {
        /// So often at most the thread looks at a timer by CPU time.
        const LEAST: u64 = 1_000_000;
        let at = entry.interval_timers[self as usize].0;
        match self {
            _ if at == 0 => None,
            Self::Real => Some(at),
            Self::Virtual | Self::Profiling => {
                let left = at.saturating_sub(self.now(entry)) / entry.members.len().max(1) as u64;
                Some(clock::nanoseconds().saturating_add(left.max(LEAST)))
            }
        }
    }
}

/// What is left of a timer of a process, and its interval, in nanoseconds; 0 if it does not run. Thread context.
pub(crate) fn timer(task: &Task, which: Interval) -> (u64, u64) {
    let mut table = table();
    let Some((entry, _)) = table.own(task) else { return (0, 0) };
    let (at, interval) = entry.interval_timers[which as usize];
    // A timer that has just expired still runs until its signal is sent.
    if at == 0 { (0, interval) } else { (at.saturating_sub(which.now(entry)).max(1), interval) }
}

/// Sets a timer of a process: it expires after `first` nanoseconds, and then after each `interval`. 0 stops it. Returns what was left of
/// the old one, and its interval. Thread context.
///
/// # Errors
/// ENOMEM.
pub(crate) fn set_timer(
    task: &Task,
    which: Interval,
    first: u64,
    interval: u64,
) -> Result<(u64, u64), Errno> {
    if first != 0 {
        started()?;
    }
    let old = timer(task, which);
    if let Some((entry, _)) = table().own(task) {
        let at = if first == 0 { 0 } else { which.now(entry).saturating_add(first) };
        entry.interval_timers[which as usize] = (at, interval);
    }
    changed();
    Ok(old)
}

/// Has the thread look at the timers again.
fn changed() {
    sched::wake(TaskId::from_bits(THREAD.load(Acquire)));
}

/// Starts the thread, unless it runs.
fn started() -> Result<(), Errno> {
    if *STARTED.call_once(start) { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// timer_create. A thread that is named must be one of the process. Returns the timer's number. Thread context.
///
/// # Errors
/// EINVAL, EAGAIN, ENOMEM.
pub(crate) fn create_timer(
    task: &Task,
    clock: u32,
    notify: Notify,
    value: Option<u64>,
) -> Result<i32, Errno> {
    started()?;
    let mut table = table();
    let (entry, _) = table.own(task).ok_or(Errno::EINVAL)?;
    if let Notify::Thread(_, tid) = notify
        && !entry.members.iter().any(|member| member.task.tid() == tid)
    {
        return Err(Errno::EINVAL);
    }
    Ok(entry.timers.create(clock, notify, value)?)
}

/// The clock of a timer. Thread context.
///
/// # Errors
/// EINVAL.
pub(crate) fn clock_of_timer(task: &Task, id: i32) -> Result<u32, Errno> {
    Ok(table().own(task).ok_or(Errno::EINVAL)?.0.timers.clock(id)?)
}

/// timer_settime: the timer expires at an instant of the machine's clock, and then after each interval. With `follows` the instant moves when
/// CLOCK_REALTIME is set. Returns what was left of the old setting. Thread context.
///
/// # Errors
/// EINVAL.
pub(crate) fn set_posix_timer(
    task: &Task,
    id: i32,
    setting: Setting,
    follows: bool,
) -> Result<Setting, Errno> {
    let now = clock::nanoseconds();
    let mut table = table();
    let (entry, _) = table.own(task).ok_or(Errno::EINVAL)?;
    let old = entry.timers.set(id, setting, now)?;
    if follows {
        entry.timers.follow(id)?;
    }
    drop(table);
    changed();
    Ok(old)
}

/// CLOCK_REALTIME was set: it was `before` nanoseconds ahead of the machine's clock, and now it is `after` ahead. Thread context.
pub(super) fn realtime_was_set(before: u64, after: u64) {
    table().processes.values_mut().for_each(|entry| entry.timers.clock_set(before, after));
    changed();
}

/// timer_gettime. Thread context.
///
/// # Errors
/// EINVAL.
pub(crate) fn posix_timer(task: &Task, id: i32) -> Result<Setting, Errno> {
    let now = clock::nanoseconds();
    Ok(table().own(task).ok_or(Errno::EINVAL)?.0.timers.get(id, now)?)
}

/// timer_getoverrun. Thread context.
///
/// # Errors
/// EINVAL.
pub(crate) fn overrun(task: &Task, id: i32) -> Result<i32, Errno> {
    Ok(table().own(task).ok_or(Errno::EINVAL)?.0.timers.overrun(id)?)
}

/// timer_delete. Thread context.
///
/// # Errors
/// EINVAL.
pub(crate) fn delete_timer(task: &Task, id: i32) -> Result<(), Errno> {
    let mut table = table();
    let (entry, _) = table.own(task).ok_or(Errno::EINVAL)?;
    entry.timers.delete(id)?;
    entry.forget_signal(id);
    Ok(())
}

impl Entry {
    /// Drops the pending signal of a timer.
    fn forget_signal(&mut self, id: i32) {
        self.pending.remove_timer(id);
        // Whether a task has something to do is for the task itself to say: it may just have been told of something else.
        for member in &mut self.members {
            member.pending.remove_timer(id);
        }
    }

    /// Deletes all timers of `timer_create`, and their pending signals.
    pub fn drop_timers(&mut self) {
        let timers = core::mem::take(&mut self.timers);
        timers.ids().for_each(|id| self.forget_signal(id));
    }
}

impl Table {
    /// Sends the signals of one kind of the processes' timers of `setitimer` that are due.
    fn expire_interval(&mut self, which: Interval) {
        let is_due = |entry: &Entry| {
            let at = entry.interval_timers[which as usize].0;
            at != 0 && at <= which.now(entry)
        };
        let due: alloc::vec::Vec<u32> =
            self.processes.iter().filter(|(_, entry)| is_due(entry)).map(|(pid, _)| *pid).collect();
        for pid in due {
            let Some(entry) = self.process(pid) else { continue };
            let now = which.now(entry);
            let (at, interval) = entry.interval_timers[which as usize];
            // Expiries that were missed make one signal.
            let missed = (now - at).checked_div(interval).unwrap_or(0);
            entry.interval_timers[which as usize].0 =
                if interval == 0 { 0 } else { at.saturating_add(interval.saturating_mul(missed + 1)) };
            let _ = self.send(pid, None, &Info::kernel(which.signal()));
        }
    }

    /// Sends the signals of a process's timers that are due. The timer of a thread that has ended has nobody to send its signal to.
    fn expire(&mut self, pid: u32, now: u64) {
        while let Some(entry) = self.process(pid)
            && let Some((thread, info)) = entry.timers.expire(now)
        {
            let _ = self.send(pid, thread, &info);
        }
    }
}

fn start() -> bool {
    let thread = sched::create("timers", Box::new(run), None, Policy::Fair(0), CpuSet::ALL, None);
    let Ok(thread) = thread else { return false };
    THREAD.store(thread.id().to_bits(), Release);
    sched::wake(thread.id());
    true
}

fn run() {
    loop {
        sched::prepare_to_sleep();
        let next = expire();
        let alarm = next.map(Alarm::at);
        sched::sleep();
        drop(alarm);
    }
}

/// Sends the signals that are due. Returns when the next timer expires.
fn expire() -> Option<u64> {
    let now = clock::nanoseconds();
    let mut table = table();
    for which in Interval::ALL {
        table.expire_interval(which);
    }
    let waiting = |entry: &Entry| entry.timers.next().is_some_and(|at| at <= now);
    let due: alloc::vec::Vec<u32> =
        table.processes.iter().filter(|(_, entry)| waiting(entry)).map(|(pid, _)| *pid).collect();
    due.into_iter().for_each(|pid| table.expire(pid, now));
    let next = |entry: &Listed| {
        Interval::ALL.into_iter().filter_map(|which| which.next(entry)).chain(entry.timers.next()).min()
    };
    table.processes.values().filter_map(next).min()
}
