//! What happens between two records, and leaves none.

use super::check::ALL_SLOTS;
use crate::kernel::{Kernel, Run};
use crate::state::{Code, Phase, Progress, Slot, Slots, State};
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;

/// How many moves there are between two records at most.
const MOST_MOVES: usize = 4;

/// The states that a state can be in before the next record, itself first. Each move is one of the model's, made where the model's explorer makes
/// it; those that no record could show are left out. `may_move` says whether the context below has moved, so that a client may have moved it.
pub fn closure(kernel: &Kernel, state: &State, may_move: bool) -> Vec<State> {
    let mut all = vec![*state];
    let mut from = 0;
    for _ in 0..MOST_MOVES {
        let to = all.len();
        for index in from..to {
            let state = all[index];
            moves(kernel, &state, may_move, &mut |next| {
                if next.noted.is_none() && !all.contains(&next) {
                    all.push(next);
                }
            });
        }
        from = to;
    }
    all
}

fn moves(kernel: &Kernel, state: &State, may_move: bool, found: &mut dyn FnMut(State)) {
    let mut go = |act: &dyn Fn(&mut Run<'_>)| {
        let mut run = Run::new(kernel, *state, 0);
        act(&mut run);
        run.state.noted = if run.state.noted == state.noted { None } else { run.state.noted };
        found(run.state);
    };
    let (cpu, thread) = (state.cpus[0], &state.threads[0]);
    let top = thread.stack[thread.top()];
    // A slot is removed while it is suspended.
    let is_suspended = |slots: Slots| !slots.is_empty();
    let any_suspended = is_suspended(cpu.suspended)
        || cpu.stashed().iter().any(|entry| is_suspended(entry.suspended))
        || is_suspended(thread.held.suspended)
        || thread.saved.is_some_and(|saved| is_suspended(saved.suspended));
    if any_suspended {
        go(&|run| {
            run.uninstall(Slot::Breakpoint);
            run.uninstall(Slot::Watchpoint);
            run.state.installed = ALL_SLOTS;
        });
    }
    if let Some(copy) = top.copy {
        if !copy.ran {
            go(&|run| run.execute());
        } else if copy.kept.is_empty() {
            // A copy that nobody waits for ends in a branch, which puts the masks back.
            go(&|run| {
                run.top().masks = copy.masks;
                run.top().copy = None;
            });
        }
        return;
    }
    let is_stepped = cpu.ss && (top.code == Code::Program || top.d_is_open());
    if is_stepped && top.ss {
        go(&|run| run.execute());
    }
    if top.code == Code::Program {
        return;
    }
    if top.row == RowId::M4 && top.masks == Daif::all() {
        if top.code == Code::Watchpoint && !cpu.owners.contains(Owners::STEP_OVER) {
            // A hit that is reported may be stepped over later.
            go(&|run| run.step_over_at_el0());
        }
        if may_move && cpu.owners.contains(Owners::STEP_OVER) {
            go(&|run| run.step_over_in_software());
        }
        if !cpu.owners.is_empty() && !cpu.owners.contains(Owners::RUNS_FREE) {
            go(&|run| run.run_free());
        }
        return;
    }
    if top.is_debug() {
        client(state, may_move, &mut go);
        return;
    }
    if cpu.owners.contains(Owners::DEBUGGER) {
        go(&|run| run.end_session());
    }
    if !cpu.owners.is_empty() && matches!(top.code, Code::Irq | Code::Nmi) {
        // The way out of an interrupt asks the scheduler.
        go(&|run| run.reschedule(None));
    }
}

/// Makes a move.
type Go<'a> = dyn FnMut(&dyn Fn(&mut Run<'_>)) + 'a;

/// What the clients of a debug context do, as in the model's explorer; and what the kernel does for them that the model leaves out.
fn client(state: &State, may_move: bool, go: &mut Go<'_>) {
    let (cpu, thread) = (&state.cpus[0], &state.threads[0]);
    let top = thread.stack[thread.top()];
    let Some(below) = thread.top().checked_sub(1).map(|below| thread.stack[below]) else { return };
    let is_told = match top.code {
        Code::Step => top.phase == Phase::Client,
        Code::Breakpoint | Code::Watchpoint | Code::Debugger => true,
        Code::Probe => top.phase == Phase::Body,
        _ => false,
    };
    if cpu.ss != rules::step::mdscr_ss(cpu.owners) {
        // A section that changes debug state has ended in the handler, and paid the debt.
        go(&|run| run.sync());
    }
    if top.row == RowId::M14 || thread.depth() != 1 {
        return;
    }
    if cpu.owners.contains(Owners::RUNS_FREE) {
        go(&|run| run.end_free_run());
    }
    if below.copy.is_some() && !below.masks.contains(Daif::A) {
        // `kprobe::shown`: SErrors wait for the end of a displaced instruction that has hit.
        go(&|run| run.below().masks |= Daif::A);
    }
    let slot = match top.code {
        Code::Breakpoint => Some(Slot::Breakpoint),
        Code::Watchpoint => Some(Slot::Watchpoint),
        _ => None,
    };
    if let Some(slot) = slot.filter(|_| !cpu.owners.contains(Owners::STEP_OVER)) {
        // A hit of a slot that is gone is not stepped over (H3), so this is a move of its own.
        go(&|run| run.step_over(slot));
    }
    // A step-over that ends in an exclusive sequence is made in software (H9), and the PC moves.
    let in_software = matches!(top.code, Code::Step | Code::Breakpoint | Code::Watchpoint);
    if may_move && in_software && cpu.owners.contains(Owners::STEP_OVER) {
        go(&|run| run.step_over_in_software());
    }
    if !cpu.owners.is_empty() && !cpu.owners.contains(Owners::RUNS_FREE) && below.d_is_open() {
        go(&|run| run.run_free());
    }
    if top.code == Code::Debugger && !top.parked.contains(Owners::DEBUGGER) {
        go(&|run| run.plan_goes_on());
    }
    if top.code == Code::Probe && top.parked.contains(Owners::STEP_OVER) && !cpu.owners.is_empty() {
        go(&|run| run.over_brk());
    }
    let is_masked_step = top.code == Code::Step && top.phase == Phase::Client && !below.d_is_open();
    if is_masked_step && !cpu.owners.contains(Owners::DEBUGGER) {
        go(&|run| run.step_waits_for_d());
    }
    if !is_told {
        return;
    }
    let is_stepped = thread.stack[thread.stepped()].steps[crate::state::DEBUGGER] != Progress::None;
    if below.d_is_open() {
        if !is_stepped {
            go(&|run| run.ask());
        }
        let is_on_cpu = cpu.owners.contains(Owners::DEBUGGER);
        if is_stepped && is_on_cpu && matches!(top.code, Code::Breakpoint | Code::Watchpoint) {
            go(&|run| run.end_plan());
        }
    }
    // A sequence that was made in software may end where it has begun.
    if may_move || top.code == Code::Step {
        go(&|run| run.move_pc());
    }
}
