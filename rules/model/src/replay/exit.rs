//! Exits, and switches of threads.

use super::check::{After, Refusal, compare};
use super::entry::{adopt_masks, depth, noted, stash};
use super::gaps;
use crate::kernel::{Beside, Kernel, Run};
use crate::state::{Code, Context, OutOfLine, Phase, State};
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;
use trace::{Record, Side};

/// The end of a handler, by one of the model's transitions.
type End = for<'a, 'm> fn(&'a mut Run<'m>);

/// A state whose context that is returned to has the masks of a record, which a test has changed in the frame. If a displaced instruction runs out of
/// line, they are those that the context gets behind it, so that any may have been meant.
pub(super) fn adopt(state: &State, side: &Side) -> Vec<State> {
    let thread = &state.threads[0];
    let Some(below) = thread.top().checked_sub(1) else { return vec![*state] };
    let is_trap = thread.stack[thread.top()].code == Code::Trap;
    let with = |masks: Daif| {
        let mut state = *state;
        match &mut state.threads[0].stack[below].copy {
            Some(copy) => copy.masks = masks,
            None => state.threads[0].stack[below].masks = masks,
        }
        state
    };
    let every = || (0..16).map(|bits| Daif::of(bits << 6)).filter(|masks| masks.holds_i1());
    if is_trap || thread.stack[below].copy.is_none() {
        let here = with(side.masks);
        // The hit may have been in a trampoline, and the context then goes into a copy of the instruction (`kprobe::shown`).
        let into_copy = |masks| {
            let mut state = here;
            state.threads[0].stack[below].copy = Some(OutOfLine { masks, kept: Owners::empty(), ran: false });
            state
        };
        let may = thread.stack[thread.top()].row == RowId::M10;
        return core::iter::once(here).chain(every().filter(|_| may).map(into_copy)).collect();
    }
    let here = |mut state: State| {
        state.threads[0].stack[below].masks = side.masks;
        state
    };
    every().map(with).chain([*state]).map(here).collect()
}

/// The states after the return to a context at EL1.
pub fn to_el1(
    kernel: &Kernel,
    state: &State,
    record: &Record,
    has_moved: bool,
    found: &mut dyn FnMut(After),
) {
    let thread = &state.threads[0];
    let top = thread.stack[thread.top()];
    if top.is_base() || top.row != record.row || thread.stack[thread.top() - 1].code == Code::Program {
        return found(Err("no such handler runs".into()));
    }
    let moved: End = |run| {
        let below = run.thread().top() - 1;
        run.set_pc(below);
        run.leave();
    };
    let ends: &[End] = match top.code {
        Code::Step | Code::Breakpoint | Code::Watchpoint => &[|run| run.leave_debug()],
        Code::Probe if top.row == RowId::M14 => {
            &[|run| run.simulate(), |run| run.send_into_copy_nested(), |run| run.leave()]
        }
        Code::Probe => &[|run| run.simulate(), |run| run.send_into_copy(), |run| run.leave()],
        Code::Trap => &[|run| run.end_copy(false), |run| run.end_copy(true)],
        Code::Warn | Code::Fault if has_moved => &[moved],
        Code::Warn | Code::Fault => &[|run| run.leave()],
        Code::Irq | Code::Nmi | Code::Debugger => &[|run| run.leave()],
        _ => return found(Err("this handler does not return to EL1".into())),
    };
    let mut before = gaps::closure(kernel, state, has_moved);
    if let Some(out) = taken_out(state, record.after.masks).filter(|_| has_moved) {
        let moved = |state: &State| {
            let mut run = Run::new(kernel, *state, 0);
            let below = run.thread().top() - 1;
            run.set_pc(below);
            run.state
        };
        let all = gaps::closure(kernel, &out, true);
        before.extend(all.iter().map(moved));
        before.extend(all);
    }
    for state in before {
        for end in ends {
            let mut run = Run::new(kernel, state, 0);
            found(left_to_el1(&mut run, *end, record).map(|()| run.state));
        }
    }
}

/// If a slot is hit in a trampoline, or behind a displaced instruction, the handler takes the context out of it (`kprobe::shown`): the context goes on at
/// the probed address or behind it, with I and F as they were there. The model has no trampolines (M12b), so it takes I and F from the record.
fn taken_out(state: &State, masks: Daif) -> Option<State> {
    let mut state = *state;
    let thread = &mut state.threads[0];
    let (top, below) = (thread.stack[thread.top()], thread.top() - 1);
    let below = &mut thread.stack[below];
    let opened = below.masks - masks;
    let is_less = below.masks.contains(masks) && !opened.is_empty() && (Daif::I | Daif::F).contains(opened);
    if top.row != RowId::M10 || below.copy.is_some() || !is_less {
        return None;
    }
    below.masks = masks;
    Some(state)
}

