//! Tests of attempts, on a memory that changes, fails and faults on request; and of single instructions: some of each group against
//! values computed by hand, others against the results of a CPU (`cpu.txt`). The kernel's own tests compare single instructions
//! with the CPU that they run on.
use super::*;

const BASE: u64 = 0xffff_8000_0000_1000;
const WORD: u64 = 0xffff_0000_0000_2000;
const OTHER: u64 = 0xffff_0000_0000_3000;

const LDXR: u32 = 0xc85f_7c09; // ldxr x9, [x0]
const ADD: u32 = 0x8b01_012a; // add x10, x9, x1
const STXR: u32 = 0xc80b_7c0a; // stxr w11, x10, [x0]
const LDAXP: u32 = 0xc87f_a809; // ldaxp x9, x10, [x0]
const STLXP: u32 = 0xc82b_a809; // stlxp w11, x9, x10, [x0]
const LDAXRB: u32 = 0x085f_fc09; // ldaxrb w9, [x0]
const STLXRB: u32 = 0x080b_fc0a; // stlxrb w11, w10, [x0]
const CMP: u32 = 0xeb01_013f; // cmp x9, x1
const CLREX: u32 = 0xd503_3f5f;
const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
const BR: u32 = 0xd61f_0040;
const BL: u32 = 0x9400_1000;
const LDR: u32 = 0xf940_002a; // ldr x10, [x1]

fn cbnz_status(words: i32) -> u32 {
    0x3500_000b | (words as u32 & 0x7_ffff) << 5
}

fn b_ne(words: i32) -> u32 {
    0x5400_0001 | (words as u32 & 0x7_ffff) << 5
}

fn cbnz_x9(words: i32) -> u32 {
    0xb500_0009 | (words as u32 & 0x7_ffff) << 5
}

/// Memory with the word of the exclusives at `WORD`. The second half of a pair lies behind it.
struct Fake {
    text: Vec<u32>,
    value: [u64; 2],
    /// Before each of this many exchanges, 100 is added to the value.
    changes: u32,
    /// This many exchanges fail, as a store-exclusive may without a reason.
    fails: u32,
    load_faults: bool,
    store_faults: bool,
    exchanges: u32,
    function: bool,
    /// The memory at `OTHER`, which ordinary accesses reach.
    other: [u8; 32],
    /// Before each of this many exchanges, the first byte at `OTHER` changes.
    other_changes: u32,
    other_faults: bool,
    /// The ordinary stores made: address, size, value.
    stored: Vec<(u64, u8, u64)>,
}

impl Fake {
    fn other(&self, address: u64, size: u64) -> u64 {
        let at = (address - OTHER) as usize;
        let mut value = [0; 8];
        value[..size as usize].copy_from_slice(&self.other[at..at + size as usize]);
        u64::from_le_bytes(value)
    }

    fn new(text: &[u32]) -> Self {
        Self {
            text: text.to_vec(),
            value: [5, 50],
            changes: 0,
            fails: 0,
            load_faults: false,
            store_faults: false,
            exchanges: 0,
            function: true,
            other: core::array::from_fn(|n| 0xf0_u8.wrapping_add(n as u8)),
            other_changes: 0,
            other_faults: false,
            stored: Vec::new(),
        }
    }
}

impl Memory for Fake {
    fn word(&self, address: u64) -> Option<u32> {
        self.text.get(usize::try_from(address.checked_sub(BASE)? / 4).ok()?).copied()
    }

    fn function(&self, _: u64) -> Option<(u64, u64)> {
        self.function.then_some((BASE, BASE + 4 * self.text.len() as u64))
    }

    fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault> {
        if (OTHER..OTHER + 32).contains(&address) {
            assert!(!shape.pair && address.is_multiple_of(shape.size.into()));
            return if self.other_faults {
                Err(Fault)
            } else {
                Ok([self.other(address, shape.size.into()), 0])
            };
        }
        assert_eq!(address, WORD);
        if self.load_faults {
            return Err(Fault);
        }
        let mask = u64::MAX >> (64 - 8 * u32::from(shape.size));
        Ok([self.value[0] & mask, if shape.pair { self.value[1] & mask } else { 0 }])
    }

    fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        assert!(address.is_multiple_of(size.into()));
        if self.other_faults {
            return Err(Fault);
        }
        let at = (address - OTHER) as usize;
        self.other[at..at + usize::from(size)].copy_from_slice(&value.to_le_bytes()[..usize::from(size)]);
        self.stored.push((address, size, value));
        Ok(())
    }

    fn exchange(
        &mut self,
        address: u64,
        shape: Shape,
        expected: [u64; 2],
        new: [u64; 2],
        between: &Between,
    ) -> Result<bool, Fault> {
        self.exchanges += 1;
        if self.other_changes != 0 {
            self.other_changes -= 1;
            self.other[0] += 1;
        }
        for check in between.checks() {
            if self.other(check.address, 8) & check.mask != check.value {
                return Ok(false);
            }
        }
        for store in between.stores() {
            self.store(store.address, store.size as u8, store.value)?;
        }
        if self.store_faults {
            return Err(Fault);
        }
        if self.changes != 0 {
            self.changes -= 1;
            self.value[0] += 100;
        }
        if self.fails != 0 {
            self.fails -= 1;
            return Ok(false);
        }
        if self.load(address, shape)? != expected {
            return Ok(false);
        }
        self.value[0] = new[0];
        if shape.pair {
            self.value[1] = new[1];
        }
        Ok(true)
    }
}

fn registers(pc: u64) -> Registers {
    let mut x = [0; 31];
    x.iter_mut().enumerate().for_each(|(n, x)| *x = 0x100 + n as u64);
    (x[0], x[1], x[2], x[3]) = (WORD, 3, OTHER, 1);
    Registers { x, sp: 0x7000, pc, pstate: 0x6000_0405 }
}

const USUAL: [u32; 5] = [LDXR, ADD, STXR, cbnz_const(-3), RET];

const fn cbnz_const(words: i32) -> u32 {
    0x3500_000b | (words as u32 & 0x7_ffff) << 5
}

fn run(fake: &mut Fake) -> (Result<Done, Stuck>, Registers) {
    let mut regs = registers(BASE);
    let done = attempt(&mut regs, fake);
    (done, regs)
}

#[test]
fn the_usual_loop_is_one_step() {
    let mut fake = Fake::new(&USUAL);
    let (done, regs) = run(&mut fake);
    let shape = Shape { size: 8, pair: false };
    let accesses = Accesses::NONE;
    assert_eq!(
        done,
        Ok(Done { instructions: 4, address: WORD, shape, stores: true, accesses, end: End::Past })
    );
    assert_eq!((regs.pc, regs.x[9], regs.x[10], regs.x[11]), (BASE + 16, 5, 8, 0));
    assert_eq!((fake.value[0], fake.exchanges), (8, 1));
    let mut untouched = registers(BASE + 16);
    (untouched.x[9], untouched.x[10], untouched.x[11]) = (5, 8, 0);
    // Every instruction clears BTYPE; the flags stay.
    untouched.pstate = 0x6000_0005;
    assert_eq!(regs, untouched);
}

#[test]
fn another_cpu_that_is_quicker_is_not_seen() {
    let mut fake = Fake::new(&USUAL);
    fake.changes = 3;
    let (done, regs) = run(&mut fake);
    assert_eq!(done.unwrap().end, End::Past);
    assert_eq!((fake.value[0], fake.exchanges, regs.x[9]), (308, 4, 305));
}

#[test]
fn a_store_that_always_fails_ends_as_one_that_failed() {
    let mut fake = Fake::new(&USUAL);
    fake.fails = u32::MAX;
    let (done, regs) = run(&mut fake);
    assert_eq!(done.unwrap().end, End::Again);
    assert_eq!((regs.pc, regs.x[11], fake.value[0]), (BASE, 1, 5));
    assert_eq!(fake.exchanges, MAX_RESTARTS + 1);
    // If no branch back follows the store directly, the attempt ends behind the store, with the status of a failure.
    let mut fake = Fake::new(&[LDXR, ADD, STXR, NOP, cbnz_status(-4), RET]);
    fake.fails = u32::MAX;
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().end, regs.pc, regs.x[11]), (End::Past, BASE + 12, 1));
}

#[test]
fn every_way_out() {
    // 1: ldxr; cmp; b.ne 2f; add; stxr; cbnz 1b; ret; 2: clrex; ret
    let text = [LDXR, CMP, b_ne(5), ADD, STXR, cbnz_status(-5), RET, CLREX, RET];
    let mut fake = Fake::new(&text);
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().instructions, regs.pc, regs.pstate), (3, BASE + 28, 0x2000_0005));
    assert!(!done.unwrap().stores && done.unwrap().end == End::Past && fake.exchanges == 0);
    fake.value[0] = 3;
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().instructions, regs.pc, regs.pstate), (6, BASE + 24, 0x6000_0005));
    // The branch to CLREX leaves the sequence.
    let mut fake = Fake::new(&[LDXR, cbnz_x9(2), NOP, CLREX, RET, STXR]);
    let (done, regs) = run(&mut fake);
    assert_eq!((done, regs.pc), (Err(Stuck::NoStore), BASE), "no store is reached");
    fake.text[2] = STXR;
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().end, regs.pc), (End::Past, BASE + 12), "the branch has left it already");
    // Another load-exclusive begins another sequence.
    let mut fake = Fake::new(&[LDXR, cbnz_x9(3), STXR, RET, LDXR, STXR, RET]);
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().end, regs.pc), (End::Past, BASE + 16));
}

