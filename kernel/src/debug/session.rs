//! A debugger's steps of one context: begun, carried on behind each step, ended.
//!
//! A context has one session at most. It is on the CPU while the context runs; interrupts set it aside with the step (M8), a
//! switch of threads saves it with the thread (I5). So what an interrupt's handler steps is a session of its own.

use super::control::Masked;
use super::debugger::{self, Client, Plan, Predicate, Stop};
use super::exclusive::{self, Sequence};
use super::{CpuDebug, runs, slots, step};
use crate::arch::barrier;
use crate::exception::{Frame, Reason, fatal};
use crate::kprobe;
use core::arch::naked_asm;
use probe::sequence::Stuck;
use probe::{is_load_exclusive, stepping};
use rules::plan::{Course, Place};
use rules::pstate::{Daif, SPSR_SS};
use rules::step::{Owners, StepError};

/// Called in debug context after each step of [`step_with`] on this CPU; says whether to go on.
pub type Hook = fn(&mut Frame) -> Wish;

/// What is wanted after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Another one.
    Step,
    /// To run on.
    Run,
}

/// How a step of the debugger came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// One instruction, or the way into the handler of its exception.
    Instruction,
    /// An instruction that masks D, and everything behind it up to where D opens: as long as D is masked there are no step
    /// exceptions (DDI 0487 D2.12.4).
    Masked,
    /// A call, from the branch to where it returned to, as [`Plan::Over`] has it.
    Call,
    /// An exclusive sequence as one step (rule H9), from its load-exclusive to the first instruction past it.
    Sequence {
        /// Instructions executed.
        instructions: u32,
    },
    /// An exclusive sequence that waits for another CPU: so many rounds of it, and the load-exclusive is next again.
    Waiting {
        /// Rounds made.
        rounds: u32,
    },
    /// An exclusive sequence that cannot be run as one step: the context ran free until its next exception, an unknown number
    /// of instructions. It may stand anywhere on its way.
    Free(Stuck),
}

/// A session.
#[derive(Clone, Copy)]
pub enum Session {
    /// Told of every step.
    Hook(Hook),
    /// Told when a plan is done.
    Plan {
        /// What is left of it.
        course: Course<Predicate>,
        /// Who is told.
        client: Client,
    },
}

impl Session {
    /// Whether it is a plan of this client.
    #[inline(always)]
    pub fn is_of(&self, of: Client) -> bool {
        matches!(self, Self::Plan { client, .. } if core::ptr::fn_addr_eq(*client, of))
    }
}

/// How the last step of the debugger on this CPU came about. Debug context.
#[inline]
pub fn last(cpu: &CpuDebug) -> Stepped {
    cpu.stepped.get()
}

/// Where the context stands.
pub fn place(frame: &Frame) -> Place {
    Place { pc: frame.pc, sp: frame.sp }
}

/// Whether an exclusive sequence that is next is run as one step here (H9).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sequences {
    /// Yes.
    Here,
    /// No: the handler of a hit is about to do so, or the instruction is a probe's.
    Elsewhere,
}

/// Begins a plan for the context of `frame`. Debug context.
///
/// # Errors
/// X2: the context has D masked. Or it has a session.
pub fn begin(
    cpu: &CpuDebug,
    frame: &mut Frame,
    plan: Plan,
    client: Client,
    sequences: Sequences,
) -> Result<(), StepError> {
    admit(cpu, frame)?;
    runs::end_of_dead(frame.sp);
    let call = kprobe::original(frame.pc).is_some_and(stepping::is_call);
    let Some(course) = plan.from(place(frame), call) else { return Ok(()) };
    if let Course::Return(to) = course
        && runs::begin(to, client)
    {
        return Ok(());
    }
    // A handler that moved PC has done what was to be stepped over: the slot is armed for what comes now.
    if frame.pstate & SPSR_SS == 0 {
        step::complete_in_software(cpu, frame);
    }
    go_on(cpu, frame, Session::Plan { course, client }, sequences)
}

/// The running context has this session. In no-probe text, as all that writes or copies a session is: a BRK's handler in between
/// could end a session that is half written (rule I8). D is masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn hold(cpu: &CpuDebug, session: Session) {
    cpu.session.set(Some(session));
}

fn admit(cpu: &CpuDebug, frame: &Frame) -> Result<(), StepError> {
    if frame.masks().contains(Daif::D) {
        return Err(StepError::DebugMasked);
    }
    if cpu.is_stepped() {
        return Err(StepError::Busy);
    }
    Ok(())
}

