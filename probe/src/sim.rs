//! Simulation of the instructions that depend on the PC or decide it.
//!
//! [`classify`](crate::classify()) decodes such a word into a [`Sim`] once, when the probe is placed; [`simulate`] then does
//! on a saved register file what the CPU would have done, in 64-bit arithmetic throughout.
//!
//! The simulation leaves out two things:
//! - FEAT_GCS: with the Guarded Control Stack enabled for the probed exception level, BL, BLR and RET also push to it and pop from
//!   it. A kernel that enables it must not simulate these instructions.
//! - Watchpoints: a literal load reads through [`Mem`], in the context of the probe's handler, where a watchpoint on the literal
//!   is not hit. For a kernel that has watchpoints, [`Sim::literal`] and [`Sim::literal_bytes`] say what is read.

/// A condition code, 0 to 15, as B.cond holds it (DDI 0487 C1.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cond(pub(crate) u8);

impl Cond {
    /// The condition `code`; only its low four bits count.
    pub const fn new(code: u8) -> Cond {
        Cond(code & 0xf)
    }

    /// Whether the condition holds for the flags in bits 31 to 28 of `pstate` (`ConditionHolds` of the shared pseudocode).
    pub const fn holds(self, pstate: u64) -> bool {
        let n = pstate >> 31 & 1 == 1;
        let z = pstate >> 30 & 1 == 1;
        let c = pstate >> 29 & 1 == 1;
        let v = pstate >> 28 & 1 == 1;
        let base = match self.0 >> 1 {
            0b000 => z,
            0b001 => c,
            0b010 => n,
            0b011 => v,
            0b100 => c && !z,
            0b101 => n == v,
            0b110 => n == v && !z,
            _ => return true,
        };
        base != (self.0 & 1 == 1)
    }
}

/// How wide an operand is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// 8 bits.
    Byte,
    /// 16 bits.
    Half,
    /// 32 bits.
    Word,
    /// 64 bits.
    Double,
}

impl Width {
    const fn unused_bits(self) -> u32 {
        match self {
            Width::Byte => 56,
            Width::Half => 48,
            Width::Word => 32,
            Width::Double => 0,
        }
    }
}

/// The comparison of `CB<cc>` (FEAT_CMPBR).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    /// EQ.
    Equal,
    /// NE.
    NotEqual,
    /// GT.
    SignedGreater,
    /// GE.
    SignedGreaterEqual,
    /// LT.
    SignedLess,
    /// HI.
    UnsignedGreater,
    /// HS.
    UnsignedGreaterEqual,
    /// LO.
    UnsignedLess,
}

/// The right-hand side of `CB<cc>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// Register 0 to 31, 31 being XZR.
    Register(u8),
    /// 0 to 63.
    Immediate(u8),
}

/// What LDR (literal) loads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Literal {
    /// LDR Wt.
    Word,
    /// LDR Xt.
    Double,
    /// LDRSW Xt.
    SignedWord,
}

/// What LDR (literal, SIMD&FP) loads; the rest of the register becomes zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VectorSize {
    /// LDR St.
    Single,
    /// LDR Dt.
    Double,
    /// LDR Qt.
    Quad,
}

