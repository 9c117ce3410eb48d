//! `contend=NAME`: a thread of the least importance holds the lock of delivery of the programs with this name, again and again, so that their
//! debug exceptions have to wait for it (rules M3, M4), and must lend it their priority (T8).

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::arch::barrier;
use kernel::clock;
use kernel::sched::{self, CpuSet, Policy};
use kernel::task::{Process, Subject, next_process};

/// How long the lock is held at most if nobody asks for it, in nanoseconds.
const MOST: u64 = 20_000_000;

/// How many times somebody has waited for a lock that the thread held.
static WAITED: AtomicU64 = AtomicU64::new(0);

/// Starts the thread, which never ends. Thread context.
///
/// # Panics
/// If there is no memory for it.
pub fn start(name: &'static str) {
    let thread =
        sched::create("contender", Box::new(|| contend(name)), None, Policy::Idle, CpuSet::ALL, None);
    sched::wake(thread.expect("no memory for the thread that contends").id());
}

/// How many times somebody has waited for the thread so far. Any context.
pub fn waited() -> u64 {
    WAITED.load(Relaxed)
}

fn contend(name: &str) {
    loop {
        let mut from = 0;
        while let Some(pid) = next_process(from) {
            from = pid + 1;
            if let Some(process) = Subject::process(pid).filter(|found| has_name(found, name))
                && let Some(process) = process.shared()
            {
                hold(&process);
            }
        }
        sched::yield_now();
    }
}

fn has_name(process: &Subject, name: &str) -> bool {
    process.name().is_ok_and(|found| found.split(|&byte| byte == 0).next() == Some(name.as_bytes()))
}

/// Holds the lock until somebody waits for it, or long enough.
fn hold(process: &Process) {
    let Some(me) = sched::current_thread().map(|thread| thread.id()) else { return };
    let held = process.delivery.lock();
    let start = clock::nanoseconds();
    while clock::nanoseconds() - start < MOST && process.status().is_none() {
        if sched::contended_lock(me).is_some() {
            WAITED.fetch_add(1, Relaxed);
            break;
        }
        barrier::relax();
    }
    drop(held);
}