/// A step of a debugger is done.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn carry_on(cpu: &CpuDebug, frame: &mut Frame) {
    if frame.masks().contains(Daif::D) {
        return until_d_opens(cpu);
    }
    let Some(mut session) = cpu.session.take() else { return };
    let done = match &mut session {
        Session::Hook(hook) => hook(frame) == Wish::Run,
        Session::Plan { course, .. } => course.is_done(place(frame), |predicate| predicate(frame)),
    };
    if !done {
        // It ends if its hook has masked D.
        let _ = go_on(cpu, frame, session, Sequences::Here);
    } else if let Session::Plan { course, client } = session {
        let how = if matches!(course, Course::Return(_)) { Stepped::Call } else { last(cpu) };
        debugger::tell(cpu, frame, client, Stop::Step(how), Sequences::Here);
    }
}

/// QEMU takes the step of the instruction that masks D at once; the architecture has it pending until D opens: what is left
/// to do is to go on with MDSCR_EL1.SS set. SPSR.SS is clear, as behind every step.
#[cold]
fn until_d_opens(cpu: &CpuDebug) {
    cpu.stepped.set(Stepped::Masked);
    cpu.set_owners(Owners::DEBUGGER);
}

/// The session's next step, which an exclusive sequence is one of (H9).
fn go_on(cpu: &CpuDebug, frame: &mut Frame, session: Session, sequences: Sequences) -> Result<(), StepError> {
    let word = exclusive::word_at(frame.pc);
    if stepping::is_wait(word) {
        // An emulator that runs CPUs in turns loses the hint when it steps it, and the code waits for another CPU.
        barrier::relax();
    }
    let masks = stepping::masks_debug(word, |n| frame.x[usize::from(n)]);
    cpu.stepped.set(if masks { Stepped::Masked } else { Stepped::Instruction });
    let pstate = frame.pstate;
    step::request(cpu, frame, Owners::DEBUGGER)?;
    hold(cpu, session);
    // A breakpoint on the load-exclusive is to be hit first, and runs the sequence then.
    if sequences == Sequences::Here
        && is_load_exclusive(word)
        && slots::breakpoint_hits(cpu, frame.pc).is_empty()
    {
        match exclusive::run(cpu, frame, exclusive::ROUNDS) {
            // It is done: the step exception is due at once (M13).
            Sequence::Done => {}
            Sequence::Plain => {}
            Sequence::Stuck(why) => {
                // The request is taken back; flags that the sequence has changed stay.
                frame.pstate = frame.pstate & !SPSR_SS | pstate & SPSR_SS;
                exclusive::run_free(cpu, frame, Owners::DEBUGGER, why)?;
            }
        }
    }
    // A breakpoint there is to be hit first; a hit sees to it itself.
    if sequences == Sequences::Here {
        kprobe::unsettle(frame, false);
    }
    Ok(())
}

/// Whether a plan of this client is under way in the running context, which it is not any more. What is left of it is the
/// owner of the step. D is masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn end_of(cpu: &CpuDebug, client: Client) -> bool {
    let ends = cpu.session.get().is_some_and(|session| session.is_of(client));
    if ends {
        cpu.session.set(None);
    }
    ends
}

/// Runs `body` by single steps on this CPU, telling `hook` after each, until it says [`Wish::Run`]. Any context where D is
/// open; an interrupt's handler that does so has its own steps, whatever it interrupted.
///
/// # Errors
/// X2: D is masked here. Or this context is being stepped already.
pub fn step_with(hook: Hook, body: impl FnOnce()) -> Result<(), StepError> {
    step_from_here(hook)?;
    body();
    end(|session| matches!(session, Session::Hook(mine) if core::ptr::fn_addr_eq(*mine, hook)));
    Ok(())
}

/// As [`step_with`], but for the end: steps until the hook has enough, or the interrupt's handler that this is called from is
/// over.
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

#[unsafe(naked)]
extern "C" fn enter(hook: usize) -> u64 {
    naked_asm!("brk #{}", "ret", const crate::exception::brk::STEP)
}

/// The BRK of [`enter`].
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn enter_brk(cpu: &CpuDebug, frame: &mut Frame, parked: Owners) -> Owners {
    if frame.pc != enter as *const () as u64 {
        fatal(frame, "M7", Reason::UnknownBrk);
    }
    frame.move_to(frame.pc + 4);
    // SAFETY: x0 of `enter`, which only `step_from_here` calls, with a hook.
    let hook: Hook = unsafe { core::mem::transmute(frame.x[0] as usize) };
    let begun = admit(cpu, frame).and_then(|()| go_on(cpu, frame, Session::Hook(hook), Sequences::Here));
    frame.x[0] = match begun {
        Ok(()) => 0,
        Err(StepError::Busy) => 1,
        Err(StepError::DebugMasked) => 2,
    };
    parked
}

/// Ends the running context's session if it is meant, and has not ended. No probe may be in it: what set the step aside for its
/// instruction (M12) would put it back behind that.
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
    // Nothing is pending any more: with D masked the step of the next instruction is not taken.
    owners.remove(Owners::DEBUGGER);
    if owners == Owners::RUNS_FREE {
        owners = Owners::empty();
    }
    cpu.set_owners(owners);
    step::make_up_reschedule(cpu);
}