/// A decoded instruction to simulate. Registers are 0 to 31, 31 being XZR; offsets are bytes from the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Sim {
    /// Only moves the PC on: NOP, BTI, PRFM (literal); with [`Cpu::knowing`](crate::Cpu::knowing), PACIASP and its kin without a
    /// key.
    Nop,
    /// B, BL.
    Branch {
        /// Bytes to the target.
        offset: i32,
        /// Whether X30 gets the return address.
        link: bool,
    },
    /// B.cond, BC.cond.
    BranchCond {
        /// When the branch is taken.
        cond: Cond,
        /// Bytes to the target.
        offset: i32,
    },
    /// CBZ, CBNZ.
    CompareZero {
        /// The register compared.
        rt: u8,
        /// Word or double.
        width: Width,
        /// True for CBNZ, false for CBZ.
        nonzero: bool,
        /// Bytes to the target.
        offset: i32,
    },
    /// TBZ, TBNZ.
    TestBit {
        /// The register tested.
        rt: u8,
        /// The bit tested, 0 to 63.
        bit: u8,
        /// True for TBNZ, false for TBZ.
        nonzero: bool,
        /// Bytes to the target.
        offset: i32,
    },
    /// `CB<cc>`, `CBB<cc>`, `CBH<cc>`.
    CompareBranch {
        /// The comparison.
        compare: Compare,
        /// How many bits of the operands are compared.
        width: Width,
        /// The left-hand register.
        lhs: u8,
        /// The right-hand side.
        rhs: Operand,
        /// Bytes to the target.
        offset: i32,
    },
    /// BR.
    BranchReg {
        /// The register that holds the target.
        rn: u8,
    },
    /// BLR.
    BranchLinkReg {
        /// The register that holds the target, which is read before X30 is written.
        rn: u8,
    },
    /// RET.
    Return {
        /// The register that holds the target.
        rn: u8,
    },
    /// ADR.
    Adr {
        /// The destination.
        rd: u8,
        /// Bytes from the instruction.
        offset: i32,
    },
    /// ADRP.
    Adrp {
        /// The destination.
        rd: u8,
        /// 4 KiB pages from the instruction's page.
        pages: i32,
    },
    /// LDR, LDRSW (literal) of a general-purpose register.
    LoadLiteral {
        /// The destination.
        rt: u8,
        /// What is loaded.
        kind: Literal,
        /// Bytes to the literal.
        offset: i32,
    },
    /// LDR (literal) of a SIMD&FP register.
    LoadVector {
        /// The destination, V0 to V31.
        rt: u8,
        /// How much is loaded.
        size: VectorSize,
        /// Bytes to the literal.
        offset: i32,
    },
}

impl Sim {
    /// Where the instruction at `pc` leads to, if it always leads there and does nothing else but clear [`BTYPE`]. An engine can then
    /// set the PC (or branch there from a trampoline) and need not call [`simulate`].
    pub const fn leads_to(self, pc: u64) -> Option<u64> {
        match self {
            Sim::Nop => Some(pc.wrapping_add(4)),
            Sim::Branch { offset, link: false } => Some(offset_from(pc, offset)),
            _ => None,
        }
    }
}

/// The saved registers of the probed context.
pub trait Regs {
    /// X`n`, `n` from 0 to 30. Never called for XZR or SP.
    fn x(&self, n: u8) -> u64;
    /// Sets X`n`, `n` from 0 to 30. Never called for XZR or SP.
    fn set_x(&mut self, n: u8, value: u64);
    /// PSTATE in SPSR's layout.
    fn pstate(&self) -> u64;
    /// Sets PSTATE, in SPSR's layout. The value differs only in BTYPE from the one that [`pstate`](Self::pstate) has returned.
    fn set_pstate(&mut self, value: u64);
    /// Sets the PC at which the context resumes.
    fn set_pc(&mut self, value: u64);
    /// Whether an access of the probed context to the SIMD&FP registers is trapped (CPACR_EL1.FPEN). The default, `true`, is
    /// that of a kernel that leaves them to user programs and switches them off for itself.
    ///
    /// A kernel whose own text may use these registers overrides this and [`set_v`](Self::set_v).
    fn simd_trapped(&self) -> bool {
        true
    }
    /// Sets V`n`, `n` from 0 to 31, all 128 bits; an SVE register's bits above them become zero, as with every write to V`n`.
    /// Called only after [`simd_trapped`](Self::simd_trapped) has returned false.
    fn set_v(&mut self, n: u8, value: u128) {
        let _ = (n, value);
        debug_assert!(false, "simd_trapped() says no, so set_v() is needed too");
    }
}

/// The exception that an instruction takes instead of being simulated. Nothing has been changed.
///
/// To the probed code it must look as if the instruction had taken the exception in place: with the PC at the probed address, and a
/// syndrome of the instruction, not of the probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception<E> {
    /// The literal cannot be read: a data abort. Holds the error of [`Mem`]; [`Sim::literal`] gives the address.
    Memory(E),
    /// Access to the SIMD&FP registers is trapped; the syndrome is [`SIMD_TRAP`].
    SimdTrap,
}

