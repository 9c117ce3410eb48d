//! A *session* is a debugger's steps of one context. This module begins a session, decides after each step how it goes on, and ends
//! it.
//!
//! A context has one session at most. The CPU holds the session while the context runs. An interrupt puts it on the stash with the
//! step (M8), and a switch of threads saves it with the thread (I5). So an interrupt's handler that is stepped has a session of its
//! own.

pub use super::client::{Hook, Stepped, Wish};

use super::client::Client;
use super::control::{self, Masked};
use super::cpu::{CpuDebug, MaskedCpu};
use super::exclusive::{self, Sequence};
use super::stepping::Session;
use super::{slots, step};
use crate::arch::barrier;
use crate::exception::{DebugFrame, Frame, Reason, fatal};
use crate::kprobe;
use core::arch::naked_asm;
use probe::{is_load_exclusive, stepping};
use rules::plan::{Course, Place};
use rules::pstate::{Daif, SPSR_SS};
use rules::step::{Owners, StepError};

/// How the last step of the debugger on this CPU came about. Debug context.
#[inline]
pub fn last(cpu: &CpuDebug) -> Stepped {
    cpu.stepped.get()
}

/// Where the context of `frame` stands: its PC and SP, by which plans decide.
pub fn place(frame: &Frame) -> Place {
    Place { pc: frame.pc, sp: frame.sp }
}

/// Who executes an exclusive sequence as one step (H9), if the instruction at PC is the load-exclusive of a sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sequences {
    /// The session, when it asks for its next step.
    Here,
    /// Not the session: either the handler of a hit executes the sequence when it is done with the hit, or the instruction is
    /// probed.
    Elsewhere,
}

/// Gives the running context this session. All functions that write or copy a session are no-probe text: otherwise the handler of a
/// BRK in the middle could end a session that is half written (rule I8). D is masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn hold(cpu: &MaskedCpu, session: Session) {
    cpu.session.set(Some(session));
}

/// Whether the context of `frame` can have a session. Debug context.
///
/// # Errors
/// X2: the context has D masked. Or it has a session already, or is a program.
pub fn admit(cpu: &MaskedCpu, frame: &Frame) -> Result<(), StepError> {
    if frame.is_of_el0() {
        return Err(StepError::AtEl0);
    }
    if frame.masks().contains(Daif::D) {
        return Err(StepError::DebugMasked);
    }
    if cpu.is_stepped() {
        return Err(StepError::Busy);
    }
    Ok(())
}

/// Decides, after a step of the debugger, how the running context's session goes on, and asks for its next step. If a plan is done,
/// ends the session and calls `tell` with the plan's client and how the last step came about: the client's answer may begin another
/// session. Debug context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn carry_on(
    cpu: &MaskedCpu,
    frame: &mut DebugFrame,
    tell: impl FnOnce(&MaskedCpu, &mut DebugFrame, &'static Client, Stepped),
) {
    if frame.masks().contains(Daif::D) {
        return until_d_opens(cpu);
    }
    let Some(mut session) = cpu.session.take() else { return };
    let done = match &mut session {
        Session::Hook(hook) => hook(frame) == Wish::Run,
        Session::Plan { course, .. } => course.is_done(place(frame), |predicate| predicate(frame)),
    };
    if !done {
        // If the hook has masked D in the frame, `go_on` refuses the step, and the session ends.
        let _ = go_on(cpu, frame, session, Sequences::Here);
    } else if let Session::Plan { course, client } = session {
        let how = if matches!(course, Course::Return(_)) { Stepped::Call } else { last(cpu) };
        tell(cpu, frame, client, how);
    }
}

/// Lets a context with D masked go on to where D opens. After an instruction that masks D, QEMU takes the step exception at once;
/// by the architecture the exception is pending until D opens (DDI 0487 D2.12.4). So the owner stays, and the context goes on with
/// MDSCR_EL1.SS set and SPSR.SS clear, as after every step: the step exception comes when D opens.
#[cold]
fn until_d_opens(cpu: &MaskedCpu) {
    cpu.stepped.set(Stepped::Masked);
    cpu.set_owners(Owners::DEBUGGER);
}

