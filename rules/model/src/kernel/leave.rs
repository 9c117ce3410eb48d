//! The ways out of handlers, and the switch of threads.

use super::{INTERRUPTS, Run};
use crate::broken::Broken;
use crate::config::Flaw;
use crate::state::{Code, Context, DEBUGGER, Next, OutOfLine, Phase, Progress, Section, Slots};
use rules::pstate::Daif;
use rules::step::{Owners, may_reschedule};
use rules::switch::{SwitchFault, SwitchState};
use rules::table::RowId;

impl Run<'_> {
    /// The displaced instruction of the probe is simulated, and its handler ends: `engine::displaced`, `engine::behind`.
    pub fn simulate(&mut self) {
        let below = self.thread().top() - 1;
        let nested = self.top().row == RowId::M14;
        let mut parked = core::mem::take(&mut self.top().parked);
        if !nested {
            parked |= self.cpu().owners.take();
        }
        self.move_on(below);
        self.behind(below, parked);
        self.leave();
    }

    /// `engine::behind`.
    fn behind(&mut self, index: usize, owners: Owners) {
        if !owners.is_empty() {
            self.cpu().owners |= owners;
            let was_over = self.cpu().owners.contains(Owners::STEP_OVER);
            self.complete_in_software(index);
            if was_over {
                let root = self.thread().stepped();
                self.forget_step_overs(root);
            }
        }
    }

    /// The displaced instruction is to run out of line, in the copy that ends in a BRK: `engine::displaced`.
    pub fn send_into_copy(&mut self) {
        let mut parked = core::mem::take(&mut self.top().parked);
        if !self.has(Flaw::CopyIsStepped) {
            parked |= self.cpu().owners.take();
        }
        let masked = if self.has(Flaw::CopyRunsOpen) { Daif::empty() } else { INTERRUPTS };
        let below = self.below();
        below.copy = Some(OutOfLine { masks: below.masks, kept: parked, ran: false });
        below.masks |= masked;
        below.next = Next::Any;
        self.leave();
    }

    /// As [`send_into_copy`](Self::send_into_copy), for a probe that is hit in a debug context (M14): the owners are an outer context's, and stay. The
    /// explorer leaves this out; a replay needs it.
    pub fn send_into_copy_nested(&mut self) {
        let below = self.below();
        below.copy = Some(OutOfLine { masks: below.masks, kept: Owners::empty(), ran: false });
        self.leave();
    }

    /// The handler of the BRK behind the displaced instruction ends: `kprobe::out_of_line_end`. A post-handler may have asked for a step of the context,
    /// which the explorer leaves out.
    pub fn end_copy(&mut self, asks: bool) {
        let below = self.thread().top() - 1;
        let parked = core::mem::take(&mut self.top().parked);
        let Some(copy) = self.at(below).copy.take() else { return };
        self.at(below).masks = copy.masks;
        self.move_on(below);
        if asks {
            self.request(below, Owners::DEBUGGER, DEBUGGER);
        }
        self.behind(below, copy.kept | parked);
        self.leave();
    }

    /// A handler of M10 ends.
    pub fn leave_debug(&mut self) {
        let below = self.thread().top() - 1;
        if self.top().code == Code::Step {
            self.make_up_reschedule();
        } else if self.at(below).copy.is_some() {
            self.keep_again(below);
        }
        self.leave();
    }

    /// The deferred work of an interrupt begins (M8, M5): `irq::deferred::run`, and `el0::work`.
    pub fn begin_deferred(&mut self) {
        self.change_masks();
        self.open_for_work();
        let top = self.top();
        top.masks &= !INTERRUPTS;
        top.phase = Phase::Deferred;
    }

    /// The deferred work ends.
    pub fn end_deferred(&mut self) {
        self.change_masks();
        let masked = if self.has(Flaw::WayOutIsOpen) { Daif::empty() } else { INTERRUPTS };
        let top = self.top();
        top.masks |= masked;
        top.phase = Phase::WayOut;
    }

    /// `el0::work`: a handler of an exception from EL0 has masked everything, and opens D and A for what is left to be done.
    fn open_for_work(&mut self) {
        let below = self.thread().top() - 1;
        if self.at(below).code == Code::Program {
            self.sync();
            self.top().masks = INTERRUPTS;
        }
    }

    /// The way out of an interrupt asks the scheduler (`sched::leave_interrupt`), which has thread `next` run here, or the same thread.
    pub fn reschedule(&mut self, next: Option<u8>) {
        let thread = *self.thread();
        let is_at_work = |context: &Context| {
            matches!(context.code, Code::Irq | Code::Nmi) && context.phase != Phase::WayOut
        };
        if thread.contexts()[..thread.top()].iter().any(is_at_work) {
            self.note(Broken::SwitchInHandler);
        }
        self.open_for_work();
        let top = self.top();
        top.phase = Phase::WayOut;
        top.section = Section::None;
        if !self.cpu().owners.is_empty() {
            self.end_of_context();
            let top = self.thread().top();
            let root = self.thread().root(top);
            self.at(root).steps = [Progress::None; 3];
            self.end_of_section();
        }
        self.cpu().reschedule = false;
        if let Some(next) = next {
            self.switch(Some(next));
        }
    }

    /// `sched::run::schedule`: the running thread is switched away, and `next` runs here; or the CPU idles.
    pub fn switch(&mut self, next: Option<u8>) {
        self.save_steps();
        self.check_switchable();
        self.cpu().running = next;
        if next.is_some() {
            self.arrive();
        }
    }

    /// `step::save`.
    pub fn save_steps(&mut self) {
        if !self.cpu().owners.is_empty() {
            self.executed();
            let mut saved = self.take();
            if saved.owners.contains(Owners::RUNS_FREE) && saved.owners.contains(Owners::STEP_OVER) {
                // `Stepping::end_step_over` (H9).
                saved.owners.remove(Owners::STEP_OVER);
                saved.suspended = Slots::NONE;
                if saved.owners == Owners::RUNS_FREE {
                    saved.owners = Owners::empty();
                }
                let top = self.thread().top();
                let root = self.thread().root(top);
                self.forget_step_overs(root);
            }
            self.thread().saved = Some(saved);
            self.end_of_section();
        }
    }

    /// `sched::run::finish_switch`: the debug state of the thread that runs here from now on comes back.
    pub fn arrive(&mut self) {
        if let Some(saved) = self.thread().saved.take() {
            self.give(saved);
            self.end_of_section();
        }
    }

    /// `debug::check_switchable` (I5), by the kernel's own function.
    fn check_switchable(&mut self) {
        let thread = *self.thread();
        let cpu = *self.cpu();
        let probes = thread.contexts().iter();
        let probes = probes.filter(|context| context.copy.is_some() || context.code == Code::Probe).count();
        let state = SwitchState {
            masks: thread.contexts()[thread.top()].masks,
            ss: cpu.ss,
            debug_depth: thread.depth(),
            active_probes: probes,
            stash: usize::from(cpu.stash_len),
            el1_slot_suspended: !cpu.suspended.is_empty(),
        };
        if let Err(fault) = state.may_switch() {
            self.note(match fault {
                SwitchFault::DebugContext => Broken::SwitchInDebugContext,
                SwitchFault::Probe => Broken::SwitchInProbe,
                SwitchFault::DebugMasked => Broken::SwitchWithDMasked,
                SwitchFault::Stash => Broken::SwitchWithStash,
                SwitchFault::SuspendedSlot => Broken::SwitchWithSuspendedSlot,
                _ => Broken::SwitchStepping,
            });
        }
    }

    /// Whether the way out of the interrupt that is at the top may switch threads (M8).
    pub fn may_reschedule(&mut self) -> bool {
        may_reschedule(usize::from(self.cpu().stash_len))
    }
}
