//! What must hold in every state, each property under the rule that it is from.
//!
//! Most properties compare a state with itself: what the CPU has against what the bookkeeping says was asked for. Some are about the middle of
//! a transition (the switch of threads, the return from an exception): the transition notes what it has broken ([`Broken`](crate::broken::Broken)), and the property
//! finds the note in the state after it.

use crate::state::{Code, Cpu, DISPLACED, Phase, Progress, Section, State, Stepping, TRACER, Thread};
use crate::table::Table;
use rules::pstate::Daif;
use rules::step::{Owners, mdscr_ss};
use rules::table::Context as May;
use rules::table::RowId;

/// A property of states.
#[derive(Debug)]
pub struct Property {
    /// The rule that demands it.
    pub rule: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it demands, in words.
    pub says: &'static str,
    /// Whether it holds.
    pub holds: fn(&Table, &State) -> bool,
}

macro_rules! properties {
    ($($rule:literal $name:ident: $says:literal;)*) => {
        /// All properties of states. That there is no livelock (H3) is a property of the whole graph: see [`explore`](crate::explore).
        pub const PROPERTIES: &[Property] = &[$(
            Property { rule: $rule, name: stringify!($name), says: $says, holds: $name },
        )*];
    };
}

properties! {
    "I1" d_masked_means_i_masked: "at EL1, PSTATE.D=1 implies PSTATE.I=1";
    "I2" ss_is_this_contexts: "with D open at EL1, MDSCR_EL1.SS=1 exactly if this context has an owner, and nothing is owed";
    "I3" return_path_is_masked: "exceptions are masked while ELR_EL1 and SPSR_EL1 are loaded";
    "I4" spsr_is_kept: "a step changes no bit of SPSR_EL1 but SS";
    "I5" switch_is_clean: "at a switch of threads D is open and nothing of a step is on the CPU";
    "I6" program_has_its_own_steps: "at EL0, MDSCR_EL1.SS and the suspended slots are what the task's owners ask for";
    "I9" owners_have_one_holder: "who has asked for a step of a context is an owner where the context's debug state is held, and nobody else is";
    "I9" suspended_slots_have_a_holder: "a slot is suspended only for a step-over of the context that runs";
    "K8" copies_are_not_stepped: "a displaced instruction that runs out of line is stepped only over the slots that it has hit, with I and F masked";
    "M4" first_phase_is_masked: "the first phase of M4 runs with everything masked";
    "M7" end_is_masked: "at the kernel's end everything is masked, and MDSCR_EL1.SS is clear";
    "M8" stash_is_in_order: "the stash has one entry for each handler that has set a step aside, and that handler's";
    "M8" handlers_run_to_their_end: "no thread is switched away while the handler of an interrupt has work to do";
    "M8" way_out_is_masked: "behind deferred work, and where the scheduler is asked, I is masked";
    "M8" reschedule_is_made_up: "a reschedule that was put off for a step is asked for again when the step is over";
    "X1" an_attempt_is_one_hit: "an attempt with D open is one hit";
    "X2" a_step_is_one_instruction: "a step exception comes after one instruction of its own context";
    "X2" masked_code_is_not_stepped: "a step of a context with D masked is refused";
    "H3" a_step_has_an_owner: "a step exception has an owner";
    "T6" tracers_wish_is_known: "a tracer that waits for a step has asked for it, or owns it; one that does not, does not";
    "M" handler_may_what_its_row_says: "a handler begins with the masks that its kind of context needs";
}

/// The threads that run, each with its CPU.
fn running(state: &State) -> impl Iterator<Item = (&Cpu, &Thread)> {
    state.cpus.iter().filter_map(|cpu| {
        let thread = &state.threads[usize::from(cpu.running?)];
        (thread.stack[thread.top()].code != Code::Panic).then_some((cpu, thread))
    })
}

fn is_not_noted(state: &State, name: &str) -> bool {
    state.noted.is_none_or(|broken| broken.property() != name)
}

fn d_masked_means_i_masked(_: &Table, state: &State) -> bool {
    state.threads.iter().flat_map(Thread::contexts).all(|context| context.masks.holds_i1())
}

