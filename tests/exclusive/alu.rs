//! Compares what `probe::sequence` computes in software with what the CPU computes.

use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::daif::AllMasked;
use kernel::mm::patch;
use probe::sequence::{Registers, execute};

specimen! {
    /// Executes the word at `exclusive_tried` with x0 to x7 and NZCV from `registers`, and puts their new values back there,
    /// followed by SP and by the SP before. Returns 1 if the word is undefined. Called with exceptions masked, because the word may
    /// change SP.
    fn native(registers: *mut [u64; 11]) -> u64 {
        "mov x8, x0",
        "mov x15, sp",
        "str x15, [x8, #80]",
        "ldr x9, [x8, #64]",
        "msr nzcv, x9",
        "ldp x0, x1, [x8]",
        "ldp x2, x3, [x8, #16]",
        "ldp x4, x5, [x8, #32]",
        "ldp x6, x7, [x8, #48]",
        ".global exclusive_tried",
        "exclusive_tried:",
        "nop",
        "mov x9, sp",
        "mov sp, x15",
        "str x9, [x8, #72]",
        "mrs x9, nzcv",
        "str x9, [x8, #64]",
        "stp x0, x1, [x8]",
        "stp x2, x3, [x8, #16]",
        "stp x4, x5, [x8, #32]",
        "stp x6, x7, [x8, #48]",
        "mov x0, #0",
        "ret",
        "2: mov x0, #1",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad exclusive_tried, 2b",
        ".popsection",
    }
}

unsafe extern "C" {
    static exclusive_tried: u8;
}

struct Random(u64);

impl Random {
    /// The next number of the generator xorshift64*.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A random value for a register. One in three is an edge of the number range, where results of instructions change.
    fn value(&mut self) -> u64 {
        const EDGES: [u64; 8] = [0, 1, u64::MAX, 1 << 63, !(1 << 63), 0x8000_0000, 0x7fff_ffff, 0xffff_ffff];
        match self.next() % 3 {
            0 => EDGES[self.next() as usize % 8],
            _ => self.next(),
        }
    }
}

/// The fixed bits (mask, value) of each group of data-processing instructions, DDI 0487 C4.1. Each group is tried with as many
/// words as the others.
const GROUPS: [(u32, u32); 14] = [
    (0x1f80_0000, 0x1100_0000), // add, sub (immediate)
    (0x1f80_0000, 0x1200_0000), // logical (immediate)
    (0x1f80_0000, 0x1280_0000), // move wide
    (0x1f80_0000, 0x1300_0000), // bitfield
    (0x1f80_0000, 0x1380_0000), // extract
    (0x1f00_0000, 0x0a00_0000), // logical (shifted register)
    (0x1f20_0000, 0x0b00_0000), // add, sub (shifted register)
    (0x1fe0_0000, 0x0b20_0000), // add, sub (extended register)
    (0x1fe0_fc00, 0x1a00_0000), // with carry
    (0x3fe0_0410, 0x3a40_0000), // conditional compare
    (0x3fe0_0800, 0x1a80_0000), // conditional select
    (0x7fe0_c000, 0x1ac0_0000), // 2 sources
    (0x7fff_e000, 0x5ac0_0000), // 1 source
    (0x7f00_0000, 0x1b00_0000), // 3 sources
];
const EACH: usize = 150;

pub fn software_and_hardware_agree() -> Outcome {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut known = [0; GROUPS.len()];
    for (group, (mask, fixed)) in GROUPS.into_iter().enumerate() {
        for _ in 0..EACH {
            let mut word = random.next() as u32 & !mask | fixed;
            // Register fields name x0 to x7 or 31, unless the group's fixed bits lie there.
            for lsb in [0, 5, 16, 10] {
                let register = if random.next().is_multiple_of(8) { 31 } else { random.next() as u32 & 7 };
                // Bits 16 and up are a register in the groups from number 4 on, bits 10 and up in group 13. Elsewhere they are
                // fixed, or part of an immediate, which is random already.
                if lsb < 10 || group >= 4 && lsb == 16 || group == 13 {
                    word = word & !(0x1f << lsb & !mask) | register << lsb & !mask;
                }
            }
            let mut before = [0; 11];
            before[..8].iter_mut().for_each(|register| *register = random.value());
            before[8] = random.next() & 0xf << 28;
            let mut software = Registers { x: [0; 31], sp: 0, pc: 0, pstate: before[8] | 0x5 };
            software.x[..8].copy_from_slice(&before[..8]);
            // A word that `execute` does not know is not tried natively: it might trap to EL2.
            if !execute(word, &mut software.clone()) {
                continue;
            }
            let mut after = before;
            let masked = AllMasked::new();
            patch::write_text(&raw const exclusive_tried as usize, word);
            let undefined = native(&raw mut after);
            drop(masked);
            software.sp = after[10];
            execute(word, &mut software);
            known[group] += 1;
            check_eq!(undefined, 0, "{word:08x} is no instruction");
            check_eq!(software.x[..8], after[..8], "{word:08x} on {before:x?}");
            check_eq!(software.pstate, after[8] | 0x5, "{word:08x} on {before:x?}");
            check_eq!(software.sp, after[9], "{word:08x} on {before:x?}, SP {:#x}", after[10]);
        }
    }
    let masked = AllMasked::new();
    patch::write_text(&raw const exclusive_tried as usize, probe::ool::NOP);
    drop(masked);
    // In most groups nearly every word is an instruction of Armv8.0. In a few groups only some words are.
    check!(known.iter().all(|known| *known >= EACH / 20), "{known:?}");
    Ok(())
}
