//! Signals that were sent and not yet delivered.

use alloc::collections::VecDeque;

use linux_raw_sys::general::SI_USER;

use crate::{Error, Fields, Info, SigSet, Signal};

/// The queue of a thread, or the queue that the threads of a process share.
///
/// A standard signal is pending once or not at all. Each instance of a realtime signal and each timer has an entry of its own.
/// A signal can also be pending without an entry, when there was no room for one: its receiver then sees a `kill` by process 0.
#[derive(Default, Debug)]
pub struct Pending {
    /// What is pending, with an entry or without. Every signal of `entries` is in it.
    signals: SigSet,
    /// In the order of arrival.
    entries: VecDeque<Info>,
}

/// What became of a signal that [`Pending::push`] accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// The signal has a new entry.
    Queued,
    /// The signal is pending now, and what its [`Info`] said is lost.
    WithoutInfo,
    /// The same standard signal or the same timer was pending already. A timer's overrun was counted.
    Merged,
}

impl Pending {
    /// An empty queue. Allocates nothing.
    pub const fn new() -> Self {
        Self { signals: SigSet::EMPTY, entries: VecDeque::new() }
    }

    /// The pending signals.
    pub fn signals(&self) -> SigSet {
        self.signals
    }

    /// What is known of the pending signals, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &Info> {
        self.entries.iter()
    }

    /// How many entries count towards RLIMIT_SIGPENDING.
    pub fn queued(&self) -> usize {
        self.entries.len()
    }

    /// Adds a signal. `room` is how many more entries RLIMIT_SIGPENDING allows the receiver's user, over all queues of that user.
    ///
    /// Four kinds of signals ignore `room`, as in Linux: the kernel's own and `kill`'s standard signals, SIGKILL (it never has an
    /// entry), and timers (each timer has at most one entry, and timers are limited when they are created). Allocates one entry;
    /// if there is no memory, the result is that of `room` 0.
    ///
    /// # Errors
    /// [`Error::Again`] if a realtime signal that somebody queued with a value finds no room. Nothing has changed then.
    pub fn push(&mut self, info: Info, room: usize) -> Result<Pushed, Error> {
        if let Fields::Timer { id: timer, overrun: more, .. } = info.fields {
            let same = self.entries.iter_mut().filter(|entry| entry.signal == info.signal);
            for entry in same {
                if let Fields::Timer { id, overrun, .. } = &mut entry.fields
                    && *id == timer
                {
                    *overrun = overrun.saturating_add(more).saturating_add(1);
                    return Ok(Pushed::Merged);
                }
            }
        } else if !info.signal.is_realtime() && self.signals.contains(info.signal) {
            return Ok(Pushed::Merged);
        }
        if info.signal == Signal::SIGKILL {
            self.signals = self.signals.with(info.signal);
            return Ok(Pushed::WithoutInfo);
        }
        let unlimited =
            matches!(info.fields, Fields::Timer { .. }) || (!info.signal.is_realtime() && info.code >= 0);
        if (unlimited || room > 0) && self.entries.try_reserve(1).is_ok() {
            self.entries.push_back(info);
            self.signals = self.signals.with(info.signal);
            return Ok(Pushed::Queued);
        }
        if info.signal.is_realtime() && info.code != SI_USER as i32 {
            return Err(Error::Again);
        }
        self.signals = self.signals.with(info.signal);
        Ok(Pushed::WithoutInfo)
    }

    /// Removes and returns the next signal that is not in `blocked`: signals of faults first, then the lowest number; of one
    /// realtime signal the instance that came first.
    pub fn take(&mut self, blocked: SigSet) -> Option<Info> {
        let deliverable = self.signals & !blocked;
        let faults = deliverable & SigSet::SYNCHRONOUS;
        let signal = if faults.is_empty() { deliverable.lowest()? } else { faults.lowest()? };
        Some(self.take_signal(signal))
    }

    /// Removes and returns the fault that came first and is not in `blocked`. The same signals sent by `kill` are no faults.
    fn take_fault(&mut self, blocked: SigSet) -> Option<Info> {
        if (self.signals & SigSet::SYNCHRONOUS & !blocked).is_empty() {
            return None;
        }
        let at =
            self.entries.iter().position(|info| info.is_synchronous() && !blocked.contains(info.signal))?;
        self.take_entry(at)
    }

    /// Removes and returns the oldest instance of `signal`, which is pending.
    fn take_signal(&mut self, signal: Signal) -> Info {
        let at = self.entries.iter().position(|info| info.signal == signal);
        at.and_then(|at| self.take_entry(at)).unwrap_or_else(|| {
            self.signals = self.signals.without(signal);
            Info::kill(signal, 0, 0)
        })
    }

    fn take_entry(&mut self, at: usize) -> Option<Info> {
        let info = self.entries.remove(at)?;
        if !self.entries.iter().any(|other| other.signal == info.signal) {
            self.signals = self.signals.without(info.signal);
        }
        Some(info)
    }

    /// Drops every instance of the signals in `set`.
    pub fn flush(&mut self, set: SigSet) {
        if !(self.signals & set).is_empty() {
            self.signals = self.signals & !set;
            self.entries.retain(|info| !set.contains(info.signal));
        }
    }

    /// Drops the instances of `signal` that have this `si_code`.
    pub fn remove(&mut self, signal: Signal, code: i32) {
        let same = |info: &Info| info.signal == signal && info.code == code;
        while let Some(at) = self.entries.iter().position(same) {
            self.take_entry(at);
        }
    }

    /// Drops the entry of the timer `timer` (`timer_delete`). `None` if the timer's signal is not pending.
    pub fn remove_timer(&mut self, timer: i32) -> Option<Info> {
        let same = |info: &Info| matches!(info.fields, Fields::Timer { id, .. } if id == timer);
        let at = self.entries.iter().position(same)?;
        self.take_entry(at)
    }
}

/// Removes and returns the next signal for a thread on its way to EL0, from the thread's own queue and its process's queue.
///
/// SIGKILL comes first, because no handler may start in a process that must end. The thread's faults follow in the order in which
/// they came, then the rest of the thread's own queue, then the process's queue.
pub fn take(thread: &mut Pending, process: &mut Pending, blocked: SigSet) -> Option<Info> {
    for queue in [&mut *thread, &mut *process] {
        if queue.signals.contains(Signal::SIGKILL) {
            return Some(queue.take_signal(Signal::SIGKILL));
        }
    }
    thread.take_fault(blocked).or_else(|| thread.take(blocked)).or_else(|| process.take(blocked))
}

/// Removes and returns the next signal of `set` for `rt_sigtimedwait`, whether blocked or not. Never SIGKILL or SIGSTOP.
pub fn take_waited(thread: &mut Pending, process: &mut Pending, set: SigSet) -> Option<Info> {
    let others = !set.blockable();
    thread.take(others).or_else(|| process.take(others))
}
