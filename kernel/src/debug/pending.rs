//! What waits for the way out of an interrupt (M8): deferred work, a reschedule.
//!
//! One word, beside what the way out loads anyway. Changed with I masked.

use super::CpuDebug;
use crate::arch::daif::AllMasked;

const RESCHEDULE: u32 = 1 << 0;
const DEFERRED: u32 = 1 << 1;
/// Deferred work runs: an interrupt that comes then leaves both to it.
const RUNNING: u32 = 1 << 2;

impl CpuDebug {
    /// Whether anything waits.
    #[inline(always)]
    pub fn anything_pending(&self) -> bool {
        self.pending.get() != 0
    }

    /// The CPU is to switch threads. Any context of this CPU.
    pub fn want_reschedule(&self) {
        let _masked = AllMasked::new();
        self.pending.set(self.pending.get() | RESCHEDULE);
    }

    /// Whether it is.
    #[inline(always)]
    pub fn reschedule_wanted(&self) -> bool {
        self.pending.get() & RESCHEDULE != 0
    }

    /// It does now.
    pub fn reschedule_done(&self) {
        let _masked = AllMasked::new();
        self.pending.set(self.pending.get() & !RESCHEDULE);
    }

    /// There is deferred work. Any context of this CPU.
    pub fn want_deferred(&self) {
        let _masked = AllMasked::new();
        self.pending.set(self.pending.get() | DEFERRED);
    }

    /// Whether deferred work is to be run now: there is some, and none runs. I masked.
    pub fn begin_deferred(&self) -> bool {
        let pending = self.pending.get();
        let begin = pending & (DEFERRED | RUNNING) == DEFERRED;
        if begin {
            self.pending.set(pending & !DEFERRED | RUNNING);
        }
        begin
    }

    /// It is done. I masked.
    pub fn end_deferred(&self) {
        self.pending.set(self.pending.get() & !RUNNING);
    }

    /// Whether deferred work runs on this CPU, perhaps below the interrupt that asks.
    pub fn in_deferred(&self) -> bool {
        self.pending.get() & RUNNING != 0
    }
}
