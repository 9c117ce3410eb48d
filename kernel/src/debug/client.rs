//! What the clients of steps and slots are told, and what they answer.
//!
//! A *client* is a function that the engine calls in debug context (M10, M12): the handler of a slot, the hook of a walk by single
//! steps, the function `tell` of the kernel's debugger ([`Client`]). In debug context all exceptions are masked; such a function
//! takes no lock that can be held, allocates nothing and waits for no other CPU, but it may run for as long as it needs.

use crate::exception::{DebugFrame, Frame};
use ::slots::SlotId;
use probe::sequence::Stuck;
use rules::step::StepError;

/// A hit, as the slot's handler is told of it.
#[derive(Clone, Copy)]
pub struct Hit {
    /// The slot that was hit.
    pub id: SlotId,
    /// The address that the slot is set on.
    pub address: u64,
    /// The word [`Watcher::data`] of the slot's watcher.
    pub data: usize,
}

/// The handler of a slot, called for each hit after the hit was counted. A handler may change the frame.
pub type Handler = fn(&Hit, &mut DebugFrame);

/// Who is told of the hits of a slot. Several slots may have the same watcher. The macro [`watcher!`](crate::watcher) makes one.
pub struct Watcher {
    /// Called for each hit.
    pub handler: Handler,
    /// The watcher's own word, by which a handler that serves several watchers tells them apart. The slot manager does not look at
    /// the word.
    pub data: usize,
}

/// A `&'static` [`Watcher`](crate::debug::slots::Watcher) of a handler and, after a comma, of its data word; without one the
/// word is 0.
#[macro_export]
macro_rules! watcher {
    ($handler:expr) => {
        $crate::watcher!($handler, 0)
    };
    ($handler:expr, $data:expr) => {
        const { &$crate::debug::slots::Watcher { handler: $handler, data: $data } }
    };
}

/// Called after each step of [`step_with`](super::session::step_with), on the CPU that has made the step. A hook may
/// change the frame.
pub type Hook = fn(&mut DebugFrame) -> Wish;

/// What a [`Hook`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The hook wants another step.
    Step,
    /// The hook wants the context to run, without further steps.
    Run,
}

/// How a step of the debugger came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// One instruction was executed; or it has taken an exception, and the step has ended in the handler.
    Instruction,
    /// An instruction that masks D, and everything behind it up to where D opens: as long as D is masked there are no step
    /// exceptions (DDI 0487 D2.12.4).
    Masked,
    /// A call, from the branch to the return address, run over as [`Plan::Over`] asks.
    Call,
    /// An exclusive sequence as one step (rule H9), from its load-exclusive to the first instruction past it.
    Sequence {
        /// How many instructions were executed.
        instructions: u32,
    },
    /// Several attempts at an exclusive sequence that waits for another CPU. The load-exclusive is the next instruction
    /// again.
    Waiting {
        /// How many attempts were executed.
        rounds: u32,
    },
    /// An exclusive sequence that cannot be run as one step: the context ran free until its next exception, for an
    /// unknown number of instructions. The context may stand at any instruction of the sequence or behind the sequence.
    Free(Stuck),
}

/// The debugger, or the user of a slot or a probe, that steps contexts and is told where they stop. A `Client` is a
/// static, and the engine tells clients apart by the addresses of these statics. The address of a function would not do: the
/// compiler may make several copies of one function, or merge two functions that do the same.
pub struct Client {
    /// Looks at a context that has stopped, and says how the context goes on. This function may change the frame.
    pub tell: fn(&'static Client, Stop, &mut DebugFrame) -> Resume,
    /// For the client's own use: the engine does not read this.
    pub data: usize,
}

impl Client {
    /// Whether both are the same client, not just alike.
    pub fn is(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

/// Whether a plan ends with the step that has led to this frame.
pub type Predicate = fn(&Frame) -> bool;

/// How far to step. `Over` a call is done by a breakpoint of this CPU if a slot is free: meanwhile the CPU may switch to other
/// threads, and their calls of the same code do not end the plan. A function that returns with D masked is not seen to return:
/// then the context runs on. Without a free slot, and where no breakpoint may be (H6, H9), the call is stepped through.
pub type Plan = rules::plan::Plan<Predicate>;

/// Why a context has stopped.
#[derive(Clone, Copy)]
pub enum Stop {
    /// A debugger's BRK ([`breakpoint`](super::debugger::breakpoint)) was hit. PC is behind the BRK.
    Brk,
    /// A slot that stops in the debugger (`Disposition::STOP`) was hit. A plan of the same client is over.
    Slot(Hit),
    /// The plan is done. The value says how its last step came about.
    Step(Stepped),
    /// The plan with which the client has answered the last stop cannot be carried out here. The context has not moved
    /// since. If the client answers with a plan again, that counts as [`Resume::Run`].
    Refused(StepError),
}

/// How a context goes on.
#[derive(Clone, Copy)]
pub enum Resume {
    /// The context runs, without further steps.
    Run,
    /// The context is stepped as the plan says, and stops again when the plan is done.
    Step(Plan),
}
