//! What depends on the CPU: signing hints with and without a key, branches that few CPUs have, and landing pads.
use crate::bits::bits;
use crate::class::{Class, Relocatable};
use crate::sim::Sim;

/// The properties of the CPUs that a kernel knows and [`classify`](crate::classify()) does not. Each field must hold for all CPUs
/// that may run the probed code.
///
/// PACIASP and its kin do nothing to their register while their key is off (`AddPACIA` of the shared pseudocode tests the enable
/// bit first). Then they can be simulated as a NOP, which needs no copy, nor an exception at a copy's end. While their key is on
/// they must run out of line, where they are faithful: they use X30 or X17, SP or X16, and the key, but never the PC. `classify`
/// says out of line, which is right in both cases.
///
/// BC.cond and `CB<cc>` are undefined on most CPUs, but a simulation of them would work on every CPU. If the CPU does not have
/// them, they run out of line, where they take the same exception as in place.
///
/// The answer of [`knowing`](Self::knowing) must stay true for as long as the probe is there. So a kernel that switches keys on at run
/// time does this before it places probes, or says from the beginning that the keys are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpu {
    /// Key A signs and authenticates instruction addresses in the probed context: SCTLR_ELx.EnIA, with FEAT_PAuth.
    pub ia: bool,
    /// Key B signs and authenticates instruction addresses in the probed context: SCTLR_ELx.EnIB, with FEAT_PAuth.
    pub ib: bool,
    /// FEAT_HBC: BC.cond.
    pub hbc: bool,
    /// FEAT_CMPBR: `CB<cc>`, `CBB<cc>`, `CBH<cc>`.
    pub cmpbr: bool,
}

impl Cpu {
    /// No key is on, and the CPU has all the instructions. [`knowing`](Self::knowing) then simulates all that it can.
    pub const NO_KEYS: Cpu = Cpu { ia: false, ib: false, hbc: true, cmpbr: true };

    /// Reads the properties from SCTLR_EL1 (SCTLR_EL2 for code that runs at EL2), ID_AA64ISAR1_EL1 and ID_AA64ISAR2_EL1.
    pub const fn of(sctlr: u64, isar1: u64, isar2: u64) -> Cpu {
        // APA and API; APA3.
        let pauth = isar1 >> 4 & 0xff != 0 || isar2 >> 12 & 0xf != 0;
        Cpu {
            ia: pauth && sctlr >> 31 & 1 == 1,
            ib: pauth && sctlr >> 30 & 1 == 1,
            hbc: isar2 >> 20 & 0xf != 0,  // BC
            cmpbr: isar2 >> 52 & 0xf > 1, // CSSC
        }
    }

    /// Corrects `class`, the verdict on `word`, by the properties of the CPU: a hint that signs or authenticates with a key that is
    /// off becomes a simulated NOP, and a branch that the CPU does not have runs out of line. A refusal stays a refusal, also that
    /// of a PACIASP behind a PACM.
    ///
    /// ```
    /// use stepwell_probe::{Class, Cpu, Sim, classify};
    ///
    /// let paciasp = 0xd503_233f;
    /// assert!(matches!(classify(paciasp), Class::OutOfLine(_)));
    /// assert_eq!(Cpu::NO_KEYS.knowing(paciasp, classify(paciasp)), Class::Simulate(Sim::Nop));
    /// let live = Cpu { ia: true, ..Cpu::NO_KEYS };
    /// assert_eq!(live.knowing(paciasp, classify(paciasp)), classify(paciasp));
    /// ```
    #[must_use]
    pub const fn knowing(self, word: u32, class: Class) -> Class {
        match class {
            Class::OutOfLine(_) if is_hint(word) => {
                let live = match hint(word) {
                    // PACIA1716, AUTIA1716; PACIAZ, PACIASP, AUTIAZ, AUTIASP.
                    8 | 12 | 24 | 25 | 28 | 29 => self.ia,
                    // The same with key B.
                    10 | 14 | 26 | 27 | 30 | 31 => self.ib,
                    // XPACLRI strips the signature whether keys are on or off.
                    _ => true,
                };
                if live { class } else { Class::Simulate(Sim::Nop) }
            }
            Class::Simulate(Sim::BranchCond { .. }) if word & 1 << 4 != 0 && !self.hbc => {
                Class::OutOfLine(Relocatable::new(word))
            }
            Class::Simulate(Sim::CompareBranch { .. }) if !self.cmpbr => {
                Class::OutOfLine(Relocatable::new(word))
            }
            _ => class,
        }
    }
}

