//! SIMD&FP registers of the probed context, for literal loads, and the syndrome of an instruction that takes an exception
//! instead of being simulated.
//!
//! The kernel is built without use of these registers, and does not save them. So they always hold the values of the
//! probed code.

use crate::arch::barrier;
use crate::{read_sysreg, write_sysreg};
use core::arch::{asm, naked_asm};
use probe::sim::{Exception, SIMD_TRAP};

/// Whether an access from EL1 is trapped to EL1 (DDI 0487, CPACR_EL1.FPEN). Any context.
#[inline(always)]
pub fn trapped() -> bool {
    const FPEN_EL1: u64 = 1 << 20;
    read_sysreg!("cpacr_el1") & FPEN_EL1 == 0
}

/// Sets V`n`. Any context in which accesses to V registers are not [`trapped`].
#[inline(always)]
pub fn set(n: u8, value: u128) {
    // SAFETY: accesses to the registers are not trapped, and the kernel keeps nothing in them.
    unsafe { load(u64::from(n % 32), &value) }
}

/// Loads V`n` from `value`. The number of the register is part of the instruction LDR, so there are 32 loads, and a
/// branch to one of them. The loads are written as words, because the assembler refuses SIMD&FP instructions for this
/// target.
///
/// # Safety
/// Accesses to the registers are not trapped; `n` is below 32.
#[unsafe(naked)]
#[unsafe(link_section = ".noprobe.text")]
unsafe extern "C" fn load(n: u64, value: &u128) {
    naked_asm!(
        "adr x2, 2f",
        "add x2, x2, x0, lsl #3",
        "br x2",
        "2:",
        ".set n, 0",
        ".rept 32",
        ".inst 0x3dc00020 | n", // ldr qN, [x1]
        "ret",
        ".set n, n + 1",
        ".endr",
    )
}

/// The values that ESR_EL1 and FAR_EL1 would have if the probed instruction itself had taken `exception`. FAR_EL1 is
/// None if this kind of exception does not set it. `literal` is the address that the instruction reads. Any context.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn syndrome<E>(exception: &Exception<E>, literal: u64) -> (u64, Option<u64>) {
    match exception {
        Exception::SimdTrap => (SIMD_TRAP, None),
        Exception::Memory(_) => (data_abort(literal), Some(literal)),
    }
}

/// The syndrome of a load from `address` that faults: EC 0x25, IL, and the fault status, for which AT translates the
/// address once more (DDI 0487 D24.2.119). AT writes PAR_EL1, which no frame holds, and in which the probed code may
/// have the result of its own AT instruction. The probed load would not change PAR_EL1, so the register is put back
/// (K1). All exceptions are masked.
#[inline(always)]
fn data_abort(address: u64) -> u64 {
    const DATA_ABORT: u64 = 0x25 << 26 | 1 << 25;
    let probed = read_sysreg!("par_el1");
    // SAFETY: AT translates an address, and changes nothing but PAR_EL1.
    unsafe { asm!("at s1e1r, {}", in(reg) address, options(nostack, preserves_flags)) };
    // The read of PAR_EL1 sees what AT has written there only behind a context synchronization event (DDI 0487 D24.1.2.2).
    barrier::isb();
    let answer = read_sysreg!("par_el1");
    write_sysreg!("par_el1", probed);
    DATA_ABORT | answer >> 1 & 0x3f
}