#[test]
fn waiting_is_another_attempt() {
    let mut fake = Fake::new(&[LDXR, cbnz_x9(-1), STXR, cbnz_status(-3), RET]);
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().end, done.unwrap().instructions, regs.pc), (End::Again, 2, BASE));
    fake.value[0] = 0;
    assert_eq!(run(&mut fake).0.unwrap().end, End::Past);
}

#[test]
fn pairs_and_bytes() {
    let mut fake = Fake::new(&[LDAXP, 0x9100_0529 /* add x9, x9, #1 */, STLXP, RET]);
    let (done, regs) = run(&mut fake);
    assert_eq!(done.unwrap().shape.bytes(), 16);
    assert_eq!((fake.value, regs.x[10], regs.pc), ([6, 50], 50, BASE + 12));
    let mut fake = Fake::new(&[LDAXRB, ADD, STLXRB, RET]);
    fake.value[0] = 0x1ff;
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().shape.bytes(), regs.x[9], fake.value[0]), (1, 0xff, 2));
}

#[test]
fn what_cannot_be_run_changes_nothing() {
    let stuck = |text: &[u32]| {
        let mut fake = Fake::new(text);
        let (done, regs) = run(&mut fake);
        assert_eq!((&regs, fake.value, fake.exchanges), (&registers(BASE), [5, 50], 0));
        done.unwrap_err()
    };
    let unsupported = |offset, word| Stuck::Unsupported { address: BASE + offset, word };
    for word in [PRFM, LDTR, LDR_Q, LDP_SAME, LDR_BASE, STP_BASE, LDAR, LDADD] {
        assert_eq!(stuck(&[LDXR, word, STXR, RET]), unsupported(4, word), "{word:08x}");
    }
    // x1 is no multiple of 8.
    assert_eq!(stuck(&[LDXR, LDR, STXR, RET]), unsupported(4, LDR));
    assert_eq!(stuck(&[LDXR, BL, STXR, RET]), unsupported(4, BL));
    assert_eq!(stuck(&[LDXR, ADD, RET]), Stuck::NoStore);
    assert_eq!(stuck(&[LDXR, CLREX, STXR]), Stuck::NoStore);
    assert_eq!(stuck(&[LDXR, BR, STXR, RET]), Stuck::Unknown, "an indirect branch");
    assert_eq!(stuck(&[LDXR, ADD]), Stuck::Unknown, "text that cannot be read");
    assert_eq!(stuck(&[ADD, STXR]), Stuck::Unknown, "no load-exclusive");
    // Not supported: a store-exclusive with another address register or size, and one whose status register is also the data or
    // the base, for which the architecture leaves the result open.
    for store in [0xc80b_7c2a, 0x880b_7c0a, 0xc80a_7c0a, 0xc800_7c0a] {
        assert_eq!(stuck(&[LDXR, store, RET]), unsupported(4, store));
    }
    assert_eq!(stuck(&[0xc87f_2409 /* ldxp x9, x9, [x0] */, STXR]), unsupported(0, 0xc87f_2409));
    // Fields that should be 31: Rs of a load, Rt2 of an instruction that is no pair, Rs of a pair.
    for load in [LDXR ^ 1 << 16, LDXR ^ 1 << 20, LDXR ^ 1 << 10, LDXR ^ 1 << 14, 0xc87e_a809 /* ldaxp */] {
        assert_eq!(stuck(&[load, STXR]), unsupported(0, load), "{load:#010x}");
    }
    for store in [STXR ^ 1 << 10, STXR ^ 1 << 14] {
        assert_eq!(stuck(&[LDXR, store, RET]), unsupported(4, store), "{store:#010x}");
    }
    // A loop between the exclusives that does not end: 1: ldxr; 2: cbnz x9, 2b; stxr.
    assert_eq!(stuck(&[LDXR, cbnz_x9(0), STXR]), Stuck::Unknown);
    for load in [true, false] {
        let mut fake = Fake::new(&USUAL);
        (fake.load_faults, fake.store_faults) = (load, !load);
        let (done, regs) = run(&mut fake);
        assert_eq!((done, regs, fake.value), (Err(Stuck::Fault), registers(BASE), [5, 50]));
    }
}

