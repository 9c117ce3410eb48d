//! The state from which an instruction is executed, and the state after it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::asm;
use core::cell::UnsafeCell;
use kernel::exception::Frame;
use kernel::exception::frame::ec;
use kernel::{read_sysreg, write_sysreg};

/// How many doublewords of memory loads and stores are aimed at.
pub const MEMORY: usize = 512;

/// Memory that has the same address in all runs, so that registers which hold its address compare equal.
#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u64; MEMORY]>);

// SAFETY: one test uses it, on one CPU.
unsafe impl Sync for Memory {}

static SCRATCH: Memory = Memory(UnsafeCell::new([0; MEMORY]));

/// The address of the middle of the memory that loads and stores are aimed at.
pub fn scratch() -> u64 {
    SCRATCH.0.get() as u64 + MEMORY as u64 * 4
}

/// The state that an instruction is run from. SP is not part of it: [`super::area`] chooses SP.
#[derive(Clone)]
pub struct State {
    pub x: [u64; 31],
    /// NZCV and DAIF, at their places in SPSR_EL1.
    pub pstate: u64,
    pub v: [u128; 32],
    pub tpidr_el0: u64,
    pub memory: Vec<u64>,
    pub stack: Vec<u64>,
}

impl State {
    /// The bits of PSTATE that a [`State`] chooses: NZCV and DAIF.
    pub const PSTATE: u64 = 0xf << 28 | 0xf << 6;

    /// Before a run, puts in place the part of the state that is in no frame: the memory, TPIDR_EL0, PAR_EL1, and the SIMD&FP
    /// registers if they can be used.
    pub fn put(&self) {
        // SAFETY: nobody else uses it, and no reference to it exists.
        unsafe { (&mut *SCRATCH.0.get()).copy_from_slice(&self.memory) };
        write_sysreg!("tpidr_el0", self.tpidr_el0);
        // PAR_EL1 as AT leaves it for a mapped address.
        write_sysreg!("par_el1", self.tpidr_el0 << 12 & 0x0000_ffff_ffff_f000 | 0x800);
        if simd::usable() {
            simd::put(&self.v);
        }
    }
}

/// The registers of an exception's frame.
#[derive(Clone, Copy)]
pub struct Registers {
    pub x: [u64; 31],
    pub sp: u64,
    pub pc: u64,
    pub pstate: u64,
    pub esr: u64,
    pub far: u64,
}

impl Registers {
    pub fn of(frame: &Frame) -> Self {
        let Frame { x, sp, pc, pstate, esr, far, .. } = *frame;
        Self { x, sp, pc, pstate, esr, far }
    }
}

/// What a run came to: the registers at the exception that ended it, and the state that no frame holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Came {
    x: [u64; 31],
    /// How many bytes the instruction has moved SP.
    moved: i64,
    pc: u64,
    pstate: u64,
    esr: u64,
    /// FAR_EL1 if this class of exception sets it, otherwise 0.
    far: u64,
    stack: Vec<u64>,
    v: [u128; 32],
    fpsr: u64,
    /// The values of the registers that [`SYSTEM`] names.
    system: [u64; SYSTEM.len()],
    memory: Vec<u64>,
}

/// System registers that no frame holds, and that the instruction or the way of simulating it could change.
const SYSTEM: [&str; 5] = ["TPIDR_EL0", "TPIDRRO_EL0", "PAR_EL1", "SP_EL0", "CONTEXTIDR_EL1"];

fn system() -> [u64; SYSTEM.len()] {
    [
        read_sysreg!("tpidr_el0"),
        read_sysreg!("tpidrro_el0"),
        read_sysreg!("par_el1"),
        read_sysreg!("sp_el0"),
        read_sysreg!("contextidr_el1"),
    ]
}

impl Came {
    /// From the registers `end` at the exception that ended the run, the SP that the run began with, and the memory above that SP.
    pub fn new(end: Registers, sp: u64, stack: &[u64]) -> Self {
        let moved = end.sp.wrapping_sub(sp) as i64;
        // Exceptions overwrite the memory below SP, so that part is not compared.
        let below = (moved.max(0) as usize / 8).min(stack.len());
        let mut stack = stack.to_vec();
        stack[..below].fill(0);
        let has_far =
            matches!(end.esr >> 26, ec::INSTRUCTION_ABORT_SAME | ec::PC_ALIGNMENT | ec::DATA_ABORT_SAME);
        // SAFETY: nothing writes it now.
        let memory = unsafe { (&*SCRATCH.0.get()).to_vec() };
        let (v, fpsr) = if simd::usable() { simd::get() } else { ([0; 32], 0) };
        Self {
            x: end.x,
            moved,
            pc: end.pc,
            pstate: end.pstate,
            esr: end.esr,
            far: if has_far { end.far } else { 0 },
            stack,
            v,
            fpsr,
            system: system(),
            memory,
        }
    }