fn ss_is_this_contexts(_: &Table, state: &State) -> bool {
    running(state).all(|(cpu, thread)| {
        let top = &thread.stack[thread.top()];
        if top.code == Code::Program || !top.d_is_open() {
            return true;
        }
        let root = &thread.stack[thread.root(thread.top())];
        cpu.ss == mdscr_ss(root.wanted(thread.kept())) && !cpu.debt
    })
}

fn return_path_is_masked(_: &Table, state: &State) -> bool {
    is_not_noted(state, "return_path_is_masked")
}

fn spsr_is_kept(_: &Table, state: &State) -> bool {
    is_not_noted(state, "spsr_is_kept")
}

fn switch_is_clean(_: &Table, state: &State) -> bool {
    is_not_noted(state, "switch_is_clean")
}

fn program_has_its_own_steps(_: &Table, state: &State) -> bool {
    running(state).all(|(cpu, thread)| {
        let top = &thread.stack[thread.top()];
        if top.code != Code::Program {
            return true;
        }
        let steps_over = top.wanted(Owners::empty()).contains(Owners::STEP_OVER);
        cpu.ss == mdscr_ss(top.wanted(Owners::empty()))
            && (cpu.suspended.is_empty() || steps_over)
            && cpu.stash_len == 0
            && thread.held == Stepping::default()
    })
}

/// Where the owners of each context of a thread are must be who has asked for its steps. `on_cpu` are those of the context that runs, or was
/// switched away last; `stash` is the stash of the CPU that runs the thread. Returns None if a stash entry is missing or left over.
fn holders_agree(thread: &Thread, on_cpu: Owners, stash: &[Stepping]) -> Option<bool> {
    let mut stash = stash.iter().rev();
    let mut owners = on_cpu;
    let mut agree = true;
    let add = |owners: &mut Owners, more: Owners| {
        let is_new = !owners.intersects(more);
        *owners |= more;
        is_new
    };
    for (index, context) in thread.contexts().iter().enumerate().rev() {
        if let Some(copy) = context.copy {
            // The step-over of a displaced instruction that has hit is not the one that waits for the end of the copy.
            let displaced = if thread.stack[thread.root(index)].steps[DISPLACED] != Progress::None {
                Owners::STEP_OVER
            } else {
                Owners::empty()
            };
            agree &= add(&mut owners, copy.kept - displaced);
            owners |= copy.kept;
        }
        let is_root = !context.is_debug() && !context.inherits();
        if is_root {
            agree &= owners == context.wanted(Owners::empty());
            owners = Owners::empty();
        }
        agree &= add(&mut owners, context.parked);
        if context.stashed {
            agree &= add(&mut owners, stash.next()?.owners);
        }
        if index == 1 && thread.stack[0].code == Code::Program && is_root {
            agree &= add(&mut owners, thread.held.owners);
        }
    }
    stash.next().is_none().then_some(agree)
}

fn each_thread(state: &State) -> impl Iterator<Item = Option<bool>> {
    let waits = |index: usize| state.cpus.iter().all(|cpu| cpu.running != Some(index as u8));
    let on_cpus = running(state).map(|(cpu, thread)| holders_agree(thread, cpu.owners, cpu.stashed()));
    let threads =
        state.threads.iter().enumerate().filter(move |(index, thread)| thread.len != 0 && waits(*index));
    let off_cpus = threads.map(|(_, thread)| {
        holders_agree(thread, thread.saved.map_or(Owners::empty(), |saved| saved.owners), &[])
    });
    on_cpus.chain(off_cpus)
}

fn owners_have_one_holder(_: &Table, state: &State) -> bool {
    each_thread(state).all(|agree| agree != Some(false))
}

fn stash_is_in_order(_: &Table, state: &State) -> bool {
    is_not_noted(state, "stash_is_in_order") && each_thread(state).all(|agree| agree.is_some())
}

fn suspended_slots_have_a_holder(_: &Table, state: &State) -> bool {
    let is_step_over =
        |thread: &Thread| thread.stack[thread.stepped()].wanted(Owners::empty()).contains(Owners::STEP_OVER);
    let idle = state.cpus.iter().filter(|cpu| cpu.running.is_none());
    running(state).all(|(cpu, thread)| cpu.suspended.is_empty() || is_step_over(thread))
        && idle.into_iter().all(|cpu| cpu.suspended.is_empty())
        && state
            .cpus
            .iter()
            .flat_map(|cpu| cpu.stashed())
            .all(|entry| entry.suspended.is_empty() || entry.owners.contains(Owners::STEP_OVER))
}