/// The PC wraps, as the CPU's does.
#[test]
fn at_the_end_of_the_address_space() {
    struct Wrapped(Fake);
    impl Memory for Wrapped {
        fn word(&self, address: u64) -> Option<u32> {
            self.0.text.get((address.wrapping_add(8) / 4) as usize).copied()
        }
        fn function(&self, _: u64) -> Option<(u64, u64)> {
            None
        }
        fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault> {
            self.0.load(address, shape)
        }
        fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
            self.0.store(address, size, value)
        }
        fn exchange(
            &mut self,
            address: u64,
            shape: Shape,
            expected: [u64; 2],
            new: [u64; 2],
            between: &Between,
        ) -> Result<bool, Fault> {
            self.0.exchange(address, shape, expected, new, between)
        }
    }
    let mut regs = registers(0u64.wrapping_sub(8));
    let done = attempt(&mut regs, &mut Wrapped(Fake::new(&USUAL)));
    assert_eq!((done.unwrap().end, regs.pc), (End::Past, 8));
}

#[test]
fn a_long_way_is_followed_through_the_function() {
    // The store is near; the other path is long, and only the whole function shows that no store is on it.
    let mut text = vec![LDXR, cbnz_x9(3), STXR, RET];
    text.extend([NOP; 300]);
    text.push(RET);
    let mut fake = Fake::new(&text);
    assert_eq!(run(&mut fake).0.unwrap().end, End::Past);
    fake.function = false;
    assert_eq!(run(&mut fake).0.unwrap().end, End::Doubtful);
    // A near indirect branch leaves a doubt, a far one does not.
    fake.text[10] = BR;
    assert_eq!(run(&mut fake).0.unwrap().end, End::Doubtful);
    (fake.text[10], fake.text[200], fake.function) = (NOP, BR, true);
    assert_eq!(run(&mut fake).0.unwrap().end, End::Past);
    // A store at the far end makes it a sequence that is too long.
    (fake.text[200], fake.text[303]) = (NOP, STXR);
    assert_eq!(run(&mut fake).0, Err(Stuck::Unknown));
}

/// Each word is executed with x1 = 0x8000_0000_0000_0003, x2 = 0xff80, x3 = 7 and C set. Its result is in x0 and NZCV.
#[test]
fn some_of_each_group() {
    const CASES: [(u32, u64, u64); 24] = [
        (0x9100_1420, 0x8000_0000_0000_0008, 2), // add x0, x1, #5
        (0x7100_0c20, 0, 6),                     // subs w0, w1, #3
        (0xb100_0420, 0x8000_0000_0000_0004, 8), // adds x0, x1, #1
        (0x9240_1c40, 0x80, 2),                  // and x0, x2, #0xff
        (0xb201_f3e0, 0xaaaa_aaaa_aaaa_aaaa, 2), // mov x0, #0xaaaa...
        (0x9280_0020, !1, 2),                    // movn x0, #1
        (0xd2a0_0020, 0x1_0000, 2),              // movz x0, #1, lsl #16
        (0x1300_1c40, 0xffff_ff80, 2),           // sxtb w0, w2
        (0xd344_1c40, 8, 2),                     // ubfx x0, x2, #4, #4
        (0x93c1_0820, 0xe000_0000_0000_0000, 2), // ror x0, x1, #2
        (0x8a02_0020, 0, 2),                     // and x0, x1, x2
        (0xea22_0020, 0x8000_0000_0000_0003, 8), // bics x0, x1, x2
        (0xcb03_0440, 0xff72, 2),                // sub x0, x2, x3, lsl #1
        (0x8b22_8060, 0xffff_ffff_ffff_ff87, 2), // add x0, x3, w2, sxtb
        (0x9a03_0040, 0xff88, 2),                // adc x0, x2, x3
        (0xfa43_0840, 0x100, 2),                 // ccmp x2, #3, #0, eq: not, so nzcv = 0
        (0x9a83_0440, 8, 2),                     // csinc x0, x2, x3, eq
        (0x9ac3_0840, 0x2480, 2),                // udiv x0, x2, x3
        (0x9ac3_2020, 0x180, 2),                 // lsl x0, x1, x3
        (0xdac0_1040, 48, 2),                    // clz x0, x2
        (0x5ac0_0840, 0x80ff_0000, 2),           // rev w0, w2
        (0xdac0_1420, 0, 2),                     // cls x0, x1
        (0x9b03_0c40, 0x6_fc87, 2),              // madd x0, x2, x3, x3
        (0x9bc3_7c20, 3, 2),                     // umulh x0, x1, x3
    ];
    for (word, value, nzcv) in CASES {
        let mut regs = registers(BASE);
        (regs.x[0], regs.x[1], regs.x[2], regs.x[3]) = (0x100, 0x8000_0000_0000_0003, 0xff80, 7);
        regs.pstate = 2 << 28 | 5;
        assert!(execute(word, &mut regs), "{word:08x}");
        let nzcv = if word == 0xfa43_0840 { 0 } else { nzcv };
        assert_eq!((regs.x[0], regs.pstate >> 28), (value, nzcv), "{word:08x}");
        assert_eq!(regs.pc, BASE);
    }
    // In some groups register 31 is SP.
    let mut regs = registers(BASE);
    assert!(execute(0x9100_43ff, &mut regs)); // add sp, sp, #16
    assert_eq!(regs.sp, 0x7010);
    // Loads, stores, branches, system instructions and floating point are no data processing.
    for word in
        [LDR, 0xf900_0020, RET, BR, BL, NOP, 0xd503_3bbf, 0x1e60_4000, 0x4e20_8400, 0, LDXR, STXR, CLREX]
    {
        let before = registers(BASE);
        let mut regs = before.clone();
        assert!(!execute(word, &mut regs) && regs == before, "{word:08x}");
    }
}

