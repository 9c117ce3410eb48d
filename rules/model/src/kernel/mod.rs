//! What the kernel does at the entry of an exception, in a handler, and on the way out, on the state of the model.
//!
//! The columns of the table decide, by the same `match` as in the kernel's `exception::apply`, and owners change by the functions of
//! `rules::step`, which the kernel calls too. The rest mirrors functions of the kernel, which each function here names: they move owners and
//! suspended slots between their holders, and touch registers, so they cannot be called on the host.

mod el0;
mod el1;
mod handlers;
mod leave;

use crate::broken::Broken;
use crate::config::Flaw;
use crate::state::{Code, Context, DISPLACED, Progress, STASH, STEP_OVER, Slots};
use crate::state::{Cpu, State, Stepping, Thread};
use crate::table::Table;
use rules::pstate::{Daif, SPSR_SS};
use rules::step::{Owners, mdscr_ss, moved};
use rules::table::{Masks, RowId, Ss};
use trace::Side;

/// I and F.
const INTERRUPTS: Daif = Daif::I.union(Daif::F);

/// Flags and mode in the SPSR_EL1 of every context of the model, so that a change of them is seen (I4).
const FLAGS_AND_MODE: u64 = 0x9000_0005;

/// The kernel of a model.
#[derive(Clone)]
pub struct Kernel {
    /// The rule table that it applies.
    pub table: Table,
    /// What is wrong with it, if anything.
    pub flaw: Option<Flaw>,
    /// The notes that transitions make: those that a checked property asks for.
    pub watched: Vec<Broken>,
}

impl Kernel {
    /// The masks that a handler begins with by this row, in a context with the masks `below`.
    pub fn begun(&self, row: RowId, below: Daif) -> Daif {
        match self.table.row(row).masks {
            // What the first part of M4 opens for the second.
            Masks::MaskedThenOpen if row == RowId::M4 => Daif::empty(),
            masks => masks.apply(below).unwrap_or(Daif::all()),
        }
    }
}

/// What a record of an exception shows of a transition, as `debug::record` takes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The handler, once its masks are open; with M4 also its second phase.
    pub opened: Option<Side>,
    /// The way out of the handler, before what was set aside is put back.
    pub leaving: Option<Side>,
    /// The context that is returned to, with SPSR_EL1.SS as it is loaded.
    pub returned: Option<Side>,
}

/// What the kernel does on the way to a program beside what the explorer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// The next instruction has hit a slot already, and is stepped over.
    PutOff,
    /// The step that is asked for was made in software.
    Due,
    /// The program runs free (H9).
    RunsFree,
    /// A user probe asks for a step, beside a tracer.
    Uprobe,
}

/// A transition under way on one CPU.
pub struct Run<'m> {
    /// The kernel that the CPU runs.
    pub kernel: &'m Kernel,
    /// The state, as far as the transition has come.
    pub state: State,
    /// The CPU that makes the transition.
    pub cpu: usize,
    /// What a record shows of it.
    pub seen: Seen,
    beside: Beside,
}

impl<'m> Run<'m> {
    /// A transition that begins in a state.
    pub fn new(kernel: &'m Kernel, state: State, cpu: usize) -> Self {
        Self { kernel, state, cpu, seen: Seen::default(), beside: Beside::Nothing }
    }
}

