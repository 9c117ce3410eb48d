use super::*;
use crate::symbols::Symbol;

const BASE: u64 = 0xffff_8000_8000_0000;
const NOP: u32 = 0xd503_201f;
const ISB: u32 = 0xd503_3fdf;
const RET: u32 = 0xd65f_03c0;
const ERET: u32 = 0xd69f_03e0;
const BLR: u32 = 0xd63f_0100;
/// MSR MDSCR_EL1, X0.
const MDSCR: u32 = 0xd510_0240;
/// MSR DAIFClr, #8.
const OPEN: u32 = 0xd503_48ff;

fn b(words: i32) -> u32 {
    0x1400_0000 | (words as u32 & 0x3ff_ffff)
}

fn bl(words: i32) -> u32 {
    0x9400_0000 | (words as u32 & 0x3ff_ffff)
}

fn cbz(words: i32) -> u32 {
    0xb400_0000 | (words as u32 & 0x7_ffff) << 5
}

/// The complaints about the functions `one` to `four`, which have 4 of these instructions each.
fn told(words: &[u32], list: &str) -> Vec<String> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let symbol = |(index, name): (usize, &&str)| Symbol {
        offset: index as u32 * 16,
        size: 16,
        name: (*name).into(),
        kind: Kind::Text,
        hash: 0,
        mangled: 0,
    };
    let symbols: Vec<_> = ["one", "two", "three", "four"].iter().enumerate().map(symbol).collect();
    let functions = Functions { start: BASE, symbols: &symbols };
    let text = Text { address: BASE, bytes: &bytes };
    let list = List::read(list).unwrap();
    let told = without_barrier(&text, &functions, &list, false);
    told.iter().map(|line| line.split(" # ").next().unwrap().to_owned()).collect()
}

#[test]
fn a_barrier_behind_the_write_is_enough_and_a_dropped_one_is_found() {
    assert_eq!(told(&[MDSCR, ISB, OPEN, RET], ""), [""; 0]);
    // MSR DBGBCR0_EL1, X0.
    for good in [ISB, ERET] {
        assert_eq!(told(&[0xd510_00a0, good, OPEN, RET], ""), [""; 0]);
    }
    assert_eq!(told(&[MDSCR, NOP, OPEN, RET], ""), ["one | MDSCR_EL1 | opens | one"]);
    assert_eq!(told(&[MDSCR, NOP, NOP, RET], ""), ["one | MDSCR_EL1 | returns | one"]);
    assert_eq!(told(&[MDSCR, BLR, ISB, RET], ""), ["one | MDSCR_EL1 | calls | one"]);
    assert_eq!(told(&[MDSCR, 0xd61f_0100, ISB, RET], ""), ["one | MDSCR_EL1 | jumps | one"]);
}

#[test]
fn an_exception_return_is_not_enough_for_steps() {
    assert_eq!(told(&[MDSCR, ERET, OPEN, RET], ""), ["one | MDSCR_EL1 | erets | one"]);
    assert_eq!(told(&[MDSCR, ISB, ERET, RET], ""), [""; 0]);
    assert_eq!(told(&[MDSCR, b(3), NOP, NOP, NOP, NOP, ERET, RET], ""), ["one | MDSCR_EL1 | erets | two"]);
    let excuse = "[writes]\none | MDSCR_EL1 | erets | one # no step waits there\n";
    assert_eq!(told(&[MDSCR, ERET, OPEN, RET], excuse), [""; 0]);
}

#[test]
fn one_way_without_a_barrier_is_enough_to_be_told() {
    assert_eq!(told(&[MDSCR, cbz(2), ISB, RET], ""), ["one | MDSCR_EL1 | returns | one"]);
    assert_eq!(
        told(&[MDSCR, cbz(3), MDSCR, ISB, OPEN, RET, RET, RET], ""),
        ["one | MDSCR_EL1 | opens | two"]
    );
    assert_eq!(told(&[cbz(2), MDSCR, NOP, RET], ""), ["one | MDSCR_EL1 | returns | one"]);
    assert_eq!(told(&[MDSCR, b(0), NOP, RET], "").len(), 0, "it never goes on");
}

