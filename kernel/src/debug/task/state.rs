//! The debug state of one task.

use super::list::{Slots, Use};
use super::put_off::PutOff;
use crate::debug::slots::bank;
use crate::debug::stepping::Stepping;
use crate::sync::IrqMutex;
use core::cell::UnsafeCell;
use core::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, Release, SeqCst},
};
use rules::step::Owners;

/// The debug state of one task.
pub struct TaskDebug {
    /// Whether there is anything to look at on the way to EL0 and where the task gets a CPU. Never false again: a program that has been
    /// debugged pays a few instructions more.
    active: AtomicBool,
    /// Owners whose step is asked for (bits 7 to 0) and owners whose step is no longer wanted (bits 15 to 8), since the task was last on
    /// its way to EL0.
    pub(super) asked: AtomicU32,
    /// The slots are not those that are armed.
    pub(super) changed: AtomicBool,
    /// Whether there are slots, enabled or not. Written under the lock of `slots`.
    pub(super) has_slots: AtomicBool,
    /// What is of the running CPU while the task is at EL0. Used by the task's own thread, with D masked.
    pub(super) held: UnsafeCell<Held>,
    pub(super) slots: IrqMutex<Slots>,
}

/// What a task holds while it is in the kernel.
pub(super) struct Held {
    pub stepping: Stepping,
    pub put_off: PutOff,
    /// The address of a load-exclusive that is to be stepped as any other load; else 0.
    pub plain: u64,
    /// The last instruction that was not executed because it has hit a slot that stops, and the slot's use.
    pub stopped: (u64, Use),
}

// SAFETY: `held` is used by the task's own thread only, which is on one CPU at a time.
unsafe impl Sync for TaskDebug {}
// SAFETY: as above.
unsafe impl Send for TaskDebug {}

impl TaskDebug {
    /// The state of a task that nobody debugs.
    pub const fn new() -> Self {
        Self {
            active: AtomicBool::new(false),
            asked: AtomicU32::new(0),
            changed: AtomicBool::new(false),
            has_slots: AtomicBool::new(false),
            held: UnsafeCell::new(Held {
                stepping: Stepping::NONE,
                put_off: PutOff::NONE,
                plain: 0,
                stopped: (0, Use::NONE),
            }),
            slots: IrqMutex::new(Slots::NONE),
        }
    }

    /// Whether the task is or was debugged. Any context.
    #[inline(always)]
    pub fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    pub(super) fn activate(&self) {
        self.active.store(true, Release);
    }

    /// Asks for a step of the task: it executes one instruction once it goes on at EL0. The caller has the task enter the kernel if it may
    /// be running on another CPU. Any context.
    pub fn request_step(&self, owner: Owners) {
        self.ask(u32::from(owner.bits()), u32::from(owner.bits()) << 8);
    }

    /// Takes back what [`request_step`](Self::request_step) has asked for, if the step is not done yet. Any context.
    pub fn cancel_step(&self, owner: Owners) {
        self.ask(u32::from(owner.bits()) << 8, u32::from(owner.bits()));
    }

    /// Whether a step was asked for that the task has not yet begun. Any context.
    pub fn is_step_asked(&self, owner: Owners) -> bool {
        Owners::from_bits_truncate(self.asked.load(Relaxed) as u8).intersects(owner)
    }

    fn ask(&self, set: u32, clear: u32) {
        let _ = self.asked.fetch_update(SeqCst, Relaxed, |asked| Some(asked & !clear | set));
        self.activate();
    }
}

impl Default for TaskDebug {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TaskDebug {
    fn drop(&mut self) {
        // The task has left its CPU for good, and disarmed its slots there.
        for (kind, nth) in self.slots.lock().numbers() {
            bank::give_back(kind, nth);
        }
    }
}
