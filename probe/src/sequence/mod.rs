//! A load-exclusive/store-exclusive sequence as one step.
//!
//! An exception between the load-exclusive and the store-exclusive clears the exclusive monitor, and the store fails. So a debugger
//! cannot execute such a sequence instruction by instruction. [`attempt`] executes one whole attempt in software. It loads the value
//! by an ordinary load and executes the instructions in between on a copy of the registers. At the store-exclusive it has the kernel
//! execute a *native pair*: load-exclusive, compare with the value loaded before, store-exclusive. If the value has changed, or the
//! store fails, the attempt starts anew from the registers that it began with.
//!
//! The result is that of the sequence executed at the moment of the native pair. The native load-exclusive gives the same value as
//! the ordinary load did, so the store-exclusive stores what the instructions in between computed from it. These instructions are
//! of two kinds: data processing, which depends on registers alone, and ordinary loads and stores. The stores are only noted at
//! first, and are made between the two native exclusives ([`Between`]). The loads are made again there, and each must give the
//! same value as before. Any other instruction ends in [`Stuck::Unsupported`]. A value that changes and changes back before the
//! native pair does no harm, since the native loads are the ones that count.
//!
//! An ordinary access between the exclusives may hit a watchpoint. That exception has been taken and has cleared the monitor:
//! [`resume`] brings such a context to the load-exclusive again.

mod access;
mod alu;
mod between;
mod path;

pub use alu::execute;
pub use between::{Access, Accesses, Between, Check, Store};
pub use path::members;

use crate::bits::{bit, bits, reg};
use crate::class::Class;
use crate::classify::classify;
use crate::monitor::{is_clear_exclusive, is_load_exclusive, is_store_exclusive};
use crate::sim::{Mem, Regs, Sim, simulate};
use access::Ordinary;
use path::Reach;

/// The most instructions of one attempt.
pub const MAX_INSTRUCTIONS: u32 = 128;

/// How often an attempt starts anew because another CPU has changed the value. After that its store-exclusive is reported as failed,
/// which the architecture allows any store-exclusive to do.
pub const MAX_RESTARTS: u32 = 16;

/// The registers of the context whose sequence is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    /// The registers X0 to X30, by number.
    pub x: [u64; 31],
    /// The stack pointer.
    pub sp: u64,
    /// The address of the next instruction.
    pub pc: u64,
    /// PSTATE in SPSR's layout.
    pub pstate: u64,
}

impl Registers {
    fn or_zero(&self, n: u8) -> u64 {
        if n == 31 { 0 } else { self.x[n as usize % 31] }
    }

    fn or_sp(&self, n: u8) -> u64 {
        if n == 31 { self.sp } else { self.x[n as usize % 31] }
    }

    fn set(&mut self, n: u8, value: u64) {
        if n != 31 {
            self.x[n as usize % 31] = value;
        }
    }
}

impl Regs for Registers {
    fn x(&self, n: u8) -> u64 {
        self.x[n as usize % 31]
    }
    fn set_x(&mut self, n: u8, value: u64) {
        self.x[n as usize % 31] = value;
    }
    fn pstate(&self) -> u64 {
        self.pstate
    }
    fn set_pstate(&mut self, value: u64) {
        self.pstate = value;
    }
    fn set_pc(&mut self, value: u64) {
        self.pc = value;
    }
}

/// The size of an exclusive access: one value of `size` bytes, or two such values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The bytes of one value: 1, 2, 4 or 8; for a pair 4 or 8.
    pub size: u8,
    /// Whether there are two values: LDXP, STXP and kin.
    pub pair: bool,
}

impl Shape {
    /// How many bytes the access has in all.
    pub const fn bytes(self) -> u64 {
        self.size as u64 * if self.pair { 2 } else { 1 }
    }
}

/// The kernel's part: text, and memory as the sequence accesses it.
pub trait Memory {
    /// The instruction at `address`, a multiple of 4, as it was before any probe was placed there; None if it cannot be read.
    fn word(&self, address: u64) -> Option<u32>;

    /// The first address of the function that `address` lies in, and the address behind the function; None if they are not known.
    fn function(&self, address: u64) -> Option<(u64, u64)>;

    /// Loads one value or a pair, zero-extended, with acquire semantics. For one value the second of the result is 0.
    ///
    /// # Errors
    /// [`Fault`] if the access faults; nothing has happened then.
    fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault>;

    /// Stores a value of `size` bytes (1, 2, 4 or 8) at a multiple of that, single-copy atomic.
    ///
    /// # Errors
    /// [`Fault`] if the access faults; nothing has been stored then.
    fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Fault>;

