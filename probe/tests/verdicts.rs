//! Verdicts on named instructions: what the specification lists, and the mistakes that others made.
use probe::ool::{self, Slot};
use probe::sim::{Literal, Sim, VectorSize};
use probe::{Class, Reason, classify};

#[track_caller]
fn refused(reason: Reason, words: &[u32]) {
    for &word in words {
        assert_eq!(classify(word), Class::Refuse(reason), "{word:#010x}");
    }
}

#[track_caller]
fn out_of_line(words: &[u32]) {
    for &word in words {
        assert_eq!(classify(word), Class::OutOfLine, "{word:#010x}");
    }
}

/// The kprobe crate takes all of these out of line.
#[test]
fn what_must_not_run_out_of_line() {
    assert_eq!(classify(0x9000_0000), Class::Simulate(Sim::Adrp { rd: 0, pages: 0 }));
    assert_eq!(
        classify(0x5800_0040),
        Class::Simulate(Sim::LoadLiteral { rt: 0, kind: Literal::Double, offset: 8 })
    );
    refused(Reason::AuthenticatedBranch, &[0xd73f_0801, 0xd65f_0bff]); // blraa x0, x1; retaa
    refused(Reason::ExceptionReturn, &[0xd69f_03e0]);
    refused(Reason::Exclusive, &[0xc85f_7c00, 0xc801_7c02]);
}

#[test]
fn authenticated_branches() {
    refused(
        Reason::AuthenticatedBranch,
        &[
            0xd71f_0801,
            0xd71f_0c01,
            0xd61f_081f,
            0xd61f_0c1f, // braa, brab, braaz, brabz
            0xd73f_0801,
            0xd73f_0c01,
            0xd63f_081f,
            0xd63f_0c1f, // blraa, blrab, blraaz, blrabz
            0xd65f_0bff,
            0xd65f_0fff,
            0xd65f_0be3,
            0xd65f_0fe3, // retaa, retab, retaasppcr, retabsppcr
            0x5500_001f,
            0x5520_001f, // retaasppc, retabsppc
        ],
    );
    refused(Reason::PcAuthentication, &[0xf380_001f, 0xdac1_a3fe, 0xdac1_83fe, 0xd503_24ff]); // autiasppc, paciasppc, pacnbiasppc, pacm
    // Signing and authenticating data, the link register among it, is what the key makes of it anywhere.
    out_of_line(&[0xd503_233f, 0xd503_23bf, 0xdac1_0020, 0xd503_20ff, 0xf820_0420]); // paciasp, autiasp, pacia, xpaclri, ldraa
}

#[test]
fn exceptions() {
    refused(
        Reason::ExceptionGeneration,
        &[0xd400_0001, 0xd400_0002, 0xd400_0003, 0xd4a0_0001, 0xd4a0_0002, 0xd4a0_0003],
    );
    refused(Reason::Breakpoint, &[0xd420_0000, ool::brk(ool::KPROBE), 0xd440_0000]);
    refused(Reason::ExceptionReturn, &[0xd69f_03e0, 0xd69f_0bff, 0xd69f_0fff, 0xd6bf_03e0]);
    refused(Reason::Udf, &[0x0000_0000, 0x0000_ffff]);
    refused(Reason::Unallocated, &[0x0001_0000, 0xd400_0000, 0xd400_0005, 0xe3ff_ffff]);
}

#[test]
fn processor_state() {
    // msr daifset, daifclr, allint; msr and mrs daif, allint
    refused(
        Reason::InterruptMasks,
        &[
            0xd503_42df,
            0xd503_4fff,
            0xd501_401f,
            0xd501_411f,
            0xd51b_4220,
            0xd53b_4220,
            0xd518_4300,
            0xd538_4300,
        ],
    );
    refused(Reason::StackSelect, &[0xd500_40bf, 0xd500_41bf, 0xd518_4200, 0xd538_4200]);
    // pan, uao, dit, ssbs, tco, svcr (smstart); immediate, then register
    refused(
        Reason::PstateWrite,
        &[0xd500_419f, 0xd500_417f, 0xd503_415f, 0xd503_413f, 0xd503_419f, 0xd503_477f],
    );
    refused(
        Reason::PstateWrite,
        &[0xd518_4260, 0xd518_4280, 0xd51b_42a0, 0xd51b_42c0, 0xd51b_42e0, 0xd51b_4240],
    );
    // Reading those is harmless; so is NZCV, CurrentEL, and cfinv.
    out_of_line(&[0xd538_4260, 0xd53b_42a0, 0xd53b_4200, 0xd51b_4200, 0xd538_4240, 0xd500_401f]);
}

/// A probe is itself an exception: it would be seen in these.
#[test]
fn registers_that_the_probe_overwrites() {
    refused(Reason::ExceptionState, &[0xd538_4020, 0xd538_4000, 0xd538_5200, 0xd538_6000]); // mrs elr, spsr, esr, far
    refused(Reason::ExceptionState, &[0xd518_4020, 0xd518_4000, 0xd518_5200, 0xd518_6000]);
    refused(Reason::ExceptionState, &[0xd508_779f, 0xd508_77bf, 0xd508_77df]); // gcspushx, gcspopcx, gcspopx
}