fn way_out_is_masked(_: &Table, state: &State) -> bool {
    let contexts = state.threads.iter().flat_map(Thread::contexts);
    contexts.into_iter().all(|context| context.phase != Phase::WayOut || context.masks.contains(Daif::I))
}

fn handlers_run_to_their_end(_: &Table, state: &State) -> bool {
    is_not_noted(state, "handlers_run_to_their_end")
}

fn copies_are_not_stepped(_: &Table, state: &State) -> bool {
    running(state).all(|(cpu, thread)| {
        let top = &thread.stack[thread.top()];
        let hits = thread.stack[thread.root(thread.top())].steps[DISPLACED] != Progress::None;
        let may = if hits { Owners::STEP_OVER } else { Owners::empty() };
        top.copy.is_none() || may.contains(cpu.owners) && top.masks.contains(Daif::I | Daif::F)
    })
}

fn first_phase_is_masked(_: &Table, state: &State) -> bool {
    is_not_noted(state, "first_phase_is_masked")
}

fn end_is_masked(_: &Table, state: &State) -> bool {
    state.cpus.iter().all(|cpu| {
        let Some(index) = cpu.running else { return true };
        let thread = &state.threads[usize::from(index)];
        let top = &thread.stack[thread.top()];
        top.code != Code::Panic || top.masks == Daif::all() && !cpu.ss
    })
}

fn reschedule_is_made_up(_: &Table, state: &State) -> bool {
    running(state).all(|(cpu, thread)| {
        let below_is_program = |index: usize| index > 0 && thread.stack[index - 1].code == Code::Program;
        let is_looked_at = thread
            .contexts()
            .iter()
            .enumerate()
            .any(|(index, context)| context.code == Code::Irq || below_is_program(index));
        let waits = |context: &crate::state::Context| context.copy.is_some_and(|copy| !copy.kept.is_empty());
        !cpu.reschedule
            || cpu.sgi
            || cpu.stash_len != 0
            || !cpu.owners.is_empty()
            || thread.depth() != 0
            || is_looked_at
            || thread.contexts().iter().any(waits)
    })
}

fn an_attempt_is_one_hit(_: &Table, state: &State) -> bool {
    is_not_noted(state, "an_attempt_is_one_hit")
}

fn a_step_is_one_instruction(_: &Table, state: &State) -> bool {
    is_not_noted(state, "a_step_is_one_instruction")
}

fn masked_code_is_not_stepped(_: &Table, state: &State) -> bool {
    is_not_noted(state, "masked_code_is_not_stepped")
}

fn a_step_has_an_owner(_: &Table, state: &State) -> bool {
    is_not_noted(state, "a_step_has_an_owner")
}

fn tracers_wish_is_known(_: &Table, state: &State) -> bool {
    let programs =
        state.threads.iter().filter(|thread| thread.len != 0 && thread.stack[0].code == Code::Program);
    programs.into_iter().all(|thread| {
        let owns = thread.stack[0].steps[TRACER] != Progress::None;
        thread.wants == (thread.asked || owns && !thread.withdrawn)
    })
}

fn handler_may_what_its_row_says(table: &Table, state: &State) -> bool {
    running(state).all(|(_, thread)| {
        let top = &thread.stack[thread.top()];
        if top.is_base() || top.phase != Phase::Body || top.section != Section::None || top.copy.is_some() {
            return true;
        }
        let below = &thread.stack[thread.top() - 1];
        match table.row(top.row).context {
            May::None => true,
            May::Preemptible => top.masks.is_empty(),
            May::IrqFromEl0 | May::Irq => top.masks == Daif::I | Daif::F,
            May::Inherit => top.masks == below.masks,
            May::Nmi | May::Debug | May::Panic => top.masks == Daif::all(),
        }
    })
}

/// The name of the property of the whole graph.
pub const LIVELOCK: &str = "the_machine_quiesces";

/// The rules whose rows the model never applies, so that no change of their cells can be seen.
pub const NOT_APPLIED: [RowId; 3] = [RowId::M12b, RowId::M15, RowId::M16];
