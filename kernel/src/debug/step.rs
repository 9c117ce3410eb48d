//! The step engine. Owners ask for a step of a context, and the step stays with the context while other contexts run. `session`
//! decides how a debugger goes on after a step; `hit` deals with step exceptions.

use super::control::{self, Masked};
use super::cpu::{MaskedCpu, STASH_DEPTH};
use super::stepping::Stepping;
use super::{slots, stats};
use crate::exception::Frame;
use crate::kprobe;
use crate::policy::BEHAVIOURS;
use rules::step::{Owners, StepError};

/// Asks for a step of the context of `frame`. Debug context.
///
/// # Errors
/// X2: the context has D masked.
#[inline(always)]
pub fn request(cpu: &MaskedCpu, frame: &mut Frame, owner: Owners) -> Result<(), StepError> {
    let mut owners = cpu.owners.get();
    frame.pstate = owners.request(owner, frame.pstate)?;
    cpu.set_owners(owners);
    Ok(())
}

/// Takes the running context's state off this CPU: the CPU has no owner of a step any more, and every slot that was suspended for
/// the context is armed again. D is masked; MDSCR_EL1 and the slots' ISB are owed.
#[inline(always)]
pub fn take(cpu: &MaskedCpu) -> Stepping {
    let taken = Stepping {
        owners: cpu.owners.get(),
        session: cpu.session.take(),
        suspended: slots::stash(cpu),
        stepped: cpu.stepped.get(),
        free_from: cpu.free_from.get(),
    };
    cpu.set_owners(Owners::empty());
    taken
}

/// As [`take`], but slots that are suspended stay so: a policy that forgets them when it sets a step aside.
#[inline(always)]
fn take_owners(cpu: &MaskedCpu) -> Stepping {
    let taken = Stepping {
        owners: cpu.owners.get(),
        session: cpu.session.take(),
        stepped: cpu.stepped.get(),
        free_from: cpu.free_from.get(),
        ..Stepping::NONE
    };
    cpu.set_owners(Owners::empty());
    taken
}

/// Makes a state that [`take`] has taken the state of the running context. Returns whether a slot is suspended now: slots that were
/// removed or reused meanwhile are not suspended. D is masked; MDSCR_EL1 and the slots' ISB are owed.
#[inline(always)]
fn give(cpu: &MaskedCpu, stepping: &Stepping) -> bool {
    cpu.session.set(stepping.session);
    cpu.stepped.set(stepping.stepped);
    cpu.free_from.set(stepping.free_from);
    cpu.set_owners(stepping.owners);
    slots::unstash(cpu, &stepping.suspended)
}

// Functions that look at the running context's owners from outside a debug context are no-probe text and never inlined. A probe on
// such a function would set the owners aside while the displaced instruction runs (M12), so that the instruction would not see
// them.

/// Takes the running thread's debug state off the CPU, for a scheduler that is about to switch (rules I5, I9). Returns
/// None if nobody steps the thread. I is masked.
///
/// If the thread runs free, its slots are armed again: a switch of threads is no part of an exclusive sequence, and no
/// slot may stay suspended while other threads run (H9). A debugger's step stays with the thread, which goes on running
/// free until its next exception.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn save() -> Option<Stepping> {
    // With D open: I is masked, so that this thread stays here, and a debug exception leaves its context's owners as they are, or changes
    // them for good.
    if !BEHAVIOURS.saves_steps || super::this().owners.get().is_empty() { None } else { Some(save_owners()) }
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn save_owners() -> Stepping {
    let masked = Masked::new();
    let mut saved = take(masked.cpu());
    if saved.owners.contains(Owners::RUNS_FREE) {
        saved.end_step_over();
    }
    saved
}

/// Makes `saved` the debug state of the running thread again, on the CPU that runs the thread from here on. I is
/// masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn restore(saved: &Stepping) {
    let masked = Masked::new();
    give(masked.cpu(), saved);
}

