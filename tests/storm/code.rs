//! The machine code that the storm runs: copies of one function whose result tells what has happened to the execution.
//!
//! Slots and probes on the function leave marks in registers that the function does not use. So the result of each execution says
//! which of them were hit, and how often. The function has no exclusives, so that everything in it can be stepped; `exclusive` is
//! for those. The copies have a page of their own, because QEMU executes one instruction at a time on a page with a breakpoint.

use crate::support::OwnPage;
use core::arch::asm;
use core::cell::UnsafeCell;

core::arch::global_asm!(
    // Returns 2n + 2 for x0 = n. x4 is the address of two doublewords that it writes; x7 is the address of the doubleword that it
    // reads. If nothing can be read at x7, the read faults and is tried again at x4. x6 becomes the target's own address. x1, x2,
    // x3, x9, x10 are for marks.
    ".macro storm_target name",
    ".global \\name",
    ".type \\name, %function",
    "\\name:",
    "add x0, x0, #1",
    "stp x0, x0, [x4]",
    "b 1f",
    "brk #0x7f1",
    "1: ldr x5, [x7]",
    "adr x6, \\name",
    "cbnz x0, 2f",
    "brk #0x7f1",
    "2: add x0, x0, x5",
    "ret",
    "3: mov x7, x4",
    "b 1b",
    ".size \\name, . - \\name",
    ".pushsection .ex_table, \"a\"",
    ".quad 1b, 3b",
    ".popsection",
    ".balign 64",
    ".endm",
    ".pushsection .text.storm_code, \"ax\"",
    ".balign 4096",
    "storm_target storm_shared",
    "storm_target storm_raced",
    "storm_target storm_own0",
    "storm_target storm_own1",
    "storm_target storm_own2",
    "storm_target storm_own3",
    "storm_target storm_own4",
    "storm_target storm_own5",
    "storm_target storm_own6",
    "storm_target storm_own7",
    ".balign 4096",
    ".popsection",
    ".purgem storm_target",
);

unsafe extern "C" {
    static storm_shared: u8;
}

/// The number of bytes from one target to the next.
const SIZE: u64 = 64;
/// An address at which nothing can be read.
const NOWHERE: u64 = 0xffff_ffff_0000_0000;
/// The argument of every execution.
const N: u64 = 0x1234_5678;

/// The instructions that an execution passes, in their order, as word numbers from the entry. A *point* is an index into this
/// array.
const WORDS: [u64; 8] = [0, 1, 2, 4, 5, 6, 8, 9];
/// How many points a target has.
pub const POINTS: usize = WORDS.len();
/// The point of the first ADD, whose effect a probe's handler can have in place of the instruction.
pub const ADD: usize = 0;
/// The point of the STP, which writes the target's memory.
pub const STORE: usize = 1;
/// The point of the LDR, which reads the target's memory and may fault.
pub const LOAD: usize = 3;

/// The memory of a target. It always holds the same values, because every execution stores the same.
#[repr(align(64))]
struct Memory(UnsafeCell<[u64; 2]>);

// SAFETY: only the targets access it, and they always store the same value.
unsafe impl Sync for Memory {}

static MEMORY: OwnPage<[Memory; 10]> = OwnPage([const { Memory(UnsafeCell::new([N + 1; 2])) }; 10]);

/// One copy of the function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target(usize);

/// The target that all CPUs run, on which nothing changes during a round.
pub const SHARED: Target = Target(0);
/// The target that all CPUs run while slots and probes on it come and go.
pub const RACED: Target = Target(1);

/// The result of an execution: how often slots and probes with handlers were hit. A *lane* stands for one of the two breakpoints or
/// for one of the two probes of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// Hits of breakpoints, one byte for each lane.
    pub breakpoints: u64,
    /// Hits of the watchpoint.
    pub watchpoints: u64,
    /// Calls of probes' handlers, two bytes for each lane: first pre-handlers, then post-handlers.
    pub probes: u64,
}

impl Target {
    /// The target that only `cpu` runs.
    pub const fn own(cpu: usize) -> Self {
        Self(2 + cpu)
    }

    /// The target that `address` is in.
    pub fn at(address: u64) -> Self {
        Self(((address - (&raw const storm_shared).addr() as u64) / SIZE) as usize)
    }

    /// The address of the target's first instruction.
    pub fn entry(self) -> u64 {
        (&raw const storm_shared).addr() as u64 + self.0 as u64 * SIZE
    }

    /// The address of one of the target's points.
    pub fn point(self, point: usize) -> u64 {
        self.entry() + 4 * WORDS[point]
    }

    /// The address of the target's memory.
    pub fn memory(self) -> u64 {
        MEMORY[self.0].0.get() as u64
    }

    /// Executes the target once; if `faulting`, its load faults first. Returns None if the result is wrong. Works in every context.
    #[inline(always)]
    pub fn run(self, faulting: bool) -> Option<Marks> {
        let (memory, result, address): (u64, u64, u64);
        memory = self.memory();
        let mut marks = Marks::default();
        // SAFETY: the function uses the registers that are named here, and writes its own memory only.
        unsafe {
            asm!(
                "blr {entry}",
                entry = in(reg) self.entry(),
                inout("x0") N => result,
                inout("x1") 0u64 => marks.breakpoints,
                inout("x2") 0u64 => marks.watchpoints,
                inout("x3") 0u64 => marks.probes,
                in("x4") memory,
                lateout("x6") address,
                inout("x7") if faulting { NOWHERE } else { memory } => _,
                inout("x9") 0u64 => _,
                inout("x10") 0u64 => _,
                clobber_abi("C"),
            );
        }
        (result == 2 * N + 2 && address == self.entry()).then_some(marks)
    }
}

/// The number that [`fold`] makes of the points of one execution.
pub fn walk() -> u64 {
    WORDS.iter().fold(0, |all, word| fold(all, 4 * word))
}

/// Adds one step to the number `all` that stands for a walk. `offset` is where the step landed, in bytes from the entry.
pub const fn fold(all: u64, offset: u64) -> u64 {
    all.wrapping_mul(31).wrapping_add(offset + 1)
}
