//! Entries: the exception that a record says was taken, by the model's transition for it.

use super::check::{After, Refusal, compare};
use super::gaps;
use crate::kernel::{Kernel, Run};
use crate::state::{Code, Context, Next, Phase, Slot, State};
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;
use trace::{Class, Record, Side};

/// ESR_EL1.EC of instruction aborts.
const INSTRUCTION_ABORT_LOWER: u32 = 0x20;
const INSTRUCTION_ABORT_SAME: u32 = 0x21;

/// The states after an entry.
pub fn entry(kernel: &Kernel, state: &State, record: &Record, found: &mut dyn FnMut(After)) {
    let mut before = gaps::closure(kernel, state, true);
    if record.class == Class::Fault {
        let excepted: Vec<State> = before.iter().filter_map(|state| excepted(kernel, state)).collect();
        before.extend(excepted);
    }
    for state in before {
        let runs_free = state.cpus[0].owners.contains(Owners::RUNS_FREE);
        // An interrupt before the first instruction of a free run does not end it; a debug exception's handler decides (H9).
        let may_go_on = matches!(record.row, RowId::M5 | RowId::M8 | RowId::M9 | RowId::M10 | RowId::M14);
        for ends in [true, false] {
            if if runs_free { ends || may_go_on } else { !ends } {
                let mut run = Run::new(kernel, state, 0);
                found(take(&mut run, record, ends).map(|()| run.state));
            }
        }
    }
}

/// A probe's displaced instruction, made in software, has an exception: the handler of the probe is over without an exit, and M6 deals with the
/// exception in the probed context (K7, `kprobe_exception`).
fn excepted(kernel: &Kernel, state: &State) -> Option<State> {
    let mut run = Run::new(kernel, *state, 0);
    if run.top().code != Code::Probe {
        return None;
    }
    let parked = run.top().parked;
    run.thread().len -= 1;
    run.cpu().owners |= parked;
    Some(run.state)
}

/// Gives a state the two SS bits of a record, which a test has changed behind the kernel's back.
pub(super) fn adopt(state: &mut State, side: &Side) {
    state.cpus[0].ss = side.mdscr_ss;
    let top = state.threads[0].top();
    state.threads[0].stack[top].ss = side.ss;
}

/// Takes the exception of a record; `ends_free_run` says whether it ends a free run of the interrupted context.
fn take(run: &mut Run<'_>, record: &Record, ends_free_run: bool) -> Result<(), Refusal> {
    // QEMU takes a step exception behind an instruction that masks D as well.
    let was_pending = is_step_pending(run);
    interrupted(run, record)?;
    may_be_taken(run, record, was_pending)?;
    if ends_free_run {
        run.end_free_run();
    }
    let at_el0 = record.el0;
    match record.class {
        Class::Irq if at_el0 => run.irq_from_el0(),
        Class::Irq => run.irq(),
        Class::Spurious if at_el0 => run.begin_spurious_irq_from_el0(),
        Class::Spurious => run.begin_spurious_irq(),
        Class::Nmi if at_el0 => run.nmi_from_el0(),
        Class::Nmi => run.nmi(),
        Class::Step if at_el0 => _ = run.begin_step_from_el0(),
        Class::Step => run.step(),
        Class::Breakpoint | Class::Watchpoint if at_el0 => run.begin_hit_from_el0(),
        Class::Breakpoint => hit(run, Slot::Breakpoint),
        Class::Watchpoint => hit(run, Slot::Watchpoint),
        Class::Brk => run.brk_from_el0(),
        Class::Probe | Class::ReturnProbe | Class::Session | Class::Empty => run.probe(),
        Class::OutOfLineEnd => run.trap(),
        Class::Debugger => run.debugger(),
        Class::Assertion => run.warn(),
        Class::Svc => run.svc(),
        Class::Fault if at_el0 => run.fault_from_el0(),
        Class::Fault => run.fault(),
        Class::None | Class::Fatal => return Err("no entry is like this".into()),
    }
    let row = run.top().row;
    if row != record.row {
        return Err(format!("the model applies {row}").into());
    }
    compare("the handler", run.seen.opened, &record.after, false).map_err(|refusal| refusal.behind(1))?;
    let depth = depth(run) - usize::from(is_counted(run.top()));
    if depth != usize::from(record.depth) {
        return Err(format!("the model is in {depth} debug contexts").into());
    }
    stash(run, record).map_err(|refusal| refusal.behind(2))?;
    noted(run).map_err(|refusal| refusal.behind(3))
}

fn hit(run: &mut Run<'_>, slot: Slot) {
    run.top().next = Next::at(slot);
    run.begin_hit(slot);
}

/// Whether the kernel counts the context in its depth of debug contexts: a WARN in one is none of its own.
fn is_counted(context: &Context) -> bool {
    context.is_debug() && context.code != Code::Warn
}

/// How many debug contexts the kernel counts.
pub(super) fn depth(run: &mut Run<'_>) -> usize {
    run.thread().contexts().iter().filter(|context| is_counted(context)).count()
}

/// How many entries the stash has.
pub(super) fn stash(run: &mut Run<'_>, record: &Record) -> Result<(), Refusal> {
    let len = run.cpu().stash_len;
    if len == record.stash { Ok(()) } else { Err(format!("the model's stash has {len} entries").into()) }
}