/// ESR_ELx of a trapped access to SIMD&FP registers: EC 0x07, IL, and the CV and COND that AArch64 reports (DDI 0487
/// D24.2.40).
pub const SIMD_TRAP: u64 = 0x07 << 26 | 1 << 25 | 1 << 24 | 0xe << 20;

impl Sim {
    /// The address that the instruction at `pc` reads, if it reads memory. FAR_ELx holds this address if the read faults.
    pub const fn literal(self, pc: u64) -> Option<u64> {
        match self {
            Sim::LoadLiteral { offset, .. } | Sim::LoadVector { offset, .. } => Some(offset_from(pc, offset)),
            _ => None,
        }
    }

    /// How many bytes of memory the instruction reads at [`literal`](Self::literal); 0 if it reads none.
    pub const fn literal_bytes(self) -> u8 {
        match self {
            Sim::LoadLiteral { kind: Literal::Word | Literal::SignedWord, .. } => 4,
            Sim::LoadLiteral { kind: Literal::Double, .. } => 8,
            Sim::LoadVector { size: VectorSize::Single, .. } => 4,
            Sim::LoadVector { size: VectorSize::Double, .. } => 8,
            Sim::LoadVector { size: VectorSize::Quad, .. } => 16,
            _ => 0,
        }
    }
}

/// Whether an indirect branch at some address sets BTYPE, and on which kind of page it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bti {
    /// The CPU has no FEAT_BTI: SPSR.BTYPE is RES0 and stays 0.
    Absent,
    /// FEAT_BTI, and the page of the instruction is not guarded.
    Unguarded,
    /// FEAT_BTI, and the page of the instruction is guarded (GP in its translation table entry).
    Guarded,
}

/// Memory as the probed context sees it.
///
/// # Atomicity
///
/// The probed instruction is one load, and other CPUs may write its literal meanwhile. DDI 0487 B2.2.1 says which loads must not
/// see such a write in part: a load of a general-purpose register, or of up to 64 bits of a SIMD&FP register, is single-copy
/// atomic if its address is a multiple of its size; with FEAT_LSE2 (B2.2.1.1) also at another address, if its bytes lie in one
/// aligned 16-byte quantity, which is so for half of the doubleword literals at odd multiples of 4. The load of a Q register at a
/// multiple of 8 is a pair of such reads of 64 bits, with FEAT_LSE2 too.
///
/// An implementation therefore reads as the instruction does: [`read_u32`](Self::read_u32) by one LDR of 32 bits and
/// [`read_u64`](Self::read_u64) by one LDR of 64 bits, whatever the alignment (LDR accepts every alignment, unless SCTLR_ELx.A is
/// set, and then the probed instruction itself faults). Two loads of 32 bits could return half of an old value and half of a new
/// one.
///
/// # Registers
///
/// A read must not change the system registers that [the crate's documentation](crate#what-a-handler-must-leave-alone) lists.
/// PAR_EL1 is one of them: an address translation (AT) that looks for the cause of a fault changes it.
pub trait Mem {
    /// Why a read failed. [`simulate`] returns it, and has changed nothing.
    type Error;
    /// The 32-bit data at `address`, a multiple of 4, in the context's data endianness. Single-copy atomic.
    ///
    /// # Errors
    /// The implementation's own, for memory that the probed context could not read.
    fn read_u32(&mut self, address: u64) -> Result<u32, Self::Error>;
    /// The 64-bit data at `address`, a multiple of 4 (with SCTLR_ELx.A set, one not a multiple of 8 is an alignment fault). Read by one
    /// load of 64 bits, so as atomic as the instruction's own load.
    ///
    /// # Errors
    /// As [`read_u32`](Self::read_u32).
    fn read_u64(&mut self, address: u64) -> Result<u64, Self::Error>;
    /// The 128-bit data at `address`, a multiple of 4 (with SCTLR_ELx.A set, one not a multiple of 16 is an alignment fault).
    /// The default reads two doublewords, little-endian, which is as atomic as the instruction.
    ///
    /// # Errors
    /// As [`read_u32`](Self::read_u32).
    fn read_u128(&mut self, address: u64) -> Result<u128, Self::Error> {
        let low = self.read_u64(address)?;
        Ok(u128::from(self.read_u64(address.wrapping_add(8))?) << 64 | u128::from(low))
    }
    /// The word that a probe at `address`, a multiple of 4, has replaced; `None` if no probe is there. [`simulate`] calls this for
    /// each word of a literal, and uses the result in place of the word that it has read. A literal can lie on probed text (code
    /// that reads itself, data that was taken for code), and the probed code must not see the BRK.
    ///
    /// Instructions are little-endian; a kernel whose data is big-endian leaves the default, `None`.
    #[inline(always)]
    fn original(&self, address: u64) -> Option<u32> {
        let _ = address;
        None
    }
    /// How an indirect branch at `pc` sets BTYPE. The default suits a kernel that maps no guarded pages.
    fn bti(&self, pc: u64) -> Bti {
        let _ = pc;
        Bti::Absent
    }
}

