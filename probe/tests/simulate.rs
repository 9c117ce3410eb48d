//! Tests of the simulation: the semantics of each instruction by cases written by hand, properties of random words, and branch
//! targets compared with the decoder's.
use fARM64::decode::decode;
use fARM64::{FeatureSet, Operand};
use proptest::prelude::*;
use stepwell_probe::sim::{Compare, Cond, Width};
use stepwell_probe::{Bti, Class, Exception, Mem, Regs, Sim, classify, simulate};

const PC: u64 = 0xffff_8000_1234_5678;
const N: u64 = 1 << 31;
const Z: u64 = 1 << 30;
const C: u64 = 1 << 29;
const V: u64 = 1 << 28;
/// EL1h, all masked, BTYPE 0.
const PSTATE: u64 = 0x3c5;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Frame {
    x: [u64; 31],
    pstate: u64,
    pc: u64,
    v: [u128; 32],
    simd_trapped: bool,
}

impl Frame {
    fn new() -> Frame {
        let mut x = [0; 31];
        for (n, x) in x.iter_mut().enumerate() {
            *x = 0xdead_0000_0000_0000 | n as u64;
        }
        Frame { x, pstate: PSTATE, pc: PC, v: [u128::MAX; 32], simd_trapped: false }
    }
}

impl Regs for Frame {
    fn x(&self, n: u8) -> u64 {
        self.x[usize::from(n)]
    }
    fn set_x(&mut self, n: u8, value: u64) {
        self.x[usize::from(n)] = value;
    }
    fn pstate(&self) -> u64 {
        self.pstate
    }
    fn set_pstate(&mut self, value: u64) {
        self.pstate = value;
    }
    fn set_pc(&mut self, value: u64) {
        self.pc = value;
    }
    fn simd_trapped(&self) -> bool {
        self.simd_trapped
    }
    fn set_v(&mut self, n: u8, value: u128) {
        assert!(!self.simd_trapped);
        self.v[usize::from(n)] = value;
    }
}

/// Memory in which each address holds a value made from it, and that can refuse; and the BTI state of the text.
#[derive(Clone, Copy)]
struct Memory {
    readable: bool,
    bti: Bti,
}

const READABLE: Memory = Memory { readable: true, bti: Bti::Absent };

fn content(address: u64) -> u64 {
    address.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 0x8000_0000_8000_0000
}

impl Mem for Memory {
    type Error = u64;
    fn read_u32(&mut self, address: u64) -> Result<u32, u64> {
        self.read_u64(address).map(|value| value as u32)
    }
    fn read_u64(&mut self, address: u64) -> Result<u64, u64> {
        if self.readable { Ok(content(address)) } else { Err(address) }
    }
    fn bti(&self, _: u64) -> Bti {
        self.bti
    }
}

#[track_caller]
fn sim(word: u32) -> Sim {
    match classify(word) {
        Class::Simulate(sim) => sim,
        class => panic!("{word:#010x} is {class:?}"),
    }
}

/// Runs `word` at `PC` from `frame`.
#[track_caller]
fn run(word: u32, frame: &Frame) -> Frame {
    let mut after = frame.clone();
    simulate(sim(word), PC, &mut after, &mut READABLE.clone()).unwrap();
    after
}

/// `frame` with another PC.
fn at(frame: &Frame, pc: u64) -> Frame {
    Frame { pc, ..frame.clone() }
}

#[test]
fn nop_bti_and_prefetch_go_on() {
    let mut landing = Frame::new();
    // The NZCV and the masks stay, BTYPE goes.
    landing.pstate |= N | C | 0b10 << 10;
    for word in [0xd503_201f, 0xd503_241f, 0xd503_245f, 0xd503_249f, 0xd503_24df, 0xd800_0000] {
        let after = run(word, &landing);
        assert_eq!(after, Frame { pstate: PSTATE | N | C, ..at(&landing, PC + 4) }, "{word:#010x}");
    }
}