/// Whether the transition has broken a rule.
pub(super) fn noted(run: &Run<'_>) -> Result<(), Refusal> {
    match run.state.noted {
        None => Ok(()),
        Some(broken) => Err(format!("this breaks a rule ({})", broken.property()).into()),
    }
}

/// The context that was interrupted is the one that the record shows. Its masks are the record's, if it may have them.
fn interrupted(run: &mut Run<'_>, record: &Record) -> Result<(), Refusal> {
    let top = *run.top();
    if (top.code == Code::Program) != record.el0 {
        return Err("the model's context is at the other exception level".into());
    }
    if record.class == Class::Fault && top.copy.is_some() {
        // The fault is the probed instruction's (K7): the record shows the probed context.
        let copy = top.copy.into_iter().next();
        let masks = copy.map_or(Daif::empty(), |copy| copy.masks);
        return if masks == record.before.masks {
            Ok(())
        } else {
            Err(format!("the model has {masks}").into())
        };
    }
    adopt_masks(run, record.before.masks)?;
    // SVC is executed before its exception is taken: SPSR_EL1.SS is 0.
    if record.class == Class::Svc {
        run.top().ss = false;
    }
    let shown = run.top_side();
    compare("the interrupted context", Some(shown), &record.before, true)
}

/// Gives the context at the top the masks that a record has, if it may have masked or opened that.
pub(super) fn adopt_masks(run: &mut Run<'_>, masks: Daif) -> Result<(), Refusal> {
    let top = *run.top();
    if masks == top.masks {
        return Ok(());
    }
    let refused =
        || Err(format!("the context cannot have the masks {masks}: the model has {}", top.masks).into());
    if top.code == Code::Program || top.copy.is_some() || top.is_debug() || !masks.holds_i1() {
        return refused();
    }
    if !top.is_base() {
        let from_el0 = run.below().code == Code::Program;
        let below = run.below().masks;
        let begun = run.kernel.begun(top.row, below);
        let opens_more = !masks.contains(begun);
        let works = matches!(top.code, Code::Irq | Code::Nmi) && !run.thread().is_in_deferred();
        if opens_more && !from_el0 {
            if !(works && top.row == RowId::M8 && masks.is_empty()) {
                return refused();
            }
            run.top().phase = Phase::Deferred;
        }
    }
    let context: &mut Context = run.top();
    context.masks = masks;
    if context.phase == Phase::Deferred && masks.contains(Daif::I) && !masks.contains(Daif::D) {
        context.phase = Phase::WayOut;
    }
    Ok(())
}

/// Whether a step is active-pending (DDI 0487 D2.12).
fn is_step_pending(run: &mut Run<'_>) -> bool {
    let (cpu, top) = (*run.cpu(), *run.top());
    cpu.ss && (top.code == Code::Program || top.d_is_open()) && !top.ss
}

/// Whether the machine can take this exception here.
fn may_be_taken(run: &mut Run<'_>, record: &Record, was_pending: bool) -> Result<(), Refusal> {
    let top = *run.top();
    let debug_is_open = top.code == Code::Program || top.d_is_open();
    let is_interrupt = matches!(record.class, Class::Irq | Class::Spurious | Class::Nmi);
    if is_interrupt {
        return if top.masks.contains(Daif::I) { Err("I is masked".into()) } else { Ok(()) };
    }
    if record.class == Class::Step {
        let is_pending = was_pending || is_step_pending(run);
        return if is_pending { Ok(()) } else { Err("no step is pending".into()) };
    }
    // QEMU looks up the page of an instruction before it looks whether a step is pending.
    let is_of_fetch = matches!(record.esr >> 26, INSTRUCTION_ABORT_LOWER | INSTRUCTION_ABORT_SAME);
    if is_step_pending(run) && record.class != Class::Svc && !is_of_fetch {
        return Err("a step is pending, which comes first".into());
    }
    let is_hit = matches!(record.class, Class::Breakpoint | Class::Watchpoint);
    if is_hit && !debug_is_open {
        return Err("D is masked".into());
    }
    match (top.copy, record.class) {
        (Some(copy), Class::OutOfLineEnd) if copy.ran => Ok(()),
        (Some(copy), Class::Watchpoint | Class::Fault) if !copy.ran => Ok(()),
        (Some(_), _) => Err("a displaced instruction is to run".into()),
        (None, Class::OutOfLineEnd) => Err("no displaced instruction has run".into()),
        (None, _) => Ok(()),
    }
}

/// The states after the second phase of M4 has begun.
pub fn open(kernel: &Kernel, state: &State, record: &Record, found: &mut dyn FnMut(After)) {
    for state in gaps::closure(kernel, state, true) {
        let mut run = Run::new(kernel, state, 0);
        let result = if run.top().row == RowId::M4 && run.top().masks == Daif::all() {
            let program = run.side(0);
            run.report(true);
            compare("the program", Some(program), &record.before, true)
                .and_then(|()| compare("the second phase", run.seen.opened, &record.after, false))
                .and_then(|()| noted(&run))
        } else {
            Err("no debug exception of a program is being dealt with".into())
        };
        found(result.map(|()| run.state));
    }
}