const BTYPE_SHIFT: u32 = 10;
/// PSTATE.BTYPE in SPSR's layout.
pub const BTYPE: u64 = 0b11 << BTYPE_SHIFT;

/// X`n`, or zero for XZR. Five bits of `n` count, as in an instruction.
fn read(regs: &impl Regs, n: u8) -> u64 {
    match n & 31 {
        31 => 0,
        n => regs.x(n),
    }
}

/// Sets X`n`; a write to XZR is dropped. Five bits of `n` count, as in an instruction.
fn write(regs: &mut impl Regs, n: u8, value: u64) {
    match n & 31 {
        31 => {}
        n => regs.set_x(n, value),
    }
}

/// The word at `address`; if a probe is there, the word that it has replaced.
fn load_word<M: Mem>(mem: &mut M, address: u64) -> Result<u32, M::Error> {
    let word = mem.read_u32(address)?;
    Ok(mem.original(address).unwrap_or(word))
}

/// The doubleword at `address`, with the words that probes have replaced.
fn load_double<M: Mem>(mem: &mut M, address: u64) -> Result<u64, M::Error> {
    let value = mem.read_u64(address)?;
    Ok(unprobed(mem, address, value))
}

/// `value`, which was read at `address`, with the words that probes have replaced.
fn unprobed(mem: &impl Mem, address: u64, value: u64) -> u64 {
    let low = mem.original(address).unwrap_or(value as u32);
    let high = mem.original(address.wrapping_add(4)).unwrap_or((value >> 32) as u32);
    u64::from(high) << 32 | u64::from(low)
}

/// The quadword at `address`, with the words that probes have replaced.
fn load_quad<M: Mem>(mem: &mut M, address: u64) -> Result<u128, M::Error> {
    let value = mem.read_u128(address)?;
    let low = unprobed(mem, address, value as u64);
    let high = unprobed(mem, address.wrapping_add(8), (value >> 64) as u64);
    Ok(u128::from(high) << 64 | u128::from(low))
}

const fn offset_from(pc: u64, offset: i32) -> u64 {
    pc.wrapping_add_signed(offset as i64)
}

