//! Which PSTATE a user program may give itself (rules T7 and X3).

use core::fmt;

use bitflags::bitflags;

bitflags! {
    /// The bits of SPSR_EL1 (AArch64) that matter here.
    #[derive(Clone, Copy, PartialEq, Eq)]
    struct Spsr: u64 {
        /// M\[3:0\]: exception level and stack pointer. EL0t is 0.
        const M = 0xf;
        /// M\[4\]: AArch32.
        const M4 = 1 << 4;
        const F = 1 << 6;
        const I = 1 << 7;
        const A = 1 << 8;
        const D = 1 << 9;
        const BTYPE = 0b11 << 10;
        const SSBS = 1 << 12;
        const IL = 1 << 20;
        const DIT = 1 << 24;
        const TCO = 1 << 25;
        const NZCV = 0xf << 28;
    }
}

/// A user program asked for a PSTATE that is not AArch64 EL0 with all exceptions open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PstateRefused {
    /// The bits that are not allowed.
    pub bits: u64,
}

impl fmt::Display for PstateRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PSTATE bits {:#x} are not for EL0", self.bits)
    }
}

/// The PSTATE with which a thread goes on when a signal frame or a debugger asks for `pstate`.
///
/// - Refused if set: M\[4:0\] (any other exception level, stack pointer or AArch32), D, A, I, F, and IL (20). Linux refuses the
///   same, except that it clears IL.
/// - Kept: N, Z, C, V, TCO (25), DIT (24), SSBS (12) and BTYPE (11:10), as in Linux. A program can set each of these bits itself
///   or by a branch. A CPU without the feature ignores them.
/// - Cleared: SS (21), as whether a thread is stepped is for the owners of its steps to say, and every other bit: bits 63:32 and
///   26, 27, PAN (22) and UAO (23), which do nothing at EL0, 19:13 (ALLINT is 13) and bit 5. Linux clears the same.
///
/// # Errors
/// [`PstateRefused`]: `rt_sigreturn` ends in SIGSEGV, ptrace in EINVAL.
pub fn check_pstate(pstate: u64) -> Result<u64, PstateRefused> {
    const REFUSED: Spsr =
        Spsr::M.union(Spsr::M4).union(Spsr::F).union(Spsr::I).union(Spsr::A).union(Spsr::D).union(Spsr::IL);
    const KEPT: Spsr = Spsr::NZCV.union(Spsr::TCO).union(Spsr::DIT).union(Spsr::SSBS).union(Spsr::BTYPE);
    match pstate & REFUSED.bits() {
        0 => Ok(pstate & KEPT.bits()),
        bits => Err(PstateRefused { bits }),
    }
}

/// The PSTATE with which a signal handler starts. The handler keeps the flags of the interrupted code, as in Linux. BTYPE is
/// cleared, since no indirect branch led to the handler, and TCO, as Linux does for a known start. SS is cleared: a step that the
/// thread owes is taken before the handler's first instruction (rules M13 and T2).
pub(super) fn for_handler(pstate: u64) -> u64 {
    pstate & Spsr::NZCV.union(Spsr::DIT).union(Spsr::SSBS).bits()
}
