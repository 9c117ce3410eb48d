//! Each case is a function, written as words, with the indices of the instructions that are inside a sequence.
use super::*;

const BASE: u64 = 0xffff_8000_0000_1000;

const LDAXR: u32 = 0xc85f_fc00; // ldaxr x0, [x0]
const LDXP: u32 = 0xc87f_0400; // ldxp x0, x1, [x0]
const STLXR: u32 = 0xc801_fc02; // stlxr w1, x2, [x0]
const STXR: u32 = 0xc801_7c02; // stxr w1, x2, [x0]
const CLREX: u32 = 0xd503_3f5f;
const ADD: u32 = 0x9100_0421;
const RET: u32 = 0xd65f_03c0;
const BR: u32 = 0xd61f_0040;
const BL: u32 = 0x9400_1000;
const LDAR: u32 = 0xc8df_fc00;
const CASP: u32 = 0x4820_7c02;
const UDF: u32 = 0;

/// CBNZ W1 to `words` away.
fn cbnz(words: i32) -> u32 {
    0x3500_0001 | (words as u32 & 0x7_ffff) << 5
}

/// B to `words` away.
fn b(words: i32) -> u32 {
    0x1400_0000 | words as u32 & 0x3ff_ffff
}

fn fetch_from(words: &[u32]) -> impl Fn(u64) -> Option<u32> + '_ {
    |address| words.get(((address - BASE) / 4) as usize).copied()
}

/// The indices of `words` that lie inside a sequence.
fn inside(words: &[u32]) -> Vec<usize> {
    let end = BASE + 4 * words.len() as u64;
    (0..words.len())
        .filter(|n| in_exclusive_sequence(fetch_from(words), BASE + 4 * *n as u64, BASE, end))
        .collect()
}

#[test]
fn the_usual_loop() {
    // 1: ldaxr; add; stlxr; cbnz 1b; ret
    assert_eq!(inside(&[ADD, LDAXR, ADD, ADD, STLXR, cbnz(-4), RET]), [2, 3, 4]);
    assert_eq!(inside(&[LDXP, STXR]), [1]);
}

#[test]
fn compare_and_exchange_that_gives_up() {
    // 1: ldaxr; cbnz 2f; stlxr; cbnz 1b; ret; 2: clrex; add; ret
    assert_eq!(inside(&[LDAXR, cbnz(4), STLXR, cbnz(-3), RET, CLREX, ADD, RET]), [1, 2]);
}

#[test]
fn giving_up_without_clrex_leaves_no_sequence() {
    // The monitor is held at 4, but no store-exclusive follows.
    assert_eq!(inside(&[LDAXR, cbnz(3), STLXR, RET, ADD, RET]), [1, 2]);
}

#[test]
fn a_body_that_is_jumped_over_in_the_text() {
    // ldaxr; b 2f; 1: add; ret; 2: add; stlxr; ret: in address order, 2 and 3 follow the load-exclusive.
    assert_eq!(inside(&[LDAXR, b(3), ADD, RET, ADD, STLXR, RET]), [1, 4, 5]);
}

#[test]
fn a_body_before_its_load_exclusive() {
    // 0: b 2; 1: stlxr; (2 on) ret ... 3: ldaxr; b 1: only following branches backwards finds it.
    assert_eq!(inside(&[b(4), ADD, STLXR, RET, LDAXR, b(-4)]), [1, 2, 5]);
}

#[test]
fn through_several_backward_branches() {
    // 0: b 7; 1: stlxr; 2: ret; 3: add; 4: b 1; 5: add; 6: b 3; 7: ldaxr; 8: b 5
    assert_eq!(inside(&[b(7), STLXR, RET, ADD, b(-3), ADD, b(-3), LDAXR, b(-3)]), [1, 3, 4, 5, 6, 8]);
}

#[test]
fn a_loop_inside_the_sequence() {
    // ldaxr; 1: add; cbnz 1b; stlxr
    assert_eq!(inside(&[LDAXR, ADD, cbnz(-1), STLXR, RET]), [1, 2, 3]);
}

#[test]
fn waiting_for_a_lock() {
    // 1: ldaxr; cbnz 1b; stlxr; cbnz 1b; add; ret
    assert_eq!(inside(&[LDAXR, cbnz(-1), STLXR, cbnz(-3), ADD, RET]), [1, 2]);
}

#[test]
fn two_sequences_in_a_row() {
    assert_eq!(inside(&[LDAXR, STLXR, ADD, LDAXR, ADD, STLXR, RET]), [1, 4, 5]);
    // The second load-exclusive sets the monitor anew, so the instructions between the two sequences do not need the monitor.
    assert_eq!(inside(&[LDAXR, ADD, LDAXR, STLXR, RET]), [3]);
}

#[test]
fn clrex_ends_a_sequence() {
    // After CLREX the monitor is not held; before CLREX no store-exclusive follows that needs it.
    assert_eq!(inside(&[LDAXR, CLREX, ADD, STLXR, RET]), []);
    assert_eq!(inside(&[LDAXR, ADD, CLREX, STLXR, RET]), []);
}

