//! Sending signals.

use super::Task;
use super::handlers::{self, Start};
use super::leave;
use super::process::{Pid, Status};
use super::table::{Entry, Member, Table, table, table_masked};
use super::trace::state::{Kind, Stop, Stops};
use super::trace::stop::Given;
use crate::exception::Frame;
use crate::sched::{self, Look};
use core::sync::atomic::Ordering::{Relaxed, Release};
use linux_raw_sys::general::TRAP_TRACE;
use signals::{Delivery, Fields, Handler, Info, SigSet, Signal, deliver};

/// How many signals may wait in one queue (RLIMIT_SIGPENDING, which Linux counts by user).
pub(super) const ROOM: usize = 1024;

/// Why a signal was not sent.
pub type SignalError = crate::errno::Errno;

/// Who gets a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Receiver {
    /// A process.
    Process(Pid),
    /// Each process of a group.
    Group(Pid),
    /// Each process but the first and the sender's own.
    All(Pid),
    /// A task, of any process or of this one.
    Task(Pid, Option<Pid>),
}

/// Sends a signal. Without one only looks whether there is a receiver. Thread and interrupt context.
///
/// # Errors
/// ESRCH if there is no receiver, EAGAIN if the queue of a realtime signal is full.
pub(crate) fn send(receiver: Receiver, info: Option<&Info>) -> Result<(), SignalError> {
    let mut table = table();
    let receivers = match receiver {
        Receiver::Process(pid) => {
            let exists = table.process(pid).is_some();
            if exists { alloc::vec![pid] } else { alloc::vec![] }
        }
        Receiver::Group(group) => table.group(group),
        Receiver::All(own) => table.processes.keys().copied().filter(|pid| ![1, own].contains(pid)).collect(),
        Receiver::Task(tid, process) => {
            let pid = table.process_of(tid).filter(|pid| process.is_none_or(|process| process == *pid));
            let pid = pid.ok_or(SignalError::ESRCH)?;
            return info.map_or(Ok(()), |info| table.send(pid, Some(tid), info));
        }
    };
    let mut result = Err(SignalError::ESRCH);
    for pid in receivers {
        let sent = info.map_or(Ok(()), |info| table.send(pid, None, info));
        if result.is_err() {
            result = sent;
        }
    }
    result
}

/// Sends a signal of the kernel to each process of a group, as the terminal does for its keys. Thread and interrupt context.
pub fn signal_group(group: Pid, signal: Signal) {
    let _ = send(Receiver::Group(group), Some(&Info::kernel(signal)));
}

/// Sends SIGPIPE to the running task: it has written to a pipe that nobody reads. Thread context.
pub fn broken_pipe() {
    signal_current(Signal::SIGPIPE);
}

/// Sends SIGXFSZ to the running task: it wants to make a file larger than RLIMIT_FSIZE. Thread context.
pub fn too_large() {
    signal_current(Signal::SIGXFSZ);
}

/// Sends a signal to the running task as if the task had sent it itself, as Linux does for errors of system calls.
fn signal_current(signal: Signal) {
    if let Some(task) = super::current() {
        let info = Info::kill(signal, task.process.pid.cast_signed(), 0);
        let _ = send(Receiver::Task(task.tid(), None), Some(&info));
    }
}

impl Entry {
    /// Whether a task has something to do before it goes on at EL0.
    fn has_work(&self, at: usize) -> bool {
        let member = &self.members[at];
        let waiting = (member.pending.signals() | self.pending.signals()) & !member.blocked;
        let task = &member.task;
        let stops = match &member.trace {
            Some(trace) => trace.wants_stop(),
            None => self.stopped.is_some(),
        };
        self.ends.is_some()
            || stops
            || !waiting.is_empty()
            || task.ends.load(Relaxed)
            || task.cut.load(Relaxed) != 0
    }

    /// Says to a task whether it has something to do, after its mask has changed or signals were taken.
    pub fn refresh(&mut self, at: usize) {
        let work = self.has_work(at);
        self.members[at].task.attention.store(work, Release);
    }

