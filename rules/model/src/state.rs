//! A state of the model: what the CPUs, the threads and the slots are in, and the bookkeeping that the properties compare with it.
//!
//! The bookkeeping ([`Progress`], [`Next`], [`Thread::wants`], [`State::noted`]) is no part of a machine. It says what was asked for and
//! what has happened, whatever the table says, and no transition decides anything by it that the kernel does not know too.

use crate::broken::Broken;
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;

/// The most CPUs of a model.
pub const CPUS: usize = 2;
/// The most threads of a model.
pub const THREADS: usize = 2;
/// The most contexts on a thread's stack: the thread, four levels of exceptions, and those that no bound keeps away (a step exception, the
/// kernel's end).
pub const STACK: usize = 8;
/// The most entries of a CPU's stash. The kernel has room for 8; by the kernel's table no state has more than 2.
pub const STASH: usize = 3;

/// What a context runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// A program at EL0.
    Program,
    /// A thread at EL1.
    Thread,
    /// The handler of an IRQ.
    Irq,
    /// The handler of a pseudo-NMI.
    Nmi,
    /// The handler of a step exception.
    Step,
    /// The handler of a breakpoint exception.
    Breakpoint,
    /// The handler of a watchpoint exception.
    Watchpoint,
    /// The handler of a probe's BRK.
    Probe,
    /// The handler of the BRK behind a displaced instruction.
    Trap,
    /// The handler of a WARN's BRK.
    Warn,
    /// The handler of a debugger's BRK.
    Debugger,
    /// The handler of a fault.
    Fault,
    /// The handler of a system call.
    Svc,
    /// The handler of a BRK of a program.
    Brk,
    /// The kernel's end.
    Panic,
}

/// How far a handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The handler does its work.
    Body,
    /// The deferred work of an interrupt runs, with I open.
    Deferred,
    /// The handler has done its work, and I and F are masked. The scheduler may switch threads.
    WayOut,
    /// The handler of a probe has moved ELR, so the displaced instruction does not run.
    Moved,
    /// A debugger's step is done: the debugger is told, and may ask for another one.
    Client,
}

/// What a context has masked by itself, beside what it has begun with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Section {
    /// Nothing.
    None,
    /// I and F, as a lock that is shared with interrupt handlers does.
    Interrupts,
    /// D, A, I and F, as a section does that changes debug state.
    All,
}

/// The next instruction of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Next {
    /// Any: the context has not attempted it yet.
    Any,
    /// The instruction under the breakpoint, attempted and hit.
    AtBreakpoint,
    /// An instruction that accesses watched data, attempted and hit.
    AtWatchpoint,
}

/// How far a step is that an owner has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Progress {
    /// The owner has asked for no step.
    None,
    /// The context has not executed an instruction since the request.
    Asked,
    /// The context has executed one, and the step exception is due before the next one at which D is open.
    Due,
}

/// The index in [`Context::steps`] of a step-over.
pub const STEP_OVER: usize = 0;
/// The index in [`Context::steps`] of a debugger's step.
pub const DEBUGGER: usize = 1;
/// The index in [`Context::steps`] of a program's step that a tracer or a user probe has asked for.
pub const TRACER: usize = 2;
/// The index in [`Context::steps`], of a context at EL1, of the step-over of a displaced instruction that has hit the watchpoint. The step-over of
/// the probed instruction may wait meanwhile.
pub const DISPLACED: usize = 2;

/// A set of slots: bit 0 is the breakpoint, bit 1 the watchpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots(pub u8);

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// The breakpoint, on an instruction of the kernel's: EL0 does not hit it.
    Breakpoint,
    /// The watchpoint, on data that EL0 and EL1 access.
    Watchpoint,
}

/// Both slots.
pub const SLOTS: [Slot; 2] = [Slot::Breakpoint, Slot::Watchpoint];

/// A displaced instruction that runs out of line (M12): what the level keeps until the BRK behind the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfLine {
    /// The masks of the probed context.
    pub masks: Daif,
    /// The owners that wait.
    pub kept: Owners,
    /// Whether the displaced instruction has been executed.
    pub ran: bool,
}