/// Does on the saved registers what the instruction `sim` at address `pc` does: writes its registers, the next PC, and BTYPE. `pc`
/// is the address of the probed instruction; the saved PC is not read. Flags, masks and the rest of PSTATE stay. May be called in
/// any context in which `mem` may be read.
///
/// A target is not checked: like the CPU, this sets a misaligned or unmapped PC and leaves the fault to the next fetch.
///
/// # Errors
/// The exception that the instruction takes instead. Then nothing has been changed.
#[inline]
pub fn simulate<M: Mem>(
    sim: Sim,
    pc: u64,
    regs: &mut impl Regs,
    mem: &mut M,
) -> Result<(), Exception<M::Error>> {
    let next = pc.wrapping_add(4);
    let taken = |yes: bool, offset: i32| if yes { offset_from(pc, offset) } else { next };
    let mut btype = 0;
    let target = match sim {
        Sim::Nop => next,
        Sim::Branch { offset, link } => {
            if link {
                regs.set_x(30, next);
            }
            offset_from(pc, offset)
        }
        Sim::BranchCond { cond, offset } => taken(cond.holds(regs.pstate()), offset),
        Sim::CompareZero { rt, width, nonzero, offset } => {
            let value = read(regs, rt) << width.unused_bits();
            taken((value != 0) == nonzero, offset)
        }
        Sim::TestBit { rt, bit, nonzero, offset } => {
            taken((read(regs, rt) >> (bit & 63) & 1 == 1) == nonzero, offset)
        }
        Sim::CompareBranch { compare, width, lhs, rhs, offset } => {
            let rhs = match rhs {
                Operand::Register(n) => read(regs, n),
                Operand::Immediate(value) => u64::from(value),
            };
            taken(compares(compare, width, read(regs, lhs), rhs), offset)
        }
        Sim::BranchReg { rn } => {
            // `BR` of the instruction's pseudocode: only X16 and X17 may land on BTI c from a guarded page.
            btype = match mem.bti(pc) {
                Bti::Absent => 0b00,
                Bti::Guarded if rn != 16 && rn != 17 => 0b11,
                _ => 0b01,
            };
            read(regs, rn)
        }
        Sim::BranchLinkReg { rn } => {
            btype = if mem.bti(pc) == Bti::Absent { 0b00 } else { 0b10 };
            let target = read(regs, rn);
            regs.set_x(30, next);
            target
        }
        Sim::Return { rn } => read(regs, rn),
        Sim::Adr { rd, offset } => {
            write(regs, rd, offset_from(pc, offset));
            next
        }
        Sim::Adrp { rd, pages } => {
            write(regs, rd, (pc & !0xfff).wrapping_add_signed(i64::from(pages) << 12));
            next
        }
        Sim::LoadLiteral { rt, kind, offset } => {
            let address = offset_from(pc, offset);
            // A load to XZR still reads memory, and may fault.
            let value = match kind {
                Literal::Word => load_word(mem, address).map(u64::from),
                Literal::Double => load_double(mem, address),
                Literal::SignedWord => load_word(mem, address).map(|word| i64::from(word as i32) as u64),
            };
            write(regs, rt, value.map_err(Exception::Memory)?);
            next
        }
        Sim::LoadVector { rt, size, offset } => {
            // The trap comes before the access (`CheckFPEnabled64` in the instruction's pseudocode).
            if regs.simd_trapped() {
                return Err(Exception::SimdTrap);
            }
            let address = offset_from(pc, offset);
            let value = match size {
                VectorSize::Single => load_word(mem, address).map(u128::from),
                VectorSize::Double => load_double(mem, address).map(u128::from),
                VectorSize::Quad => load_quad(mem, address),
            };
            regs.set_v(rt & 31, value.map_err(Exception::Memory)?);
            next
        }
    };
    let pstate = regs.pstate();
    let resumed = pstate & !BTYPE | btype << BTYPE_SHIFT;
    if resumed != pstate {
        regs.set_pstate(resumed);
    }
    regs.set_pc(target);
    Ok(())
}

/// The comparison of `CB<cc>` over the low `width` bits.
fn compares(compare: Compare, width: Width, lhs: u64, rhs: u64) -> bool {
    // Shifted to the top, narrow operands compare as their sign- or zero-extended values do.
    let (lhs, rhs) = (lhs << width.unused_bits(), rhs << width.unused_bits());
    let (signed_lhs, signed_rhs) = (lhs as i64, rhs as i64);
    match compare {
        Compare::Equal => lhs == rhs,
        Compare::NotEqual => lhs != rhs,
        Compare::SignedGreater => signed_lhs > signed_rhs,
        Compare::SignedGreaterEqual => signed_lhs >= signed_rhs,
        Compare::SignedLess => signed_lhs < signed_rhs,
        Compare::UnsignedGreater => lhs > rhs,
        Compare::UnsignedGreaterEqual => lhs >= rhs,
        Compare::UnsignedLess => lhs < rhs,
    }
}
