//! The state from which an instruction is executed, and the state after it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::asm;
use core::cell::UnsafeCell;
use kernel::exception::Frame;
use kernel::exception::frame::ec;
use kernel::{read_sysreg, write_sysreg};

/// Doublewords of memory that loads and stores are aimed at.
pub const MEMORY: usize = 512;

/// Memory at one and the same address for all runs.
#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u64; MEMORY]>);

// SAFETY: one test uses it, on one CPU.
unsafe impl Sync for Memory {}

static SCRATCH: Memory = Memory(UnsafeCell::new([0; MEMORY]));

/// The middle of that memory.
pub fn scratch() -> u64 {
    SCRATCH.0.get() as u64 + MEMORY as u64 * 4
}

/// What an instruction is run from. SP is given by where it is run.
#[derive(Clone)]
pub struct State {
    pub x: [u64; 31],
    /// NZCV and DAIF.
    pub pstate: u64,
    pub v: [u128; 32],
    pub tpidr_el0: u64,
    pub memory: Vec<u64>,
    pub stack: Vec<u64>,
}

impl State {
    /// What of PSTATE is the state's: NZCV and DAIF.
    pub const PSTATE: u64 = 0xf << 28 | 0xf << 6;

    /// Puts everything in place that is not in a frame. Before a run; SIMD&FP registers if they can be used.
    pub fn put(&self) {
        // SAFETY: nobody else uses it, and no reference to it exists.
        unsafe { (&mut *SCRATCH.0.get()).copy_from_slice(&self.memory) };
        write_sysreg!("tpidr_el0", self.tpidr_el0);
        // What AT gives for an address that is mapped.
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

/// What it comes to: the exception behind it, and what else there is.
#[derive(Clone, PartialEq, Eq)]
pub struct Came {
    x: [u64; 31],
    /// How far SP was moved.
    moved: i64,
    pc: u64,
    pstate: u64,
    esr: u64,
    /// Where the exception sets it.
    far: u64,
    stack: Vec<u64>,
    v: [u128; 32],
    fpsr: u64,
    /// [`SYSTEM`]'s.
    system: [u64; SYSTEM.len()],
    memory: Vec<u64>,
}

/// System registers that no frame holds and that instructions, or what is done about them, could change.
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
    /// From the exception that ended the run, and the memory above where SP was.
    pub fn new(end: Registers, sp: u64, stack: &[u64]) -> Self {
        let moved = end.sp.wrapping_sub(sp) as i64;
        // What is below SP is any exception's.
        let below = (moved.max(0) as usize / 8).min(stack.len());
        let mut stack = stack.to_vec();
        stack[..below].fill(0);
        let has_far =
            matches!(end.esr >> 26, ec::INSTRUCTION_ABORT_SAME | ec::PC_ALIGNMENT | ec::DATA_ABORT_SAME);
        // SAFETY: nobody writes it now.
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

    /// Whether it took an exception of its own, at `slot`.
    pub fn faulted(&self, slot: u64) -> bool {
        self.pc == slot
    }

    /// The first things that differ, or nothing.
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

/// The SIMD&FP registers, which the kernel neither uses nor saves. By words and numbers: the target has no names for them.
pub mod simd {
    use super::*;
    use core::arch::naked_asm;

    const FPEN: u64 = 0b11 << 20;

    /// Whether EL1 may use them.
    pub fn usable() -> bool {
        read_sysreg!("cpacr_el1") & FPEN == FPEN
    }

    /// Lets EL1 use them, or traps it.
    pub fn allow(yes: bool) {
        let others = read_sysreg!("cpacr_el1") & !FPEN;
        write_sysreg!("cpacr_el1", if yes { others | FPEN } else { others });
        kernel::arch::barrier::isb();
    }

    /// Sets them all, and clears FPCR and FPSR.
    pub fn put(v: &[u128; 32]) {
        // SAFETY: the registers are nobody's.
        unsafe {
            load(v);
            asm!("msr S3_3_C4_C4_0, xzr", "msr S3_3_C4_C4_1, xzr", options(nostack, nomem, preserves_flags));
        }
    }

    /// V0 to V31, and FPSR.
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
