//! How a task's debug state leaves the CPU at the entry to the kernel, and how it comes back on the way to EL0 (M1, I6, I9).

use super::list::Use;
use super::put_off::Note;
use super::state::{Held, TaskDebug};
use crate::arch::usercopy;
use crate::debug::control::Masked;
use crate::debug::cpu::{IN_SEQUENCE, MaskedCpu};
use crate::debug::stepping::Stepping;
use crate::debug::{slots, stats, step};
use crate::exception::Frame;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use probe::is_load_exclusive;
use rules::pstate::SPSR_SS;
use rules::step::{By, Owners};

/// The task whose slots and owners are on this CPU; None if the running task has never been debugged.
#[inline(always)]
fn of(cpu: &MaskedCpu) -> Option<&TaskDebug> {
    // SAFETY: null, or the state of the running task: `slots::leaves` takes it out before another thread runs, and the task outlives its
    // thread's time on the CPU.
    unsafe { cpu.task.load(Relaxed).cast::<TaskDebug>().as_ref() }
}

/// What the running task holds. D is masked.
#[inline(always)]
pub(super) fn held<R>(cpu: &MaskedCpu, change: impl FnOnce(&mut Held) -> R) -> Option<R> {
    // SAFETY: the running task's own thread is the only user, and with D masked nothing interrupts it. No caller's closure calls this
    // function.
    of(cpu).map(|task| change(unsafe { &mut *task.held.get() }))
}

/// As [`held`], for thread context of the task.
fn with_held(change: impl FnOnce(&mut Held)) {
    let masked = Masked::new();
    let _ = held(masked.cpu(), change);
}

/// At the entry from EL0, before D opens: takes the task's owners and suspended slots off the CPU (M1), but for the owners whose step ends with the
/// entry ([`By::ends`]). MDSCR_EL1 and an ISB are owed.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn take(cpu: &MaskedCpu, frame: &mut Frame, by: By) {
    if cpu.owners.get().contains(Owners::RUNS_FREE) {
        step::end_free_run(cpu, frame, matches!(by, By::Interrupt));
    }
    let mut taken = step::take(cpu);
    let end = by.ends();
    if taken.owners.intersects(end) {
        frame.pstate = taken.owners.cancel(end, frame.pstate);
        taken.suspended.clear();
    }
    let _ = held(cpu, |held| held.stepping = taken);
}

/// On the way to EL0, with everything masked: makes the task's state that of the CPU (M1). Owners that others have asked for are taken
/// over. The exception return writes MDSCR_EL1.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn give(cpu: &MaskedCpu, frame: &mut Frame) {
    let Some(task) = of(cpu) else { return };
    let _ = held(cpu, |held| {
        if !task.is_asked_too_late(cpu, held, frame) {
            task.take_asked(held, frame);
        }
        take_up(held, frame);
        held.plain = 0;
        let stepping = &mut held.stepping;
        if stepping.owners.is_empty() {
            return;
        }
        let is_step_over = stepping.owners.contains(Owners::STEP_OVER);
        let suspended =
            (is_step_over || !stepping.suspended.is_empty()) && slots::unstash(cpu, &stepping.suspended);
        if is_step_over && !suspended {
            // Every slot that the step-over was for is gone: there is nothing to step over.
            stats::CANCELLED.count();
            frame.pstate = stepping.owners.cancel(Owners::STEP_OVER, frame.pstate);
            if stepping.owners == Owners::RUNS_FREE {
                stepping.owners = Owners::empty();
            }
        }
        cpu.free_from.set(stepping.free_from);
        cpu.set_owners_at_el0(stepping.owners);
        if is_step_over || !stepping.suspended.is_empty() {
            *stepping = Stepping::NONE;
        } else {
            // What else is in the value is that of a debugger of the kernel, which steps no program.
            (stepping.owners, stepping.free_from) = (Owners::empty(), 0);
        }
    });
}

/// Takes over what others have asked for: bits 7 to 0 are new owners, bits 15 to 8 those whose step is no longer wanted.
#[inline(always)]
fn apply(stepping: &mut Stepping, asked: u32, frame: &mut Frame) {
    let (new, gone) =
        (Owners::from_bits_truncate(asked as u8), Owners::from_bits_truncate((asked >> 8) as u8));
    if stepping.owners.intersects(gone) {
        stats::CANCELLED.count();
        frame.pstate = stepping.owners.cancel(gone, frame.pstate);
    }
    if new.is_empty() {
        return;
    }
    if frame.pstate & SPSR_SS == 0 && stepping.owners.contains(Owners::STEP_OVER) {
        end_due_step_over(stepping, frame);
    }
    // Also if the owner has a step that is due: that is one which an earlier tracer has asked for, and nobody else's instruction is told of it
    // (X2, T5).
    if let Ok(pstate) = stepping.owners.request(new, frame.pstate) {
        frame.pstate = pstate;
    }
}

