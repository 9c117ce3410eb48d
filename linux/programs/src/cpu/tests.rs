//! Tests of what a program is told of the CPU. The values are those of real CPUs.

use super::{Mrs, Registers};

/// The set of these bits.
fn set(bits: &[u32]) -> u64 {
    bits.iter().fold(0, |set, bit| set | 1 << bit)
}

/// Cortex-A57, as its Technical Reference Manual has it.
const A57: Registers = Registers {
    midr: 0x411f_d070,
    pfr0: 0x2222,
    pfr1: 0,
    isar0: 0x1_1120,
    isar1: 0,
    isar2: 0,
    mmfr0: 0x1124,
    mmfr1: 0,
    mmfr2: 0,
};

/// A CPU that has everything that the fields can tell.
const ALL: Registers = Registers {
    midr: 0,
    pfr0: !0,
    pfr1: !0,
    isar0: !0,
    isar1: !0,
    isar2: !0,
    mmfr0: !0,
    mmfr1: !0,
    mmfr2: !0,
};

fn mrs(crm: u8, op2: u8) -> Mrs {
    Mrs { to: 0, crm, op2 }
}

#[test]
fn a_cortex_a57_has_what_linux_says() {
    // FP, ASIMD, AES, PMULL, SHA1, SHA2, CRC32, CPUID.
    assert_eq!(A57.hwcap(), set(&[0, 1, 3, 4, 5, 6, 7, 11]));
    assert_eq!(A57.hwcap2(), 0);
    assert_eq!(A57.read(mrs(0, 0)), Some(0x411f_d070));
    assert_eq!(A57.read(mrs(0, 5)), Some(0x8000_0000));
    assert_eq!(A57.read(mrs(0, 6)), Some(0));
    assert_eq!(A57.read(mrs(4, 0)), Some(0x11));
    assert_eq!(A57.read(mrs(5, 0)), Some(6));
    assert_eq!(A57.read(mrs(6, 0)), Some(0x1_1120));
    assert_eq!(A57.read(mrs(7, 0)), Some(0xff00_0000));
}

#[test]
fn what_programs_cannot_use_is_hidden() {
    // EVTSTRM, SVE, PACA, PACG, and what came later.
    assert_eq!(ALL.hwcap() & (set(&[2, 22, 30]) | !0 << 31), 0);
    // SVE2, BTI, MTE, MTE3, SME, MOPS.
    assert_eq!(ALL.hwcap2() & set(&[1, 17, 18, 22, 23, 43]), 0);
    let shown = ALL.for_programs();
    // SVE, MTE, SME, BT, then API, APA, GPA, GPI, and MOPS.
    assert_eq!(shown.pfr0 >> 32 & 0xf, 0);
    assert_eq!(shown.pfr1, 0xf0);
    assert_eq!(shown.isar1 & 0xff00_0ff0, 0);
    assert_eq!(shown.isar2 & 0xf_0000, 0);
    // ID_AA64ZFR0_EL1, ID_AA64SMFR0_EL1, a register of AArch32, a reserved one.
    for (crm, op2) in [(4, 4), (4, 5), (2, 0), (7, 7)] {
        assert_eq!(ALL.read(mrs(crm, op2)), Some(0));
    }
    for (crm, op2) in [(0, 1), (0, 7), (1, 0), (1, 7)] {
        assert_eq!(ALL.read(mrs(crm, op2)), None);
    }
}

#[test]
fn a_cpu_without_floating_point_says_so() {
    let without = Registers { pfr0: 0xff_0011, ..Registers::default() };
    assert_eq!(without.hwcap(), set(&[11]));
    let half = Registers { pfr0: 0x11_0011, ..Registers::default() };
    assert_eq!(half.hwcap(), set(&[0, 1, 9, 10, 11]));
}

#[test]
fn each_bit_follows_from_its_field_alone() {
    let atomics = Registers { isar0: 2 << 20, ..Registers::default() };
    let base = Registers::default().hwcap();
    assert_eq!(atomics.hwcap() ^ base, set(&[8]));
    assert_eq!(Registers { isar0: 1 << 20, ..Registers::default() }.hwcap(), base);
    assert_eq!(Registers { isar0: 1 << 60, ..Registers::default() }.hwcap2(), set(&[16]));
    assert_eq!(Registers { isar2: 2, ..Registers::default() }.hwcap2(), set(&[31]));
}

#[test]
fn only_an_mrs_of_the_identification_space_is_decoded() {
    // mrs x3, midr_el1; mrs xzr, id_aa64isar0_el1; mrs x30, s3_0_c0_c7_7.
    assert_eq!(Mrs::decode(0xd538_0003), Some(Mrs { to: 3, crm: 0, op2: 0 }));
    assert_eq!(Mrs::decode(0xd538_061f), Some(Mrs { to: 31, crm: 6, op2: 0 }));
    assert_eq!(Mrs::decode(0xd538_07fe), Some(Mrs { to: 30, crm: 7, op2: 7 }));
    // mrs x0, s3_0_c0_c8_0; msr midr_el1, x0; mrs x0, sctlr_el1; mrs x0, ctr_el0; mrs x0, s2_0_c0_c0_0; udf; nop.
    for word in [0xd538_0800, 0xd518_0000, 0xd538_1000, 0xd53b_0020, 0xd530_0000, 0, 0xd503_201f] {
        assert_eq!(Mrs::decode(word), None, "{word:#x}");
    }
}
