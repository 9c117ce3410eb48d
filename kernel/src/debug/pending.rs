//! What waits for the end of an interrupt's handler (M8): deferred work and a reschedule.
//!
//! Both are flags in one word, which lies beside other state that the end of the handler loads anyway. Each function changes the
//! word by one atomic operation, because masks do not keep a BRK away: its handler may set a flag in the middle of any function
//! (rule I8).

use super::cpu::CpuDebug;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The CPU is to switch threads.
const RESCHEDULE: u32 = 1 << 0;
/// Deferred work waits to be run.
const DEFERRED: u32 = 1 << 1;
/// Deferred work runs on this CPU. An interrupt that comes meanwhile leaves further deferred work, and the reschedule, to that run.
const RUNNING: u32 = 1 << 2;
/// With [`RESCHEDULE`]: the running thread gives way to its equals.
const ROTATE: u32 = 1 << 3;

impl CpuDebug {
    /// Whether a reschedule or deferred work waits, or deferred work runs on this CPU now. Any context.
    #[inline(always)]
    pub fn anything_pending(&self) -> bool {
        self.pending.load(Relaxed) != 0
    }

    /// Requests that the CPU switches to the next thread, which may be an equal of the running one. Any context of this CPU.
    pub fn want_reschedule(&self) {
        self.pending.fetch_or(RESCHEDULE | ROTATE, Release);
    }

    /// Requests that the CPU asks the scheduler which thread is to run. Any context of this CPU.
    pub fn want_pick(&self) {
        self.pending.fetch_or(RESCHEDULE, Release);
    }

    /// Whether the CPU is to switch threads. Any context.
    #[inline(always)]
    pub fn reschedule_wanted(&self) -> bool {
        self.pending.load(Relaxed) & RESCHEDULE != 0
    }

    /// Clears the request to switch threads, because the CPU is about to switch. Requests that come later stay. Returns whether the
    /// running thread gives way to its equals. Any context of this CPU.
    pub fn reschedule_done(&self) -> bool {
        self.pending.fetch_and(!(RESCHEDULE | ROTATE), Acquire) & ROTATE != 0
    }

    /// Requests that deferred work is run. Any context of this CPU.
    pub fn want_deferred(&self) {
        self.pending.fetch_or(DEFERRED, Release);
    }

    /// Begins a run of deferred work. Returns false if no deferred work waits, or if some runs on this CPU already. After true the
    /// caller runs all deferred work and then calls [`CpuDebug::end_deferred`]. I is masked.
    pub fn begin_deferred(&self) -> bool {
        let begin =
            |pending| (pending & (DEFERRED | RUNNING) == DEFERRED).then_some(pending & !DEFERRED | RUNNING);
        self.pending.fetch_update(Acquire, Relaxed, begin).is_ok()
    }

    /// Ends a run of deferred work. Work that was deferred since the caller found none left stays requested. I is masked.
    pub fn end_deferred(&self) {
        self.pending.fetch_and(!RUNNING, Release);
    }

    /// Whether deferred work runs on this CPU. The caller may be an interrupt's handler that has interrupted this work.
    pub fn in_deferred(&self) -> bool {
        self.pending.load(Relaxed) & RUNNING != 0
    }
}