#[test]
fn branches_and_calls() {
    let frame = Frame::new();
    assert_eq!(run(0x1400_0000, &frame), at(&frame, PC));
    assert_eq!(run(0x17ff_ffff, &frame), at(&frame, PC - 4));
    assert_eq!(run(0x15ff_ffff, &frame), at(&frame, PC + (1 << 27) - 4));
    assert_eq!(run(0x1600_0000, &frame), at(&frame, PC - (1 << 27)));
    let after = run(0x9600_0000, &frame);
    assert_eq!((after.pc, after.x[30]), (PC - (1 << 27), PC + 4));
    assert_eq!(after.x[..30], frame.x[..30]);
}

#[test]
fn every_condition_under_all_flags() {
    for flags in 0..16u64 {
        let frame = Frame { pstate: PSTATE | flags << 28, ..Frame::new() };
        let [n, z, c, v] = [N, Z, C, V].map(|flag| frame.pstate & flag != 0);
        let holds = [
            z,
            !z,
            c,
            !c,
            n,
            !n,
            v,
            !v,
            c && !z,
            !c || z,
            n == v,
            n != v,
            !z && n == v,
            z || n != v,
            true,
            true,
        ];
        for (cond, taken) in holds.into_iter().enumerate() {
            for hinted in [0, 1 << 4] {
                let word = 0x5400_0000 | 4 << 5 | hinted | cond as u32; // b.cond, bc.cond .+16
                assert_eq!(
                    run(word, &frame),
                    at(&frame, PC + if taken { 16 } else { 4 }),
                    "{word:#010x} {flags:04b}"
                );
            }
            assert_eq!(Cond::new(cond as u8).holds(frame.pstate), taken);
        }
    }
}

#[test]
fn compare_with_zero_minds_the_width() {
    let mut frame = Frame::new();
    frame.x[3] = 1 << 32;
    let (cbz_w, cbz_x, cbnz_w, cbnz_x) = (0x3400_0043, 0xb400_0043, 0x3500_0043, 0xb500_0043); // x3, .+8
    assert_eq!(run(cbz_w, &frame).pc, PC + 8);
    assert_eq!(run(cbz_x, &frame).pc, PC + 4);
    assert_eq!(run(cbnz_w, &frame).pc, PC + 4);
    assert_eq!(run(cbnz_x, &frame).pc, PC + 8);
    // XZR is zero.
    assert_eq!(run(0xb400_005f, &frame).pc, PC + 8);
    assert_eq!(run(0xb500_005f, &frame).pc, PC + 4);
}

#[test]
fn test_bit_reaches_all_64() {
    for bit in 0..64u32 {
        let mut frame = Frame::new();
        frame.x[7] = 1 << bit;
        for tested in 0..64u32 {
            let word = 0x3600_0047 | (tested >> 5) << 31 | (tested & 31) << 19; // tbz x7, #tested, .+8
            assert_eq!(run(word, &frame).pc, PC + if bit == tested { 4 } else { 8 });
            assert_eq!(run(word | 1 << 24, &frame).pc, PC + if bit == tested { 8 } else { 4 });
        }
    }
    assert_eq!(run(0x3600_005f, &Frame::new()).pc, PC + 8); // tbz wzr, #0
}

/// A branch target computed in a 32-bit integer loses the kernel's upper half, and sign-extends what is left.
#[test]
fn register_branches_keep_all_64_bits() {
    for target in
        [0xffff_8000_8000_0001u64, 0x0000_7fff_ffff_fffc, 0x8000_0000, 0xffff_ffff, 1 << 63, 1 << 32, 0]
    {
        let mut frame = Frame::new();
        frame.x[5] = target;
        assert_eq!(run(0xd61f_00a0, &frame), at(&frame, target)); // br x5
        assert_eq!(run(0xd65f_00a0, &frame), at(&frame, target)); // ret x5
        let after = run(0xd63f_00a0, &frame); // blr x5
        assert_eq!((after.pc, after.x[30]), (target, PC + 4));
    }
    // Return addresses, too.
    for pc in [0xffff_8000_7fff_fffcu64, 0x0000_0000_ffff_fffc, 0xffff_ffff_ffff_fffc] {
        let mut frame = Frame::new();
        simulate(sim(0x9400_0002), pc, &mut frame, &mut READABLE.clone()).unwrap();
        assert_eq!((frame.pc, frame.x[30]), (pc.wrapping_add(8), pc.wrapping_add(4)));
    }
}

