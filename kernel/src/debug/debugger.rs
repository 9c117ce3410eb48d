//! The kernel's debugger: one [`Client`], which is told where a context stops, and answers how the context goes on.
//!
//! All CPUs have the same client. Each CPU calls the client for its own stops, possibly at the same time as other CPUs do.

pub use super::client::{Client, Plan, Predicate, Resume, Stop};

use super::client::{Hit, Stepped};
use super::control::Masked;
use super::cpu::MaskedCpu;
use super::session::{self, Sequences};
use super::slots::Disposition;
use super::step::{self, complete_in_software};
use super::stepping::Session;
use super::{runs, stats};
use crate::exception::{DebugFrame, Frame};
use crate::kprobe;
use crate::percpu::PerCpu;
use crate::watcher;
use core::arch::asm;
use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{
    AtomicBool, AtomicPtr,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use probe::stepping;
use rules::plan::Course;
use rules::pstate::SPSR_SS;
use rules::step::{Owners, StepError};

/// The error of [`register`]: the kernel has a debugger already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kernel has a debugger already, which has to be unregistered first")
    }
}

#[unsafe(link_section = ".noprobe.data")]
static CLIENT: AtomicPtr<Client> = AtomicPtr::new(core::ptr::null_mut());

/// Whether the client is being told of a stop on this CPU.
static TELLING: PerCpu<Cell<bool>> = crate::per_cpu!(Cell::new(false));

fn client() -> Option<&'static Client> {
    // SAFETY: the pointer is null or the address of a static: only `register` and `unregister` store here.
    unsafe { CLIENT.load(Acquire).as_ref() }
}

/// Makes `client` the kernel's debugger, on all CPUs. Any context.
///
/// # Errors
/// [`Taken`] if the kernel has a debugger already.
pub fn register(client: &'static Client) -> Result<(), Taken> {
    let new = core::ptr::from_ref(client).cast_mut();
    CLIENT.compare_exchange(core::ptr::null_mut(), new, AcqRel, Relaxed).map(drop).map_err(|_| Taken)
}

/// Takes the client away that is the kernel's debugger at the time of the call; a client that registers during the call stays. The
/// client's plan for the calling context ends, as do the runs over calls on this CPU. When plans of other contexts are done, the
/// client that has made them is still told. Any context.
pub fn unregister() {
    let Some(client) = client() else { return };
    if CLIENT
        .compare_exchange(core::ptr::from_ref(client).cast_mut(), core::ptr::null_mut(), Relaxed, Relaxed)
        .is_err()
    {
        return;
    }
    session::end(|session| session.is_of(client));
    let _masked = Masked::new();
    runs::end_of(|run| run.client.is(client));
}

/// Whether there is a debugger. Any context.
pub fn is_there() -> bool {
    client().is_some()
}

/// Stops in the debugger, if there is one. Any context.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: the handler moves PC behind the BRK. Registers and memory stay as they are, unless the debugger changes them.
    unsafe { asm!("brk #{}", const crate::exception::brk::DEBUGGER, options(nostack)) }
}

/// Begins a plan for the context whose frame a slot's or a probe's handler was given. `client` is told when the plan is done. If a
/// pre-handler calls this, the first step is the probed instruction; if a post-handler does, the first step is the instruction
/// behind it. Debug context.
///
/// # Errors
/// The context has D masked (X2), or is being stepped already.
pub fn step(frame: &mut DebugFrame, plan: Plan, client: &'static Client) -> Result<(), StepError> {
    let cpu = frame.cpu();
    let behind = kprobe::is_behind(cpu, frame.pc);
    let sequences = if behind { Sequences::Here } else { Sequences::Elsewhere };
    begin(cpu, frame, plan, client, sequences)
}

/// Begins a plan for the context of `frame`. Debug context.
fn begin(
    cpu: &MaskedCpu,
    frame: &mut DebugFrame,
    plan: Plan,
    client: &'static Client,
    sequences: Sequences,
) -> Result<(), StepError> {
    session::admit(cpu, frame)?;
    runs::end_of_dead(frame.sp);
    let call = kprobe::original(frame.pc).is_some_and(stepping::is_call);
    let Some(course) = plan.from(session::place(frame), call) else { return Ok(()) };
    if let Course::Return(to) = course
        && runs::begin(to, client, watcher!(returned))
    {
        return Ok(());
    }
    // If a handler has moved PC, SPSR.SS is clear, and the instruction that was to be stepped over does not run. The
    // step-over ends here: its slots are armed again for the instruction at the new PC.
    if frame.pstate & SPSR_SS == 0 {
        complete_in_software(cpu, frame);
    }
    session::go_on(cpu, frame, Session::Plan { course, client }, sequences)
}