/// A context: a program, a thread, or the handler of an exception that has interrupted the context below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// What it runs.
    pub code: Code,
    /// The row by which its exception was taken. Of no meaning for programs and threads.
    pub row: RowId,
    /// PSTATE.D, A, I and F; in SPSR_EL1 while the context is interrupted.
    pub masks: Daif,
    /// PSTATE.SS; SPSR_EL1.SS while the context is interrupted.
    pub ss: bool,
    /// How far the handler is.
    pub phase: Phase,
    /// What the context has masked by itself.
    pub section: Section,
    /// Set if the entry has put the interrupted context's debug state on the stash (M8, M9).
    pub stashed: bool,
    /// The owners that the entry has parked (M12).
    pub parked: Owners,
    /// Set while the displaced instruction of a probe runs out of line in this context.
    pub copy: Option<OutOfLine>,
    /// Whether the steps of this program are asked for by a user probe, not by a tracer.
    pub uprobe: bool,
    /// The next instruction.
    pub next: Next,
    /// How far the steps of this context are, by owner.
    pub steps: [Progress; 3],
}

/// The debug state of a context that does not run: what the kernel calls `Stepping`, as far as the model needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stepping {
    /// Who has asked for a step of the context.
    pub owners: Owners,
    /// The slots to be suspended while the context runs.
    pub suspended: Slots,
}

/// A CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The thread that runs here; None if the CPU idles.
    pub running: Option<u8>,
    /// The owners of the running context's step; inside a debug context those of the context that it has interrupted.
    pub owners: Owners,
    /// The slots that are suspended here.
    pub suspended: Slots,
    /// MDSCR_EL1.SS.
    pub ss: bool,
    /// Whether a slot's register was written, and no context synchronization event has followed (I2).
    pub debt: bool,
    /// The debug states that interrupts have set aside.
    pub stash: [Stepping; STASH],
    /// How many entries of `stash` are in use.
    pub stash_len: u8,
    /// Whether a switch of threads is wanted.
    pub reschedule: bool,
    /// Whether this CPU has sent itself an SGI that makes up for a reschedule (M8).
    pub sgi: bool,
}

/// A thread, with the program above whose kernel stack it is, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The contexts, the innermost last.
    pub stack: [Context; STACK],
    /// How many contexts there are; 0 if the model does not have this thread.
    pub len: u8,
    /// The debug state that was saved when the thread was switched away, if there was one.
    pub saved: Option<Stepping>,
    /// The debug state of the program while it is in the kernel (M1).
    pub held: Stepping,
    /// A tracer has asked for a step, and the program has not been on its way to EL0 since.
    pub asked: bool,
    /// A tracer has taken a request back, and the program has not been on its way to EL0 since.
    pub withdrawn: bool,
    /// Whether a tracer waits for a step of the program.
    pub wants: bool,
}

/// A state of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The CPUs.
    pub cpus: [Cpu; CPUS],
    /// The threads.
    pub threads: [Thread; THREADS],
    /// The slots that are installed, on all CPUs.
    pub installed: Slots,
    /// What the last transition has broken while it was under way.
    pub noted: Option<Broken>,
}

impl Slots {
    /// No slot.
    pub const NONE: Self = Self(0);

    /// The set of one slot.
    pub const fn of(slot: Slot) -> Self {
        Self(1 << slot as u8)
    }

    /// Whether the slot is in the set.
    pub const fn contains(self, slot: Slot) -> bool {
        self.0 & Self::of(slot).0 != 0
    }

    /// Whether the set has no slot.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The slots of both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The slots of one set or the other.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The slots that the other set does not have.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl Next {
    /// The slot that this attempt has hit.
    pub const fn slot(self) -> Option<Slot> {
        match self {
            Next::Any => None,
            Next::AtBreakpoint => Some(Slot::Breakpoint),
            Next::AtWatchpoint => Some(Slot::Watchpoint),
        }
    }

    /// An attempt that has hit the slot.
    pub const fn at(slot: Slot) -> Self {
        match slot {
            Slot::Breakpoint => Next::AtBreakpoint,
            Slot::Watchpoint => Next::AtWatchpoint,
        }
    }
}

impl Context {
    /// A context that has just begun, with everything masked.
    pub const fn new(code: Code, row: RowId) -> Self {
        Self {
            code,
            row,
            masks: Daif::all(),
            ss: false,
            phase: Phase::Body,
            section: Section::None,
            stashed: false,
            parked: Owners::empty(),
            copy: None,
            uprobe: false,
            next: Next::Any,
            steps: [Progress::None; 3],
        }
    }