    /// Executes load-exclusive, compare, and, if the values are equal, store-exclusive, with acquire and release semantics. In between
    /// only the accesses of `between` are made: first its loads, each of which must give the value that it names, then its stores.
    /// Returns whether the store-exclusive has stored. Returns false also if a comparison failed; then nothing at all was stored.
    ///
    /// # Errors
    /// [`Fault`] if one of the accesses faults; the store-exclusive has not stored then.
    fn exchange(
        &mut self,
        address: u64,
        shape: Shape,
        expected: [u64; 2],
        new: [u64; 2],
        between: &Between,
    ) -> Result<bool, Fault>;
}

/// An access to memory has faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault;

/// An attempt that was made. The caller's registers are those at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// How many instructions were executed, the two exclusives included.
    pub instructions: u32,
    /// The address that both exclusives access.
    pub address: u64,
    /// The size of the access at `address`.
    pub shape: Shape,
    /// Whether the store-exclusive was reached. It may still have failed.
    pub stores: bool,
    /// The ordinary loads and stores that were made.
    pub accesses: Accesses,
    /// Where the attempt ended.
    pub end: End,
}

/// Where an attempt ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At the first instruction past the sequence, on whichever path it was left.
    Past,
    /// As [`End::Past`], but code ahead contains an indirect branch, which could lead to a store-exclusive of this sequence. So the
    /// sequence may not be over.
    Doubtful,
    /// At the load-exclusive again, because the store failed or the sequence waits for a value.
    Again,
}

/// Why no attempt was made. No register has changed. Memory has not changed either, except after [`Stuck::Fault`]: of several
/// ordinary stores, those before the store that faults may have been made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stuck {
    /// No store-exclusive belongs to this load-exclusive, so the load-exclusive can be stepped like any other load.
    NoStore,
    /// The way to the store-exclusive is too long, or leads through an indirect branch or to text that cannot be read.
    Unknown,
    /// This instruction of the sequence cannot be executed in software: the module does not know the instruction, or it is a
    /// misaligned access, or one access more than the lists have room for.
    Unsupported {
        /// The instruction's address.
        address: u64,
        /// The instruction's word.
        word: u32,
    },
    /// One of the accesses faults.
    Fault,
}

/// A decoded exclusive of the general-purpose registers.
#[derive(Clone, Copy)]
struct Exclusive {
    shape: Shape,
    rs: u8,
    rt: u8,
    rt2: u8,
    rn: u8,
}

impl Exclusive {
    /// Decodes an exclusive. None for the exclusives of FEAT_LSUI, which access memory with the privilege of EL0, not the kernel's.
    /// None also for forms that DDI 0487 calls CONSTRAINED UNPREDICTABLE, because each CPU decides for itself what they do.
    fn decode(word: u32) -> Option<Self> {
        if bits(word, 24, 6) != 0b00_1000 {
            return None;
        }
        let pair = bit(word, 21);
        let size = match (pair, bits(word, 30, 2)) {
            (true, size) => 4 << (size & 1),
            (false, size) => 1 << size,
        };
        let this = Self {
            shape: Shape { size, pair },
            rs: reg(word, 16),
            rt: reg(word, 0),
            rt2: reg(word, 10),
            rn: reg(word, 5),
        };
        // Two unused fields should be 31: Rs of a load-exclusive, and Rt2 of an exclusive that is no pair.
        let as_it_should_be = (is_store_exclusive(word) || this.rs == 31) && (pair || this.rt2 == 31);
        let certain = as_it_should_be
            && if is_load_exclusive(word) {
                !pair || this.rt != this.rt2
            } else {
                this.rs != this.rt && (!pair || this.rs != this.rt2) && (this.rs != this.rn || this.rn == 31)
            };
        certain.then_some(this)
    }

    fn data(self, regs: &Registers) -> [u64; 2] {
        let mask = u64::MAX >> (64 - 8 * u32::from(self.shape.size));
        [regs.or_zero(self.rt) & mask, if self.shape.pair { regs.or_zero(self.rt2) & mask } else { 0 }]
    }
}

/// The number of the register that a store-exclusive writes its status to. Where an exception has cleared the monitor, the caller
/// can complete the store-exclusive in software: it writes 1 to this register and stores nothing.
pub const fn status_register(store: u32) -> u8 {
    (store >> 16 & 0x1f) as u8
}

