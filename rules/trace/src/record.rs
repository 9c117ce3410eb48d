//! One record, and its words.

use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::{RowId, TABLE};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An exception was taken, and its handler begins.
    Entry,
    /// The handler of a program's debug exception goes on with everything open (M4).
    Open,
    /// The handler of an exception returns.
    Exit,
    /// The CPU goes on with another thread.
    Switch,
    /// A test changes debug state behind the kernel's back: the next entry may find anything in MDSCR_EL1 and in PSTATE.SS, and the next exit may load
    /// any masks.
    Foreign,
}

/// Which exception it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// No exception: a switch of threads.
    None,
    /// An IRQ or FIQ.
    Irq,
    /// An IRQ or FIQ with none to acknowledge.
    Spurious,
    /// A pseudo-NMI, or an SError.
    Nmi,
    /// A software step exception.
    Step,
    /// A breakpoint exception.
    Breakpoint,
    /// A watchpoint exception.
    Watchpoint,
    /// The BRK of a program.
    Brk,
    /// The BRK of a probe, or the call of an optimised probe's trampoline (M12b).
    Probe,
    /// The BRK behind a displaced instruction.
    OutOfLineEnd,
    /// The BRK in place of a return address.
    ReturnProbe,
    /// The BRK of a debugger.
    Debugger,
    /// The BRK that begins a debugger's session.
    Session,
    /// The BRK of a WARN or BUG.
    Assertion,
    /// A BRK whose handler only moves PC.
    Empty,
    /// A system call.
    Svc,
    /// Any other synchronous exception.
    Fault,
    /// An exception that ends the kernel.
    Fatal,
}

/// The debug state on one side of an exception's entry or exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// PSTATE.D, A, I and F.
    pub masks: Daif,
    /// PSTATE.SS, or SPSR_EL1.SS of a context that is interrupted or returned to.
    pub ss: bool,
    /// MDSCR_EL1.SS.
    pub mdscr_ss: bool,
    /// The owners of the step that the CPU has.
    pub owners: Owners,
}

/// One record.
///
/// At an [entry](Kind::Entry), `before` is the interrupted context with the CPU as the exception has found it, and `after` the handler, with
/// what was set aside taken off the CPU. At an [exit](Kind::Exit), `before` is the way out, where all is masked, and `after` the context that is
/// returned to. At a [switch](Kind::Switch), `before` is the thread that is left, with the owners that are saved with it, and `after` is the CPU
/// without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// CNTVCT_EL0 when the record was begun.
    pub time: u64,
    /// The CPU.
    pub cpu: u8,
    /// What the record is about.
    pub kind: Kind,
    /// Which exception.
    pub class: Class,
    /// The row of the table that is applied: at an exit that of the entry, or M13 if a program is returned to.
    pub row: RowId,
    /// Whether the interrupted context is a program at EL0; at a switch, whether the thread that is left has ended.
    pub el0: bool,
    /// How many debug contexts the CPU is in, without the handler itself.
    pub depth: u8,
    /// How many entries the CPU's stash has, at an entry with what the entry has put there, at an exit without it.
    pub stash: u8,
    /// The number of the thread; 0 until the CPU's first switch.
    pub thread: u32,
    /// The state before.
    pub before: Side,
    /// The state after.
    pub after: Side,
    /// ELR_EL1.
    pub pc: u64,
    /// FAR_EL1; at a switch the number of the thread that goes on.
    pub far: u64,
    /// SP of the interrupted context.
    pub sp: u64,
    /// ESR_EL1, the low 32 bits.
    pub esr: u32,
}

const KINDS: [Kind; 5] = [Kind::Entry, Kind::Open, Kind::Exit, Kind::Switch, Kind::Foreign];

const CLASSES: [Class; 18] = [
    Class::None,
    Class::Irq,
    Class::Spurious,
    Class::Nmi,
    Class::Step,
    Class::Breakpoint,
    Class::Watchpoint,
    Class::Brk,
    Class::Probe,
    Class::OutOfLineEnd,
    Class::ReturnProbe,
    Class::Debugger,
    Class::Session,
    Class::Assertion,
    Class::Empty,
    Class::Svc,
    Class::Fault,
    Class::Fatal,
];

/// The bit of PSTATE.SS in a packed side, behind D, A, I and F.
const SS: u64 = 1 << 4;
/// The bit of MDSCR_EL1.SS in a packed side.
const MDSCR_SS: u64 = 1 << 5;
/// Where a packed side has its owners.
const OWNERS: u32 = 8;

impl Side {
    /// The side in 16 bits.
    #[inline(always)]
    const fn pack(self) -> u64 {
        let ss = if self.ss { SS } else { 0 } | if self.mdscr_ss { MDSCR_SS } else { 0 };
        self.masks.bits() >> 6 & 0xf | ss | (self.owners.bits() as u64) << OWNERS
    }

    const fn unpack(word: u64) -> Self {
        Self {
            masks: Daif::of(word << 6),
            ss: word & SS != 0,
            mdscr_ss: word & MDSCR_SS != 0,
            owners: Owners::from_bits_retain((word >> OWNERS) as u8),
        }
    }
}

impl Record {
    /// The words behind the record's number.
    #[inline(always)]
    pub const fn pack(&self) -> [u64; 7] {
        let what = self.cpu as u64
            | (self.kind as u64) << 8
            | (self.class as u64) << 16
            | (self.row as u64) << 24
            | self.before.pack() << 32
            | self.after.pack() << 48;
        let place = self.el0 as u64
            | (self.depth as u64) << 8
            | (self.stash as u64) << 16
            | (self.thread as u64) << 32;
        [self.time, what, place, self.pc, self.far, self.sp, self.esr as u64]
    }

    /// The record with these words; None if they are no record's.
    pub fn unpack(words: [u64; 7]) -> Option<Self> {
        let [time, what, place, pc, far, sp, esr] = words;
        let byte = |word: u64, at: u32| (word >> at) as u8;
        Some(Self {
            time,
            cpu: byte(what, 0),
            kind: *KINDS.get(usize::from(byte(what, 8)))?,
            class: *CLASSES.get(usize::from(byte(what, 16)))?,
            row: TABLE.get(usize::from(byte(what, 24)))?.id,
            el0: byte(place, 0) != 0,
            depth: byte(place, 8),
            stash: byte(place, 16),
            thread: (place >> 32) as u32,
            before: Side::unpack(what >> 32),
            after: Side::unpack(what >> 48),
            pc,
            far,
            sp,
            esr: u32::try_from(esr).ok()?,
        })
    }
}

impl Class {
    /// The exception in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "switch of threads",
            Self::Irq => "IRQ",
            Self::Spurious => "spurious interrupt",
            Self::Nmi => "NMI",
            Self::Step => "step",
            Self::Breakpoint => "breakpoint",
            Self::Watchpoint => "watchpoint",
            Self::Brk => "program's BRK",
            Self::Probe => "probe",
            Self::OutOfLineEnd => "end of a displaced instruction",
            Self::ReturnProbe => "return probe",
            Self::Debugger => "debugger's BRK",
            Self::Session => "begin of a debugger's session",
            Self::Assertion => "WARN or BUG",
            Self::Empty => "empty BRK",
            Self::Svc => "system call",
            Self::Fault => "fault",
            Self::Fatal => "fatal exception",
        }
    }
}