#[test]
fn other_system_instructions() {
    // msr mdscr_el1, oslar_el1; mrs tpidr_el1, cntvct_el0; tlbi vmalle1; dc zva; at s1e1r; sysl; mrrs
    out_of_line(&[
        0xd510_0240,
        0xd510_1080,
        0xd538_d080,
        0xd53b_e040,
        0xd508_871f,
        0xd50b_7420,
        0xd508_7800,
        0xd52b_7420,
    ]);
    // yield, sev, sevl, esb, psb, tsb, csdb, an unallocated hint; dmb, dsb, isb, sb, clrex
    out_of_line(&[
        0xd503_203f,
        0xd503_209f,
        0xd503_20bf,
        0xd503_221f,
        0xd503_223f,
        0xd503_225f,
        0xd503_229f,
        0xd503_2fff,
    ]);
    out_of_line(&[0xd503_3bbf, 0xd503_3f9f, 0xd503_3fdf, 0xd503_30ff, 0xd503_3f5f]);
    refused(Reason::Wait, &[0xd503_205f, 0xd503_207f, 0xd503_1000, 0xd503_1020]);
    refused(Reason::Transaction, &[0xd523_3060, 0xd523_3160, 0xd503_307f, 0xd460_0000]);
    for word in [0xd503_201f, 0xd503_241f, 0xd503_245f, 0xd503_249f, 0xd503_24df] {
        assert_eq!(classify(word), Class::Simulate(Sim::Nop), "{word:#010x}");
    }
}

#[test]
fn memory() {
    // ldar, stlr, ldlar, stllr, ldapr, ldarb, stlrh: ordered, not exclusive; cas, casp, cast
    out_of_line(&[0xc8df_fc00, 0xc89f_fc00, 0xc8df_7c00, 0xc89f_7c00, 0xf8bf_c000, 0x08df_fc00, 0x489f_fc00]);
    out_of_line(&[0xc8a0_7c02, 0x88e0_fc02, 0x4820_7c02, 0x0860_fc02, 0xc980_7c02]);
    // ldadd, swp, ldclr, ldumax; ld64b; stp, ldtr, prfm (register), ld1
    out_of_line(&[
        0xf820_0020,
        0xb8e0_8020,
        0x3820_1020,
        0x7820_6020,
        0xf83f_d020,
        0xa9bf_7bfd,
        0xf840_0820,
        0xf8a1_6800,
    ]);
    out_of_line(&[0x4c40_7000]);
    refused(
        Reason::MemoryCopy,
        &[0x1901_0440, 0x1941_0440, 0x1981_0440, 0x19c1_0440, 0x1d01_0440, 0x1dc1_0440],
    );
    for (word, size) in [
        (0x1c00_0047, VectorSize::Single),
        (0x5c00_0047, VectorSize::Double),
        (0x9c00_0047, VectorSize::Quad),
    ] {
        assert_eq!(classify(word), Class::Simulate(Sim::LoadVector { rt: 7, size, offset: 8 }));
    }
    // An odd register pair of casp; ldr literal with opc 11 of SIMD.
    refused(Reason::Unallocated, &[0x4821_7c02, 0x4820_7c03, 0xdc00_0000]);
}

#[test]
fn data_processing() {
    // add, subs, and, movz, bfm, extr, csel, madd, udiv, crc32, rmif, fadd
    out_of_line(&[
        0x9100_0421,
        0x7100_0421,
        0x9240_0021,
        0xd280_0020,
        0xb340_0020,
        0x93c0_0020,
        0x9a80_0020,
        0x9b00_7c20,
    ]);
    out_of_line(&[0x9ac0_0820, 0x1ac0_4020, 0xba00_0420, 0x1e60_2820]);
    // A logical immediate of all ones; movn with hw 2 of a W register; an odd bit field.
    refused(Reason::Unallocated, &[0x9240_fc00, 0x1240_0000, 0x12c0_0000, 0x5300_8000, 0xb300_0000]);
}

#[test]
fn what_is_exchangeable_can_still_be_refused_and_the_reverse() {
    assert!(ool::exchangeable(0xd400_0001) && matches!(classify(0xd400_0001), Class::Refuse(_)));
    assert!(!ool::exchangeable(0x9100_0421) && classify(0x9100_0421) == Class::OutOfLine);
    // Whatever the probed word is, the slot's last word stops or leaves.
    assert_eq!(ool::imm_of_brk(Slot::trapping(0x9100_0421).words[1]), Some(ool::OOL_END));
}

#[test]
fn every_reason_says_what_and_why() {
    let texts = Reason::ALL.map(|reason| reason.to_string());
    for (n, text) in texts.iter().enumerate() {
        assert!(text.contains(": ") && text.len() > 20, "{text}");
        assert!(!texts[..n].contains(text), "{text}");
    }
}
