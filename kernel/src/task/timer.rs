//! ITIMER_REAL: a thread of the kernel sleeps until the next timer of any process expires, and sends SIGALRM.

use super::Task;
use super::table::table;
use crate::clock;
use crate::errno::Errno;
use crate::sched::{self, Alarm, CpuSet, Policy, TaskId};
use alloc::boxed::Box;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use signals::{Info, Signal};
use spin::Once;

/// The number of the thread that sends the signals.
static THREAD: AtomicU64 = AtomicU64::new(0);
static STARTED: Once<bool> = Once::new();

/// What is left of the timer of a process, and its interval, in nanoseconds; 0 if it does not run. Thread context.
pub(crate) fn timer(task: &Task) -> (u64, u64) {
    let (at, interval) = table().own(task).map_or((0, 0), |(entry, _)| entry.timer);
    // A timer that has just expired still runs until its signal is sent.
    if at == 0 { (0, interval) } else { (at.saturating_sub(clock::nanoseconds()).max(1), interval) }
}

/// Sets the timer of a process: it expires after `first` nanoseconds, and then after each `interval`. 0 stops it. Returns what was left of
/// the old one, and its interval. Thread context.
///
/// # Errors
/// ENOMEM.
pub(crate) fn set_timer(task: &Task, first: u64, interval: u64) -> Result<(u64, u64), Errno> {
    if first != 0 && !*STARTED.call_once(start) {
        return Err(Errno::ENOMEM);
    }
    let old = timer(task);
    let at = if first == 0 { 0 } else { clock::nanoseconds().saturating_add(first) };
    if let Some((entry, _)) = table().own(task) {
        entry.timer = (at, interval);
    }
    sched::wake(TaskId::from_bits(THREAD.load(Acquire)));
    Ok(old)
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
    let due: alloc::vec::Vec<u32> = table
        .processes
        .iter()
        .filter(|(_, entry)| (1..=now).contains(&entry.timer.0))
        .map(|(pid, _)| *pid)
        .collect();
    for pid in due {
        let Some(entry) = table.process(pid) else { continue };
        let (at, interval) = entry.timer;
        // Expiries that were missed make one signal.
        let missed = (now - at).checked_div(interval).unwrap_or(0);
        entry.timer.0 =
            if interval == 0 { 0 } else { at.saturating_add(interval.saturating_mul(missed + 1)) };
        let _ = table.send(pid, None, &Info::kernel(Signal::SIGALRM));
    }
    table.processes.values().map(|entry| entry.timer.0).filter(|at| *at != 0).min()
}