#[test]
fn calls_come_back_and_traps_may() {
    assert_eq!(inside(&[LDAXR, BL, ADD, STLXR, RET]), [1, 2, 3]);
    assert_eq!(inside(&[LDAXR, 0xd400_0001, STLXR, RET]), [1, 2]);
    assert_eq!(inside(&[LDAXR, UDF, STLXR, RET]), []);
    assert_eq!(inside(&[LDAXR, RET, STLXR, RET]), []);
    for ret in [0x5500_001f, 0x5520_001f] {
        assert_eq!(inside(&[LDAXR, ret, STLXR, RET]), [], "retaasppc, retabsppc");
    }
    assert_eq!(inside(&[LDAXR, 0xd73f_0801, STLXR, RET]), [1, 2]); // blraa x0, x1
    assert_eq!(inside(&[LDAXR, 0xd65f_0bff, STLXR, RET]), []); // retaa
}

#[test]
fn what_only_looks_exclusive() {
    assert_eq!(inside(&[LDAR, ADD, STLXR, RET]), []);
    assert_eq!(inside(&[CASP, ADD, STLXR, RET]), []);
    assert_eq!(inside(&[ADD, STLXR, RET]), []);
    for word in [LDAR, CASP, 0x889f_fc00, 0xc8a0_7c02, 0x0820_7c00] {
        assert!(!is_load_exclusive(word) && !is_store_exclusive(word), "{word:#010x}");
    }
}

#[test]
fn every_exclusive_is_known_and_refused() {
    // ldxrb ldxrh ldxr(w) ldxr ldaxrb ldaxr ldxp(w) ldxp ldaxp, ldtxr(w) ldatxr
    let loads: [u32; 11] = [
        0x085f_7c20,
        0x485f_7c20,
        0x885f_7c20,
        0xc85f_7c20,
        0x085f_fc20,
        0xc85f_fc20,
        0x887f_0440,
        0xc87f_0440,
        0xc87f_8440,
        0x895f_7c20,
        0xc95f_fc20,
    ];
    for load in loads {
        // Clearing the L bit makes a store of each load.
        let store = load & !(1 << 22);
        assert!(is_load_exclusive(load) && !is_store_exclusive(load), "{load:#010x}");
        assert!(is_store_exclusive(store) && !is_load_exclusive(store), "{store:#010x}");
        assert_eq!(classify(load), Class::Refuse(Reason::Exclusive));
        assert_eq!(classify(store), Class::Refuse(Reason::Exclusive));
    }
}

#[test]
fn doubt_is_true() {
    // An indirect branch with the monitor held may go to any place of the function.
    assert_eq!(inside(&[ADD, LDAXR, BR, ADD, STLXR]), [0, 1, 2, 3, 4]);
    assert_eq!(inside(&[ADD, STLXR, BR, ADD]), []);
    // A hole in the text on the path.
    let words = [ADD, LDAXR, ADD, STLXR, RET];
    let hole = |address| if address == BASE + 8 { None } else { fetch_from(&words)(address) };
    assert!(in_exclusive_sequence(hole, BASE, BASE, BASE + 20));
    assert_eq!(
        classify_at(fetch_from(&[ADD, LDAXR, BR, ADD]), BASE, BASE, BASE + 16),
        Class::Refuse(Reason::Surroundings)
    );
}

/// Kernels without symbols pass their whole text, or the whole address space.
#[test]
fn a_long_function_is_looked_at_near_the_instruction() {
    let end = |words: usize| BASE + 4 * words as u64;
    // A loop in the middle, an indirect branch behind it.
    let loop_at = BASE + 4 * 100_000;
    let text = |address: u64| {
        Some(match address.wrapping_sub(loop_at) / 4 {
            0 => LDAXR,
            2 => STLXR,
            3 => cbnz(-3),
            5 => BR,
            _ => ADD,
        })
    };
    for words in [200_000, MAX_SEARCHED_WORDS as usize, MAX_SEARCHED_WORDS as usize + 1, 1 << 40] {
        let at = |n: u64| classify_at(text, loop_at.wrapping_add(n.wrapping_mul(4)), BASE, end(words));
        assert_eq!(
            [at(1), at(3)],
            [Class::Refuse(Reason::ExclusiveSequence), text(loop_at + 12).map(classify).unwrap()]
        );
        assert_eq!([at(0), at(2)], [Class::Refuse(Reason::Exclusive); 2]);
        for n in [4, 6, 1023, 1024, 1025, 5000] {
            assert!(matches!(at(n), Class::OutOfLine(_)), "{n} of {words}");
            assert!(matches!(at(n.wrapping_neg()), Class::OutOfLine(_)), "-{n} of {words}");
        }
    }
    // A sequence that begins at the largest distance that is searched, and one word further away.
    let pc = BASE + 4 * 100_000;
    for (distance, expected) in [(NEAR_WORDS as u64, true), (NEAR_WORDS as u64 + 1, false)] {
        let text = |address: u64| {
            Some(match address {
                _ if address == pc - 4 * distance => LDAXR,
                _ if address == pc + 4 => STLXR,
                _ => ADD,
            })
        };
        assert_eq!(in_exclusive_sequence(text, pc, BASE, end(200_000)), expected, "{distance} words");
    }
    // A function of exactly the length whose paths are all followed, and one word longer.
    let long = |address: u64| Some(if address == BASE { LDAXR } else { ADD });
    for words in [MAX_FUNCTION_WORDS, MAX_FUNCTION_WORDS + 1] {
        assert!(matches!(classify_at(long, BASE + 8, BASE, end(words)), Class::OutOfLine(_)));
        let far = |address: u64| if address == end(words) - 4 { Some(STLXR) } else { long(address) };
        let inside = in_exclusive_sequence(far, BASE + 8, BASE, end(words));
        assert_eq!(inside, words == MAX_FUNCTION_WORDS, "a sequence of {words} words");
    }
}

