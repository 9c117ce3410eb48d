//! What can happen, and how a trace says it.

use crate::state::{Code, Context, Section, Slot};
use core::fmt;
use rules::table::RowId;

/// What happens on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An instruction is executed that hits nothing. With an attempt under way, that one.
    Execute,
    /// An instruction is attempted that the slot is for. At EL0 the hit is only counted.
    Attempt(Slot),
    /// As [`What::Attempt`] of the watchpoint at EL0, where the hit is reported.
    AttemptReported,
    /// The running code masks and opens exceptions by itself.
    Section(Section),
    /// The step exception that is pending is taken.
    Step,
    /// An IRQ is taken.
    Irq,
    /// An IRQ is taken, and the interrupt controller has none to acknowledge: the context goes on at once.
    SpuriousIrq,
    /// A pseudo-NMI is taken.
    Nmi,
    /// An SError is taken.
    SError,
    /// The BRK of a probe.
    Probe,
    /// The BRK behind a displaced instruction.
    Trap,
    /// The BRK of a WARN.
    Warn,
    /// The BRK of a debugger.
    Debugger,
    /// A fault that can be handled.
    Fault,
    /// A fault or a BRK that ends the kernel.
    Fatal,
    /// A system call.
    Svc,
    /// A BRK of a program.
    Brk,
    /// A client asks for a step of the context that the debug context has interrupted.
    Ask,
    /// A client ends its plan for that context.
    EndPlan,
    /// A client moves that context's PC.
    MovePc,
    /// The running context ends the session by which it is stepped.
    EndSession,
    /// The handler ends, and the context below goes on where it was.
    Return,
    /// The handler ends, and the context below goes on elsewhere: behind a BRK, or at a fix-up.
    ReturnMoved,
    /// The handler of a probe ends with the displaced instruction simulated.
    Simulate,
    /// The handler of a probe sends the context into the copy of the displaced instruction.
    IntoCopy,
    /// An interrupt's handler begins its deferred work.
    Defer,
    /// The deferred work ends.
    DeferEnd,
    /// The handler of an IRQ asks for a switch of threads.
    Tick,
    /// The way out of an interrupt asks the scheduler, which keeps the thread, or has another one run.
    Reschedule(Option<u8>),
    /// The running thread sleeps, and another one runs, or the CPU idles.
    Sleep(Option<u8>),
    /// A CPU that idles has a thread to run.
    Pick(u8),
    /// The running code installs a slot.
    Install(Slot),
    /// The running code removes a slot.
    Uninstall(Slot),
    /// A tracer asks for a step of a thread's program.
    TracerAsks(u8),
    /// A tracer takes the request back, or dies.
    TracerLeaves(u8),
}

/// Who makes an event happen: the question that a livelock is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The machine cannot help it: an exception that is due, the end of a handler.
    Machine,
    /// The code goes on by an instruction of its choice.
    Progress,
    /// The world outside: interrupts, requests, the scheduler's choice.
    Outside,
}

/// An event, with what is needed to say it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The CPU on which it happens.
    pub cpu: u8,
    /// What happens.
    pub what: What,
    /// Whether an attempt had hit a slot before, and is made again.
    pub again: bool,
    /// The context in which it happens; None on a CPU that idles. For what a tracer does, its tracee's program.
    pub place: Option<Context>,
}

impl Event {
    /// Who makes it happen.
    pub const fn cause(&self) -> Cause {
        match self.what {
            What::Step
            | What::Trap
            | What::Return
            | What::ReturnMoved
            | What::Simulate
            | What::IntoCopy
            | What::Reschedule(_)
            | What::DeferEnd => Cause::Machine,
            What::Attempt(_) | What::AttemptReported if self.again => Cause::Machine,
            What::Irq
            | What::SpuriousIrq
            | What::Nmi
            | What::SError
            | What::Ask
            | What::EndPlan
            | What::EndSession
            | What::Tick
            | What::Install(_)
            | What::Uninstall(_)
            | What::TracerAsks(_)
            | What::TracerLeaves(_)
            | What::Defer => Cause::Outside,
            _ => Cause::Progress,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Slot::Breakpoint => "the breakpoint",
            Slot::Watchpoint => "the watchpoint",
        })
    }
}

