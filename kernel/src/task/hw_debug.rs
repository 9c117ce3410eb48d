//! Hardware slots that a tracer has set: the regsets NT_ARM_HW_BREAK and NT_ARM_HW_WATCH of a task.
//!
//! A hit is SIGTRAP with TRAP_HWBKPT, and the instruction is not executed ([`Answer::Stop`]): the tracer disables the slot, steps the task, and
//! enables the slot again.
//!
//! A slot takes a number of the hardware's when it is enabled for the first time, and keeps it until `execve` or the task's end, as on
//! Linux: a tracer that disables a slot for a step gets it back. A slot that is disabled when the tracer detaches gives its number back. Linux takes a number for a disabled slot too; here a tracer that
//! always writes all slots, as gdbserver does, leaves those that it does not use to others. The slots outlive the tracer's PTRACE_DETACH.
//! New threads and processes do not have them.

use super::Task;
use super::event::errno_of;
use crate::debug::slots;
use crate::debug::task::{Answer, TaskDebug, Use};
use crate::errno::Errno;
use crate::sched::Mutex;
use ::slots::{Access, Kind, Privilege, Request};
use alloc::vec::Vec;
use core::mem;
use hwdebug::{Change, Point, Watched};

/// The tracer's slots of one task.
pub(super) struct HwDebug {
    /// Breakpoints and watchpoints, each in the tracer's order. Held while slots change, and until that is in force for a task that may run.
    slots: Mutex<[Vec<Slot>; 2]>,
}

/// One slot that a tracer has written to.
struct Slot {
    point: Point,
    /// The slot of the task, once it was enabled.
    this: Option<Use>,
    /// What that slot watches; None if it is disabled.
    armed: Option<Watched>,
}

impl HwDebug {
    /// Of a task that has no tracer's slots.
    pub const fn new() -> Self {
        Self { slots: Mutex::new([Vec::new(), Vec::new()]) }
    }
}

/// How many slots of a kind a tracer can set.
fn count(kind: hwdebug::Kind) -> u8 {
    let kind = match kind {
        hwdebug::Kind::Break => Kind::Breakpoint,
        hwdebug::Kind::Watch => Kind::Watchpoint,
    };
    slots::count(kind).min(hwdebug::MOST as u8)
}

fn request_of(watched: &Watched) -> Request {
    let access = match watched.access {
        hwdebug::Access::Execute => return Request::breakpoint(watched.address, Privilege::El0),
        hwdebug::Access::Read => Access::Read,
        hwdebug::Access::Write => Access::Write,
        hwdebug::Access::ReadWrite => Access::ReadWrite,
    };
    Request::watchpoint(watched.address, watched.length, access, Privilege::El0)
}

/// Takes over one word for slot `nth`. A slot that becomes enabled gets its number here; [`Slot::apply`] enables it.
fn change(
    slots: &mut Vec<Slot>,
    kind: hwdebug::Kind,
    nth: usize,
    change: Change,
    debug: &TaskDebug,
) -> Result<(), Errno> {
    // The words come slot by slot from the first one on.
    if nth >= slots.len() {
        if nth >= usize::from(count(kind)) {
            return Err(Errno::ENOSPC);
        }
        slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        slots.push(Slot { point: Point::new(kind), this: None, armed: None });
    }
    let slot = slots.get_mut(nth).ok_or(Errno::EINVAL)?;
    let point = match change {
        Change::Address(address) => slot.point.with_address(address),
        Change::Control(control) => slot.point.with_control(control),
    };
    let point = point.map_err(|_| Errno::EINVAL)?;
    if let (None, Some(watched)) = (slot.this, point.watched()) {
        let this = debug.set_slot(&request_of(&watched), Answer::Stop).map_err(errno_of)?;
        slot.this = Some(this);
    }
    slot.point = point;
    Ok(())
}