    /// Tells each task of signals for the process that the task does not block.
    pub fn hand_over(&mut self) {
        for member in &self.members {
            if !(self.pending.signals() & !member.blocked).is_empty() {
                member.task.alert();
            }
        }
    }

    /// Whether sending a signal to the process would change nothing.
    #[inline(always)]
    pub fn loses(&self, signal: Signal) -> bool {
        let Some(first) = self.members.first() else { return true };
        let blocked = first.blocked | first.saved.unwrap_or_default();
        let generation = self.actions.generate(signal, blocked, first.trace.is_some());
        generation.discard
            && !generation.continues
            && generation.flush.is_empty()
            && signal != Signal::SIGKILL
    }

    /// Drops signals from all queues.
    pub fn flush(&mut self, set: SigSet) {
        if !set.is_empty() {
            self.pending.flush(set);
            self.members.iter_mut().for_each(|member| member.pending.flush(set));
        }
    }
}

impl Table {
    /// Sends a signal to a process, or to one of its tasks.
    pub fn send(&mut self, pid: Pid, tid: Option<Pid>, info: &Info) -> Result<(), SignalError> {
        let Some(entry) = self.process(pid) else { return Err(SignalError::ESRCH) };
        let at = match tid {
            Some(tid) => entry.members.iter().position(|member| member.task.tid() == tid),
            None => Some(0),
        };
        let (Some(at), false) = (at, entry.members.is_empty()) else {
            // A zombie takes signals, and does nothing with them.
            return if tid.is_some() { Err(SignalError::ESRCH) } else { Ok(()) };
        };
        let signal = info.signal;
        let member = &entry.members[at];
        let blocked = member.blocked | member.saved.unwrap_or_default();
        // Who traces a task sees also what the task ignores.
        let generation = entry.actions.generate(signal, blocked, member.trace.is_some());
        entry.flush(generation.flush);
        if signal == Signal::SIGKILL {
            entry.stopped = None;
            entry.end(Status::Killed(signal.number() as u8));
            return Ok(());
        }
        if generation.continues {
            self.go_on(pid);
        }
        if generation.discard {
            return Ok(());
        }
        let Some(entry) = self.process(pid) else { return Ok(()) };
        let queue = if tid.is_some() { &mut entry.members[at].pending } else { &mut entry.pending };
        let room = ROOM.saturating_sub(queue.queued());
        queue.push(*info, room)?;
        let takes = |member: &&Member| !member.blocked.contains(signal);
        let taker = if tid.is_some() {
            entry.members.get(at).filter(takes)
        } else {
            entry.members.iter().find(takes)
        };
        if let Some(taker) = taker {
            taker.task.alert();
        } else {
            // Who waits for a blocked signal in rt_sigtimedwait looks at the queue when it is woken.
            entry.members.iter().for_each(|member| sched::wake(member.task.thread()));
        }
        Ok(())
    }
}

impl Task {
    /// Has the running task take the signal of a fault, which it cannot put off: it goes on in the handler, if there is one. `frame` has its
    /// registers. Thread context; may sleep.
    #[inline(always)]
    pub(super) fn force(&self, frame: &mut Frame, info: &Info, fault: Option<(u64, u64)>, stops: Stops) {
        if stops == Stops::AtOnce && self.is_traced() {
            self.force_traced(frame, info, fault);
        } else {
            self.force_untraced(frame, info, fault);
        }
    }

    #[inline(never)]
    fn force_untraced(&self, frame: &mut Frame, info: &Info, fault: Option<(u64, u64)>) {
        let _delivery = self.process.delivery.lock_by(self.thread());
        let start = table().force(self, info, fault, frame.sp, &mut false);
        if let Some(start) = start {
            handlers::begin(self, frame, info, &start);
        }
    }

