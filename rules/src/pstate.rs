//! PSTATE's exception masks and SPSR_EL1's bits (DDI 0487 C5.2.19 for SPSR_EL1).

use bitflags::bitflags;
use core::fmt;

bitflags! {
    /// The exception masks, at the positions that DAIF and SPSR_EL1 have them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Daif: u64 {
        /// FIQ masked.
        const F = 1 << 6;
        /// IRQ masked.
        const I = 1 << 7;
        /// SError masked.
        const A = 1 << 8;
        /// Debug exceptions masked: step, breakpoint, watchpoint. Never BRK.
        const D = 1 << 9;
    }
}

/// SPSR_EL1.SS. While MDSCR_EL1.SS is set: 1 runs one instruction before the step exception, 0 takes the step exception before
/// the next instruction (DDI 0487 D2.12).
pub const SPSR_SS: u64 = 1 << 21;

/// What a PSTATE that a program runs with has clear: the masks, IL, and the bits of M, which say EL0 and AArch64 (rules X3, T7).
pub const NOT_FOR_EL0: u64 = Daif::all().bits() | 1 << 20 | 0x1f;

impl Daif {
    /// The masks in a value of DAIF or SPSR_EL1. The value's other bits are ignored.
    #[inline(always)]
    pub const fn of(value: u64) -> Self {
        Self::from_bits_truncate(value)
    }

    /// Invariant I1: if D is masked, I is masked too. So an interrupt from EL1 always interrupts code with D open.
    #[inline(always)]
    pub const fn holds_i1(self) -> bool {
        !self.contains(Self::D) || self.contains(Self::I)
    }
}

impl fmt::Display for Daif {
    /// Four letters: a capital for a masked exception, a small letter for an open one, as in `daIF`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, masked, open) in
            [(Self::D, 'D', 'd'), (Self::A, 'A', 'a'), (Self::I, 'I', 'i'), (Self::F, 'F', 'f')]
        {
            fmt::Write::write_char(f, if self.contains(bit) { masked } else { open })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_spsr() {
        assert_eq!(Daif::of(0x3c5), Daif::all());
        assert_eq!(Daif::of(0x600003c5 & !(1 << 9)), Daif::A | Daif::I | Daif::F);
    }

    #[test]
    fn i1_forbids_d_without_i() {
        for bits in 0..16 {
            let masks = Daif::of(bits << 6);
            assert_eq!(masks.holds_i1(), bits & 0b1000 == 0 || bits & 0b0010 != 0, "{masks}");
        }
    }

    #[test]
    fn shown_with_capitals_for_masked() {
        assert_eq!((Daif::I | Daif::F).to_string(), "daIF");
        assert_eq!((Daif::D | Daif::A).to_string(), "DAif");
        assert_eq!([Daif::all(), Daif::empty()].map(|masks| masks.to_string()), ["DAIF", "daif"]);
    }
}