const LOAD: u32 = 0xf940_004a; // ldr x10, [x2]
const ADD_LOADED: u32 = 0x8b09_014a; // add x10, x10, x9
const STORE: u32 = 0xf900_0449; // str x9, [x2, #8]
const LOAD_STORED: u32 = 0xf940_044c; // ldr x12, [x2, #8]
const STORE_BYTE: u32 = 0x3900_2049; // strb w9, [x2, #8]
const PRFM: u32 = 0xf980_0040; // prfm pldl1keep, [x2]
const LDTR: u32 = 0xf840_084c; // ldtr x12, [x2]
const LDR_Q: u32 = 0x3dc0_0040; // ldr q0, [x2]
const LDP_SAME: u32 = 0xa940_304c; // ldp x12, x12, [x2]
const LDR_BASE: u32 = 0xf840_8442; // ldr x2, [x2], #8
const STP_BASE: u32 = 0xa981_0c42; // stp x2, x3, [x2, #16]!
const LDAR: u32 = 0xc8df_fc4c; // ldar x12, [x2]
const LDADD: u32 = 0xf821_0062; // ldadd x1, x2, [x3]

fn accesses(done: &Done) -> Vec<(u64, u64, bool)> {
    done.accesses.iter().map(|access| (access.address - OTHER, access.bytes, access.write)).collect()
}

#[test]
fn an_ordinary_load_is_made_again_between_the_exclusives() {
    let text = [LDXR, LOAD, ADD_LOADED, STXR, cbnz_const(-4), RET];
    let mut fake = Fake::new(&text);
    let loaded = fake.other(OTHER, 8);
    let (done, regs) = run(&mut fake);
    let done = done.unwrap();
    assert_eq!((accesses(&done), done.instructions, done.stores), (vec![(0, 8, false)], 5, true));
    assert_eq!((fake.value[0], fake.exchanges, regs.pc), (loaded + 5, 1, BASE + 20));
    // If a loaded value has changed since the load, the attempt begins anew.
    let mut fake = Fake::new(&text);
    fake.other_changes = 2;
    assert_eq!(run(&mut fake).0.unwrap().end, End::Past);
    assert_eq!((fake.value[0], fake.exchanges), (loaded + 2 + 5, 3));
}

#[test]
fn an_ordinary_store_is_made_between_the_exclusives_and_not_before() {
    let text = [LDXR, STORE, ADD, STXR, cbnz_const(-4), RET];
    let mut fake = Fake::new(&text);
    assert_eq!(accesses(&run(&mut fake).0.unwrap()), [(8, 8, true)]);
    assert_eq!((fake.stored, fake.value[0]), (vec![(OTHER + 8, 8, 5)], 8));
    // If a loaded value has changed, the attempt stores nothing.
    let mut fake = Fake::new(&[LDXR, STORE, LOAD, ADD, STXR, cbnz_const(-5), RET]);
    fake.other_changes = 1;
    assert_eq!(run(&mut fake).0.unwrap().end, End::Past);
    assert_eq!((fake.exchanges, fake.stored.len()), (2, 1));
    // An attempt that ends before the store-exclusive makes its ordinary stores at its end.
    let mut fake = Fake::new(&[LDXR, STORE, cbnz_x9(3), STXR, RET, CLREX, RET]);
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().stores, regs.pc, fake.stored.len()), (false, BASE + 20, 1));
    // If such a store faults, everything stays as it was.
    let mut fake = Fake::new(&[LDXR, STORE, cbnz_x9(3), STXR, RET, CLREX, RET]);
    fake.other_faults = true;
    assert_eq!(run(&mut fake), (Err(Stuck::Fault), registers(BASE)));
}

