//! The bounds of an exploration, and the flaws that can be put into the model's kernel.

/// What a thread of the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// A thread of the kernel's.
    Thread,
    /// A program at EL0, with its thread. A tracer asks for its steps.
    Program,
    /// A program whose steps a user probe asks for.
    Probed,
}

/// A kind of events that an exploration can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The breakpoint, which only EL1 hits.
    Breakpoint,
    /// The watchpoint, which EL0 and EL1 hit.
    Watchpoint,
    /// Slots that are installed and removed while the model runs; without it they are installed at the start.
    SlotChanges,
    /// BRKs of a debugger, and the steps and plans of its client.
    Debugger,
    /// Clients that move the PC of the context that they have interrupted.
    MovedPc,
    /// Probes, with displaced instructions simulated and out of line.
    Probe,
    /// WARNs.
    Warn,
    /// Faults that are handled.
    Fault,
    /// Pseudo-NMIs.
    Nmi,
    /// SErrors and fatal exceptions.
    Fatal,
    /// Stretches of code that mask I and F, or everything, by themselves.
    Section,
    /// Deferred work of interrupts.
    Deferred,
    /// Steps that a tracer asks for.
    Tracer,
}

/// A flaw put into the model's copy of the kernel, to show that a property can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The stash (M8) leaves the suspended slots suspended.
    StashKeepsSuspended,
    /// The stash gives back the entry that it has had longest.
    OldestFirst,
    /// The exception return sets SPSR_EL1.SS again for a context that is stepped (M13).
    SetsSsAgain,
    /// Nobody pays the debt of I2.
    NeverPays,
    /// A request or a cancellation changes a flag in SPSR_EL1.
    ChangesFlags,
    /// The step of a handler is not cancelled when the handler ends.
    HandlersStepGoesOn,
    /// A step exception that nobody has asked for leaves MDSCR_EL1.SS set.
    SpuriousStepStays,
    /// A reschedule that was put off is not made up.
    NoSgi,
    /// A request that a tracer has taken back is not cancelled.
    TracersDeathIsForgotten,
    /// A step that a probe's pre-handler has asked for does not wait for the end of the displaced instruction (K8).
    CopyIsStepped,
    /// A debugger's step that waits for the end of a displaced instruction is on the CPU as well, when the instruction has hit a slot (I9).
    KeptStaysOnCpu,
    /// The end of deferred work leaves I open.
    WayOutIsOpen,
    /// A request does not look at D.
    StepsMaskedCode,
    /// A displaced instruction runs out of line with the masks of the probed context (K8).
    CopyRunsOpen,
    /// A step-over of a debugger's BRK is not over when the BRK is.
    StepOverOfBrkGoesOn,
    /// A reschedule that was put off is not made up if a debugger's BRK has ended the plan.
    EndOfPlanMakesUpNothing,
    /// A step that goes into the handler of a fault (M6) leaves SPSR_EL1.SS set for the instruction that is attempted again.
    StepIntoHandlerKeepsSs,
    /// A tracer's request sets SPSR_EL1.SS although a step-over of the program is due.
    RequestOverDueStep,
    /// A tracer's request changes nothing if a step is due that a tracer before has asked for, and the program has not yet taken over that it is no
    /// longer wanted.
    NewTracerInheritsStep,
}

/// Something that the rules demand and that is easily missed: few states show it.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// The flaw of a kernel that misses it.
    pub flaw: Flaw,
    /// The rules that demand it.
    pub rules: &'static str,
    /// Where the kernel meets it.
    pub place: &'static str,
    /// What is demanded.
    pub demand: &'static str,
}

/// Demands of which the exploration finds a shortest trace when a kernel misses them.
pub const DEMANDS: [Demand; 5] = [
    Demand {
        flaw: Flaw::StepOverOfBrkGoesOn,
        rules: "M12, X1",
        place: "debug::step::over_brk",
        demand: "a debugger's BRK under a breakpoint ends the step-over that was parked",
    },
    Demand {
        flaw: Flaw::EndOfPlanMakesUpNothing,
        rules: "M8",
        place: "debug::debugger::brk",
        demand: "the end of a plan at a debugger's BRK makes up for a reschedule that was put off",
    },
    Demand {
        flaw: Flaw::StepIntoHandlerKeepsSs,
        rules: "M6, M13, X2",
        place: "exception::el1::fault_of_probed",
        demand: "a debugger's step that goes into the handler of a fault clears SPSR_EL1.SS in the frame",
    },
    Demand {
        flaw: Flaw::RequestOverDueStep,
        rules: "M13, X1, T6",
        place: "debug::task::entry::end_due_step_over",
        demand: "a tracer's request ends a step-over of the program that is due, before it sets SPSR_EL1.SS",
    },
    Demand {
        flaw: Flaw::NewTracerInheritsStep,
        rules: "X2, T5",
        place: "debug::task::entry::apply",
        demand: "a new tracer's request sets SPSR_EL1.SS although the step of a tracer before is due",
    },
];

/// The bounds of an exploration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name, for the report.
    pub name: &'static str,
    /// How many CPUs.
    pub cpus: usize,
    /// The threads. The first ones run at the start, one on each CPU.
    pub threads: Vec<Base>,
    /// How deep exceptions nest. A step exception that is due, and the kernel's end, may come one level deeper.
    pub depth: usize,
    /// The events that are left out.
    pub without: Vec<Class>,
}

impl Config {
    /// The same bounds, without more kinds of events.
    #[must_use]
    pub fn without(mut self, more: &[Class]) -> Self {
        self.without.extend(more);
        self
    }

    /// The same bounds, with exceptions nested as deep as this.
    #[must_use]
    pub fn at_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
}