#[test]
fn blr_x30_goes_where_x30_was() {
    let mut frame = Frame::new();
    frame.x[30] = 0xffff_8000_0000_4000;
    let after = run(0xd63f_03c0, &frame);
    assert_eq!((after.pc, after.x[30]), (0xffff_8000_0000_4000, PC + 4));
}

#[test]
fn branch_to_xzr_goes_to_zero() {
    assert_eq!(run(0xd61f_03e0, &Frame::new()).pc, 0);
}

#[test]
fn btype_is_as_the_branch_sets_it() {
    let (br_x5, br_x16, br_x17, blr, ret, b) =
        (0xd61f_00a0, 0xd61f_0200, 0xd61f_0220, 0xd63f_00a0, 0xd65f_00a0, 0x1400_0001);
    let cases = [
        (Bti::Absent, [(br_x5, 0), (br_x16, 0), (br_x17, 0), (blr, 0), (ret, 0), (b, 0)]),
        (Bti::Unguarded, [(br_x5, 1), (br_x16, 1), (br_x17, 1), (blr, 2), (ret, 0), (b, 0)]),
        (Bti::Guarded, [(br_x5, 3), (br_x16, 1), (br_x17, 1), (blr, 2), (ret, 0), (b, 0)]),
    ];
    for (bti, words) in cases {
        for (word, btype) in words {
            for before in 0..4 {
                let mut frame = Frame { pstate: PSTATE | Z | before << 10, ..Frame::new() };
                simulate(sim(word), PC, &mut frame, &mut Memory { bti, ..READABLE }).unwrap();
                assert_eq!(frame.pstate, PSTATE | Z | btype << 10, "{word:#010x} {bti:?}");
            }
        }
    }
}

/// `ADRP` run out of line gives the slot's page.
#[test]
fn adr_and_adrp_count_from_the_probed_instruction() {
    let frame = Frame::new();
    let with_x9 = |value: u64| {
        let mut after = at(&frame, PC + 4);
        after.x[9] = value;
        after
    };
    assert_eq!(run(0x1000_0009, &frame), with_x9(PC));
    assert_eq!(run(0x70ff_ffe9, &frame), with_x9(PC - 1));
    assert_eq!(run(0x1080_0009, &frame), with_x9(PC - (1 << 20)));
    assert_eq!(run(0x9000_0009, &frame), with_x9(PC & !0xfff));
    assert_eq!(run(0xf0ff_ffe9, &frame), with_x9((PC & !0xfff) - 0x1000));
    assert_eq!(run(0x9080_0009, &frame), with_x9((PC & !0xfff) - (1 << 32)));
    assert_eq!(run(0xf07f_ffe9, &frame), with_x9((PC & !0xfff) + (1 << 32) - 0x1000));
    // To XZR they do nothing.
    assert_eq!(run(0x9000_001f, &frame), at(&frame, PC + 4));
}

#[test]
fn literal_loads() {
    let frame = Frame::new();
    let address = PC - 8;
    let with_x2 = |value: u64| {
        let mut after = at(&frame, PC + 4);
        after.x[2] = value;
        after
    };
    assert_eq!(run(0x18ff_ffc2, &frame), with_x2(content(address) & 0xffff_ffff));
    assert_eq!(run(0x58ff_ffc2, &frame), with_x2(content(address)));
    assert_eq!(run(0x98ff_ffc2, &frame), with_x2(content(address) | 0xffff_ffff_0000_0000));
    assert_eq!(run(0x58ff_ffdf, &frame), at(&frame, PC + 4)); // to xzr
}

#[test]
fn literal_loads_of_vectors() {
    let frame = Frame::new();
    let address = PC - 8;
    let double = u128::from(content(address));
    for n in 0..32 {
        let with = |value: u128| {
            let mut after = at(&frame, PC + 4);
            after.v[n as usize] = value;
            after
        };
        assert_eq!(run(0x1cff_ffc0 | n, &frame), with(double & 0xffff_ffff), "s{n}");
        assert_eq!(run(0x5cff_ffc0 | n, &frame), with(double), "d{n}");
        assert_eq!(
            run(0x9cff_ffc0 | n, &frame),
            with(u128::from(content(address + 8)) << 64 | double),
            "q{n}"
        );
    }
}