impl Slot {
    /// Has the task's slot be what the tracer has asked for.
    fn apply(&mut self, debug: &TaskDebug) {
        let Some(this) = self.this else { return };
        let wanted = self.point.watched();
        if wanted == self.armed {
            return;
        }
        let is_armed = wanted.is_some_and(|watched| debug.arm_slot(this, &request_of(&watched)).is_ok());
        if !is_armed {
            debug.enable_slot(this, false);
        }
        self.armed = wanted;
    }
}

impl Task {
    /// The regset of a kind of slots, as a tracer reads it. Thread context; may sleep.
    pub fn hw_debug(&self, kind: hwdebug::Kind) -> [u8; hwdebug::SIZE] {
        let mut points = [None; hwdebug::MOST];
        for (point, slot) in points.iter_mut().zip(&self.hw_debug.slots.lock()[kind as usize]) {
            *point = Some(slot.point);
        }
        let version = crate::read_sysreg!("id_aa64dfr0_el1") & 0xf;
        hwdebug::encode(hwdebug::info(count(kind), version as u8), &points)
    }

    /// Changes the regset of a kind of slots: `bytes` has as much of it as the tracer gives. When the function returns, the slots are in force: a
    /// task that runs is made to enter the kernel. Thread context; may sleep.
    ///
    /// # Errors
    /// EINVAL for sizes and words that Linux refuses, ENOSPC if the CPUs have no slot left, ENOMEM. The words before the one that is
    /// refused are in force then, as on Linux.
    pub fn set_hw_debug(&self, kind: hwdebug::Kind, bytes: &[u8]) -> Result<(), Errno> {
        let mut slots = self.hw_debug.slots.lock();
        let result = self.change_slots(&mut slots[kind as usize], kind, bytes);
        self.settle_slots();
        result
    }

    /// As [`set_hw_debug`](Self::set_hw_debug), for a tracee that `tracer`, the running task, has stopped: the slots are in force where the tracee goes
    /// on at EL0, which it does not before the tracer has it do so. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`set_hw_debug`](Self::set_hw_debug).
    pub fn set_hw_debug_of_stopped(
        &self,
        tracer: &Self,
        kind: hwdebug::Kind,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let mut slots = self.hw_debug.slots.lock_by(tracer.thread());
        self.change_slots(&mut slots[kind as usize], kind, bytes)
    }

    fn change_slots(&self, slots: &mut Vec<Slot>, kind: hwdebug::Kind, bytes: &[u8]) -> Result<(), Errno> {
        let mut changes = hwdebug::changes(bytes).map_err(|_| Errno::EINVAL)?;
        let result = changes.try_for_each(|word| {
            let (nth, word) = word.map_err(|_| Errno::EINVAL)?;
            change(slots, kind, nth, word, &self.debug)
        });
        slots.iter_mut().for_each(|slot| slot.apply(&self.debug));
        result
    }

    /// Gives back the numbers of the tracer's slots that are disabled. Their words stay as they are; a slot that is enabled again gets another
    /// number, if there is one. Thread context; may sleep.
    pub fn give_back_disabled_slots(&self) {
        if !self.debug.is_active() {
            return;
        }
        let mut slots = self.hw_debug.slots.lock();
        // The task may not have left its CPU since its slots were disabled.
        self.settle_slots();
        for slot in slots.iter_mut().flatten().filter(|slot| slot.armed.is_none()) {
            if let Some(this) = slot.this.take() {
                self.debug.remove_slot(this);
            }
        }
    }

    /// Gives back the tracer's slots of the running task, which goes on as another program or ends, or of a task that does not begin.
    pub(super) fn drop_hw_debug(&self) {
        if !self.debug.is_active() {
            return;
        }
        let mut slots = self.hw_debug.slots.lock();
        let [breakpoints, watchpoints] = mem::take(&mut *slots);
        let uses = || breakpoints.iter().chain(&watchpoints).filter_map(|slot| slot.this);
        for this in uses() {
            self.debug.enable_slot(this, false);
        }
        self.settle_slots();
        for this in uses() {
            self.debug.remove_slot(this);
        }
    }
}