    /// As [`force`](Self::force), for a task that may stop for its tracer at once.
    #[inline(never)]
    fn force_traced(&self, frame: &mut Frame, info: &Info, fault: Option<(u64, u64)>) {
        self.rewind(frame);
        let mut delivery = Some(self.process.delivery.lock_by(self.thread()));
        let (mut start, mut begun, mut given) = (None, false, Given::nothing());
        let stop = Stop { kind: Kind::Signal, code: info.signal.number() };
        sched::sleep_until(|| {
            let mut table = table_masked();
            if begun {
                return table.stays_stopped(self, frame, Kind::Signal, &mut given);
            }
            begun = true;
            let mut stops = true;
            start = table.force(self, info, fault, frame.sp, &mut stops);
            if stops {
                let look = table.begin_stop(self, frame, stop, Some(info), None, &mut given);
                drop(table);
                delivery = None;
                return look;
            }
            Look::GoOn(())
        });
        if let Some(start) = start {
            return handlers::begin_later(self, frame, info, &start);
        }
        drop(delivery);
        if let Some(given) = given.signal.and_then(|given| self.takes_given(given)) {
            leave::act(self, frame, Some(given));
        }
    }
}

impl Table {
    /// The running task takes the signal of a fault: see [`Entry::force`].
    #[inline(always)]
    fn force(
        &mut self,
        task: &Task,
        info: &Info,
        fault: Option<(u64, u64)>,
        sp: u64,
        stops: &mut bool,
    ) -> Option<Start> {
        // A step whose tracer has left meanwhile is nobody's (T5). The tracer leaves under the table's lock.
        let is_dropped = info.code == TRAP_TRACE.cast_signed() && task.drops_step();
        let Some((entry, at)) = self.own(task).filter(|_| !is_dropped) else {
            *stops = false;
            return None;
        };
        // Neither a signal nor a stop nor the end is before the fault.
        let is_first = !task.attention.load(Relaxed);
        entry.force(at, info, fault, sp, is_first, stops)
    }
}

impl Entry {
    /// A task takes the signal of a fault. Returns the handler's start; without one the signal waits in the task's queue, for
    /// [`super::leave`]. Faults come before all other signals, so that the queue need not be asked. `stops` says whether the task may stop for
    /// its tracer at once, and afterwards whether it does: then the signal waits nowhere.
    #[inline(always)]
    fn force(
        &mut self,
        at: usize,
        info: &Info,
        fault: Option<(u64, u64)>,
        sp: u64,
        is_first: bool,
        stops: &mut bool,
    ) -> Option<Start> {
        let member = &mut self.members[at];
        let blocked = member.blocked.contains(info.signal);
        if is_first
            && !blocked
            && member.trace.is_none()
            && let Delivery::Handler(handler) =
                deliver(&mut self.actions, info.signal, member.blocked, &member.alternate, sp)
        {
            *stops = false;
            return Some(member.start(handler, fault));
        }
        if blocked || self.actions.get(info.signal).handler == Handler::Ignore {
            if let Fields::Perf { .. } = info.fields {
                // Who has asked for an event's signals may block or ignore them: such a signal waits, and says so, or is none.
                if blocked {
                    let _ = member.pending.push(info.asynchronous(), ROOM);
                }
                *stops = false;
                return None;
            }
            self.actions.force(info.signal, &mut member.blocked);
            // Another signal of this number may have waited until it is unblocked.
            member.task.attention.store(true, Release);
        }
        member.fault = fault.map(|(address, esr)| (info.signal, address, esr));
        *stops = *stops && self.ends.is_none() && self.stopped.is_none() && member.can_stop();
        if !*stops {
            let _ = member.pending.push(*info, ROOM);
            self.refresh(at);
        }
        None
    }
}

impl Member {
    /// Whether nothing comes before a stop for the signal of a fault. Not for a task whose process ends or stops.
    fn can_stop(&self) -> bool {
        self.trace.as_deref().is_some_and(|trace| !trace.wants_stop())
            && (self.pending.signals() & SigSet::SYNCHRONOUS).is_empty()
            && !self.task.ends.load(Relaxed)
    }
}