/// The parked owners of a context that has executed the BRK of a debugger (M12). If the debugger has asked for a step, which sets SPSR.SS, a
/// step-over of the BRK is over: else the slots would stay suspended for one more instruction. Without a new step SPSR.SS is clear, and the
/// step-over's exception comes at once.
#[inline(always)]
pub fn over_brk(cpu: &MaskedCpu, mut parked: Owners) -> Owners {
    if parked.contains(Owners::STEP_OVER) && !cpu.owners.get().is_empty() {
        end_step_over_of_brk(cpu);
        parked.remove(Owners::STEP_OVER);
    }
    parked
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn end_step_over_of_brk(cpu: &MaskedCpu) {
    stats::COMPLETED_IN_SOFTWARE.count_on(cpu);
    slots::rearm(cpu);
}

/// Asks again, by an SGI to this CPU, for a reschedule that was put off because a step was on the stash (M8). Does
/// nothing as long as the stash is not empty or the running context has owners. Called where a step ends, with D
/// masked.
#[inline(always)]
pub fn make_up_reschedule(cpu: &MaskedCpu) {
    if cpu.reschedule_wanted() && cpu.stash_len.get() == 0 && cpu.owners.get().is_empty() {
        crate::drivers::gic::send_sgi(crate::irq::sgi::RESCHEDULE, crate::drivers::gic::Target::Me);
    }
}

/// Puts the interrupted context's debug state on the stash (M8, M9): clears MDSCR_EL1.SS, re-arms the suspended slots,
/// and executes an ISB so that both take effect.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn stash(cpu: &MaskedCpu) {
    stats::STASHES.count();
    let len = cpu.stash_len.get();
    assert!(len < STASH_DEPTH, "rule M8: interrupts nest deeper than the stash");
    let entry = if BEHAVIOURS.rearms_for_interrupts { take(cpu) } else { take_owners(cpu) };
    // SAFETY: the stash is this CPU's, D is masked, and the index was checked.
    unsafe { (*cpu.stash.get())[len] = entry };
    cpu.stash_len.set(len + 1);
    control::sync(cpu);
}

/// Gives the interrupted context its debug state back from the stash (M8, M9). D is masked; the exception return (M13)
/// writes MDSCR_EL1.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn unstash(cpu: &MaskedCpu, frame: &mut Frame) {
    let len = cpu.stash_len.get() - 1;
    // SAFETY: the stash is this CPU's, D is masked, and `stash` has filled the entry.
    let entry = unsafe { &(*cpu.stash.get())[len] };
    cpu.stash_len.set(len);
    let anything = give(cpu, entry) || !BEHAVIOURS.rearms_for_interrupts;
    let mut owners = entry.owners;
    if owners.contains(Owners::STEP_OVER) && !anything {
        // Every slot that the step-over was for is gone: there is nothing to step over.
        stats::CANCELLED.count();
        frame.pstate = owners.cancel(Owners::STEP_OVER, frame.pstate);
        if owners == Owners::RUNS_FREE {
            owners = Owners::empty();
        }
        cpu.set_owners(owners);
    }
    kprobe::unsettle(cpu, frame, owners.contains(Owners::STEP_OVER));
    make_up_reschedule(cpu);
}

/// Ends a step of an interrupt's handler, if one is under way. The scheduler calls this before it switches threads at the end of
/// the handler.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn end_of_handler() {
    let masked = Masked::new();
    if !masked.cpu().owners.get().is_empty() {
        end_of_context(masked.cpu());
    }
}

/// Cancels the step of a handler's context, because that context ends (M8, M9). Otherwise the step would be made in the context
/// that the handler has interrupted (X2). D is masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn end_of_context(cpu: &MaskedCpu) {
    stats::CANCELLED.count();
    slots::rearm(cpu);
    cpu.session.set(None);
    cpu.set_owners(Owners::empty());
}

/// A step of EL1 is still pending where a program is returned to: it would be made in the program (I6). Cancels it, and says so. D is masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn left_behind(cpu: &MaskedCpu) {
    end_of_context(cpu);
    stats::LEFT_BEHIND.count();
    control::sync(cpu);
}

/// Ends a step-over for which no step exception comes (M6, M11, M12): the instruction has faulted, is an assertion's BRK, or was
/// displaced by a probe.
#[inline(always)]
pub fn complete_in_software(cpu: &MaskedCpu, frame: &mut Frame) {
    let mut owners = cpu.owners.get();
    if let Some(pstate) = owners.complete_step_over(frame.pstate) {
        frame.pstate = pstate;
        cpu.set_owners(owners);
        slots::rearm(cpu);
        stats::COMPLETED_IN_SOFTWARE.count();
        make_up_reschedule(cpu);
    }
}

/// Ends the free run of a context, because an exception has interrupted the context (H9): the slots are armed again,
/// and a debugger's step is due where the context goes on. An interrupt that comes before the first instruction of the
/// free run does not end the run, because the instruction has not been attempted yet (X1). Returns the owners that are
/// left. D is masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn end_free_run(cpu: &MaskedCpu, frame: &Frame, interrupt: bool) -> Owners {
    let owners = cpu.owners.get();
    if interrupt && frame.pc == cpu.free_from.get() {
        return owners;
    }
    if owners.contains(Owners::STEP_OVER) {
        slots::rearm(cpu);
    }
    let left = owners - Owners::RUNS_FREE - Owners::STEP_OVER;
    cpu.set_owners(left);
    left
}

/// Drops all owners of the running context's step and re-arms the slots, because the kernel ends (M7).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn drop_owners(cpu: &MaskedCpu, frame: &mut Frame) {
    stats::CANCELLED.count();
    slots::rearm(cpu);
    frame.pstate = rules::step::moved(frame.pstate);
    cpu.set_owners(Owners::empty());
    control::clear_ss(cpu);
}