pub(crate) const fn is_hint(word: u32) -> bool {
    word & 0xffff_f01f == 0xd503_201f
}

const fn hint(word: u32) -> u32 {
    bits(word, 5, 7)
}

/// Whether an indirect branch may lead to this instruction on a guarded page (FEAT_BTI). True for BTI c, j and jc, PACIASP and
/// PACIBSP, PACIASPPC and PACIBSPPC.
///
/// A BRK may replace a landing pad: BRK and HLT never take a Branch Target exception, whatever BTYPE is (`SetBTypeCompatible(TRUE)`
/// in their pseudocode). The B of an optimised probe must not replace a landing pad: code that calls the function by pointer
/// would take the exception. BTI without operand accepts no indirect branch, so it is no landing pad.
pub const fn is_landing_pad(word: u32) -> bool {
    accepts(word, 0b01, true) || accepts(word, 0b10, true)
}

/// Whether the instruction may be executed on a guarded page with this PSTATE.BTYPE (two bits; 0 after anything but an
/// indirect branch), or takes a Branch Target exception instead. `accept_jumps` is false where SCTLR_ELx.BT (BT1 at EL1, BT at
/// EL2) keeps PACIASP and kin from being targets of BR.
///
/// When a probe is hit, the indirect branch has reached the BRK, which accepts every branch. So a kernel that guards its text calls
/// this with the displaced word and the saved BTYPE (for [`Bti::Guarded`](crate::Bti::Guarded) pages only). If the answer is no, it
/// reports the exception that the displaced instruction would have taken.
pub const fn accepts(word: u32, btype: u8, accept_jumps: bool) -> bool {
    // `BTypeCompatible_BTI` and `BTypeCompatible_PACIXSP`.
    let btype = btype & 0b11;
    let signs_with_pc = matches!(word, 0xdac1_a3fe | 0xdac1_a7fe);
    match (is_hint(word), hint(word)) {
        _ if btype == 0 => true,
        (true, 34) => btype != 0b11,
        (true, 36) => btype != 0b10,
        (true, 38) => true,
        (true, 25 | 27) => btype != 0b11 || accept_jumps,
        _ if signs_with_pc => btype != 0b11 || accept_jumps,
        _ => is_breakpoint(word),
    }
}

