//! Back ends for host tests of this crate and of others (feature `fake`), which decide as the architecture says whether an access
//! hits. [`FakeRegs`] records all operations and has up to 16 slots of a kind; [`Pe`] has banks, and takes debug exceptions.

mod pe;

pub use pe::{Fault, Handler, Pe, Stale};

use std::vec;
use std::vec::Vec;

use crate::{DebugRegs, Kind};

/// One operation on the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A value register was written.
    Value(Kind, u8, u64),
    /// A control register was written.
    Control(Kind, u8, u32),
    /// An ISB was executed.
    Isb,
}

/// Whether an access hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hit {
    /// The access cannot hit.
    Never,
    /// Whether the access hits depends on which of the writes since the last ISB have taken effect.
    May,
    /// The access must hit.
    Always,
}

/// The level whose privilege an access has. An unprivileged load or store (LDTR, STTR) executed at EL1 is `El0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Privileged, at EL1.
    El1,
    /// At EL0, or unprivileged.
    El0,
}

#[derive(Clone, Debug)]
struct Registers {
    breakpoints: Vec<(u64, u32)>,
    watchpoints: Vec<(u64, u32)>,
}

impl Registers {
    fn slot(&mut self, kind: Kind, n: u8) -> &mut (u64, u32) {
        match kind {
            Kind::Breakpoint => &mut self.breakpoints[usize::from(n)],
            Kind::Watchpoint => &mut self.watchpoints[usize::from(n)],
        }
    }
}

/// The registers of one CPU, and the trace of all that was done to them.
#[derive(Clone, Debug)]
pub struct FakeRegs {
    /// All operations since the beginning, or since the test emptied the trace.
    pub trace: Vec<Op>,
    /// The state at the last ISB, then the state after each write since. Any of these states may be in effect.
    possible: Vec<Registers>,
}

impl FakeRegs {
    /// Registers as after a reset, when they are UNKNOWN: every slot is enabled, with contents derived from `seed`.
    pub fn unknown(breakpoints: usize, watchpoints: usize, seed: u64) -> FakeRegs {
        let mut random = unknown(seed);
        let mut slots = |count| (0..count).map(|_| (random() & !7, random() as u32 | 0x1ff)).collect();
        let registers = Registers { breakpoints: slots(breakpoints), watchpoints: slots(watchpoints) };
        FakeRegs { trace: Vec::new(), possible: vec![registers] }
    }

    /// Registers that are all zero.
    pub fn zeroed(breakpoints: usize, watchpoints: usize) -> FakeRegs {
        let registers =
            Registers { breakpoints: vec![(0, 0); breakpoints], watchpoints: vec![(0, 0); watchpoints] };
        FakeRegs { trace: Vec::new(), possible: vec![registers] }
    }

    /// Whether breakpoint `n` hits an instruction at `pc`.
    pub fn breakpoint(&self, n: u8, pc: u64, level: Level) -> Hit {
        judge(&self.possible, |r| breakpoint_matches(r.breakpoints[usize::from(n)], pc, level))
    }

    /// Whether any breakpoint hits an instruction at `pc`.
    pub fn any_breakpoint(&self, pc: u64, level: Level) -> Hit {
        judge(&self.possible, |r| r.breakpoints.iter().any(|&slot| breakpoint_matches(slot, pc, level)))
    }

    /// Whether watchpoint `n` hits an access to the byte at `address`.
    pub fn watchpoint(&self, n: u8, address: u64, write: bool, level: Level) -> Hit {
        judge(&self.possible, |r| watchpoint_matches(r.watchpoints[usize::from(n)], address, write, level))
    }

    /// Whether any watchpoint hits an access to the byte at `address`.
    pub fn any_watchpoint(&self, address: u64, write: bool, level: Level) -> Hit {
        judge(&self.possible, |r| {
            r.watchpoints.iter().any(|&slot| watchpoint_matches(slot, address, write, level))
        })
    }

    /// Value and control register of a slot, as last written.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn read(&self, kind: Kind, n: u8) -> (u64, u32) {
        let last = self.possible.last().expect("there is always a state");
        match kind {
            Kind::Breakpoint => last.breakpoints[usize::from(n)],
            Kind::Watchpoint => last.watchpoints[usize::from(n)],
        }
    }

    fn write(&mut self, change: impl FnOnce(&mut Registers)) {
        let mut next = self.possible.last().expect("there is always a state").clone();
        change(&mut next);
        self.possible.push(next);
    }
}

impl DebugRegs for FakeRegs {
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        self.trace.push(Op::Value(kind, n, value));
        self.write(|r| r.slot(kind, n).0 = value);
    }

    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        self.trace.push(Op::Control(kind, n, control));
        self.write(|r| r.slot(kind, n).1 = control);
    }

    fn isb(&mut self) {
        self.trace.push(Op::Isb);
        self.possible.drain(..self.possible.len() - 1);
    }
}

/// Any of the states in `possible` may be in effect. Says whether something happens in all of them, in some, or in none.
fn judge<S>(possible: &[S], happens: impl Fn(&S) -> bool) -> Hit {
    match possible.iter().filter(|state| happens(state)).count() {
        0 => Hit::Never,
        n if n == possible.len() => Hit::Always,
        _ => Hit::May,
    }
}

/// Pseudo-random numbers (xorshift64), for registers that are UNKNOWN out of reset.
fn unknown(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Whether a slot is enabled and matches at `level`. With HMC and SSC zero, bit 0 of PMC or PAC is for EL1 and bit 1 is for EL0.
fn level_matches(control: u32, level: Level) -> bool {
    let bit = match level {
        Level::El1 => 1,
        Level::El0 => 2,
    };
    control & 1 != 0 && control & 0xe000 == 0 && control >> 1 & bit != 0
}

fn breakpoint_matches((value, control): (u64, u32), pc: u64, level: Level) -> bool {
    level_matches(control, level) && control >> 5 & 0xf == 0xf && value >> 2 == pc >> 2
}

/// Written from the architecture's text (DDI 0487, "Watchpoint data address comparisons"), independently of this crate's encoder.
fn watchpoint_matches((value, control): (u64, u32), address: u64, write: bool, level: Level) -> bool {
    if !level_matches(control, level) || control >> 3 & if write { 2 } else { 1 } == 0 {
        return false;
    }
    let bas = control >> 5 & 0xff;
    match control >> 24 & 0x1f {
        0 if value & 4 == 0 => value >> 3 == address >> 3 && bas >> (address & 7) & 1 != 0,
        0 => value >> 2 == address >> 2 && bas >> (address & 3) & 1 != 0,
        mask => bas == 0xff && value & ((1 << mask) - 1) == 0 && (value ^ address) >> mask == 0,
    }
}