/// The trap comes before the access, so also where the literal cannot be read.
#[test]
fn a_trapped_vector_load_changes_nothing_and_reads_nothing() {
    let before = Frame { pstate: PSTATE | 0b10 << 10, simd_trapped: true, ..Frame::new() };
    for word in [0x1c00_0042, 0x5c00_0042, 0x9c00_0042] {
        for readable in [true, false] {
            let mut frame = before.clone();
            let mut memory = Memory { readable, ..READABLE };
            let done = simulate(sim(word), PC, &mut frame, &mut memory);
            assert_eq!(done, Err(Exception::SimdTrap), "{word:#010x}");
            assert_eq!(frame, before);
        }
    }
    // EC 7, IL, CV, COND 14.
    assert_eq!(stepwell_probe::sim::SIMD_TRAP, 0x1fe0_0000);
}

/// A frame that knows nothing of SIMD&FP registers.
struct Plain;

impl Regs for Plain {
    fn x(&self, _: u8) -> u64 {
        0
    }
    fn set_x(&mut self, _: u8, _: u64) {}
    fn pstate(&self) -> u64 {
        0
    }
    fn set_pstate(&mut self, _: u64) {}
    fn set_pc(&mut self, _: u64) {
        panic!("it goes nowhere");
    }
}

/// Who knows nothing of these registers is taken to have them trapped.
#[test]
fn vector_loads_are_trapped_by_default() {
    let done = simulate(sim(0x9c00_0042), PC, &mut Plain, &mut READABLE.clone());
    assert_eq!(done, Err(Exception::SimdTrap));
}

#[test]
fn a_literal_that_cannot_be_read_changes_nothing() {
    let before = Frame { pstate: PSTATE | 0b10 << 10, ..Frame::new() };
    for word in [0x1800_0042, 0x5800_0042, 0x9800_0042, 0x5800_005f, 0x1c00_0042, 0x5c00_0042, 0x9c00_0042] {
        let mut frame = before.clone();
        let mut memory = Memory { readable: false, ..READABLE };
        assert_eq!(
            simulate(sim(word), PC, &mut frame, &mut memory),
            Err(Exception::Memory(PC + 8)),
            "{word:#010x}"
        );
        assert_eq!(frame, before);
        assert_eq!(sim(word).literal(PC), Some(PC + 8));
    }
    // A prefetch of it is no fault.
    let mut frame = before.clone();
    simulate(sim(0xd800_0042), PC, &mut frame, &mut Memory { readable: false, ..READABLE }).unwrap();
    assert_eq!(frame.pc, PC + 4);
}

/// CB<cc> of registers and of an immediate: the comparison in 128 bits.
fn compare_branch(word: u32, lhs: u64, rhs: u64) -> bool {
    let Sim::CompareBranch { compare, width, .. } = sim(word) else { panic!("{word:#010x}") };
    let bits = match width {
        Width::Byte => 8,
        Width::Half => 16,
        Width::Word => 32,
        Width::Double => 64,
    };
    let unsigned = |value: u64| i128::from(value) & ((1 << bits) - 1);
    let signed = |value: u64| {
        let value = unsigned(value);
        if value >> (bits - 1) & 1 == 1 { value - (1 << bits) } else { value }
    };
    match compare {
        Compare::Equal => unsigned(lhs) == unsigned(rhs),
        Compare::NotEqual => unsigned(lhs) != unsigned(rhs),
        Compare::SignedGreater => signed(lhs) > signed(rhs),
        Compare::SignedGreaterEqual => signed(lhs) >= signed(rhs),
        Compare::SignedLess => signed(lhs) < signed(rhs),
        Compare::UnsignedGreater => unsigned(lhs) > unsigned(rhs),
        Compare::UnsignedGreaterEqual => unsigned(lhs) >= unsigned(rhs),
        Compare::UnsignedLess => unsigned(lhs) < unsigned(rhs),
    }
}