/// A context in words: "the handler of a watchpoint (M10)".
pub struct Named<'a>(pub &'a Context);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.code {
            Code::Program => return f.write_str("the program at EL0"),
            Code::Thread => return f.write_str("the thread at EL1"),
            Code::Panic => return f.write_str("the kernel's end (M7)"),
            Code::Irq => "an IRQ",
            Code::Nmi => "an NMI",
            Code::Step => "a step exception",
            Code::Breakpoint => "a breakpoint",
            Code::Watchpoint => "a watchpoint",
            Code::Probe => "a probe's BRK",
            Code::Trap => "the BRK behind a displaced instruction",
            Code::Warn => "a WARN",
            Code::Debugger => "a debugger's BRK",
            Code::Fault => "a fault",
            Code::Svc => "a system call",
            Code::Brk => "a program's BRK",
        };
        write!(f, "the handler of {what} ({})", self.0.row)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu{}: ", self.cpu)?;
        let again = if self.again { " again" } else { "" };
        let asker = if self.place.is_some_and(|place| place.uprobe) { "user probe" } else { "tracer" };
        match self.what {
            What::TracerAsks(thread) => {
                return write!(f, "a {asker} asks for a step of the program of thread {thread}");
            }
            What::TracerLeaves(thread) => {
                return write!(
                    f,
                    "the {asker} of the program of thread {thread} takes its request back, or dies"
                );
            }
            What::Pick(thread) => return write!(f, "the CPU, which idles, gets thread {thread} to run"),
            _ => {}
        }
        let Some(place) = &self.place else { return Ok(()) };
        let named = Named(place);
        match self.what {
            What::Execute if place.copy.is_some() => {
                write!(f, "{named} executes the displaced instruction out of line")
            }
            What::Execute => write!(f, "{named} executes an instruction{again}"),
            What::Attempt(Slot::Breakpoint) => {
                write!(f, "{named} attempts the instruction under the breakpoint{again}")
            }
            What::Attempt(Slot::Watchpoint) => write!(f, "{named} attempts an access to watched data{again}"),
            What::AttemptReported => {
                write!(f, "{named} attempts an access to watched data{again}; a hit is reported")
            }
            What::Section(Section::None) => write!(f, "{named} opens the exceptions that it has masked"),
            What::Section(Section::Interrupts) => write!(f, "{named} masks I and F"),
            What::Section(Section::All) => write!(f, "{named} masks D, A, I and F"),
            What::Step => write!(f, "the step exception is taken in {named}"),
            What::Irq => write!(f, "an IRQ is taken in {named}"),
            What::SpuriousIrq => {
                write!(f, "an IRQ is taken in {named}, with none to acknowledge, and returned from")
            }
            What::Nmi => write!(f, "an NMI is taken in {named}"),
            What::SError => write!(f, "an SError is taken in {named}"),
            What::Probe => write!(f, "{named} executes the BRK of a probe"),
            What::Trap => write!(f, "{named} executes the BRK behind the displaced instruction"),
            What::Warn => write!(f, "{named} executes the BRK of a WARN"),
            What::Debugger => write!(f, "{named} executes the BRK of a debugger"),
            What::Fault => write!(f, "an instruction of {named} faults"),
            What::Fatal => write!(f, "{named} takes a fatal exception"),
            What::Svc => write!(f, "{named} executes SVC"),
            What::Brk => write!(f, "{named} executes BRK"),
            What::Ask => write!(f, "{named} asks for a step of the interrupted context"),
            What::EndPlan => write!(f, "{named} ends the plan of the interrupted context"),
            What::MovePc => write!(f, "{named} moves the PC of the interrupted context"),
            What::EndSession => write!(f, "{named} ends the session by which it is stepped"),
            What::Return if place.row == RowId::M6 => {
                write!(f, "{named} ends; the instruction is attempted again")
            }
            What::Return => write!(f, "{named} ends"),
            What::ReturnMoved => write!(f, "{named} ends, behind the instruction or at a fix-up"),
            What::Simulate => write!(f, "{named} ends; the displaced instruction was simulated"),
            What::IntoCopy => write!(f, "{named} ends; the displaced instruction is to run out of line"),
            What::Defer => write!(f, "{named} begins its deferred work, with I and F open"),
            What::DeferEnd => write!(f, "the deferred work of {named} ends"),
            What::Tick => write!(f, "{named} asks for a switch of threads"),
            What::Reschedule(None) => write!(f, "{named} asks the scheduler, which keeps the thread"),
            What::Reschedule(Some(next)) => {
                write!(f, "{named} asks the scheduler, which switches to thread {next}")
            }
            What::Sleep(None) => write!(f, "{named} sleeps, and the CPU idles"),
            What::Sleep(Some(next)) => write!(f, "{named} sleeps, and thread {next} runs"),
            What::Install(slot) => write!(f, "{named} installs {slot}"),
            What::Uninstall(slot) => write!(f, "{named} removes {slot}"),
            What::TracerAsks(_) | What::TracerLeaves(_) | What::Pick(_) => Ok(()),
        }
    }
}