/// A step is asked for while the step exception of a step-over is due: the instruction was executed, and an interrupt came first. The request
/// sets SPSR.SS, by which one more instruction would run with the slots suspended (M13). So the step-over is over now.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn end_due_step_over(stepping: &mut Stepping, frame: &mut Frame) {
    // A free run has SPSR.SS clear too (H9).
    if !stepping.owners.contains(Owners::RUNS_FREE) {
        stats::COMPLETED_IN_SOFTWARE.count_shared();
        frame.pstate = stepping.owners.cancel(Owners::STEP_OVER, frame.pstate);
        stepping.suspended.clear();
    }
}

/// Forgets the suspended slots and the put-off step-overs of the running task, which goes on as another program, and its owners but for a
/// tracer, who is owed the step (T1). Thread context.
pub fn forget() {
    with_held(|held| {
        let owners = held.stepping.owners & Owners::TRACER;
        held.stepping = Stepping { owners, ..Stepping::NONE };
        held.put_off.clear();
        held.stopped = (0, Use::NONE);
    });
}

/// The owners whose steps are asked for by others.
const ASKERS: Owners = Owners::TRACER.union(Owners::UPROBE);

impl Held {
    /// Whether the task is about to be stepped over the instruction at its PC, which was not looked at yet. `asked` are owners whose step was asked
    /// for since; `is_set` is SPSR.SS.
    #[inline(always)]
    fn is_stepped_next(&self, frame: &Frame, asked: Owners, is_set: bool) -> bool {
        let owners = self.stepping.owners;
        let due = owners.intersects(ASKERS) && is_set;
        (due || asked.intersects(ASKERS)) && !owners.contains(Owners::RUNS_FREE) && self.plain != frame.pc
    }
}

impl TaskDebug {
    /// Whether a step over a load-exclusive was asked for since [`is_stepped_next`](Self::is_stepped_next) has looked: it would come between the
    /// exclusives (H9). Who asks for a step has the task enter the kernel, and so the request is looked at right after the return.
    #[inline(always)]
    fn is_asked_too_late(&self, cpu: &MaskedCpu, held: &Held, frame: &Frame) -> bool {
        let asked = Owners::from_bits_truncate(self.asked.load(Acquire) as u8);
        asked.intersects(ASKERS)
            && held.plain != frame.pc
            && !held.stepping.owners.contains(Owners::RUNS_FREE)
            && is_load_exclusive(usercopy::load_instruction(frame.pc))
            && slots::breakpoint_hits(cpu, frame.pc).is_empty()
    }

    /// A step of the running task, whose state this is, is told without a step exception: no request and no owner of it are left. Thread
    /// context of the task.
    pub fn step_is_told(&self, owner: Owners, frame: &mut Frame) {
        let bits = u32::from(owner.bits());
        let _ = self.asked.fetch_and(!(bits | bits << 8), SeqCst);
        self.change_held(|held| {
            if held.stepping.owners.intersects(owner) {
                frame.pstate = held.stepping.owners.cancel(owner, frame.pstate);
            }
        });
    }

    /// Changes what the running task, whose state this is, holds. Thread context of the task, or on its way to EL0.
    pub(super) fn change_held<R>(&self, change: impl FnOnce(&mut Held) -> R) -> R {
        let _masked = Masked::new();
        // SAFETY: the running task's own thread is the only user, and with D masked nothing interrupts it. No caller's closure calls this
        // function, nor `held`.
        change(unsafe { &mut *self.held.get() })
    }

    /// Takes over what others have asked for.
    #[inline(always)]
    fn take_asked(&self, held: &mut Held, frame: &mut Frame) {
        let asked = self.asked.swap(0, SeqCst);
        if asked != 0 {
            apply(&mut held.stepping, asked, frame);
        }
    }

    /// A handler of a signal is about to begin in the running task, whose state this is. Puts the task's step-over off. A step that was asked
    /// for before is taken over, so that it lands on the handler's first instruction, before it (T2). `frame` still has the interrupted
    /// registers. Thread context of the task.
    pub fn handler_begins(&self, frame: &mut Frame) {
        if !self.is_active() {
            return;
        }
        self.change_held(|held| {
            self.take_asked(held, frame);
            if held.stepping.owners.contains(Owners::STEP_OVER) {
                let suspended = held.stepping.suspended;
                held.stepping.end_step_over();
                if !suspended.is_empty() {
                    held.put_off.put(Note { pc: frame.pc, sp: frame.sp, suspended });
                }
            }
        });
    }

    /// The running task, whose state this is, makes its system call anew: `frame` is in front of the SVC again. A step that the call has
    /// interrupted is not done (T2). Thread context of the task.
    pub fn call_is_made_anew(&self, frame: &mut Frame) {
        if self.is_active() && self.change_held(|held| !held.stepping.owners.is_empty()) {
            frame.pstate |= SPSR_SS;
        }
    }