#[test]
fn a_load_sees_the_stores_of_its_own_attempt() {
    let mut fake = Fake::new(&[LDXR, STORE, LOAD_STORED, STXR, RET]);
    let (done, regs) = run(&mut fake);
    assert_eq!((done.unwrap().end, regs.x[12], fake.stored.len()), (End::Past, 5, 1));
    // A load that an earlier store covers only in part is not supported.
    let mut fake = Fake::new(&[LDXR, STORE_BYTE, LOAD_STORED, STXR, RET]);
    let unsupported = Stuck::Unsupported { address: BASE + 8, word: LOAD_STORED };
    assert_eq!(run(&mut fake), (Err(unsupported), registers(BASE)));
    // Eight accesses are all that fit.
    for (loads, fits) in [(8, true), (9, false)] {
        let mut text = vec![LDXR];
        text.extend(vec![LOAD; loads]);
        text.extend([STXR, RET]);
        assert_eq!(run(&mut Fake::new(&text)).0.is_ok(), fits, "{loads}");
    }
}

/// Each word is executed with x2 = OTHER + 8 and x3 = 1. A case holds the word, the value that it loads into x12 (or that x12 has
/// before a store), what it adds to x2, how many bytes it accesses, and the offset of these bytes from x2.
#[test]
fn every_form_of_an_ordinary_access() {
    const CASES: [(u32, u64, i64, u64, i64); 12] = [
        (0xb980_044c, 0xffff_ffff_fffe_fdfc, 0, 4, 4), // ldrsw x12, [x2, #4]: bytes fc to ff
        (0x3840_3c4c, 0xfb, 3, 1, 3),                  // ldrb w12, [x2, #3]!
        (0x78c0_244c, 0xffff_f9f8, 2, 2, 0),           // ldrsh w12, [x2], #2
        (0xa940_344c, 0xfffe_fdfc_fbfa_f9f8, 0, 16, 0), // ldp x12, x13, [x2]
        (0x6940_344c, 0xffff_ffff_fbfa_f9f8, 0, 8, 0), // ldpsw x12, x13, [x2]
        (0xb863_584c, 0xfffe_fdfc, 0, 4, 4),           // ldr w12, [x2, w3, uxtw #2]
        (0xf863_784c, 0x0706_0504_0302_0100, 0, 8, 8), // ldr x12, [x2, x3, lsl #3]
        (0x38a3_c84c, 0xffff_ffff_ffff_fff9, 0, 1, 1), // ldrsb x12, [x2, w3, sxtw]
        (0xb85f_c04c, 0xf7f6_f5f4, 0, 4, -4),          // ldur w12, [x2, #-4]
        (0x781f_e449, 0x10c, -2, 2, 0),                // strh w9, [x2], #-2
        (0x2981_344c, 0x10c, 8, 8, 8),                 // stp w12, w13, [x2, #8]!
        (0xf940_004c, 0xfffe_fdfc_fbfa_f9f8, 0, 8, 0), // ldr x12, [x2]
    ];
    for (word, x12, moved, bytes, offset) in CASES {
        let mut fake = Fake::new(&[word, LDXR]);
        fake.other[16..].copy_from_slice(&core::array::from_fn::<u8, 16, _>(|n| n as u8));
        let mut regs = registers(BASE);
        regs.x[2] = OTHER + 8;
        let (done, again) = resume(&mut regs, &mut fake);
        let access = done.iter().next().unwrap_or_else(|| panic!("{word:08x} is not known"));
        assert_eq!((again, regs.pc), (true, BASE + 4), "{word:08x}");
        assert_eq!(regs.x[12], x12, "{word:08x}");
        assert_eq!(regs.x[2], (OTHER + 8).wrapping_add_signed(moved), "{word:08x}");
        let address = (OTHER + 8).wrapping_add_signed(offset);
        assert_eq!((access.address, access.bytes), (address, bytes), "{word:08x}");
        assert_eq!(access.write, !fake.stored.is_empty());
    }
    // Literals, XZR and SP.
    let mut regs = registers(OTHER);
    let literal = |word, regs: &Registers| access::Ordinary::decode(word, regs).map(|one| one.address);
    assert_eq!(literal(0x9800_008c, &regs), Some(OTHER + 16)); // ldrsw x12, .+16
    assert_eq!(literal(0x1800_008c, &regs), Some(OTHER + 16)); // ldr w12, .+16
    regs.sp = OTHER + 16;
    let push = access::Ordinary::decode(0xf81f_0fff, &regs).unwrap(); // str xzr, [sp, #-16]!
    assert_eq!((push.address, push.data(&regs)[0]), (OTHER, 0));
    push.retire(&mut regs, [1, 1]);
    assert_eq!(regs.sp, OTHER);
}