/// The handler of the breakpoint at the return address of a call that is run over.
fn returned(hit: &Hit, frame: &mut DebugFrame) {
    if let Some(client) = runs::arrived(hit.id, session::place(frame)) {
        tell(frame.cpu(), frame, client, Stop::Step(Stepped::Call), Sequences::Elsewhere);
    }
}

/// Tells the client why the context of `frame` has stopped, and lets the context go on as the client answers. Debug context.
pub(super) fn tell(
    cpu: &MaskedCpu,
    frame: &mut DebugFrame,
    client: &'static Client,
    stop: Stop,
    sequences: Sequences,
) {
    let telling = TELLING.this();
    let mut ask = |stop| {
        let before = telling.replace(true);
        let answer = (client.tell)(client, stop, frame);
        telling.set(before);
        match answer {
            Resume::Run => Ok(()),
            Resume::Step(plan) => begin(cpu, frame, plan, client, sequences),
        }
    };
    if let Err(why) = ask(stop) {
        // The client may look at the context, but whatever it answers, the context runs.
        let _ = ask(Stop::Refused(why));
    }
}

/// Deals with the BRK of [`breakpoint`] (M12, M14). Returns the owners to put back.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn brk(cpu: &MaskedCpu, frame: &mut DebugFrame, mut parked: Owners) -> Owners {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let pc = frame.pc;
    frame.move_to(pc + 4);
    let Some(client) = client() else {
        unattended(&WARNED, format_args!("BRK for a debugger at {pc:#x}"));
        return parked;
    };
    // The client is being told of a stop, so the BRK may be in the client's own code. If the client were told of this
    // BRK, it would hit the same BRK again, without end.
    if TELLING.this().get() {
        return parked;
    }
    // In a debug context inside another one, the plan under way is that of the outer context (M14), and stays.
    let ended = cpu.depth.get() == 1 && end_plan(cpu, frame, client);
    if ended {
        parked.remove(Owners::DEBUGGER);
    }
    tell(cpu, frame, client, Stop::Brk, Sequences::Here);
    let parked = step::over_brk(cpu, parked);
    if ended && parked.is_empty() {
        step::make_up_reschedule(cpu);
    }
    parked
}

impl Disposition {
    /// The context stops in the kernel's debugger.
    pub const STOP: Self = Self::Call(watcher!(slot));
}

/// The handler of a slot with the disposition [`STOP`](Disposition::STOP) (M10).
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn slot(hit: &Hit, frame: &mut DebugFrame) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let Some(client) = client() else {
        let (kind, number) = (hit.id.kind, hit.id.index);
        return unattended(&WARNED, format_args!("{kind} {number}, for a debugger, hit at {:#x}", frame.pc));
    };
    let cpu = frame.cpu();
    if end_plan(cpu, frame, client) {
        let mut owners = cpu.owners.get();
        frame.pstate = owners.cancel(Owners::DEBUGGER, frame.pstate);
        cpu.set_owners(owners);
    }
    tell(cpu, frame, client, Stop::Slot(*hit), Sequences::Elsewhere);
}

/// Ends the client's plan for this context, and the calls that it runs over, because the context stops for another reason. Returns
/// whether there was a plan; then the step still has its owner, which the caller has to remove.
fn end_plan(cpu: &MaskedCpu, frame: &Frame, client: &'static Client) -> bool {
    runs::end_of(|run| run.client.is(client) && run.is_on_stack_of(frame.sp));
    session::end_of(cpu, client)
}

/// Counts a stop for a debugger when the kernel has none, and logs the first stop of each kind.
#[cold]
fn unattended(warned: &AtomicBool, what: fmt::Arguments<'_>) {
    stats::UNATTENDED.count_shared();
    if !warned.swap(true, Relaxed) {
        log::warn!("{what}, but the kernel has no debugger: going on (this is reported only once)");
    }
}