    /// Whether the instruction at `slot` itself took an exception.
    pub fn faulted(&self, slot: u64) -> bool {
        self.pc == slot
    }

    /// The first differences from `native`, as text; None if both are equal.
    pub fn difference(&self, native: &Self) -> Option<String> {
        if self == native {
            return None;
        }
        let scalars = [
            ("PC", self.pc, native.pc),
            ("ESR", self.esr, native.esr),
            ("FAR", self.far, native.far),
            ("PSTATE", self.pstate, native.pstate),
            ("SP moved by", self.moved as u64, native.moved as u64),
            ("FPSR", self.fpsr, native.fpsr),
        ];
        let system = SYSTEM.iter().zip(self.system.iter().zip(&native.system));
        let system = system.map(|(&name, (&probed, &native))| (name, probed, native));
        let mut text = String::new();
        for (name, probed, native) in
            scalars.into_iter().chain(system).filter(|(_, probed, native)| probed != native)
        {
            text += &format!(", {name} {probed:#x} instead of {native:#x}");
        }
        let arrays: [(&str, &[u64], &[u64]); 3] = [
            ("X", &self.x, &native.x),
            ("memory, doubleword ", &self.memory, &native.memory),
            ("stack, doubleword ", &self.stack, &native.stack),
        ];
        for (name, probed, native) in arrays {
            if let Some(n) = (0..probed.len()).find(|&n| probed[n] != native[n]) {
                text += &format!(", {name}{n} {:#x} instead of {:#x}", probed[n], native[n]);
            }
        }
        if let Some(n) = (0..32).find(|&n| self.v[n] != native.v[n]) {
            text += &format!(", V{n} {:#x} instead of {:#x}", self.v[n], native.v[n]);
        }
        Some(text.trim_start_matches(", ").into())
    }
}

/// The SIMD&FP registers, which the kernel neither uses nor saves. Instructions are written as words and registers as numbers,
/// because the assembler has no names for them on this target.
pub mod simd {
    use super::*;
    use core::arch::naked_asm;

    const FPEN: u64 = 0b11 << 20;

    /// Whether EL1 may use the SIMD&FP registers.
    pub fn usable() -> bool {
        read_sysreg!("cpacr_el1") & FPEN == FPEN
    }

    /// Lets EL1 use the SIMD&FP registers, or makes their use trap.
    pub fn allow(yes: bool) {
        let others = read_sysreg!("cpacr_el1") & !FPEN;
        write_sysreg!("cpacr_el1", if yes { others | FPEN } else { others });
        kernel::arch::barrier::isb();
    }

    /// Sets all SIMD&FP registers, and clears FPCR and FPSR.
    pub fn put(v: &[u128; 32]) {
        // SAFETY: nothing else uses these registers.
        unsafe {
            load(v);
            asm!("msr S3_3_C4_C4_0, xzr", "msr S3_3_C4_C4_1, xzr", options(nostack, nomem, preserves_flags));
        }
    }

    /// Reads V0 to V31 and FPSR.
    pub fn get() -> ([u128; 32], u64) {
        let mut v = [0; 32];
        // SAFETY: the registers can be read.
        unsafe { store(&mut v) };
        (v, read_sysreg!("S3_3_C4_C4_1"))
    }

    #[unsafe(naked)]
    unsafe extern "C" fn load(_: &[u128; 32]) {
        naked_asm!(
            ".set n, 0",
            ".rept 32",
            ".inst 0x3dc00000 | n << 10 | n", // ldr qN, [x0, #16 * N]
            ".set n, n + 1",
            ".endr",
            "ret"
        )
    }

    #[unsafe(naked)]
    unsafe extern "C" fn store(_: &mut [u128; 32]) {
        naked_asm!(
            ".set n, 0",
            ".rept 32",
            ".inst 0x3d800000 | n << 10 | n", // str qN, [x0, #16 * N]
            ".set n, n + 1",
            ".endr",
            "ret"
        )
    }
}