#[test]
fn an_isb_that_is_recorded_as_owed_may_follow_a_comparison() {
    // mov x9, #-1; str x9, [x0, #8].
    let (ones, store) = (0x9280_0009, 0xf900_0409);
    let pays = |ones, store| told(&[ones, store, MDSCR, cbz(2), ISB, OPEN, RET, RET], "").len();
    let whole = |ones, store| {
        let bytes: Vec<u8> = [ones, store, MDSCR, cbz(3), MDSCR, ISB, OPEN, RET, ISB, RET, RET, RET]
            .iter()
            .flat_map(|word: &u32| word.to_le_bytes())
            .collect();
        let symbols =
            [Symbol { offset: 0, size: 48, name: "all".into(), kind: Kind::Text, hash: 0, mangled: 0 }];
        let functions = Functions { start: BASE, symbols: &symbols };
        let text = Text { address: BASE, bytes: &bytes };
        without_barrier(&text, &functions, &List::default(), false).len()
    };
    assert_eq!(whole(ones, store), 0);
    assert_eq!(whole(NOP, store), 1, "another value");
    assert_eq!(whole(ones, NOP), 1, "nothing is stored");
    assert_eq!(pays(NOP, NOP), 1);
    // The same, but a function with the ISB is called.
    assert_eq!(told(&[ones, store, MDSCR, cbz(2), bl(4), OPEN, RET, RET, ISB, RET, RET, RET], "").len(), 0);
    assert_eq!(told(&[ones, store, MDSCR, cbz(2), bl(4), OPEN, RET, RET, NOP, RET, RET, RET], "").len(), 1);
    // A tail call of that function, on the way that pays; on the other way D opens at once.
    let tail = |isb| told(&[ones, store, MDSCR, cbz(2), OPEN, b(3), NOP, NOP, isb, RET, RET, RET], "").len();
    assert_eq!((tail(ISB), tail(NOP)), (0, 2), "D opens on both ways");
}

#[test]
fn an_isb_may_be_recorded_far_away_on_the_way() {
    // MSR; B to the store of all ones, 110 instructions away; the comparison; the ISB.
    let whole = |store| {
        let mut words = vec![0x9280_0009, MDSCR, b(110)];
        words.resize(112, NOP);
        words.extend([store, cbz(3), MDSCR, ISB, OPEN, RET]);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let size = bytes.len() as u32;
        let symbols = [Symbol { offset: 0, size, name: "all".into(), kind: Kind::Text, hash: 0, mangled: 0 }];
        let functions = Functions { start: BASE, symbols: &symbols };
        let text = Text { address: BASE, bytes: &bytes };
        without_barrier(&text, &functions, &List::default(), false).len()
    };
    assert_eq!((whole(0xf900_0409), whole(NOP)), (0, 1));
}

#[test]
fn calls_and_callers_are_followed() {
    let two = |last: u32| [MDSCR, NOP, NOP, RET, bl(-4), NOP, last, RET];
    assert_eq!(told(&two(ISB), ""), [""; 0]);
    assert_eq!(told(&two(OPEN), ""), ["one | MDSCR_EL1 | opens | two"]);
    assert_eq!(told(&[ISB, NOP, NOP, RET, MDSCR, bl(-5), OPEN, RET], ""), [""; 0], "the callee has it");
    assert_eq!(told(&[OPEN, ISB, NOP, RET, MDSCR, bl(-5), ISB, RET], ""), ["two | MDSCR_EL1 | opens | one"]);
    // A tail call: `two` returns for `one`, which `three` calls.
    let tail = |last: u32| [MDSCR, b(3), NOP, NOP, NOP, NOP, NOP, RET, bl(-8), last, OPEN, RET];
    assert_eq!(told(&tail(ISB), ""), [""; 0]);
    assert_eq!(told(&tail(NOP), ""), ["one | MDSCR_EL1 | opens | three"]);
    // `two` ends with a tail call of `one`; `three` calls `two`.
    let outer = |last: u32| [MDSCR, NOP, NOP, RET, NOP, b(-5), NOP, NOP, bl(-4), last, OPEN, RET];
    assert_eq!(told(&outer(ISB), ""), [""; 0]);
    assert_eq!(told(&outer(NOP), ""), ["one | MDSCR_EL1 | opens | three"]);
}

#[test]
fn functions_that_call_each_other_are_followed() {
    // `one` and `three` call each other. `two` calls `one`, so `three` is looked into while `one` is; then `four` calls `three`.
    let told = |open| {
        let (one, two) = ([cbz(2), bl(7), open, RET], [MDSCR, bl(-5), ISB, RET]);
        let (three, four) = ([bl(-8), RET, NOP, NOP], [MDSCR, bl(-5), ISB, RET]);
        told(&[one, two, three, four].concat(), "")
    };
    assert_eq!(told(OPEN), ["four | MDSCR_EL1 | opens | one", "two | MDSCR_EL1 | opens | one"]);
    assert_eq!(told(ISB), [""; 0]);
}