#[test]
fn compare_and_branch_decodes_what_it_says() {
    let shape = |word| match sim(word) {
        Sim::CompareBranch { compare, width, lhs, .. } => (compare, width, lhs),
        sim => panic!("{sim:?}"),
    };
    assert_eq!(shape(0x7400_05a7), (Compare::SignedGreater, Width::Word, 7)); // cbgt w7, w0
    assert_eq!(shape(0xf4e9_39c5), (Compare::NotEqual, Width::Double, 5)); // cbne x5, x9
    assert_eq!(shape(0x7440_9072), (Compare::UnsignedGreater, Width::Byte, 18)); // cbbhi w18, w0
    assert_eq!(shape(0x7420_e35d), (Compare::SignedGreaterEqual, Width::Half, 29)); // cbhge w29, w0
    assert_eq!(shape(0x7520_02c9), (Compare::SignedLess, Width::Word, 9)); // cblt w9, #0
    assert_eq!(shape(0x7460_03fb), (Compare::UnsignedGreaterEqual, Width::Word, 27)); // cbhs w27, w0
    assert_eq!(shape(0x74c0_08f8), (Compare::Equal, Width::Word, 24)); // cbeq w24, w0
    assert_eq!(shape(0x74c0_c240), (Compare::Equal, Width::Half, 0)); // cbheq w0, w0
    assert_eq!(shape(0x7420_1313), (Compare::SignedGreaterEqual, Width::Word, 19)); // cbge w19, w0
    assert_eq!(shape(0x7505_0672), (Compare::SignedGreater, Width::Word, 18)); // cbgt w18, #10
    assert_eq!(shape(0xf5e3_87b7), (Compare::NotEqual, Width::Double, 23)); // cbne x23, #7
    assert_eq!(shape(0x7560_0e4b), (Compare::UnsignedLess, Width::Word, 11)); // cblo w11, #0
}

/// Words of the groups that are simulated, with all their other bits free.
fn simulated_word() -> impl Strategy<Value = u32> {
    let groups = prop::sample::select(vec![
        (0x1400_0000u32, 0x03ff_ffffu32),
        (0x9400_0000, 0x03ff_ffff),
        (0x5400_0000, 0x00ff_ffff),
        (0x3400_0000, 0x81ff_ffff),
        (0x3600_0000, 0x81ff_ffff),
        (0xd61f_0000, 0x0000_03e0),
        (0xd63f_0000, 0x0000_03e0),
        (0xd65f_0000, 0x0000_03e0),
        (0x1000_0000, 0xe0ff_ffff),
        (0x1800_0000, 0xc0ff_ffff),
        (0x1c00_0000, 0x40ff_ffff),
        (0x9c00_0000, 0x00ff_ffff),
        (0x7400_0000, 0x807f_3fff),
        (0x74c0_0000, 0x803f_3fff),
        (0x7500_0000, 0x807f_bfff),
        (0x75c0_0000, 0x803f_bfff),
    ]);
    (groups, any::<u32>()).prop_map(|((fixed, free), bits)| fixed | bits & free)
}

