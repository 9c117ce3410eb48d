//! What waits for the way out of an interrupt (M8): deferred work, a reschedule.
//!
//! One word, beside what the way out loads anyway. Each function changes it by one atomic instruction sequence, since a BRK's
//! handler may want something in the middle of any of them, whatever is masked (rule I8).

use super::cpu::CpuDebug;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

const RESCHEDULE: u32 = 1 << 0;
const DEFERRED: u32 = 1 << 1;
/// Deferred work runs: an interrupt that comes then leaves both to it.
const RUNNING: u32 = 1 << 2;

impl CpuDebug {
    /// Whether anything waits. Any context.
    #[inline(always)]
    pub fn anything_pending(&self) -> bool {
        self.pending.load(Relaxed) != 0
    }

    /// The CPU is to switch threads. Any context of this CPU.
    pub fn want_reschedule(&self) {
        self.pending.fetch_or(RESCHEDULE, Release);
    }

    /// Whether the CPU is to switch threads. Any context.
    #[inline(always)]
    pub fn reschedule_wanted(&self) -> bool {
        self.pending.load(Relaxed) & RESCHEDULE != 0
    }

    /// The CPU is about to switch threads: what was wanted until now is had. Any context of this CPU.
    pub fn reschedule_done(&self) {
        self.pending.fetch_and(!RESCHEDULE, Acquire);
    }

    /// There is deferred work. Any context of this CPU.
    pub fn want_deferred(&self) {
        self.pending.fetch_or(DEFERRED, Release);
    }

    /// Whether deferred work is to be run now: there is some, and none runs. If so the caller runs all of it, then calls
    /// [`CpuDebug::end_deferred`]. I masked.
    pub fn begin_deferred(&self) -> bool {
        let begin =
            |pending| (pending & (DEFERRED | RUNNING) == DEFERRED).then_some(pending & !DEFERRED | RUNNING);
        self.pending.fetch_update(Acquire, Relaxed, begin).is_ok()
    }

    /// No deferred work runs any more. What was deferred since the caller saw that none was left is still wanted. I masked.
    pub fn end_deferred(&self) {
        self.pending.fetch_and(!RUNNING, Release);
    }

    /// Whether deferred work runs on this CPU, perhaps below the interrupt that asks.
    pub fn in_deferred(&self) -> bool {
        self.pending.load(Relaxed) & RUNNING != 0
    }
}