#[test]
fn numbered_registers_are_chosen_by_a_table() {
    // adr x8, +12; add x8, x8, x1, lsl #3; br x8; then msr dbgbcr0_el1, x2; b end; msr dbgbcr1_el1, x2; b end; end: ...
    let table = |end: u32| {
        [0x1000_0068, 0x8b01_0d08, 0xd61f_0100, 0xd510_00a2, b(3), 0xd510_01a2, b(1), end, RET, NOP, NOP, NOP]
    };
    let words = |end| {
        let mut words = vec![MDSCR, NOP, NOP, NOP];
        words.extend(table(end));
        words
    };
    // The table is longer than a function of 4 words, so this test has one larger function.
    let bytes: Vec<u8> = words(ISB).iter().flat_map(|word| word.to_le_bytes()).collect();
    let symbols = [Symbol { offset: 0, size: 64, name: "all".into(), kind: Kind::Text, hash: 0, mangled: 0 }];
    let functions = Functions { start: BASE, symbols: &symbols };
    let text = Text { address: BASE, bytes: &bytes };
    assert_eq!(Walker::new(&text, &functions).table(BASE + 24, 8), Some(vec![BASE + 28, BASE + 36]));
    assert_eq!(without_barrier(&text, &functions, &List::default(), false), [""; 0]);
    let bytes: Vec<u8> = words(NOP).iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = Text { address: BASE, bytes: &bytes };
    assert_eq!(without_barrier(&text, &functions, &List::default(), false).len(), 2);
}

#[test]
fn what_is_listed_is_not_told() {
    let words = [MDSCR, NOP, NOP, RET];
    for line in ["one | MDSCR_EL1 | returns | one", "* | * | * | one", "* | TCR_EL1 MDSCR_EL1 | returns | *"]
    {
        assert_eq!(told(&words, &format!("[writes]\n{line} # a good reason\n")), [""; 0], "{line}");
    }
    for line in ["two | * | * | *", "* | TCR_EL1 | * | *", "* | * | opens | *", "* | * | * | two"] {
        assert_eq!(told(&words, &format!("[writes]\n{line} # a good reason\n")).len(), 1, "{line}");
    }
    assert!(List::read("[writes]\none | * | * | *").unwrap_err().contains("line 2"));
    assert!(List::read("[writes]\none | X | * | * # a good reason").unwrap_err().contains("register"));
    List::read(LIST).unwrap();
}

#[test]
fn a_missing_ordered_access_is_found() {
    let symbols = [Symbol { offset: 0, size: 8, name: "k::f".into(), kind: Kind::Text, hash: 0, mangled: 0 }];
    let functions = Functions { start: BASE, symbols: &symbols };
    let missing = |word: u32, needs: &str| {
        let bytes: Vec<u8> = [word, RET].iter().flat_map(|word| word.to_le_bytes()).collect();
        let list = List::read(&format!("[ordered]\nk::f | {needs} # a good reason\n")).unwrap();
        unordered(&Text { address: BASE, bytes: &bytes }, &functions, &list).len()
    };
    for (word, needs) in [
        (0x889f_fc20, "release"), // stlr w0, [x1]
        (0xc89f_fc20, "release"), // stlr x0, [x1]
        (0x089f_fc20, "release"), // stlrb
        (0x8802_fc20, "release"), // stlxr w2, w0, [x1]
        (0x88df_fc20, "acquire"), // ldar w0, [x1]
        (0x885f_fc20, "acquire"), // ldaxr w0, [x1]
        (0xd503_3bbf, "barrier"), // dmb ish
    ] {
        assert_eq!(missing(word, needs), 0, "{word:#x}");
        assert_eq!(missing(NOP, needs), 1, "{needs}");
    }
    assert_eq!(missing(0x8802_7c20, "release"), 1, "stxr");
    assert_eq!(missing(0x885f_7c20, "acquire"), 1, "ldxr");
    assert_eq!(missing(0x889f_fc20, "acquire"), 1);
    assert_eq!(missing(0x889f_fc20, "2 release"), 1);
}
