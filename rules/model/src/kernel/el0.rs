//! Exceptions from EL0, as in `exception::el0`, and the debug state of a task, as in `debug::task::entry`.

use super::{Beside, Run};
use crate::broken::Broken;
use crate::config::Flaw;
use crate::state::{Code, Next, Progress, STEP_OVER, Slot, Slots, Stepping, TRACER};
use rules::pstate::Daif;
use rules::step::{By, Owners, moved};
use rules::table::{Masks, RowId, Ss};

impl Run<'_> {
    /// `apply::set_aside_of_task` and `task::take`.
    fn set_aside_of_task(&mut self, row: RowId, by: By) {
        if self.cpu().owners.is_empty() {
            return;
        }
        match self.ss_of(row) {
            Ss::ClearThenSet | Ss::Stash => {
                let mut taken = self.take();
                let end = by.ends();
                if taken.owners.intersects(end) {
                    let below = self.thread().top() - 1;
                    self.change_spsr(below, |spsr| (taken.owners.cancel(end, spsr), ()));
                    taken.suspended = Slots::NONE;
                }
                self.thread().held = taken;
            }
            Ss::Clear => {
                let below = self.thread().top() - 1;
                self.drop_owners(below);
            }
            Ss::Unsaid | Ss::Keep | Ss::Decide | Ss::Compute | Ss::CompleteStepOver | Ss::Park => {}
        }
    }

    /// An IRQ from EL0 (M5).
    pub fn irq_from_el0(&mut self) {
        self.take_exception(Code::Irq, RowId::M5);
        self.cpu().sgi = false;
        self.set_aside_of_task(RowId::M5, By::Interrupt);
        self.open(RowId::M5);
    }

    /// An IRQ from EL0 with none to acknowledge. What was taken off the CPU is owed to MDSCR_EL1 (I2).
    pub fn spurious_irq_from_el0(&mut self) {
        self.begin_spurious_irq_from_el0();
        self.leave_to_el0();
    }

    /// The first part of [`spurious_irq_from_el0`](Self::spurious_irq_from_el0): the way out may have work to do.
    pub fn begin_spurious_irq_from_el0(&mut self) {
        self.take_exception(Code::Irq, RowId::M5);
        self.set_aside_of_task(RowId::M5, By::Interrupt);
        self.seen.opened = Some(self.top_side());
        self.sync();
    }

    /// A pseudo-NMI from EL0 (M9).
    pub fn nmi_from_el0(&mut self) {
        self.take_exception(Code::Nmi, RowId::M9);
        self.set_aside_of_task(RowId::M5, By::Interrupt);
        self.sync();
        self.open(RowId::M9);
    }

    /// A system call (M2). The SVC is executed: the saved SPSR_EL1.SS is 0, and ELR is behind it.
    pub fn svc(&mut self) {
        self.top().ss = false;
        self.forget(0, STEP_OVER);
        self.advance(0);
        self.top().next = Next::Any;
        self.take_exception(Code::Svc, RowId::M2);
        self.set_aside_of_task(RowId::M2, By::Synchronous);
        self.open(RowId::M2);
    }

    /// A fault of a program (M2), which attempts the instruction anew later.
    pub fn fault_from_el0(&mut self) {
        self.forget(0, STEP_OVER);
        self.top().next = Next::Any;
        self.take_exception(Code::Fault, RowId::M2);
        self.set_aside_of_task(RowId::M2, By::Synchronous);
        self.open(RowId::M2);
    }

    /// A BRK of a program (M3), of which its tracer is told in place of a step (T2).
    pub fn brk_from_el0(&mut self) {
        self.forget(0, STEP_OVER);
        if self.top().steps[TRACER] != Progress::None && !self.top().uprobe {
            self.forget(0, TRACER);
            self.thread().wants = false;
        }
        self.top().next = Next::Any;
        self.take_exception(Code::Brk, RowId::M3);
        self.set_aside_of_task(RowId::M3, By::Brk);
        self.open(RowId::M3);
    }

    /// A hit of the watchpoint at EL0 (M4), which is reported or only counted.
    pub fn hit_from_el0(&mut self, reported: bool) {
        self.begin_hit_from_el0();
        self.step_over_at_el0();
        self.report(reported);
    }

    /// The first phase of [`hit_from_el0`](Self::hit_from_el0).
    pub fn begin_hit_from_el0(&mut self) {
        self.take_exception(Code::Watchpoint, RowId::M4);
        self.open(RowId::M4);
        self.check_open_at_entry();
    }

    /// The instruction that has hit is to be stepped over, in the first phase of [`hit_from_el0`](Self::hit_from_el0).
    pub fn step_over_at_el0(&mut self) {
        self.suspend(Slot::Watchpoint);
        self.request(0, Owners::STEP_OVER, STEP_OVER);
    }

    /// A step exception at EL0 (M4).
    pub fn step_from_el0(&mut self) {
        let reported = self.begin_step_from_el0();
        self.report(reported);
    }

    /// The first phase of [`step_from_el0`](Self::step_from_el0). Returns whether the step is reported.
    pub fn begin_step_from_el0(&mut self) -> bool {
        self.take_exception(Code::Step, RowId::M4);
        self.open(RowId::M4);
        self.check_open_at_entry();
        self.step_is_told(0);
        let owners = self.cpu().owners;
        if owners.is_empty() {
            self.note(Broken::StepOfNobody);
            self.spurious_step();
        }
        if owners.contains(Owners::STEP_OVER) {
            self.rearm();
        }
        self.cpu().owners = Owners::empty();
        let reported = owners.contains(self.at(0).owner(TRACER));
        if reported {
            self.thread().wants = false;
        }
        reported
    }

    /// The first phase of M4 uses what D protects.
    fn check_open_at_entry(&mut self) {
        if self.top().masks != Daif::all() {
            self.note(Broken::FirstPhaseOpen);
        }
    }

    /// The end of the first phase of M4: the second one begins (`el0::report`), or the program goes on (`apply::go_on_at_el0`).
    pub fn report(&mut self, reported: bool) {
        if reported {
            self.set_aside_of_task(RowId::M4, By::Debug);
            if self.masks_of(RowId::M4) == Masks::MaskedThenOpen {
                self.sync();
                self.top().masks = Daif::empty();
            }
            self.seen.opened = Some(self.top_side());
        } else {
            self.go_back();
        }
    }

    /// `el0::leave`, `apply::leave_to_el0`: the handler of an exception from EL0 ends, and the program goes on.
    pub fn leave_to_el0(&mut self) {
        if self.masks_of(RowId::M13) == Masks::Masked {
            self.top().masks = Daif::all();
        }
        self.top().ss = false;
        if !self.cpu().owners.is_empty() && !self.has(Flaw::HandlersStepGoesOn) {
            // A step of EL1 is left behind: it is cancelled (I6).
            self.end_of_context();
            self.sync();
        }
        if self.ss_of(RowId::M1) == Ss::ClearThenSet {
            self.give_to_task();
        }
        match self.beside {
            Beside::Nothing => {}
            Beside::PutOff => {
                self.suspend(Slot::Watchpoint);
                self.request(0, Owners::STEP_OVER, STEP_OVER);
            }
            Beside::Due => {
                self.change_spsr(0, |spsr| (moved(spsr), ()));
                self.advance(0);
            }
            Beside::Uprobe => self.request(0, Owners::UPROBE, TRACER),
            Beside::RunsFree => {
                self.change_spsr(0, |spsr| (moved(spsr), ()));
                self.cpu().owners |= Owners::RUNS_FREE;
            }
        }
        self.go_back();
    }

    /// As [`leave_to_el0`](Self::leave_to_el0), with what the kernel does for steps that the model's explorer leaves out: the next instruction is one that
    /// a slot has hit already, and is stepped over; or an exclusive sequence begins, which was made in software, so that the step is
    /// due, or which runs free (H9).
    pub fn leave_to_el0_with(&mut self, beside: Beside) {
        self.beside = beside;
        self.leave_to_el0();
    }

    /// `task::give`, with `entry::apply`.
    fn give_to_task(&mut self) {
        let thread = *self.thread();
        let asker = self.at(0).owner(TRACER);
        let mut owners = thread.held.owners;
        let mut suspended = thread.held.suspended.and(self.state.installed);
        self.thread().withdrawn = false;
        if thread.withdrawn && owners.contains(asker) && !self.has(Flaw::TracersDeathIsForgotten) {
            self.change_spsr(0, |spsr| (owners.cancel(asker, spsr), ()));
            self.forget(0, TRACER);
        }
        self.thread().asked = false;
        if thread.asked {
            if owners.contains(Owners::STEP_OVER) && !self.at(0).ss && !self.has(Flaw::RequestOverDueStep) {
                // The step-over is due: its instruction is done. The request sets SPSR_EL1.SS, which would have another one executed.
                self.change_spsr(0, |spsr| (owners.cancel(Owners::STEP_OVER, spsr), ()));
                self.forget(0, STEP_OVER);
                suspended = Slots::NONE;
            }
            self.at(0).steps[TRACER] = Progress::Asked;
        }
        if thread.asked && !(owners.contains(asker) && self.has(Flaw::NewTracerInheritsStep)) {
            let asked = self.change_spsr(0, |spsr| match owners.request(asker, spsr) {
                Ok(after) => (after, true),
                Err(_) => (spsr, false),
            });
            if !asked {
                self.forget(0, TRACER);
            }
        }
        if owners.is_empty() {
            self.thread().held.owners = owners;
            return;
        }
        if owners.contains(Owners::STEP_OVER) && suspended.is_empty() {
            self.change_spsr(0, |spsr| (owners.cancel(Owners::STEP_OVER, spsr), ()));
            self.forget(0, STEP_OVER);
        }
        let cpu = self.cpu();
        cpu.suspended = cpu.suspended.or(suspended);
        cpu.debt |= !suspended.is_empty();
        cpu.owners = owners;
        self.thread().held = Stepping::default();
    }

    /// An SError from EL0, which ends the kernel too: the syndrome does not say that it is the task's (M16).
    pub fn serror_from_el0(&mut self) {
        self.take_exception(Code::Panic, RowId::M7);
        self.set_aside_of_task(RowId::M9, By::Interrupt);
        self.open(RowId::M9);
        self.panic();
    }
}