#[test]
fn the_time_is_bounded_whatever_the_function() {
    for (start, end) in [(0, u64::MAX), (2, u64::MAX - 1), (u64::MAX - 3, u64::MAX), (8, 0), (0, 0)] {
        for pc in [0, 2, 4, 0x1000, 1 << 63, u64::MAX - 3, u64::MAX] {
            for word in [ADD, LDAXR, b(-1), BR] {
                let fetched = std::cell::Cell::new(0);
                let fetch = |_| {
                    fetched.set(fetched.get() + 1);
                    Some(word)
                };
                classify_at(fetch, pc, start, end);
                in_exclusive_sequence(fetch, pc, start, end);
                assert!(fetched.get() < 1 << 18, "{} words looked at", fetched.get());
            }
        }
    }
}

#[test]
fn outside_the_function_nothing_is_inside() {
    let words = [LDAXR, ADD, STLXR];
    assert!(!in_exclusive_sequence(fetch_from(&words), BASE + 4, BASE, BASE));
    assert!(!in_exclusive_sequence(fetch_from(&words), BASE + 12, BASE, BASE + 12));
    // A branch out of the function ends its path.
    assert_eq!(inside(&[LDAXR, b(100), STLXR]), []);
    assert_eq!(inside(&[LDAXR, b(-100), STLXR]), []);
}

#[test]
fn in_place() {
    let words = [ADD, LDAXR, ADD, STLXR, 0xd503_24ff, 0xd503_233f, 0xd503_233f, CLREX];
    let at = |n: u64| classify_at(fetch_from(&words), BASE + 4 * n, BASE, BASE + 4 * words.len() as u64);
    assert!(matches!(at(0), Class::OutOfLine(_)));
    assert_eq!(at(1), Class::Refuse(Reason::Exclusive));
    assert_eq!(at(2), Class::Refuse(Reason::ExclusiveSequence));
    assert_eq!(at(3), Class::Refuse(Reason::Exclusive));
    assert_eq!(at(4), Class::Refuse(Reason::PcAuthentication)); // pacm
    assert_eq!(at(5), Class::Refuse(Reason::PcAuthentication)); // paciasp behind it
    assert!(matches!(at(6), Class::OutOfLine(_))); // paciasp
    assert!(matches!(at(7), Class::OutOfLine(_))); // clrex
    assert_eq!(classify_at(|_| None, BASE, BASE, BASE + 4), Class::Refuse(Reason::Unreadable));
    assert_eq!(
        Function::new(|_| None, BASE, BASE + 4).classify(|_| None, BASE),
        Class::Refuse(Reason::Unreadable)
    );
}

/// DDI 0487 C8.2, MOVPRFX: the instruction at PC + 4 must be its destructive partner, or the result is UNPREDICTABLE.
#[test]
fn a_move_prefix_and_its_partner_stay_together() {
    const MOVPRFX: u32 = 0x0420_bc20; // movprfx z0, z1
    const PARTNER: u32 = 0x0480_0421; // add z1.s, p1/m, ...
    for prefix in [MOVPRFX, 0x0411_2020, 0x0410_2020, 0x04d1_3c61] {
        let words = [ADD, prefix, PARTNER, ADD];
        let at = |n: u64| classify_at(fetch_from(&words), BASE + 4 * n, BASE, BASE + 16);
        let refused = Class::Refuse(Reason::MovePrefix);
        assert_eq!([at(0), at(1), at(2), at(3)], [classify(ADD), refused, refused, classify(ADD)]);
        // The function begins with the partner, as without symbols.
        let alone = classify_at(fetch_from(&words), BASE + 8, BASE + 8, BASE + 12);
        assert_eq!(alone, refused);
    }
    // Their neighbours: sel, and, mov z0.b, p0/m, b1.
    for word in [0x0420_bc20 ^ 1 << 10, 0x0412_2020, 0x0411_0020, 0x0431_2020, 0x0520_8020] {
        assert!(matches!(classify(word), Class::OutOfLine(_)), "{word:#010x}");
    }
}
