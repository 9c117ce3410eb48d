//! The kernel's debugger, whoever that is: one client, told where the kernel stops, asked how it goes on.
//!
//! It is told in debug context (M10, M12): exceptions masked, no lock that can be held, no allocation, no waiting for other
//! CPUs; but it may take its time. On every CPU, each for itself.

use super::control::Masked;
use super::session::{self, Sequences, Stepped};
use super::slots::Hit;
use super::{CpuDebug, runs, stats};
use crate::exception::Frame;
use crate::percpu::PerCpu;
use core::arch::asm;
use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{
    AtomicBool, AtomicPtr,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use rules::step::{Owners, StepError};

/// Looks at a context that has stopped. It may change the frame.
pub type Client = fn(Stop, &mut Frame) -> Resume;

/// Whether to stop behind a step.
pub type Predicate = fn(&Frame) -> bool;

/// How far to step. `Over` a call is by a breakpoint of this CPU if a slot is free: the CPU may switch threads meanwhile,
/// whose calls of the same code are none of this one. A function that returns with D masked is not seen to return: then the
/// context runs on. Else, and where no breakpoint may be (H6, H9), it is by steps.
pub type Plan = rules::plan::Plan<Predicate>;

/// Why a context has stopped.
#[derive(Clone, Copy)]
pub enum Stop {
    /// A debugger's BRK ([`breakpoint`]); PC is behind it.
    Brk,
    /// A slot with [`Disposition::STOP`](super::slots::Disposition::STOP). A plan of the same client is over.
    Slot(Hit),
    /// The plan is done, and how its last step came about.
    Step(Stepped),
    /// Not stopped anew: the plan that was the last answer cannot be had here. Another one counts as [`Resume::Run`].
    Refused(StepError),
}

/// How a context goes on.
#[derive(Clone, Copy)]
pub enum Resume {
    /// It runs.
    Run,
    /// It is stepped, and stops again.
    Step(Plan),
}

/// There is a client already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the kernel has a debugger already: it has to let go first")
    }
}

#[unsafe(link_section = ".noprobe.data")]
static CLIENT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Whether a CPU's client is being told something.
static TELLING: PerCpu<Cell<bool>> = crate::per_cpu!(Cell::new(false));

fn client() -> Option<Client> {
    let client = CLIENT.load(Acquire);
    // SAFETY: only `register` stores here, and what it stores is a `Client`.
    (!client.is_null()).then(|| unsafe { core::mem::transmute::<*mut (), Client>(client) })
}

/// Makes `client` the kernel's debugger, on all CPUs. Any context.
///
/// # Errors
/// [`Taken`]: there is one.
pub fn register(client: Client) -> Result<(), Taken> {
    let new = client as *mut ();
    CLIENT.compare_exchange(core::ptr::null_mut(), new, AcqRel, Relaxed).map(drop).map_err(|_| Taken)
}

/// Takes away the client that is the kernel's debugger when this is called: one that has taken its place meanwhile stays. What
/// is under way in the context that calls is over; plans of other contexts are still told to the client that made them. Any
/// context.
pub fn unregister() {
    let Some(client) = client() else { return };
    if CLIENT.compare_exchange(client as *mut (), core::ptr::null_mut(), Relaxed, Relaxed).is_err() {
        return;
    }
    session::end(|session| session.is_of(client));
    let _masked = Masked::new();
    runs::end_of(|run| core::ptr::fn_addr_eq(run.client, client));
}

/// Whether there is a debugger. Any context.
pub fn is_there() -> bool {
    client().is_some()
}

/// Stops in the debugger. Any context.
#[inline(always)]
pub fn breakpoint() {
    // SAFETY: the handler goes on behind it; registers and memory are as the debugger leaves them.
    unsafe { asm!("brk #{}", const crate::exception::brk::DEBUGGER, options(nostack)) }
}

/// Begins a plan for the context that a slot's or a probe's handler was given; `client` is told when it is done. Of a probe's
/// pre-handler the probed instruction is the first step, of its post-handler the one behind. Debug context.
///
/// # Errors
/// X2: the context has D masked. Or it is being stepped already.
pub fn step(frame: &mut Frame, plan: Plan, client: Client) -> Result<(), StepError> {
    let cpu = super::this();
    let behind = crate::kprobe::is_behind(cpu, frame.pc);
    let sequences = if behind { Sequences::Here } else { Sequences::Elsewhere };
    session::begin(cpu, frame, plan, client, sequences)
}

/// Tells the client why the context of `frame` has stopped, and has it go on as it answers. Debug context.
pub(super) fn tell(cpu: &CpuDebug, frame: &mut Frame, client: Client, stop: Stop, sequences: Sequences) {
    let telling = TELLING.this();
    let mut ask = |stop| {
        let before = telling.replace(true);
        let answer = client(stop, frame);
        telling.set(before);
        match answer {
            Resume::Run => Ok(()),
            Resume::Step(plan) => session::begin(cpu, frame, plan, client, sequences),
        }
    };
    if let Err(why) = ask(stop) {
        // It may read what is there, but there is no other way to go on.
        let _ = ask(Stop::Refused(why));
    }
}

/// A debugger's BRK (M12, M14).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn brk(cpu: &CpuDebug, frame: &mut Frame, mut parked: Owners) -> Owners {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let pc = frame.pc;
    frame.move_to(pc + 4);
    let Some(client) = client() else {
        unattended(&WARNED, format_args!("BRK for a debugger at {pc:#x}"));
        return parked;
    };
    // One that the client runs into itself would never end.
    if TELLING.this().get() {
        return parked;
    }
    // Inside a debug context what is under way is the outer context's (M14).
    if cpu.depth.get() == 1 && end_plan(cpu, frame, client) {
        parked.remove(Owners::DEBUGGER);
    }
    tell(cpu, frame, client, Stop::Brk, Sequences::Here);
    parked
}

/// A slot that stops in the debugger was hit (M10).
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn slot(hit: &Hit, frame: &mut Frame) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let Some(client) = client() else {
        let (kind, number) = (hit.id.kind, hit.id.index);
        return unattended(&WARNED, format_args!("{kind} {number}, for a debugger, hit at {:#x}", frame.pc));
    };
    let cpu = super::this();
    if end_plan(cpu, frame, client) {
        let mut owners = cpu.owners.get();
        frame.pstate = owners.cancel(Owners::DEBUGGER, frame.pstate);
        cpu.set_owners(owners);
    }
    tell(cpu, frame, client, Stop::Slot(*hit), Sequences::Elsewhere);
}

/// Another stop ends what the client waits for in this context. Whether its step has an owner still.
fn end_plan(cpu: &CpuDebug, frame: &Frame, client: Client) -> bool {
    runs::end_of(|run| core::ptr::fn_addr_eq(run.client, client) && run.is_on_stack_of(frame.sp));
    session::end_of(cpu, client)
}

#[cold]
fn unattended(warned: &AtomicBool, what: fmt::Arguments<'_>) {
    stats::UNATTENDED.count_shared();
    if !warned.swap(true, Relaxed) {
        log::warn!("{what}, and no debugger is there: going on, here and wherever that happens again");
    }
}
