//! How many slots there are, and whether they can be reached.

use super::counts;
use crate::fake::{Pe, Stale};
use crate::{Banked, Counts, EMBWE, Kind, banks_answer};

const BREAKPOINTS: Kind = Kind::Breakpoint;
const WATCHPOINTS: Kind = Kind::Watchpoint;

fn of(dfr0: u64, dfr1: u64) -> (u8, u8) {
    let counts = Counts::from_ids(dfr0, dfr1);
    (counts.of(BREAKPOINTS), counts.of(WATCHPOINTS))
}

#[test]
fn a_count_is_the_field_plus_one() {
    // Cortex-A57: BRPs = 5, WRPs = 3, CTX_CMPs = 1.
    assert_eq!(of(0x1030_5106, 0), (6, 4));
    assert_eq!(of(0xf0_f006, 0), (16, 16));
    assert_eq!(of(!0xf0_000f | 6, u64::MAX), (16, 1));
    assert_eq!(of(!0xf00f | 6, u64::MAX), (1, 16));
}

#[test]
fn sixteen_or_more_are_counted_in_the_other_register_of_a_cpu_that_has_banks() {
    let v8p9 = 0xf0_f00b;
    assert_eq!(of(v8p9, 31 << 8 | 63 << 16), (32, 64));
    assert_eq!(of(v8p9, 16 << 8), (17, 16));
    assert_eq!(of(v8p9, 15 << 8 | 15 << 16), (16, 16));
    assert_eq!(of(0xf0_f00a, 31 << 8 | 63 << 16), (16, 16), "FEAT_Debugv8p8 has no such field");
    assert_eq!(of(0xf0_f00c, 31 << 8 | 63 << 16), (32, 64), "and what comes after has");
    assert_eq!(of(0x30_500b, 31 << 8 | 63 << 16), (6, 4), "fewer than 16 are counted where they ever were");
    assert_eq!(of(v8p9, 0xff << 8 | 64 << 16), (64, 64), "more than can be");
    // The neighbours' fields: SYSPMUID, CTX_CMPs.
    assert_eq!(of(v8p9, 0xff), (16, 16));
    assert_eq!(of(v8p9, 0xff << 24), (16, 16));
}

#[test]
fn banks_are_for_more_than_16() {
    assert!(!counts(16, 16).banked());
    assert!(counts(17, 4).banked() && counts(4, 17).banked());
    assert_eq!(counts(64, 20).first_bank(), counts(16, 16));
    assert_eq!(counts(64, 4).first_bank(), counts(16, 4));
    assert_eq!(counts(6, 20).least(counts(32, 4)), counts(6, 4));
}

#[test]
fn banks_that_are_kept_from_el1_are_noticed() {
    for (breakpoints, watchpoints) in [(64, 64), (17, 16), (16, 17), (6, 33), (49, 1)] {
        let counts = counts(breakpoints, watchpoints);
        for seed in 1..20 {
            let mut pe = Pe::out_of_reset(counts, seed * 77);
            pe.write_mdscr(EMBWE);
            crate::DebugRegs::isb(&mut pe);
            assert!(banks_answer(&mut Banked(&mut pe), counts), "{counts:?}");
            assert_eq!((pe.faults(), pe.mdselr()), (&[][..], 0));

            pe.deny_banks();
            assert!(!banks_answer(&mut Banked(&mut pe), counts), "{counts:?}");
        }
        let mut pe = Pe::brought_up(counts, Stale::Newest);
        pe.write_mdscr(0);
        crate::DebugRegs::isb(&mut pe);
        assert!(!banks_answer(&mut Banked(&mut pe), counts), "EMBWE is clear");
    }
}