    /// Whether the running task, whose state this is, is perhaps about to be stepped. A program that only has slots pays no more than this. The
    /// task is on its way to EL0, with D masked.
    #[inline(always)]
    pub fn may_be_stepped(&self, frame: &Frame) -> bool {
        frame.pstate & SPSR_SS != 0 || self.asked.load(Acquire) as u8 != 0
    }

    /// Whether the running task, whose state this is, is about to be stepped over an instruction that nobody has looked at yet: it may be
    /// a load-exclusive, which must not be stepped (H9). A slot at the instruction is hit before. D is masked.
    #[inline(never)]
    pub fn is_stepped_next(&self, frame: &Frame) -> bool {
        let asked = Owners::from_bits_truncate(self.asked.load(Acquire) as u8);
        let is_set = frame.pstate & SPSR_SS != 0;
        self.change_held(|held| held.is_stepped_next(frame, asked, is_set))
            && slots::breakpoint_hits(Masked::new().cpu(), frame.pc).is_empty()
    }

    /// Takes over what others have asked for, for a step that the kernel is about to make by other means. Returns whether a step is still
    /// due. Thread context of the task.
    pub fn is_step_due(&self, frame: &mut Frame) -> bool {
        self.change_held(|held| {
            self.take_asked(held, frame);
            held.is_stepped_next(frame, Owners::empty(), frame.pstate & SPSR_SS != 0)
        }) && slots::breakpoint_hits(Masked::new().cpu(), frame.pc).is_empty()
    }

    /// The instruction at PC belongs to no exclusive sequence, or is to be attempted as it is: it is stepped as any other. Thread context of
    /// the task.
    pub fn step_as_plain(&self, pc: u64) {
        self.change_held(|held| held.plain = pc);
    }

    /// Whether the running task, whose state this is, was last stopped at `pc` by a slot that is not armed any more. If the instruction is in
    /// an exclusive sequence, the store-exclusive fails now. False if the instruction was looked at already. The task is on its way to EL0, with D masked.
    #[inline(always)]
    pub fn has_stopped_at(&self, pc: u64) -> bool {
        // SAFETY: the running task's own thread is the only user, and with D masked nothing interrupts it.
        let held = unsafe { &*self.held.get() };
        let (at, this) = held.stopped;
        this.is_some() && at == pc && held.plain != pc && !self.is_enabled(this)
    }

    /// The running task, whose state this is, has executed by other means the exclusive sequence that it was to be stepped over. Thread context
    /// of the task.
    pub fn has_stepped_by_hand(&self) {
        self.change_held(|held| {
            held.stepping.end_step_over();
            held.stopped = (0, Use::NONE);
        });
    }
}

/// The running task goes back from a handler of a signal. If the instruction there waits for its step-over, the step-over goes on
/// ([`take_up`]). Thread context of the task.
pub fn handler_returns() {
    with_held(|held| held.put_off.due = true);
}

/// Takes up the step-over that was put off at the registers in `frame`, where a handler has gone back to. A step of somebody else that is
/// due in front of the instruction (SPSR.SS is clear) comes first. D is masked.
fn take_up(held: &mut Held, frame: &mut Frame) {
    let stepping = &mut held.stepping;
    if !held.put_off.due || (!stepping.owners.is_empty() && frame.pstate & SPSR_SS == 0) {
        return;
    }
    held.put_off.due = false;
    if let Some(suspended) = held.put_off.take(frame.pc, frame.sp)
        && let Ok(pstate) = stepping.owners.request(Owners::STEP_OVER, frame.pstate)
    {
        stepping.suspended = suspended;
        frame.pstate = pstate;
    }
}

/// The running task has executed by other means the exclusive sequence that a slot was hit in, at `pc`: its step-over is over. Thread
/// context of the task.
pub fn stepped_by_hand(pc: u64) {
    let masked = Masked::new();
    let cpu = masked.cpu();
    cpu.repeated.set((pc, IN_SEQUENCE));
    let _ = held(cpu, |held| held.stepping.end_step_over());
}

/// The instruction at `pc`, which was hit several times, is in no exclusive sequence. Thread context of the task.
pub fn is_in_no_sequence(pc: u64) {
    Masked::new().cpu().repeated.set((pc, 1));
}

/// The running task cannot step over the instruction that it is at: it runs free, for `owner` and with the slots suspended that were hit,
/// until its next exception (H9). Thread context of the task.
pub fn run_free(frame: &mut Frame, owner: Owners) {
    stats::FREE_RUNS.count_shared();
    with_held(|held| {
        if let Ok(pstate) = held.stepping.owners.run_free(owner, frame.pstate) {
            held.stepping.free_from = frame.pc;
            frame.pstate = pstate;
        }
    });
}