/// Whether the word is BRK or HLT.
const fn is_breakpoint(word: u32) -> bool {
    matches!(word & 0xffe0_001f, 0xd420_0000 | 0xd440_0000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Reason;
    use crate::classify::classify;

    const fn word(hint: u32) -> u32 {
        0xd503_201f | hint << 5
    }

    #[test]
    fn only_signing_without_its_key_is_a_nop() {
        let (a, b) = ([8, 12, 24, 25, 28, 29], [10, 14, 26, 27, 30, 31]);
        for n in 0..128 {
            let class = classify(word(n));
            let knowing = |ia, ib| Cpu { ia, ib, ..Cpu::NO_KEYS }.knowing(word(n), class);
            let nop = Class::Simulate(Sim::Nop);
            assert_eq!(knowing(true, true), class, "hint {n}");
            assert_eq!(knowing(false, true), if a.contains(&n) { nop } else { class }, "hint {n}");
            assert_eq!(knowing(true, false), if b.contains(&n) { nop } else { class }, "hint {n}");
        }
        // PACIA x0, x1 and LDRAA are no hints: undefined without FEAT_PAuth.
        for word in [0xdac1_0020, 0xf820_0420] {
            assert!(matches!(Cpu::NO_KEYS.knowing(word, classify(word)), Class::OutOfLine(_)));
        }
        let behind_pacm = Class::Refuse(Reason::PcAuthentication);
        assert_eq!(Cpu::NO_KEYS.knowing(word(25), behind_pacm), behind_pacm);
    }

    #[test]
    fn what_the_cpu_does_not_have_is_undefined_out_of_line() {
        let none = Cpu { hbc: false, cmpbr: false, ..Cpu::NO_KEYS };
        // bc.eq; cbgt w7, w0; cbbhi w18, w0; cbne x23, #7
        for word in [0x5400_0050, 0x7400_05a7, 0x7440_9072, 0xf5e3_87b7] {
            let class = classify(word);
            assert!(matches!(class, Class::Simulate(_)), "{word:#010x}");
            assert_eq!(none.knowing(word, class), Class::OutOfLine(Relocatable::new(word)), "{word:#010x}");
            assert_eq!(Cpu::NO_KEYS.knowing(word, class), class, "{word:#010x}");
        }
        // b.eq, cbz, tbz, b, nop: every CPU has them.
        for word in [0x5400_0040, 0xb400_0043, 0x3600_0047, 0x1400_0001, 0xd503_201f] {
            assert_eq!(none.knowing(word, classify(word)), classify(word), "{word:#010x}");
        }
        let hbc = Cpu { hbc: true, ..none };
        assert!(matches!(hbc.knowing(0x5400_0050, classify(0x5400_0050)), Class::Simulate(_)));
        assert!(matches!(hbc.knowing(0x7400_05a7, classify(0x7400_05a7)), Class::OutOfLine(_)));
    }

    #[test]
    fn the_cpu_is_read_from_its_registers() {
        let none = Cpu { ia: false, ib: false, hbc: false, cmpbr: false };
        let all = Cpu { ia: true, ib: true, hbc: true, cmpbr: true };
        assert_eq!(Cpu::of(0, 0, 0), none);
        assert_eq!(Cpu::of(u64::MAX, u64::MAX, u64::MAX), all);
        // Enabled, but without FEAT_PAuth; then with each of its three algorithms.
        assert_eq!(Cpu::of(3 << 30, 0xf, 0xfff), none);
        for (isar1, isar2) in [(1 << 4, 0), (1 << 8, 0), (0, 1 << 12)] {
            assert_eq!(Cpu::of(1 << 31, isar1, isar2), Cpu { ia: true, ..none });
            assert_eq!(Cpu::of(1 << 30, isar1, isar2), Cpu { ib: true, ..none });
        }
        assert_eq!(Cpu::of(0, 0, 1 << 20), Cpu { hbc: true, ..none });
        assert_eq!(Cpu::of(0, 0, 1 << 52), none);
        assert_eq!(Cpu::of(0, 0, 2 << 52), Cpu { cmpbr: true, ..none });
    }

    #[test]
    fn landing_pads() {
        // bti c, j, jc; paciasp, pacibsp; paciasppc, pacibsppc
        let pads =
            [0xd503_245f, 0xd503_249f, 0xd503_24df, 0xd503_233f, 0xd503_237f, 0xdac1_a3fe, 0xdac1_a7fe];
        for pad in pads {
            assert!(is_landing_pad(pad), "{pad:#010x}");
        }
        let others = [
            0xd503_241f, // bti
            0xd503_201f, // nop
            0xd503_231f, // paciaz
            0xd503_23bf, // autiasp
            0xdac1_83fe, // pacnbiasppc
            0x1400_0001, // b
            0x9100_0000, // add
            0,
        ];
        for other in others {
            assert!(!is_landing_pad(other), "{other:#010x}");
        }
    }

    /// BTYPE: 01 BR X16, X17 or from an unguarded page, 10 BLR, 11 BR of another register.
    #[test]
    fn what_a_branch_may_lead_to() {
        let table = [
            (0xd503_241f, [true, false, false, false]), // bti
            (0xd503_245f, [true, true, true, false]),   // bti c
            (0xd503_249f, [true, true, false, true]),   // bti j
            (0xd503_24df, [true, true, true, true]),    // bti jc
            (0xd420_0080, [true, true, true, true]),    // brk
            (0xd440_0000, [true, true, true, true]),    // hlt
            (0x1400_0001, [true, false, false, false]), // b
            (0xd503_201f, [true, false, false, false]), // nop
        ];
        for (word, allowed) in table {
            for (btype, allowed) in allowed.into_iter().enumerate() {
                assert_eq!(accepts(word, btype as u8, false), allowed, "{word:#010x} {btype:02b}");
                assert_eq!(accepts(word, btype as u8, true), allowed, "{word:#010x} {btype:02b}");
            }
        }
        for word in [0xd503_233f, 0xd503_237f, 0xdac1_a3fe, 0xdac1_a7fe] {
            let row = |jumps| [0, 1, 2, 3].map(|btype| accepts(word, btype, jumps));
            assert_eq!(row(true), [true; 4], "{word:#010x}");
            assert_eq!(row(false), [true, true, true, false], "{word:#010x}");
        }
    }
}