fn left_to_el1(run: &mut Run<'_>, end: End, record: &Record) -> Result<(), Refusal> {
    end(run);
    compare("the way out", run.seen.leaving, &record.before, false)?;
    compare("the context that is returned to", run.seen.returned, &record.after, true)
        .map_err(|refusal| refusal.behind(1))?;
    let depth = depth(run);
    if depth != usize::from(record.depth) {
        return Err(format!("the model is in {depth} debug contexts").into());
    }
    stash(run, record).map_err(|refusal| refusal.behind(2))?;
    noted(run).map_err(|refusal| refusal.behind(3))
}

/// The states after the return to a program.
pub fn to_el0(
    kernel: &Kernel,
    state: &State,
    record: &Record,
    has_moved: bool,
    found: &mut dyn FnMut(After),
) {
    if record.before.owners != record.after.owners || record.before.masks != Daif::all() {
        return found(Err("a program is returned to with its owners on the CPU, and all masked".into()));
    }
    for state in gaps::closure(kernel, state, has_moved) {
        let mut run = Run::new(kernel, state, 0);
        begin_program(&mut run);
        if run.thread().len < 2 || run.at(0).code != Code::Program || run.thread().top() != 1 {
            found(Err("the way to the program is not free: handlers have not ended".into()));
            continue;
        }
        let asked = record.after.owners & (Owners::UPROBE | Owners::TRACER);
        let by_uprobe = asked == Owners::UPROBE;
        if run.thread().held.owners & (Owners::UPROBE | Owners::TRACER) == Owners::empty() {
            run.at(0).uprobe = by_uprobe;
        }
        let is_first_phase = run.top().row == RowId::M4 && run.top().masks == Daif::all();
        if is_first_phase {
            let mut first = Run::new(kernel, run.state, 0);
            first.report(false);
            found(left_to_el0(&first, record).map(|()| first.state));
        }
        // What a tracer has asked for, and whether a signal or a tracer has moved the program's PC.
        let requests = [(false, false), (true, false), (false, true), (true, true)];
        for (asked, withdrawn) in requests {
            for moved in [false, true].into_iter().filter(|moved| has_moved || !moved) {
                for beside in [Beside::Nothing, Beside::PutOff, Beside::Due, Beside::RunsFree, Beside::Uprobe]
                {
                    let mut last = Run::new(kernel, run.state, 0);
                    last.thread().asked |= asked;
                    last.thread().withdrawn |= withdrawn;
                    if moved {
                        last.set_pc(0);
                    }
                    last.leave_to_el0_with(beside);
                    found(left_to_el0(&last, record).map(|()| last.state));
                }
            }
        }
    }
}

fn left_to_el0(run: &Run<'_>, record: &Record) -> Result<(), Refusal> {
    compare("the way out", run.seen.leaving, &record.before, false)?;
    compare("the program", run.seen.returned, &record.after, true).map_err(|refusal| refusal.behind(1))?;
    noted(run).map_err(|refusal| refusal.behind(2))
}

/// A thread of the kernel begins a program: there is no exception that has brought it into the kernel.
fn begin_program(run: &mut Run<'_>) {
    if run.thread().len == 1 && run.top().code == Code::Thread {
        let thread = run.thread();
        thread.stack[0] = Context { masks: Daif::empty(), ..Context::new(Code::Program, RowId::M13) };
        thread.stack[1] = Context::new(Code::Svc, RowId::M2);
        thread.len = 2;
    }
}

/// The states after the running thread was left for another one.
pub fn switch(kernel: &Kernel, state: &State, record: &Record, found: &mut dyn FnMut(After)) {
    for state in gaps::closure(kernel, state, true) {
        let mut run = Run::new(kernel, state, 0);
        found(left_thread(&mut run, record).map(|()| run.state));
    }
}

fn left_thread(run: &mut Run<'_>, record: &Record) -> Result<(), Refusal> {
    let is_in_interrupt = matches!(run.top().code, Code::Irq | Code::Nmi);
    if is_in_interrupt && run.top().phase == Phase::Body {
        run.top().phase = Phase::WayOut;
    }
    // The thread's steps are saved with D masked, whoever has masked it.
    run.save_steps();
    let owners = run.thread().saved.map_or(Owners::empty(), |saved| saved.owners);
    if owners != record.before.owners {
        return Err(format!("the model has owners {}", crate::show::Names(owners)).into());
    }
    adopt_masks(run, record.before.masks)?;
    run.switch(None);
    run.cpu().running = Some(0);
    let mut shown = run.top_side();
    shown.ss = record.after.ss;
    compare("the CPU", Some(shown), &record.after, false)?;
    noted(run)
}