/// Values at which comparisons and widths go wrong, and any other.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![
            0,
            1,
            63,
            0x7f,
            0x80,
            0xff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            1 << 32,
            1 << 63,
            !0
        ]),
        any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    /// The PC goes to the next word, the decoder's target, or the register; X0 to X30 change only where the instruction
    /// names a destination; PSTATE keeps all but BTYPE.
    #[test]
    fn nothing_else_changes(word in simulated_word(), x in prop::array::uniform31(value()), pstate in any::<u64>(), pc in any::<u64>()) {
        let pc = pc & !3;
        let next = pc.wrapping_add(4);
        let target = label(word, pc);
        let before = Frame { x, pstate, pc: 0xbad, ..Frame::new() };
        let mut after = before.clone();
        let sim = sim(word);
        simulate(sim, pc, &mut after, &mut READABLE.clone()).unwrap();
        prop_assert_eq!(after.pstate, pstate & !(3 << 10));
        let written = match sim {
            Sim::Branch { link: true, .. } | Sim::BranchLinkReg { .. } => Some(30),
            Sim::Adr { rd, .. } | Sim::Adrp { rd, .. } => Some(rd),
            Sim::LoadLiteral { rt, .. } => Some(rt),
            _ => None,
        };
        for (n, v) in after.v.iter().enumerate() {
            let loaded = matches!(sim, Sim::LoadVector { rt, .. } if usize::from(rt) == n);
            prop_assert!(loaded || *v == before.v[n], "v{} changed", n);
        }
        if let Some(address) = sim.literal(pc) {
            prop_assert_eq!(Some(address), target);
        }
        for (n, x) in x.iter().enumerate() {
            prop_assert!(Some(n as u8) == written || after.x[n] == *x, "x{} changed", n);
        }
        match sim {
            Sim::Nop
            | Sim::Adr { .. }
            | Sim::Adrp { .. }
            | Sim::LoadLiteral { .. }
            | Sim::LoadVector { .. } => prop_assert_eq!(after.pc, next),
            Sim::Branch { .. } => prop_assert_eq!(Some(after.pc), target),
            Sim::BranchReg { rn } | Sim::BranchLinkReg { rn } | Sim::Return { rn } => {
                prop_assert_eq!(after.pc, if rn == 31 { 0 } else { x[usize::from(rn)] });
            }
            _ => prop_assert!(after.pc == next || Some(after.pc) == target),
        }
        if let Sim::Branch { link: true, .. } | Sim::BranchLinkReg { .. } = sim {
            prop_assert_eq!(after.x[30], next);
        }
        if let Sim::Adr { rd: rd @ 0..31, .. } | Sim::Adrp { rd: rd @ 0..31, .. } = sim {
            prop_assert_eq!(Some(after.x[usize::from(rd)]), target);
        }
    }

    #[test]
    fn compare_and_branch_agrees_with_wide_arithmetic(
        immediate: bool, fields in any::<u32>(), lhs in value(), rhs in value(), same in any::<bool>(),
    ) {
        let (fixed, free) =
            if immediate { (0x7500_0000, 0x807f_8000) } else { (0x7400_0000, 0x8060_8000u32) };
        // Registers 1 and 2, forwards by 8.
        let mut word = fixed | fields & free | 2 << 5 | 1;
        if word & 0x0040_0000 != 0 {
            word |= fields & 0x0080_0000; // EQ and NE
        }
        if !immediate {
            word |= 2 << 16 | fields & 0x0000_4000;
            if word & 0xc000 == 0x4000 {
                word ^= 0xc000;
            }
            if word & 0x8000 != 0 {
                word &= !(1 << 31);
            }
        }
        let rhs = if same { lhs } else { rhs };
        let mut frame = Frame::new();
        frame.x[1] = lhs;
        frame.x[2] = rhs;
        let rhs = if immediate { u64::from(word >> 15 & 0x3f) } else { rhs };
        let taken = compare_branch(word, lhs, rhs);
        prop_assert_eq!(run(word, &frame).pc, PC + if taken { 8 } else { 4 });
    }
}

/// The address that the decoder prints for the word.
fn label(word: u32, pc: u64) -> Option<u64> {
    let instruction = decode(word, pc, FeatureSet::ALL);
    (0..5).find_map(|n| match instruction.op(n) {
        Operand::Label(address) => Some(address),
        _ => None,
    })
}

/// Memory that keeps a record of its reads, with probes on some words.
struct Recorded {
    bytes: [u8; 64],
    probes: Vec<(u64, u32)>,
    reads: Vec<(u64, u8)>,
}

impl Recorded {
    fn new() -> Recorded {
        let mut bytes = [0; 64];
        bytes.iter_mut().enumerate().for_each(|(n, byte)| *byte = 0x80 | n as u8);
        Recorded { bytes, probes: Vec::new(), reads: Vec::new() }
    }

    fn read<const N: usize>(&mut self, address: u64) -> [u8; N] {
        self.reads.push((address - PC, N as u8));
        self.bytes[(address - PC) as usize..][..N].try_into().unwrap()
    }
}

impl Mem for Recorded {
    type Error = ();
    fn read_u32(&mut self, address: u64) -> Result<u32, ()> {
        Ok(u32::from_le_bytes(self.read(address)))
    }
    fn read_u64(&mut self, address: u64) -> Result<u64, ()> {
        Ok(u64::from_le_bytes(self.read(address)))
    }
    fn original(&self, address: u64) -> Option<u32> {
        self.probes.iter().find(|probe| PC + probe.0 == address).map(|probe| probe.1)
    }
}