    /// Whether this is a debug context: the kernel counts it in `depth`.
    pub const fn is_debug(&self) -> bool {
        !self.is_base() && matches!(self.row, RowId::M10 | RowId::M12 | RowId::M14)
    }

    /// Whether this is a program or a thread, and no handler.
    pub const fn is_base(&self) -> bool {
        matches!(self.code, Code::Program | Code::Thread)
    }

    /// Whether the handler goes on with the steps of the context that it has interrupted (M6, M11).
    pub const fn inherits(&self) -> bool {
        !self.is_base() && matches!(self.row, RowId::M6 | RowId::M11)
    }

    /// Whether debug exceptions are open. PSTATE.D of a program is always clear.
    pub const fn d_is_open(&self) -> bool {
        !self.masks.contains(Daif::D)
    }

    /// The owner whose step is at `index` in `steps`.
    pub fn owner(&self, index: usize) -> Owners {
        match index {
            STEP_OVER => Owners::STEP_OVER,
            DEBUGGER => Owners::DEBUGGER,
            _ if self.code == Code::Program && self.uprobe => Owners::UPROBE,
            _ if self.code == Code::Program => Owners::TRACER,
            _ => Owners::STEP_OVER,
        }
    }

    /// The owners whose steps are asked for or due; without those whose steps wait for the end of a displaced instruction, which are `kept`.
    pub fn wanted(&self, kept: Owners) -> Owners {
        let is_wanted = |index: &usize| self.steps[*index] != Progress::None && !self.is_kept(*index, kept);
        (0..self.steps.len()).filter(is_wanted).fold(Owners::empty(), |all, index| all | self.owner(index))
    }

    /// Whether the step at `index` in `steps` waits for the end of a displaced instruction.
    pub fn is_kept(&self, index: usize, kept: Owners) -> bool {
        index != DISPLACED && kept.contains(self.owner(index))
    }
}

impl Thread {
    /// The contexts, the innermost last.
    pub fn contexts(&self) -> &[Context] {
        &self.stack[..usize::from(self.len)]
    }

    /// The index of the innermost context.
    pub const fn top(&self) -> usize {
        self.len as usize - 1
    }

    /// Whether deferred work runs in one of the thread's contexts.
    pub fn is_in_deferred(&self) -> bool {
        self.contexts().iter().any(|context| context.phase == Phase::Deferred)
    }

    /// The owners whose steps wait for the end of a displaced instruction, which at most one context of a thread has.
    pub fn kept(&self) -> Owners {
        let copy = self.contexts().iter().find_map(|context| context.copy);
        copy.map_or(Owners::empty(), |copy| copy.kept)
    }

    /// How many debug contexts there are, one inside the other.
    pub fn depth(&self) -> usize {
        self.contexts().iter().filter(|context| context.is_debug()).count()
    }

    /// The index of the context whose steps the context at `index` goes on with: itself, if it does not inherit.
    pub fn root(&self, mut index: usize) -> usize {
        while self.stack[index].inherits() && index > 0 {
            index -= 1;
        }
        index
    }

    /// The index of the context whose owners the CPU has while this thread runs: the innermost that no debug context hides.
    pub fn stepped(&self) -> usize {
        let mut index = self.root(self.top());
        while self.stack[index].is_debug() && index > 0 {
            index = self.root(index - 1);
        }
        index
    }
}

impl Cpu {
    /// The entries of the stash that are in use.
    pub fn stashed(&self) -> &[Stepping] {
        &self.stash[..usize::from(self.stash_len)]
    }
}

impl Thread {
    /// A thread that the model does not have.
    pub const NONE: Self = Self {
        stack: [Context::new(Code::Thread, RowId::M13); STACK],
        len: 0,
        saved: None,
        held: Stepping { owners: Owners::empty(), suspended: Slots::NONE },
        asked: false,
        withdrawn: false,
        wants: false,
    };
}

impl Cpu {
    /// A CPU that idles.
    pub const IDLE: Self = Self {
        running: None,
        owners: Owners::empty(),
        suspended: Slots::NONE,
        ss: false,
        debt: false,
        stash: [Stepping { owners: Owners::empty(), suspended: Slots::NONE }; STASH],
        stash_len: 0,
        reschedule: false,
        sgi: false,
    };
}