/// Asks for the next step of a session. A whole exclusive sequence is one step (H9). Debug context.
///
/// # Errors
/// X2: the context has D masked.
pub fn go_on(
    cpu: &MaskedCpu,
    frame: &mut DebugFrame,
    session: Session,
    sequences: Sequences,
) -> Result<(), StepError> {
    let word = exclusive::word_at(frame.pc);
    if stepping::is_wait(word) {
        // The code waits for another CPU, and the instruction is a hint to let that CPU run. Where QEMU runs all CPUs
        // in one thread, it ignores the hint of an instruction that is stepped, so the hint is given here.
        barrier::relax();
    }
    let masks = stepping::masks_debug(word, |n| frame.x[usize::from(n)]);
    cpu.stepped.set(if masks { Stepped::Masked } else { Stepped::Instruction });
    let pstate = frame.pstate;
    step::request(cpu, frame, Owners::DEBUGGER)?;
    hold(cpu, session);
    // A breakpoint on the load-exclusive is to be hit first; its handler then executes the sequence.
    if sequences == Sequences::Here
        && is_load_exclusive(word)
        && slots::breakpoint_hits(cpu, frame.pc).is_empty()
    {
        match exclusive::run(cpu, frame, exclusive::ROUNDS) {
            // The sequence was executed, so its step exception is due before the next instruction (M13).
            Sequence::Done => {}
            Sequence::Plain => {}
            Sequence::Stuck(why) => {
                // SPSR.SS is put back to its value before the request. The other bits stay: part of the sequence may
                // have been executed and have set NZCV.
                frame.pstate = frame.pstate & !SPSR_SS | pstate & SPSR_SS;
                exclusive::run_free(cpu, frame, Owners::DEBUGGER, why)?;
            }
        }
    }
    // If the handler of a hit asks for the step (`Sequences::Elsewhere`), the handler itself calls `unsettle` when it is done with
    // the hit.
    if sequences == Sequences::Here {
        kprobe::unsettle(cpu, frame, false);
    }
    Ok(())
}

/// Ends the running context's session if it is a plan of this client, and returns whether it was. The step still has
/// its owner, which the caller has to remove. D is masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn end_of(cpu: &MaskedCpu, client: &Client) -> bool {
    let ends = cpu.session.get().is_some_and(|session| session.is_of(client));
    if ends {
        cpu.session.set(None);
    }
    ends
}

/// Runs `body` by single steps, and calls `hook` after each step, until the hook says [`Wish::Run`]. Any context where
/// D is open. An interrupt's handler may call this also if the interrupted context is being stepped, because the two
/// contexts have separate steps.
///
/// # Errors
/// The caller has D masked (X2), or is being stepped already.
pub fn step_with(hook: Hook, body: impl FnOnce()) -> Result<(), StepError> {
    step_from_here(hook)?;
    body();
    end(|session| matches!(session, Session::Hook(mine) if core::ptr::fn_addr_eq(*mine, hook)));
    Ok(())
}

/// As [`step_with`], without a body: steps the caller from the return of this function on, until the hook says
/// [`Wish::Run`]. If the caller is an interrupt's handler, the steps end with the handler at the latest.
///
/// # Errors
/// As `step_with`.
pub fn step_from_here(hook: Hook) -> Result<(), StepError> {
    match enter(hook as usize) {
        0 => Ok(()),
        1 => Err(StepError::Busy),
        _ => Err(StepError::DebugMasked),
    }
}

/// The BRK that begins a session. The result is what [`enter_brk`] puts into X0.
#[unsafe(naked)]
extern "C" fn enter(hook: usize) -> u64 {
    naked_asm!("brk #{}", "ret", const crate::exception::brk::STEP)
}

/// Deals with the BRK of [`enter`] (M12): begins a session with the hook in X0. Puts 0 into X0 if the session has
/// begun, or the number of the error. Returns the owners to put back.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn enter_brk(cpu: &MaskedCpu, frame: &mut DebugFrame, parked: Owners) -> Owners {
    if frame.pc != enter as *const () as u64 {
        fatal(frame, "M7", Reason::UnknownBrk);
    }
    frame.move_to(frame.pc + 4);
    // SAFETY: X0 is the argument of `enter`, and its only caller, `step_from_here`, passes a hook.
    let hook: Hook = unsafe { core::mem::transmute(frame.x[0] as usize) };
    let begun = admit(cpu, frame).and_then(|()| go_on(cpu, frame, Session::Hook(hook), Sequences::Here));
    frame.x[0] = match begun {
        Ok(()) => 0,
        Err(StepError::Busy) => 1,
        Err(StepError::DebugMasked | StepError::AtEl0) => 2,
    };
    step::over_brk(cpu, parked)
}

/// Ends the running context's session, if it has one for which `is_meant` is true. Any context. This function is
/// no-probe text: the BRK of a probe in it would set the step's owner aside (M12), and put the owner back when the
/// session has ended.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn end(is_meant: impl FnOnce(&Session) -> bool) {
    let masked = Masked::new();
    let cpu = masked.cpu();
    if !cpu.session.get().as_ref().is_some_and(is_meant) {
        return;
    }
    cpu.session.set(None);
    let mut owners = cpu.owners.get();
    // Dropping the owner is enough: D is masked, so no step exception comes before MDSCR_EL1.SS is cleared.
    owners.remove(Owners::DEBUGGER);
    if owners == Owners::RUNS_FREE {
        owners = Owners::empty();
    }
    cpu.set_owners(owners);
    step::make_up_reschedule(cpu);
}

/// Puts this CPU into the state that it has when it runs a thread that nobody steps: no debug context, an empty stash,
/// all slots armed. For a test that goes on although a rule was broken.
pub fn forget_all() {
    let masked = Masked::new();
    let cpu = masked.cpu();
    cpu.depth.set(0);
    cpu.stash_len.set(0);
    end(|_| true);
    cpu.set_owners(Owners::empty());
    slots::rearm(cpu);
    control::force(cpu, cpu.wanted());
}
