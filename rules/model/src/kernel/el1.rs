//! Exceptions from EL1: which row applies to each, as in `exception::el1`, and what the first part of its handler does.

use super::Run;
use crate::broken::Broken;
use crate::config::Flaw;
use crate::state::{
    Code, Context, Cpu, DEBUGGER, DISPLACED, Next, Phase, Progress, STEP_OVER, Slot, Slots, THREADS, Thread,
};
use rules::pstate::Daif;
use rules::step::{Owners, moved};
use rules::table::{Masks, RowId, Ss};

impl Run<'_> {
    /// An IRQ (M8).
    pub fn irq(&mut self) {
        self.take_exception(Code::Irq, RowId::M8);
        self.cpu().sgi = false;
        self.set_aside(RowId::M8);
        self.open(RowId::M8);
    }

    /// An IRQ with none to acknowledge: nothing is opened, but a step may have been set aside.
    pub fn spurious_irq(&mut self) {
        self.begin_spurious_irq();
        self.resume();
    }

    /// The first part of [`spurious_irq`](Self::spurious_irq).
    pub fn begin_spurious_irq(&mut self) {
        self.take_exception(Code::Irq, RowId::M8);
        self.set_aside(RowId::M8);
        self.seen.opened = Some(self.top_side());
    }

    /// A pseudo-NMI (M9): only the acknowledge tells it from an IRQ.
    pub fn nmi(&mut self) {
        self.take_exception(Code::Nmi, RowId::M9);
        self.set_aside(RowId::M8);
        if self.ss_of(RowId::M8) != self.ss_of(RowId::M9) {
            self.put_back();
            self.top().stashed = false;
            self.set_aside(RowId::M9);
        }
        self.open(RowId::M9);
    }

    /// An SError from EL1, which ends the kernel (M16).
    pub fn serror(&mut self) {
        self.take_exception(Code::Panic, RowId::M7);
        self.set_aside(RowId::M9);
        self.open(RowId::M9);
        self.panic();
    }

    /// `fatal`: the kernel's end (M7).
    pub fn fatal(&mut self) {
        self.take_exception(Code::Panic, RowId::M7);
        self.panic();
    }

    pub(super) fn panic(&mut self) {
        if self.masks_of(RowId::M7) == Masks::Masked {
            self.top().masks = Daif::all();
        }
        self.set_aside(RowId::M7);
        if self.ss_of(RowId::M7) == Ss::Clear {
            self.clear_ss();
        }
        self.open(RowId::M7);
        self.forget_all_but_this();
    }

    /// Nothing runs any more but the kernel's end, so states that differ in nothing else are one state.
    fn forget_all_but_this(&mut self) {
        let (context, ss) = (*self.top(), self.cpu().ss);
        let running = self.running();
        for cpu in &mut self.state.cpus {
            *cpu = Cpu::IDLE;
        }
        self.state.threads = [Thread::NONE; THREADS];
        self.state.threads[running].len = 1;
        self.state.threads[running].stack[0] =
            Context { masks: context.masks, ..Context::new(Code::Panic, RowId::M7) };
        self.state.cpus[self.cpu] = Cpu { running: Some(running as u8), ss, ..Cpu::IDLE };
        self.state.installed = Slots::NONE;
    }

    /// A hit of `slot` at EL1 (M10): `hit::breakpoint`, `hit::watchpoint`.
    pub fn hit(&mut self, slot: Slot) {
        self.begin_hit(slot);
        self.step_over(slot);
    }

    /// The first part of [`hit`](Self::hit): the handler finds out whose the slot is.
    pub fn begin_hit(&mut self, slot: Slot) {
        let code = match slot {
            Slot::Breakpoint => Code::Breakpoint,
            Slot::Watchpoint => Code::Watchpoint,
        };
        self.take_exception(code, RowId::M10);
        self.set_aside(RowId::M10);
        self.open(RowId::M10);
        let below = self.thread().top() - 1;
        self.give_back_kept(below);
    }

    /// The second part of [`hit`](Self::hit): the instruction is to be stepped over.
    pub fn step_over(&mut self, slot: Slot) {
        let below = self.thread().top() - 1;
        let step = if self.at(below).copy.is_some() { DISPLACED } else { STEP_OVER };
        self.request(below, Owners::STEP_OVER, step);
        self.suspend(slot);
    }

    /// `slots::suspend`.
    pub(super) fn suspend(&mut self, slot: Slot) {
        let cpu = self.cpu();
        cpu.suspended = cpu.suspended.or(Slots::of(slot));
        cpu.debt = true;
    }

    /// `kprobe::show`: a displaced instruction has hit. The CPU gets back the owners that the level keeps, except a step-over.
    fn give_back_kept(&mut self, index: usize) {
        if let Some(mut copy) = self.at(index).copy {
            self.cpu().owners |= copy.kept - Owners::STEP_OVER;
            copy.kept &= Owners::STEP_OVER;
            self.at(index).copy = Some(copy);
        }
    }

    /// `kprobe::Displaced::resume`: all owners wait in the level again, except the step-over of the slots that were hit.
    pub(super) fn keep_again(&mut self, index: usize) {
        if let Some(mut copy) = self.at(index).copy {
            let owners = self.cpu().owners;
            copy.kept = (copy.kept & Owners::STEP_OVER) | (owners - Owners::STEP_OVER);
            if !self.has(Flaw::KeptStaysOnCpu) {
                self.cpu().owners = owners & Owners::STEP_OVER;
            }
            self.at(index).copy = Some(copy);
        }
    }

    /// A step exception at EL1 (M10): `hit::step`.
    pub fn step(&mut self) {
        self.take_exception(Code::Step, RowId::M10);
        self.set_aside(RowId::M10);
        self.open(RowId::M10);
        let root = self.thread().stepped();
        self.step_is_told(root);
        let owners = self.cpu().owners;
        if owners.is_empty() {
            self.note(Broken::StepOfNobody);
            return self.spurious_step();
        }
        if owners.contains(Owners::STEP_OVER) {
            self.rearm();
        }
        self.cpu().owners = Owners::empty();
        if owners.contains(Owners::DEBUGGER) {
            self.top().phase = Phase::Client;
        }
    }

    /// `hit::spurious_step` (H3).
    pub(super) fn spurious_step(&mut self) {
        if !self.has(Flaw::SpuriousStepStays) {
            self.cpu().ss = false;
            self.cpu().debt = false;
        }
    }

    /// A step exception tells the owners of the context at `root` that their steps are done; those that are kept for the time after a displaced
    /// instruction are told later.
    pub(super) fn step_is_told(&mut self, root: usize) {
        let kept = self.thread().kept();
        let owners = self.cpu().owners;
        let (mut early, mut here) = (false, false);
        let context = self.at(root);
        for index in 0..context.steps.len() {
            if !context.is_kept(index, kept) {
                early |= context.steps[index] == Progress::Asked;
                here |= context.steps[index] != Progress::None;
                context.steps[index] = Progress::None;
            }
        }
        if early {
            self.note(Broken::StepEarly);
        } else if !here && !owners.is_empty() {
            self.note(Broken::StepElsewhere);
        }
    }

    /// A probe's BRK (M12; M14 inside a debug context).
    pub fn probe(&mut self) {
        let row = self.row_of_brk(RowId::M12);
        self.take_exception(Code::Probe, row);
        self.set_aside(row);
        self.open(row);
    }

    /// The BRK behind a displaced instruction (M12): `kprobe::out_of_line_end`.
    pub fn trap(&mut self) {
        let row = self.row_of_brk(RowId::M12);
        self.take_exception(Code::Trap, row);
        self.set_aside(row);
        self.open(row);
    }

    /// A debugger's BRK: `debugger::brk`. The context's plan ends, because the context stops for another reason.
    pub fn debugger(&mut self) {
        let row = self.row_of_brk(RowId::M12);
        self.take_exception(Code::Debugger, row);
        self.set_aside(row);
        self.open(row);
        let below = self.thread().top() - 1;
        self.move_on(below);
        if row == RowId::M12 {
            let root = self.thread().root(below);
            self.forget(root, DEBUGGER);
            self.top().parked.remove(Owners::DEBUGGER);
            if !self.has(Flaw::StepOverOfBrkGoesOn) && self.top().parked.contains(Owners::STEP_OVER) {
                self.forget_step_overs(root);
                self.top().parked.remove(Owners::STEP_OVER);
                self.rearm();
            }
        }
    }

    /// The BRK of a WARN (M11; M14 inside a debug context).
    pub fn warn(&mut self) {
        let row = self.row_of_brk(RowId::M11);
        self.take_exception(Code::Warn, row);
        if row == RowId::M11 {
            self.goes_into_handler();
        }
        self.set_aside(row);
        self.open(row);
    }

    /// The row of a BRK: `outside`, or M14 inside a debug context.
    fn row_of_brk(&mut self, outside: RowId) -> RowId {
        if self.thread().depth() == 0 { outside } else { RowId::M14 }
    }

    /// What M6 and M11 demand of the steps of the context that has taken the exception: a step-over is over, and any other step goes into
    /// the handler.
    fn goes_into_handler(&mut self) {
        let below = self.thread().top() - 1;
        let root = self.thread().root(below);
        self.forget_step_overs(root);
        if self.at(below).d_is_open() {
            self.advance(root);
        }
    }

    /// A fault at EL1 that is not fatal (M6). A fault of a displaced instruction is the probed one's (K7): `kprobe::fault_in_copy`.
    pub fn fault(&mut self) {
        let nested = self.thread().depth() != 0;
        self.take_exception(Code::Fault, RowId::M6);
        let below = self.thread().top() - 1;
        if let Some(copy) = self.at(below).copy.take() {
            self.at(below).masks = copy.masks;
            self.cpu().owners |= copy.kept;
        }
        // The attempt is over: the next one hits again (X1).
        self.at(below).next = Next::Any;
        if !nested {
            self.goes_into_handler();
            self.set_aside(RowId::M6);
            if !self.has(Flaw::StepIntoHandlerKeepsSs) {
                self.change_spsr(below, |spsr| (moved(spsr), ()));
            }
        }
        self.open(RowId::M6);
    }
}