impl Run<'_> {
    /// The context at `index` with what the CPU has, as a record has it.
    pub(crate) fn side(&mut self, index: usize) -> Side {
        let (context, cpu) = (*self.at(index), *self.cpu());
        Side { masks: context.masks, ss: context.ss, mdscr_ss: cpu.ss, owners: cpu.owners }
    }

    /// The context at the top, as a record has it.
    pub(crate) fn top_side(&mut self) -> Side {
        let top = self.thread().top();
        self.side(top)
    }

    /// The CPU that makes the transition.
    pub fn cpu(&mut self) -> &mut Cpu {
        &mut self.state.cpus[self.cpu]
    }

    /// The number of the thread that runs on this CPU.
    fn running(&self) -> usize {
        usize::from(self.state.cpus[self.cpu].running.unwrap_or_default())
    }

    /// The thread that runs on this CPU.
    pub fn thread(&mut self) -> &mut Thread {
        let running = self.running();
        &mut self.state.threads[running]
    }

    /// The context at this index of the running thread's stack.
    pub fn at(&mut self, index: usize) -> &mut Context {
        &mut self.thread().stack[index]
    }

    /// The context that runs.
    pub fn top(&mut self) -> &mut Context {
        let top = self.thread().top();
        self.at(top)
    }

    /// The context that the handler which runs has interrupted.
    pub fn below(&mut self) -> &mut Context {
        let top = self.thread().top();
        self.at(top - 1)
    }

    /// Records that the transition breaks a rule. The first one counts.
    pub fn note(&mut self, broken: Broken) {
        if self.state.noted.is_none() && self.kernel.watched.contains(&broken) {
            self.state.noted = Some(broken);
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.kernel.flaw == Some(flaw)
    }

    /// Changes the saved PSTATE of a context by `change`, which may change SPSR_EL1.SS only (I4).
    fn change_spsr<R>(&mut self, index: usize, change: impl FnOnce(u64) -> (u64, R)) -> R {
        let context = *self.at(index);
        let spsr = FLAGS_AND_MODE | context.masks.bits() | if context.ss { SPSR_SS } else { 0 };
        let (mut after, result) = change(spsr);
        if self.has(Flaw::ChangesFlags) {
            after ^= 1 << 30;
        }
        if (after ^ spsr) & !SPSR_SS != 0 {
            self.note(Broken::Flags);
        }
        self.at(index).ss = after & SPSR_SS != 0;
        result
    }

    // The steps that were asked for, whatever the table makes of them.

    /// A step of the context at `index` is over, or nobody asks for it any more.
    fn forget(&mut self, index: usize, step: usize) {
        self.at(index).steps[step] = Progress::None;
    }

    /// Whatever the context at `index` was to step over is done, or is not attempted any more.
    fn forget_step_overs(&mut self, index: usize) {
        self.forget(index, STEP_OVER);
        if self.at(index).code != Code::Program {
            self.forget(index, DISPLACED);
        }
    }

    /// The steps of the context at `index` are as far as after one instruction: one was executed, a handler has done in software what it
    /// does, or it has taken an exception into a handler that goes on with the steps.
    fn advance(&mut self, index: usize) {
        for step in &mut self.at(index).steps {
            if *step == Progress::Asked {
                *step = Progress::Due;
            }
        }
    }

    /// Counts an instruction that the context at the top executes: it is the one instruction of each step, or one too many. A stretch with D
    /// masked is part of the instruction that has masked D (X2).
    fn executed(&mut self) {
        if !self.top().d_is_open() || self.cpu().owners.contains(Owners::RUNS_FREE) {
            return;
        }
        let top = self.thread().top();
        let root = self.thread().root(top);
        let kept = self.thread().kept();
        let mut twice = false;
        let context = self.at(root);
        for index in 0..context.steps.len() {
            if context.is_kept(index, kept) {
                continue;
            }
            twice |= context.steps[index] == Progress::Due;
            if context.steps[index] == Progress::Asked {
                context.steps[index] = Progress::Due;
            }
        }
        if twice {
            self.note(Broken::StepTwice);
        }
    }

    // The CPU's debug state.

    /// `debug::control::sync`: brings MDSCR_EL1 into line, with an ISB.
    pub fn sync(&mut self) {
        if self.has(Flaw::NeverPays) {
            return;
        }
        let cpu = self.cpu();
        cpu.ss = mdscr_ss(cpu.owners);
        cpu.debt = false;
    }

    /// `slots::rearm`: arms the suspended slots again. An ISB is owed.
    fn rearm(&mut self) {
        let cpu = self.cpu();
        cpu.debt |= !cpu.suspended.is_empty();
        cpu.suspended = Slots::NONE;
    }

    /// `debug::step::take`.
    fn take(&mut self) -> Stepping {
        let cpu = self.cpu();
        let taken = Stepping { owners: cpu.owners.take(), suspended: cpu.suspended };
        if !self.has(Flaw::StashKeepsSuspended) {
            self.rearm();
        }
        taken
    }

    /// `debug::step::give`, with `slots::unstash`: returns whether a slot is suspended now.
    fn give(&mut self, stepping: Stepping) -> bool {
        let suspended = stepping.suspended.and(self.state.installed);
        let cpu = self.cpu();
        cpu.owners = stepping.owners;
        cpu.suspended = cpu.suspended.or(suspended);
        cpu.debt |= !suspended.is_empty();
        !cpu.suspended.is_empty()
    }

    /// `debug::step::stash` (M8, M9).
    fn stash(&mut self) {
        let len = usize::from(self.cpu().stash_len);
        if len == STASH {
            return self.note(Broken::StashFull);
        }
        let entry = self.take();
        self.cpu().stash[len] = entry;
        self.cpu().stash_len += 1;
        self.sync();
    }

    /// `debug::step::unstash`: the context below the handler gets its debug state back.
    fn unstash(&mut self) {
        // That the entry is there is a property of the state before.
        let Some(len) = self.cpu().stash_len.checked_sub(1) else { return };
        let place = if self.has(Flaw::OldestFirst) { 0 } else { usize::from(len) };
        let mut entry = self.cpu().stash[place];
        self.cpu().stash[place] = self.cpu().stash[usize::from(len)];
        self.cpu().stash[usize::from(len)] = Stepping::default();
        self.cpu().stash_len = len;
        let anything = self.give(entry);
        let below = self.thread().top() - 1;
        if entry.owners.contains(Owners::STEP_OVER) && !anything {
            // Every slot that the step-over was for is gone: there is nothing to step over.
            self.change_spsr(below, |spsr| (entry.owners.cancel(Owners::STEP_OVER, spsr), ()));
            self.cpu().owners = entry.owners;
            let root = self.thread().root(below);
            self.forget(root, STEP_OVER);
        }
        self.make_up_reschedule();
    }

    /// `debug::step::make_up_reschedule` (M8).
    pub fn make_up_reschedule(&mut self) {
        if self.has(Flaw::NoSgi) {
            return;
        }
        let cpu = self.cpu();
        if cpu.reschedule && cpu.stash_len == 0 && cpu.owners.is_empty() {
            cpu.sgi = true;
        }
    }

    /// `debug::step::end_of_context`: the step of a handler ends with the handler.
    pub fn end_of_context(&mut self) {
        if !self.has(Flaw::HandlersStepGoesOn) {
            self.rearm();
            self.cpu().owners = Owners::empty();
        }
    }

    /// `debug::step::complete_in_software`, for the context at `index`.
    fn complete_in_software(&mut self, index: usize) {
        let mut owners = self.cpu().owners;
        let done = self.change_spsr(index, |spsr| match owners.complete_step_over(spsr) {
            Some(after) => (after, true),
            None => (spsr, false),
        });
        if done {
            self.cpu().owners = owners;
            self.rearm();
            self.make_up_reschedule();
        }
    }

    /// `debug::step::drop_owners` (M7).
    fn drop_owners(&mut self, index: usize) {
        self.rearm();
        self.change_spsr(index, |spsr| (moved(spsr), ()));
        self.cpu().owners = Owners::empty();
        self.clear_ss();
    }

    /// `debug::control::clear_ss`.
    fn clear_ss(&mut self) {
        let cpu = self.cpu();
        if cpu.ss || cpu.debt {
            cpu.ss = false;
            cpu.debt = false;
        }
    }

    /// `debug::step::request`, for the context that the CPU's owners belong to. `index` is the context whose SPSR_EL1 is in the frame.
    fn request(&mut self, index: usize, owner: Owners, step: usize) {
        let mut owners = self.cpu().owners;
        let hidden = if self.has(Flaw::StepsMaskedCode) { Daif::D.bits() } else { 0 };
        let asked = self.change_spsr(index, |spsr| match owners.request(owner, spsr & !hidden) {
            Ok(after) => (after | spsr & hidden, true),
            Err(_) => (spsr, false),
        });
        if asked {
            self.cpu().owners = owners;
            let root = if self.at(index).code == Code::Program { index } else { self.thread().stepped() };
            self.at(root).steps[step] = Progress::Asked;
        }
    }

    // `exception::apply`.

    fn masks_of(&self, row: RowId) -> Masks {
        self.kernel.table.row(row).masks
    }

    fn ss_of(&self, row: RowId) -> Ss {
        self.kernel.table.row(row).ss
    }

    /// `apply::set_aside`, at the entry of the handler at the top.
    fn set_aside(&mut self, row: RowId) {
        let owners = self.cpu().owners;
        if owners.is_empty() {
            return;
        }
        let below = self.thread().top() - 1;
        match self.ss_of(row) {
            Ss::Unsaid | Ss::Keep | Ss::Decide | Ss::Compute | Ss::ClearThenSet => {}
            Ss::Clear => self.drop_owners(below),
            Ss::Stash => {
                self.stash();
                self.top().stashed = true;
            }
            Ss::CompleteStepOver => self.complete_in_software(below),
            Ss::Park => {
                self.cpu().owners = Owners::empty();
                self.top().parked = owners;
            }
        }
    }

    /// `apply::open`.
    fn open(&mut self, row: RowId) {
        self.open_masks(row);
        self.seen.opened = Some(self.top_side());
    }

    fn open_masks(&mut self, row: RowId) {
        let masks = match self.masks_of(row) {
            Masks::Unsaid | Masks::Masked | Masks::MaskedThenOpen => return,
            Masks::UnmaskAll => Daif::empty(),
            Masks::UnmaskDebugAndError => INTERRUPTS,
            Masks::Inherit => self.below().masks,
        };
        self.sync();
        self.top().masks = masks;
    }

    /// `apply::put_back`.
    fn put_back(&mut self) {
        self.seen.leaving = Some(self.top_side());
        if self.top().stashed {
            self.unstash();
        }
        let parked = core::mem::take(&mut self.top().parked);
        let cpu = self.cpu();
        cpu.owners |= parked;
    }

    /// `apply::leave`: masks exceptions, and resumes the context below.
    pub fn leave(&mut self) {
        let (top, row) = (*self.top(), self.top().row);
        // The instructions that mask exceptions are executed by the handler: they are a step of it, if one is under way.
        self.executed();
        if self.masks_of(row) != Masks::Masked && self.masks_of(RowId::M13) == Masks::Masked {
            self.top().masks = Daif::all();
        }
        self.top().ss = false;
        if matches!(row, RowId::M8 | RowId::M9) && !self.cpu().owners.is_empty() {
            self.end_of_context();
        }
        self.put_back();
        if top.code == Code::Debugger && row == RowId::M12 && !self.has(Flaw::EndOfPlanMakesUpNothing) {
            self.make_up_reschedule();
        }
        self.go_back();
    }

    /// `apply::resume`: the return from a handler that has opened nothing.
    fn resume(&mut self) {
        self.put_back();
        self.go_back();
    }

    /// What M13 says of MDSCR_EL1.SS, and the exception return.
    fn go_back(&mut self) {
        if self.seen.leaving.is_none() {
            self.seen.leaving = Some(self.top_side());
        }
        match self.ss_of(RowId::M13) {
            Ss::Compute => self.sync(),
            Ss::Clear => self.clear_ss(),
            _ => {}
        }
        if self.top().masks != Daif::all() {
            self.note(Broken::ReturnsOpen);
        }
        let below = self.thread().top() - 1;
        self.seen.returned = Some(self.side(below));
        self.eret();
    }

    /// The exception return (DDI 0487 D2.12.4): PSTATE.SS becomes SPSR_EL1.SS if software step is enabled for the context that is returned to,
    /// else 0. It is a context synchronization event.
    fn eret(&mut self) {
        let set_again = self.has(Flaw::SetsSsAgain);
        self.thread().len -= 1;
        let ss = self.cpu().ss;
        self.cpu().debt = false;
        let context = self.top();
        let is_enabled = ss && (context.code == Code::Program || context.d_is_open());
        context.ss = is_enabled && (context.ss || set_again);
    }

    /// The entry of an exception: everything is masked, PSTATE.SS is 0, and the context below keeps what it had. It is a context
    /// synchronization event.
    fn take_exception(&mut self, code: Code, row: RowId) {
        let len = usize::from(self.thread().len);
        *self.at(len) = Context::new(code, row);
        self.thread().len += 1;
        self.cpu().debt = false;
    }
}