#[test]
fn a_sequence_whose_monitor_is_lost_is_gone_on_with_to_its_beginning() {
    // The exception came at the load.
    let text = [LDXR, LOAD, ADD_LOADED, STXR, cbnz_const(-4), RET];
    let mut fake = Fake::new(&text);
    let mut regs = registers(BASE + 4);
    let (done, again) = resume(&mut regs, &mut fake);
    assert_eq!((again, regs.pc, regs.x[11], fake.exchanges), (true, BASE, 1, 0));
    assert_eq!((done.iter().count(), regs.x[10], fake.value[0]), (1, fake.other(OTHER, 8) + 0x109, 5));
    // Code that does not try again after the failed store is left before its next memory access, which is not made here.
    let mut fake = Fake::new(&[LDXR, LOAD, STXR, NOP, STORE, RET]);
    let mut regs = registers(BASE + 4);
    assert!(!resume(&mut regs, &mut fake).1);
    assert_eq!((regs.pc, regs.x[11], fake.stored.len()), (BASE + 16, 1, 0));
    // An unsupported instruction is not executed.
    let mut fake = Fake::new(&[LDXR, LDR_Q, STXR, RET]);
    let mut regs = registers(BASE + 4);
    assert!(!resume(&mut regs, &mut fake).1);
    assert_eq!(regs.pc, BASE + 4);
    // Nor is an access that faults.
    let mut fake = Fake::new(&text);
    fake.other_faults = true;
    let mut regs = registers(BASE + 4);
    assert!(!resume(&mut regs, &mut fake).1);
    assert_eq!((regs.pc, regs.x[10]), (BASE + 4, 0x10a));
    // A loop that never ends is given up.
    let mut fake = Fake::new(&[NOP, 0x17ff_ffff]);
    let mut regs = registers(BASE);
    assert!(!resume(&mut regs, &mut fake).1);
}

#[test]
fn the_members_of_a_sequence_are_those_that_lead_to_its_store() {
    let members = |text: &[u32], load: u64| {
        let mut members = Vec::new();
        path::members(|at| Fake::new(text).word(at), BASE + 4 * load, |at| members.push((at - BASE) / 4));
        members.sort_unstable();
        members
    };
    assert_eq!(members(&[NOP, LDXR, LOAD, STXR, cbnz_const(-3), RET], 1), [1, 2, 3]);
    // The path that leaves the sequence has no members, the path to the store has.
    // 1: ldxr; cmp; b.ne 3f; b 2f; 3: clrex; ret; 2: stxr
    let text = [LDXR, CMP, b_ne(2), 0x1400_0003, CLREX, RET, STXR, RET];
    assert_eq!(members(&text, 0), [0, 1, 2, 3, 6]);
    // A loop on the path to the store.
    assert_eq!(members(&[LDXR, NOP, cbnz_x9(-1), STXR, RET], 0), [0, 1, 2, 3]);
    // Without a store there is no sequence.
    assert_eq!(members(&[LDXR, ADD, RET, STXR], 0), []);
    assert_eq!(members(&[LDXR, CLREX, STXR], 0), []);
    // If a path cannot be followed, all instructions that were met are members.
    assert_eq!(members(&[LDXR, cbnz_x9(2), BR, NOP, RET], 0), [0, 1, 2, 3, 4]);
}