/// Makes one attempt at the sequence whose load-exclusive is at `regs.pc`. Takes bounded time, whatever the code is. May be called in
/// any context in which `memory` may be used.
///
/// A branch right behind the store-exclusive that tests its status still belongs to the attempt.
///
/// # Errors
/// [`Stuck`]; then `regs` has not changed. [`Stuck::Unknown`] if there is no load-exclusive at `regs.pc`.
pub fn attempt(regs: &mut Registers, memory: &mut impl Memory) -> Result<Done, Stuck> {
    let word = memory.word(regs.pc).filter(|word| is_load_exclusive(*word)).ok_or(Stuck::Unknown)?;
    match path::reach(memory, regs.pc.wrapping_add(4)) {
        Reach::Store => {}
        Reach::Nothing => return Err(Stuck::NoStore),
        Reach::Unknown => return Err(Stuck::Unknown),
    }
    let unsupported = Stuck::Unsupported { address: regs.pc, word };
    let load = Exclusive::decode(word).ok_or(unsupported)?;
    for restart in 0.. {
        let mut attempt = Attempt {
            regs: regs.clone(),
            memory,
            load,
            instructions: 1,
            start: regs.pc,
            between: Between::NOTHING,
            accesses: Accesses::NONE,
        };
        if let Some(done) = attempt.run(restart == MAX_RESTARTS)? {
            *regs = attempt.regs;
            const BTYPE: u64 = 0b11 << 10;
            regs.pstate &= !BTYPE;
            return Ok(done);
        }
    }
    unreachable!("the last restart does not ask for another")
}

struct Attempt<'a, M> {
    regs: Registers,
    memory: &'a mut M,
    load: Exclusive,
    instructions: u32,
    start: u64,
    between: Between,
    accesses: Accesses,
}

impl<M: Memory> Attempt<'_, M> {
    /// Executes the attempt from its load-exclusive on. Returns `Ok(None)` if the attempt is to start anew, which never happens if
    /// `last` says that this is the last try.
    fn run(&mut self, last: bool) -> Result<Option<Done>, Stuck> {
        let address = self.regs.or_sp(self.load.rn);
        let loaded = self.memory.load(address, self.load.shape).map_err(|Fault| Stuck::Fault)?;
        self.regs.set(self.load.rt, loaded[0]);
        if self.load.shape.pair {
            self.regs.set(self.load.rt2, loaded[1]);
        }
        self.regs.pc = self.regs.pc.wrapping_add(4);
        let done = |this: &Self, stores, end| Done {
            instructions: this.instructions,
            address,
            shape: this.load.shape,
            stores,
            accesses: this.accesses,
            end,
        };
        // An attempt that ends without its store-exclusive has no native pair to make its ordinary stores in: they are made at its
        // end.
        let given_up = |this: &mut Self, end| {
            this.between.store_all(this.memory).map_err(|Fault| Stuck::Fault)?;
            Ok(Some(done(this, false, end)))
        };
        loop {
            let at = self.regs.pc;
            let word = self.memory.word(at).ok_or(Stuck::Unknown)?;
            if is_load_exclusive(word) {
                let end = if at == self.start { End::Again } else { End::Past };
                return given_up(self, end);
            }
            self.instructions += 1;
            if self.instructions > MAX_INSTRUCTIONS {
                return Err(Stuck::Unknown);
            }
            if is_clear_exclusive(word) {
                self.regs.pc = self.regs.pc.wrapping_add(4);
                return given_up(self, End::Past);
            }
            if is_store_exclusive(word) {
                let Some(end) = self.store(at, word, address, loaded, last)? else { return Ok(None) };
                return Ok(Some(done(self, true, end)));
            }
            let unsupported = Stuck::Unsupported { address: at, word };
            if execute(word, &mut self.regs) {
                self.regs.pc = self.regs.pc.wrapping_add(4);
                continue;
            }
            if let Some(ordinary) = Ordinary::decode(word, &self.regs) {
                self.access(&ordinary)?.ok_or(unsupported)?;
                self.regs.pc = self.regs.pc.wrapping_add(4);
                continue;
            }
            if !branch(&mut self.regs, at, word) {
                return Err(unsupported);
            }
            // Does the context go on in the sequence, go back to its start, or leave it?
            let way = if self.regs.pc == self.start {
                Reach::Store
            } else {
                path::reach(self.memory, self.regs.pc)
            };
            match way {
                Reach::Store => {}
                Reach::Nothing => return given_up(self, End::Past),
                Reach::Unknown => return given_up(self, End::Doubtful),
            }
        }
    }

    /// Executes an ordinary load or store. Returns `Ok(None)`, and has done nothing, if there is no room for the access or if it is
    /// misaligned.
    fn access(&mut self, ordinary: &Ordinary) -> Result<Option<()>, Stuck> {
        if !self.accesses.push(ordinary) {
            return Ok(None);
        }
        let mut values = ordinary.data(&self.regs);
        for (address, value) in ordinary.elements().zip(&mut values) {
            let known = if ordinary.write {
                self.between.put(address, ordinary.size, *value)
            } else {
                match self.between.get(address, ordinary.size, self.memory).map_err(|Fault| Stuck::Fault)? {
                    Some(loaded) => {
                        *value = loaded;
                        true
                    }
                    None => false,
                }
            };
            if !known {
                return Ok(None);
            }
        }
        ordinary.retire(&mut self.regs, values);
        Ok(Some(()))
    }

    /// Executes the store-exclusive, and the branch behind it that tests its status. Returns `Ok(None)` if the attempt is to start
    /// anew.
    fn store(
        &mut self,
        at: u64,
        word: u32,
        address: u64,
        loaded: [u64; 2],
        last: bool,
    ) -> Result<Option<End>, Stuck> {
        let unsupported = Stuck::Unsupported { address: at, word };
        let store = Exclusive::decode(word).ok_or(unsupported)?;
        if store.shape != self.load.shape || self.regs.or_sp(store.rn) != address {
            return Err(unsupported);
        }
        let new = store.data(&self.regs);
        let stored = self
            .memory
            .exchange(address, store.shape, loaded, new, &self.between)
            .map_err(|Fault| Stuck::Fault)?;
        if !stored && !last {
            return Ok(None);
        }
        self.regs.set(store.rs, u64::from(!stored));
        self.regs.pc = self.regs.pc.wrapping_add(4);
        let behind = self.memory.word(self.regs.pc).unwrap_or(0);
        let tested = match classify(behind) {
            Class::Simulate(Sim::CompareZero { rt, .. } | Sim::TestBit { rt, .. }) => Some(rt),
            _ => None,
        };
        let pc = self.regs.pc;
        if tested == Some(store.rs) && branch(&mut self.regs, pc, behind) {
            self.instructions += 1;
        }
        Ok(Some(if self.regs.pc == self.start { End::Again } else { End::Past }))
    }
}