const LDR_W: u32 = 0x1800_0003;
const LDR_X: u32 = 0x5800_0003;
const LDRSW: u32 = 0x9800_0003;
const LDR_S: u32 = 0x1c00_0003;
const LDR_D: u32 = 0x5c00_0003;
const LDR_Q: u32 = 0x9c00_0003;

/// The literal load `word`, of register 3, from `offset` on: what it loads.
fn loaded(word: u32, offset: u64, memory: &mut Recorded) -> u128 {
    let mut frame = Frame::new();
    let sim = sim(word | (offset as u32 / 4) << 5);
    assert_eq!(sim.literal(PC), Some(PC + offset));
    simulate(sim, PC, &mut frame, memory).unwrap();
    let bytes: u8 = memory.reads.iter().map(|read| read.1).sum();
    assert_eq!(bytes, sim.literal_bytes());
    if word & 1 << 26 == 0 { frame.x[3].into() } else { frame.v[3] }
}

/// DDI 0487 B2.2.1: one read for each that the architecture makes single-copy atomic, at any multiple of 4.
#[test]
fn literals_are_read_as_the_instruction_reads_them() {
    for offset in (0..48).step_by(4) {
        let expected: [&[(u64, u8)]; 6] = [
            &[(offset, 4)],
            &[(offset, 8)],
            &[(offset, 4)],
            &[(offset, 4)],
            &[(offset, 8)],
            &[(offset, 8), (offset + 8, 8)],
        ];
        for (word, expected) in [LDR_W, LDR_X, LDRSW, LDR_S, LDR_D, LDR_Q].into_iter().zip(expected) {
            let mut memory = Recorded::new();
            loaded(word, offset, &mut memory);
            assert_eq!(memory.reads, expected, "{word:#010x}");
        }
    }
    for word in [0xd503_201f, 0x1400_0001, 0x9000_0000, 0xd800_0040] {
        assert_eq!((sim(word).literal(PC), sim(word).literal_bytes()), (None, 0), "{word:#010x}");
    }
}

/// A literal may lie on words that have probes: the instruction sees what they replaced.
#[test]
fn literals_are_read_as_they_were_before_any_probe() {
    let brk = 0xd420_0080u32.to_le_bytes();
    for (word, size) in [(LDR_W, 4), (LDR_X, 8), (LDRSW, 4), (LDR_S, 4), (LDR_D, 8), (LDR_Q, 16)] {
        for offset in (0..32u64).step_by(4) {
            // Each set of the words around the literal.
            for set in 0..1u32 << 6 {
                let mut memory = Recorded::new();
                let clean = loaded(word, offset, &mut Recorded::new());
                for n in (0..6).filter(|n| set >> n & 1 == 1) {
                    let at = ((offset as usize + 4 * n).saturating_sub(4)) & !3;
                    let original = u32::from_le_bytes(memory.bytes[at..at + 4].try_into().unwrap());
                    if original != u32::from_le_bytes(brk) {
                        memory.probes.push((at as u64, original));
                    }
                    memory.bytes[at..at + 4].copy_from_slice(&brk);
                }
                assert_eq!(loaded(word, offset, &mut memory), clean, "{word:#010x} {size} {set:b}");
            }
        }
    }
}

/// What no decoder gives, but a caller can write.
#[test]
fn register_numbers_count_five_bits() {
    let mut frame = Frame::new();
    simulate(Sim::Adr { rd: 32 + 5, offset: 8 }, PC, &mut frame, &mut READABLE.clone()).unwrap();
    assert_eq!(frame.x[5], PC + 8);
    simulate(Sim::Adr { rd: 255, offset: 8 }, PC, &mut frame, &mut READABLE.clone()).unwrap();
    simulate(Sim::Return { rn: 64 + 5 }, PC, &mut frame, &mut READABLE.clone()).unwrap();
    assert_eq!(frame.pc, PC + 8);
    let vector = Sim::LoadVector { rt: 0xe1, size: stepwell_probe::sim::VectorSize::Double, offset: 0 };
    simulate(vector, PC, &mut frame, &mut READABLE.clone()).unwrap();
    assert_eq!(frame.v[1], content(PC).into());
}

/// A frame that has its SIMD&FP registers and does not say how to set one would silently keep the old value.
#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "set_v() is needed")]
fn a_frame_without_set_v_is_noticed() {
    Plain.set_v(0, 1);
}