/// Compares [`path::members`] with its definition, written in the plainest form, on random code. Most branches are short; some lead
/// farther than [`path::members`] keeps a table of.
#[test]
fn members_are_what_the_definition_says() {
    fn plain(fetch: &dyn Fn(u64) -> Option<u32>, load: u64) -> Vec<u64> {
        let ways = |at: u64| -> Option<Vec<u64>> {
            let word = fetch(at)?;
            if is_store_exclusive(word) || is_load_exclusive(word) || is_clear_exclusive(word) {
                return Some(Vec::new());
            }
            let to = crate::exclusive::successors(word);
            let next = to.next.then_some(at + 4).into_iter();
            let ways = next.chain(to.branch.map(|offset| at.wrapping_add_signed(i64::from(offset))));
            (!to.anywhere).then(|| ways.collect())
        };
        let (mut met, mut looked, mut lost) = (vec![load + 4], 0, false);
        while let Some(&at) = met.get(looked) {
            looked += 1;
            let Some(ways) = ways(at) else {
                lost = true;
                continue;
            };
            for way in ways {
                if !met.contains(&way) && met.len() < 64 {
                    met.push(way);
                }
                lost |= !met.contains(&way);
            }
        }
        let leads = |from: u64| {
            let (mut seen, mut looked) = (vec![from], 0);
            while let Some(&at) = seen.get(looked) {
                looked += 1;
                if fetch(at).is_some_and(is_store_exclusive) {
                    return true;
                }
                let fresh: Vec<u64> =
                    ways(at).unwrap().into_iter().filter(|way| !seen.contains(way)).collect();
                seen.extend(fresh);
            }
            false
        };
        let is_sequence = lost || leads(load + 4);
        let members = met.into_iter().filter(|&at| lost || leads(at));
        is_sequence.then_some(load).into_iter().chain(members).collect()
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let (mut sequences, mut lost, mut nothing) = (0, 0, 0);
    for _ in 0..20_000 {
        let length = 8 + random(600);
        let text: Vec<u32> = (0..length)
            .map(|_| {
                let offset = if random(8) == 0 { random(800) as i32 - 400 } else { random(12) as i32 - 4 };
                match random(16) {
                    0 => LDXR,
                    1 => STXR,
                    2 | 3 => CLREX,
                    4 | 5 => RET,
                    6 => cbnz_x9(offset),
                    7 => b_ne(offset),
                    8 | 9 => 0x1400_0000 | (offset as u32 & 0x3ff_ffff),
                    10 if random(8) == 0 => BR,
                    _ => NOP,
                }
            })
            .collect();
        let fetch = |at: u64| text.get(usize::try_from(at.checked_sub(BASE)? / 4).ok()?).copied();
        let load = BASE + 4 * random(length);
        let mut members = Vec::new();
        path::members(fetch, load, |at| members.push(at));
        assert_eq!(members, plain(&fetch, load), "{text:08x?} from {load:#x}");
        let stores = members.iter().any(|&at| fetch(at).is_some_and(is_store_exclusive));
        match members.len() {
            0 => nothing += 1,
            _ if stores => sequences += 1,
            _ => lost += 1,
        }
    }
    assert!(sequences > 1000 && lost > 1000 && nothing > 1000, "{sequences} {lost} {nothing}");
}

/// In the group of instructions with three source registers, bits 30 and 29 of every allocated word are clear.
#[test]
fn multiplications_with_other_high_bits_are_not_executed() {
    let mut regs = registers(BASE);
    assert!(execute(0x9b02_7c20, &mut regs)); // mul x0, x1, x2
    for word in [0xbb02_7c20, 0xdb02_7c20, 0xfb02_7c20] {
        let mut regs = registers(BASE);
        assert!(!execute(word, &mut regs) && regs == registers(BASE), "{word:08x}");
    }
}

#[test]
fn registers_are_a_frame_for_simulation() {
    let mut regs = registers(BASE);
    regs.set_pstate(0x6000_0005);
    regs.set_pc(BASE + 8);
    Regs::set_x(&mut regs, 30, 7);
    assert_eq!((regs.pstate(), regs.pc, Regs::x(&regs, 30)), (0x6000_0005, BASE + 8, 7));
}

/// Compares each word with the result of a CPU (`cpu.txt`, written by QEMU's Cortex-A57 in user mode). Words that this CPU does not
/// have are not executed.
#[test]
fn data_processing_does_what_a_cpu_does() {
    let lines = include_str!("cpu.txt").lines().filter(|line| !line.starts_with('#'));
    let (mut executed, mut refused) = (0, 0);
    for line in lines {
        let mut fields = line.split(' ');
        let mut hex = || fields.next().map(|field| u64::from_str_radix(field, 16)).unwrap();
        let word = hex().unwrap() as u32;
        let Ok(x0) = hex() else {
            let mut regs = registers(BASE);
            assert!(!execute(word, &mut regs) && regs == registers(BASE), "{word:08x} is not of Armv8.0");
            refused += 1;
            continue;
        };
        let mut regs = Registers { x: [0x5555; 31], sp: 0, pc: BASE, pstate: 5 };
        regs.x[0] = x0;
        (1..4).for_each(|n| regs.x[n] = hex().unwrap());
        regs.pstate |= hex().unwrap() << 28;
        regs.sp = hex().unwrap();
        let mut expected = regs.clone();
        for change in fields {
            let (name, value) = change.split_once('=').unwrap();
            let value = u64::from_str_radix(value, 16).unwrap();
            match name {
                "nzcv" => expected.pstate = 5 | value << 28,
                "sp" => expected.sp = value,
                _ => expected.x[name[1..].parse::<usize>().unwrap()] = value,
            }
        }
        assert!(execute(word, &mut regs), "{word:08x}");
        assert_eq!(regs, expected, "{line}");
        executed += 1;
    }
    assert_eq!((executed, refused), (930, 120));
}