/// Executes direct branches, ADR, ADRP, NOP and BTI. For every other instruction returns false, and has done nothing.
fn branch(regs: &mut Registers, at: u64, word: u32) -> bool {
    struct NoMemory;
    impl Mem for NoMemory {
        type Error = Fault;
        fn read_u32(&mut self, _: u64) -> Result<u32, Fault> {
            Err(Fault)
        }
        fn read_u64(&mut self, _: u64) -> Result<u64, Fault> {
            Err(Fault)
        }
    }
    match classify(word) {
        Class::Simulate(
            Sim::Branch { link: true, .. }
            | Sim::BranchReg { .. }
            | Sim::BranchLinkReg { .. }
            | Sim::Return { .. }
            | Sim::LoadLiteral { .. }
            | Sim::LoadVector { .. },
        ) => false,
        Class::Simulate(sim) => simulate(sim, at, regs, &mut NoMemory).is_ok(),
        _ => false,
    }
}

/// How many instructions behind the failed store-exclusive [`resume`] follows on its way to the load-exclusive.
const BEHIND: u32 = 16;

/// Goes on, in software, from the middle of a sequence whose monitor an exception has cleared: up to its store-exclusive, which
/// fails, and from there back to a load-exclusive, if the code goes there by itself. Accesses are made as they are met.
///
/// Returns the accesses made, and whether the context now stands at a load-exclusive. If it does not, it stands where the code left
/// the sequence, or at an instruction that cannot be executed here (not known, an access that faults or has no room), or where the
/// bound on instructions was reached. Everything before that place has been executed. If the first instruction cannot be executed,
/// the context has not moved. Takes bounded time. May be called in any context in which `memory` may be used.
pub fn resume(regs: &mut Registers, memory: &mut impl Memory) -> (Accesses, bool) {
    let mut accesses = Accesses::NONE;
    let (mut left, mut failed) = (MAX_INSTRUCTIONS, false);
    while left != 0 {
        left -= 1;
        let Some(word) = memory.word(regs.pc) else { break };
        if is_load_exclusive(word) {
            return (accesses, true);
        }
        if is_store_exclusive(word) {
            regs.set(status_register(word), 1);
            (left, failed) = (left.min(BEHIND), true);
        } else if is_clear_exclusive(word) || execute(word, regs) {
            // `execute` has done everything but PC, and a CLREX does nothing else: the monitor is clear already.
        } else if let Some(ordinary) = Ordinary::decode(word, regs).filter(|_| !failed) {
            if !accesses.push(&ordinary) || !ordinary.perform(regs, memory) {
                break;
            }
        } else {
            let pc = regs.pc;
            if !branch(regs, pc, word) {
                break;
            }
            continue;
        }
        regs.pc = regs.pc.wrapping_add(4);
    }
    const BTYPE: u64 = 0b11 << 10;
    regs.pstate &= !BTYPE;
    (accesses, false)
}

#[cfg(test)]
mod tests;
