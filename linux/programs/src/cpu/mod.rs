//! What a program is told of the CPU: AT_HWCAP and AT_HWCAP2, and the identification registers that it may read by MRS.
//!
//! A program that finds HWCAP_CPUID in AT_HWCAP may read the registers with op0 3, op1 0, CRn 0 (DDI 0487, "AArch64 System register
//! encoding space"). Each such MRS traps, and the kernel gives the value ([`Registers::read`]). As in Linux
//! (`Documentation/arch/arm64/cpu-feature-registers.rst`) the value has only the fields that tell of what programs can use, and
//! AT_HWCAP says the same as these fields ([`Registers::hwcap`]).
//!
//! Left out is what the kernel does not give programs: SVE, SME, MTE, pointer authentication, BTI, MOPS, LS64.

mod hwcap;
mod mrs;
#[cfg(test)]
mod tests;

pub use mrs::Mrs;

/// The identification registers of a CPU, as they are at EL1.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Registers {
    /// MIDR_EL1.
    pub midr: u64,
    /// ID_AA64PFR0_EL1.
    pub pfr0: u64,
    /// ID_AA64PFR1_EL1.
    pub pfr1: u64,
    /// ID_AA64ISAR0_EL1.
    pub isar0: u64,
    /// ID_AA64ISAR1_EL1.
    pub isar1: u64,
    /// ID_AA64ISAR2_EL1.
    pub isar2: u64,
    /// ID_AA64MMFR0_EL1.
    pub mmfr0: u64,
    /// ID_AA64MMFR1_EL1.
    pub mmfr1: u64,
    /// ID_AA64MMFR2_EL1.
    pub mmfr2: u64,
}

/// MPIDR_EL1 for programs: bit 31 is RES1, and which CPU it is changes at any moment.
const MPIDR: u64 = 1 << 31;

/// Keeps the fields of 4 bits that begin at these bits.
const fn fields(register: u64, shown: &[u32]) -> u64 {
    let mut kept = 0;
    let mut at = 0;
    while at < shown.len() {
        kept |= register & 0xf << shown[at];
        at += 1;
    }
    kept
}

impl Registers {
    /// The value that a program reads: only the fields of features that it can use, and for the others what means the least.
    #[must_use]
    pub const fn for_programs(&self) -> Self {
        Self {
            midr: self.midr,
            // FP, AdvSIMD, DIT. EL0 and EL1 are AArch64 only.
            pfr0: fields(self.pfr0, &[16, 20, 48]) | 0x11,
            // SSBS.
            pfr1: fields(self.pfr1, &[4]),
            // AES, SHA1, SHA2, CRC32, Atomic, RDM, SHA3, SM3, SM4, DP, FHM, TS, RNDR.
            isar0: fields(self.isar0, &[4, 8, 12, 16, 20, 28, 32, 36, 40, 44, 48, 52, 60]),
            // DPB, JSCVT, FCMA, LRCPC, FRINTTS, SB, BF16, DGH, I8MM.
            isar1: fields(self.isar1, &[0, 12, 16, 20, 32, 36, 44, 48, 52]),
            // WFxT, RPRES, RPRFM, CSSC.
            isar2: fields(self.isar2, &[0, 4, 48, 52]),
            // ECV. TGran4 and TGran64 not implemented.
            mmfr0: fields(self.mmfr0, &[60]) | 0xff << 24,
            // AFP.
            mmfr1: fields(self.mmfr1, &[44]),
            // AT.
            mmfr2: fields(self.mmfr2, &[32]),
        }
    }

    /// What a program reads by an MRS of a register of this kind; None if it may not.
    #[must_use]
    pub const fn read(&self, mrs: Mrs) -> Option<u64> {
        let shown = self.for_programs();
        Some(match (mrs.crm, mrs.op2) {
            (0, 0) => shown.midr,
            (0, 5) => MPIDR,
            // REVIDR_EL1 says nothing that a program could use.
            (0, 6) => 0,
            (0 | 1, _) => return None,
            (4, 0) => shown.pfr0,
            (4, 1) => shown.pfr1,
            // ID_AA64DFR0_EL1: DebugVer is Armv8, and nothing else.
            (5, 0) => 6,
            (6, 0) => shown.isar0,
            (6, 1) => shown.isar1,
            (6, 2) => shown.isar2,
            (7, 0) => shown.mmfr0,
            (7, 1) => shown.mmfr1,
            (7, 2) => shown.mmfr2,
            // Registers of AArch32, of SVE and SME, and those that are reserved.
            _ => 0,
        })
    }
}
