//! What code at EL1 does besides taking exceptions: instructions, masks, slots, and the clients of debug contexts.

use super::{INTERRUPTS, Run};
use crate::broken::Broken;
use crate::state::{
    Code, DEBUGGER, DISPLACED, Next, Phase, Progress, STEP_OVER, Section, Slot, Slots, Stepping,
};
use rules::pstate::Daif;
use rules::step::{Owners, moved};

impl Run<'_> {
    /// `Frame::move_to`, in a handler that goes on with the steps of the context at `index`: no instruction of the steps is executed by it.
    pub fn set_pc(&mut self, index: usize) {
        self.change_spsr(index, |spsr| (moved(spsr), ()));
        self.at(index).next = Next::Any;
    }

    /// `Frame::move_to`: the context at `index` goes on elsewhere (M13). What it was to execute counts as executed.
    pub fn move_on(&mut self, index: usize) {
        self.set_pc(index);
        if self.at(index).d_is_open() {
            let root = self.thread().root(index);
            self.advance(root);
        }
    }

    /// The client of a debug context moves the PC of the context below. A displaced instruction that has not run yet does not run.
    pub fn move_pc(&mut self) {
        let below = self.thread().top() - 1;
        if let Some(copy) = self.at(below).copy.take() {
            self.at(below).masks = copy.masks;
            self.cpu().owners |= copy.kept;
            let root = self.thread().root(below);
            let context = self.at(root);
            if core::mem::replace(&mut context.steps[DISPLACED], Progress::None) != Progress::None {
                context.steps[STEP_OVER] = Progress::Asked;
            }
        }
        self.move_on(below);
        if self.top().code == Code::Probe {
            self.top().phase = Phase::Moved;
        }
    }

    /// `debugger::step`: a client asks for a step of the context that the debug context has interrupted.
    pub fn ask(&mut self) {
        let below = self.thread().top() - 1;
        if !self.at(below).ss {
            let had = self.cpu().owners.contains(Owners::STEP_OVER);
            self.complete_in_software(below);
            if had {
                let root = self.thread().stepped();
                self.forget_step_overs(root);
            }
        }
        self.request(below, Owners::DEBUGGER, DEBUGGER);
    }

    /// A client asks for a step of a context that has D masked, which is refused (X2).
    pub fn ask_masked(&mut self) {
        let below = self.thread().top() - 1;
        self.request(below, Owners::DEBUGGER, DEBUGGER);
        if self.cpu().owners.contains(Owners::DEBUGGER) {
            self.note(Broken::StepOfMasked);
        }
    }

    /// The kernel (module `exclusive`) has made the exclusive sequence that the context is in as one step, in software, and the context goes on behind
    /// it (H9). The explorer leaves this out; a replay needs it.
    pub fn step_over_in_software(&mut self) {
        let below = self.thread().top() - 1;
        self.move_on(below);
        self.complete_in_software(below);
        let root = self.thread().stepped();
        self.forget_step_overs(root);
    }

    /// `session`: QEMU has taken the step exception behind the instruction that masks D. The step counts where D opens again (X2): the debugger's step
    /// stays due. The explorer, whose machine takes no step exception with D masked, leaves this out; a replay needs it.
    pub fn step_waits_for_d(&mut self) {
        self.cpu().owners |= Owners::DEBUGGER;
        let root = self.thread().stepped();
        self.at(root).steps[DEBUGGER] = Progress::Due;
    }

    /// `step::over_brk`: a probe's handler has moved the context behind the BRK and asked for a step, so a step-over of the BRK is over. The explorer
    /// leaves this out; a replay needs it.
    pub fn over_brk(&mut self) {
        self.top().parked.remove(Owners::STEP_OVER);
        let root = self.thread().stepped();
        self.forget_step_overs(root);
        self.rearm();
    }

    /// A debugger's BRK for which no client stops does not end the plan of the context: the BRK is its step. The explorer leaves this out; a replay
    /// needs it.
    pub fn plan_goes_on(&mut self) {
        self.top().parked |= Owners::DEBUGGER;
        let below = self.thread().top() - 1;
        let root = self.thread().root(below);
        self.at(root).steps[DEBUGGER] = Progress::Due;
    }

    /// The next instructions of the context below are an exclusive sequence that cannot be made as one step: the context runs free (H9). The
    /// explorer leaves this out; a replay needs it.
    pub fn run_free(&mut self) {
        let below = self.thread().top() - 1;
        self.change_spsr(below, |spsr| (moved(spsr), ()));
        self.cpu().owners |= Owners::RUNS_FREE;
    }

    /// `step::end_free_run`: the next exception ends a free run (H9). The explorer leaves this out; a replay needs it.
    pub fn end_free_run(&mut self) {
        let owners = self.cpu().owners;
        if owners.contains(Owners::STEP_OVER) {
            self.rearm();
        }
        self.cpu().owners = owners - Owners::RUNS_FREE - Owners::STEP_OVER;
        let root = self.thread().stepped();
        self.forget_step_overs(root);
        self.advance(root);
    }

    /// `debugger::slot`: the plan of the context ends, because a slot with the disposition `STOP` was hit.
    pub fn end_plan(&mut self) {
        let below = self.thread().top() - 1;
        let mut owners = self.cpu().owners;
        self.change_spsr(below, |spsr| (owners.cancel(Owners::DEBUGGER, spsr), ()));
        self.cpu().owners = owners;
        let root = self.thread().stepped();
        self.forget(root, DEBUGGER);
    }

    /// `session::end`: the running context ends its own session.
    pub fn end_session(&mut self) {
        self.executed();
        let top = self.thread().top();
        let cpu = self.cpu();
        cpu.owners.remove(Owners::DEBUGGER);
        if cpu.owners == Owners::RUNS_FREE {
            cpu.owners = Owners::empty();
        }
        let root = self.thread().root(top);
        self.forget(root, DEBUGGER);
        self.make_up_reschedule();
        self.end_of_section();
    }

    /// The end of a section that has masked D for a moment (`control::Masked`): the debt is paid, and D opens with PSTATE.SS clear.
    pub(super) fn end_of_section(&mut self) {
        self.sync();
        self.top().ss = false;
    }

    /// A slot is installed on every CPU (H5).
    pub fn install(&mut self, slot: Slot) {
        self.state.installed = self.state.installed.or(Slots::of(slot));
    }

    /// A slot is removed on every CPU, and its record ends: whoever holds it suspended finds it gone, whatever gets its number later.
    pub fn uninstall(&mut self, removed: Slot) {
        let slot = Slots::of(removed);
        let state = &mut self.state;
        state.installed = state.installed.without(slot);
        let forget = |stepping: &mut Stepping| stepping.suspended = stepping.suspended.without(slot);
        for cpu in &mut state.cpus {
            cpu.suspended = cpu.suspended.without(slot);
            cpu.stash.iter_mut().for_each(forget);
        }
        for thread in &mut state.threads {
            forget(&mut thread.held);
            if let Some(saved) = &mut thread.saved {
                forget(saved);
            }
            // An attempt that the slot has counted is not counted yet by a slot that is installed later.
            for context in thread.stack.iter_mut().filter(|context| context.next.slot() == Some(removed)) {
                context.next = Next::Any;
            }
        }
    }

    /// The context at the top executes an instruction.
    pub fn execute(&mut self) {
        let enabled = self.is_step_enabled();
        self.executed();
        let context = self.top();
        if enabled {
            context.ss = false;
        }
        context.next = Next::Any;
        if let Some(copy) = &mut context.copy {
            copy.ran = true;
        }
    }

    /// Whether software step is enabled in the context at the top (DDI 0487 D2.12).
    pub fn is_step_enabled(&mut self) -> bool {
        let ss = self.cpu().ss;
        let context = self.top();
        ss && (context.code == Code::Program || context.d_is_open())
    }

    /// The context at the top begins, changes or ends a section in which it has masked exceptions by itself.
    pub fn set_section(&mut self, section: Section) {
        self.change_masks();
        let begun = self.begun();
        let top = self.top();
        top.section = section;
        top.masks = begun
            | match section {
                Section::None => Daif::empty(),
                Section::Interrupts => INTERRUPTS,
                Section::All => Daif::all(),
            };
    }

    /// The masks that the context at the top has begun with.
    fn begun(&mut self) -> Daif {
        let top = *self.top();
        if top.is_base() || top.phase == Phase::Deferred {
            return Daif::empty();
        }
        if top.phase == Phase::WayOut {
            return INTERRUPTS;
        }
        let below = self.below().masks;
        self.kernel.begun(top.row, below)
    }

    /// The context at the top executes an instruction that changes the masks.
    pub(super) fn change_masks(&mut self) {
        self.executed();
        let top = self.top();
        top.ss = false;
        top.next = Next::Any;
    }
}
