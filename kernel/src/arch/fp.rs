//! The registers of SIMD and floating point. The kernel's own code uses none of them, so between the entry from EL0 and the return
//! they hold what a program has left there.

use core::arch::naked_asm;

/// V0 to V31, FPSR and FPCR.
#[repr(C, align(16))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fpsimd {
    /// V0 to V31.
    pub v: [u128; 32],
    /// FPSR.
    pub fpsr: u64,
    /// FPCR.
    pub fpcr: u64,
}

impl Fpsimd {
    /// The registers with which a program starts.
    pub const fn zeroed() -> Self {
        Self { v: [0; 32], fpsr: 0, fpcr: 0 }
    }

    /// Loads registers of this CPU that lie apart. If the caller is switched away meanwhile, the switch saves and loads all registers.
    pub fn load_parts(v: &[u128; 32], fpsr: u32, fpcr: u32) {
        // SAFETY: the kernel uses none of the registers that are written.
        unsafe { load_parts(v, fpsr.into(), fpcr.into()) }
    }

    /// Saves the registers of this CPU. If the caller is switched away meanwhile, the switch saves and loads all registers.
    pub fn save(&mut self) {
        // SAFETY: the value has room for all registers, at the offsets that the function uses.
        unsafe { save(self) }
    }

    /// Loads the registers of this CPU. The caller is not switched away meanwhile.
    pub fn load(&self) {
        // SAFETY: the kernel uses none of the registers that are written.
        unsafe { load(self) }
    }
}

const _: () =
    assert!(core::mem::offset_of!(Fpsimd, fpsr) == 512 && core::mem::offset_of!(Fpsimd, fpcr) == 520);

/// Assembles `stp` or `ldp` of all registers, at the address in x0.
macro_rules! pairs {
    ($op:literal, $($rest:literal),*) => {
        naked_asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            concat!($op, " q0, q1, [x0, #0]"),
            concat!($op, " q2, q3, [x0, #32]"),
            concat!($op, " q4, q5, [x0, #64]"),
            concat!($op, " q6, q7, [x0, #96]"),
            concat!($op, " q8, q9, [x0, #128]"),
            concat!($op, " q10, q11, [x0, #160]"),
            concat!($op, " q12, q13, [x0, #192]"),
            concat!($op, " q14, q15, [x0, #224]"),
            concat!($op, " q16, q17, [x0, #256]"),
            concat!($op, " q18, q19, [x0, #288]"),
            concat!($op, " q20, q21, [x0, #320]"),
            concat!($op, " q22, q23, [x0, #352]"),
            concat!($op, " q24, q25, [x0, #384]"),
            concat!($op, " q26, q27, [x0, #416]"),
            concat!($op, " q28, q29, [x0, #448]"),
            concat!($op, " q30, q31, [x0, #480]"),
            $($rest,)*
            "ret",
            // The kernel is built without these registers, and the assembler goes on with the next function.
            ".arch_extension nosimd",
            ".arch_extension nofp",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn save(to: *mut Fpsimd) {
    pairs!("stp", "mrs x1, fpsr", "mrs x2, fpcr", "str x1, [x0, #512]", "str x2, [x0, #520]")
}

#[unsafe(naked)]
unsafe extern "C" fn load_parts(v: *const [u128; 32], fpsr: u64, fpcr: u64) {
    pairs!("ldp", "msr fpsr, x1", "msr fpcr, x2")
}

#[unsafe(naked)]
unsafe extern "C" fn load(from: *const Fpsimd) {
    pairs!("ldp", "ldr x1, [x0, #512]", "ldr x2, [x0, #520]", "msr fpsr, x1", "msr fpcr, x2")
}
