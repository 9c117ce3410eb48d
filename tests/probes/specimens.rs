//! Functions around one instruction each, whose results show everything that the instruction has done (rule K1).

/// The state that a specimen begins with, and the state that it leaves.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The flags, in NZCV's layout.
    pub nzcv: u64,
    /// X1, the operand and the result of most instructions.
    pub x1: u64,
    /// Out: 1 if the next instruction ran, 2 if it was branched over.
    path: u64,
    /// Out: X30, which is 0 before the instruction.
    x30: u64,
    /// Out: X4 relative to this structure. Before the instruction X4 points to `memory`.
    moved: u64,
    /// Out: how far SP was moved.
    sp: u64,
    unused: [u64; 2],
    /// The memory that the instruction may access.
    memory: [u64; 4],
}

impl State {
    /// The state that a specimen begins with.
    pub fn new(nzcv: u64, x1: u64) -> Self {
        let memory = [0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00, u64::MAX, 5];
        Self { nzcv, x1, path: 0, x30: 0, moved: 0, sp: 0, unused: [0; 2], memory }
    }
}

/// The offset of the instruction in the function.
pub const AT: u64 = 9 * 4;

/// One instruction and the function around it.
pub struct Specimen {
    /// The instruction in the assembler's syntax.
    pub text: &'static str,
    /// The function around the instruction. It reads its state from the argument, and writes it back there.
    pub run: extern "C" fn(&mut State),
}

/// The functions around the given instructions. X1 is the operand, X3 the address of label 3 (a branch's target), X4 the address of
/// the memory; label 5 is a literal.
macro_rules! specimens {
    ($list:ident: $($name:ident = $instruction:literal;)*) => {
        $(
            specimen! {
                fn $name(state: &mut State) {
                    "stp x29, x30, [sp, #-16]!",
                    "mov x8, x0",
                    "ldp x9, x1, [x8]",
                    "add x4, x8, #64",
                    "mov x5, sp",
                    "mov x2, #0",
                    "adr x3, 3f",
                    "mov x30, xzr",
                    "msr nzcv, x9",
                    $instruction,
                    "add x2, x2, #1",
                    "b 4f",
                    "3: add x2, x2, #2",
                    "4: mrs x9, nzcv",
                    "stp x9, x1, [x8]",
                    "stp x2, x30, [x8, #16]",
                    "sub x4, x4, x8",
                    "mov x9, sp",
                    "sub x9, x9, x5",
                    "stp x4, x9, [x8, #32]",
                    "mov sp, x5",
                    "ldp x29, x30, [sp], #16",
                    "ret",
                    ".balign 8",
                    "5: .quad 0xfedcba9876543210",
                }
            }
        )*

        /// The specimens whose instructions are probed in one and the same way.
        pub static $list: &[Specimen] = &[$(Specimen { text: $instruction, run: $name }),*];
    };
}

specimens! { SIMULATED:
    nop = "nop";
    bti = "hint #36";
    b = "b 3f";
    bl = "bl 3f";
    b_eq = "b.eq 3f";
    b_ne = "b.ne 3f";
    b_hs = "b.hs 3f";
    b_lo = "b.lo 3f";
    b_mi = "b.mi 3f";
    b_pl = "b.pl 3f";
    b_vs = "b.vs 3f";
    b_vc = "b.vc 3f";
    b_hi = "b.hi 3f";
    b_ls = "b.ls 3f";
    b_ge = "b.ge 3f";
    b_lt = "b.lt 3f";
    b_gt = "b.gt 3f";
    b_le = "b.le 3f";
    b_al = "b.al 3f";
    cbz_x = "cbz x1, 3f";
    cbz_w = "cbz w1, 3f";
    cbnz_x = "cbnz x1, 3f";
    cbnz_w = "cbnz w1, 3f";
    tbz_low = "tbz x1, #0, 3f";
    tbz_high = "tbz x1, #63, 3f";
    tbnz_low = "tbnz x1, #31, 3f";
    tbnz_high = "tbnz x1, #63, 3f";
    br = "br x3";
    blr = "blr x3";
    ret_x = "ret x3";
    adr = "adr x1, 5f";
    adrp = "adrp x1, 5f";
    ldr_x_literal = "ldr x1, 5f";
    ldr_w_literal = "ldr w1, 5f";
    ldrsw_literal = "ldrsw x1, 5f";
    prfm_literal = "prfm pldl1keep, 5f";
}

specimens! { OUT_OF_LINE:
    adds = "adds x1, x1, x1";
    subs = "subs x1, x1, #1";
    adcs = "adcs x1, x1, x1";
    ands = "ands x1, x1, #0xff";
    csel = "csel x1, x1, x4, lt";
    ccmp = "ccmp x1, #3, #9, ne";
    madd = "madd x1, x1, x1, x1";
    udiv = "udiv x1, x1, x1";
    clz = "clz x1, x1";
    extr = "extr x1, x1, x1, #13";
    movk = "movk x1, #0xbeef, lsl #16";
    ldr = "ldr x1, [x4, #8]";
    ldrsb = "ldrsb x1, [x4]";
    ldr_back = "ldr x1, [x4], #16";
    str = "str x1, [x4]";
    strh_back = "strh w1, [x4, #10]!";
    stp_back = "stp x1, x1, [x4, #8]!";
    ldar = "ldar x1, [x4]";
    stlr = "stlr x1, [x4]";
    push = "str x1, [sp, #-32]!";
    sp_read = "sub x1, sp, x5";
    msr_nzcv = "msr nzcv, x1";
    mrs_nzcv = "mrs x1, nzcv";
    mrs_percpu = "mrs x1, tpidr_el1";
    isb = "isb";
    dmb = "dmb ish";
    yields = "yield";
}
