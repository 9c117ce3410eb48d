//! Boots on CPUs whose control registers hold garbage, as they may out of reset or after firmware. The kernel must come up all the
//! same, on the first CPU and on the others.
//!
//! QEMU resets every register to 0 where the architecture says UNKNOWN. So QEMU is given a *prologue* to boot: a small image made
//! here, which writes every control register that it can, of EL2 and EL1, and goes on to the kernel's image, which lies further up
//! in memory. The write of a register that the CPU does not have is UNDEFINED; the prologue's vectors skip such a write. Further
//! CPUs are entered by PSCI at the kernel's `secondary_entry`. In the image that is booted here, a branch to the prologue
//! replaces the first instruction of `secondary_entry`; the prologue executes the replaced instruction, and goes on behind it.

use super::boots::Kernel;
use super::judge;
use super::outcome::{Case, Outcome};
use crate::capture::{capture, to_the_end};
use crate::ktap::Verdict;
use crate::qemu::{El, Gic, Machine, Start};
use crate::symbols;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The names of all cases begin with this.
pub const PREFIX: &str = "dirty.";

/// Where QEMU puts an arm64 image of `virt`: 2 MiB into RAM.
const PROLOGUE_AT: u64 = 0x4020_0000;
/// Where the kernel's image is put, at another 2 MiB boundary, below where QEMU puts the device tree.
const IMAGE_AT: u64 = 0x4200_0000;
/// An address that the boot tables map although there is no RAM. Reading it faults, and the kernel fixes the fault up.
const NO_RAM: u64 = 0x8000_0000;
/// How long a boot may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// One boot on CPUs whose control registers hold garbage.
#[derive(Clone, Copy, Debug)]
pub struct Dirty {
    pub name: &'static str,
    cpu: &'static str,
    gic: Gic,
    el: El,
    smp: u8,
    append: &'static str,
    /// Whether the boot code is made to believe that HCR_EL2.E2H is RES1.
    without_e2h0: bool,
    /// Whether x0 holds an address without RAM in place of the device tree's.
    no_tree: bool,
}

const BASE: Dirty = Dirty {
    name: "",
    cpu: "max",
    gic: Gic::V3,
    el: El::El2,
    smp: 4,
    append: "mode=test test=rule-boot hz=1000",
    without_e2h0: false,
    no_tree: false,
};

/// A probe on what a CPU does before its slots are set up; the CPUs are held back until the probe is there.
const LATE: &str = "mode=apart test=bringup.a_probe_is_hit_before_a_cpus_slots_are_set_up maxcpus=1 hz=1000";

/// All cases.
pub static CASES: [Dirty; 8] = [
    Dirty { name: "el2", ..BASE },
    Dirty { name: "el2_old_cpu", cpu: "cortex-a57", gic: Gic::V2, ..BASE },
    Dirty {
        name: "el2_without_e2h0",
        smp: 1,
        without_e2h0: true,
        append: "mode=test test=rule- hz=1000",
        ..BASE
    },
    Dirty { name: "el2_late_cpus", append: LATE, ..BASE },
    Dirty { name: "el1", el: El::El1, ..BASE },
    Dirty { name: "el1_old_cpu", cpu: "cortex-a57", el: El::El1, ..BASE },
    Dirty { name: "el1_late_cpus", el: El::El1, append: LATE, ..BASE },
    Dirty { name: "el1_early_fault", el: El::El1, smp: 1, no_tree: true, ..BASE },
];

impl Dirty {
    /// The boot's name for filters and reports.
    pub fn full_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

/// Boots one case.
pub fn boot(kernel: &Kernel, dirty: &Dirty) -> Outcome {
    let name = dirty.full_name();
    try_boot(kernel, dirty, &name).unwrap_or_else(|error| Outcome::not_run(&name, "dirty", &error))
}

fn try_boot(kernel: &Kernel, dirty: &Dirty, name: &str) -> Result<Outcome> {
    let machine = Machine {
        cpu: dirty.cpu.into(),
        smp: dirty.smp,
        gic: dirty.gic,
        el: dirty.el,
        append: dirty.append.into(),
        ..Machine::default()
    };
    let elf = std::fs::read(&kernel.elf)?;
    let parsed = symbols::parse(&elf)?;
    let entry = symbols::value(&parsed, "secondary_entry")? - symbols::value(&parsed, "__image_start")?;
    let mut image = std::fs::read(&kernel.image)?;
    let displaced = hook(&mut image, usize::try_from(entry)?)?;
    if dirty.without_e2h0 {
        deny_e2h0(&mut image)?;
    }
    let first_x0 = dirty.no_tree.then_some(NO_RAM);
    let prologue = prologue(dirty.el, first_x0, displaced, entry);
    // Beside the kernel's image, so that the command that is printed after a failure boots the same image again.
    let write = |what: &str, bytes: &[u8]| write(&kernel.image, &format!("{}-{what}", dirty.name), bytes);
    let (prologue, image) = (write("prologue.img", &prologue)?, write("kernel.img", &image)?);
    let start = Start::Behind { prologue: &prologue, image: &image, at: IMAGE_AT };
    let limit = Some(kernel.limit.map_or(PATIENCE, |limit| limit.min(PATIENCE)));
    let boot = if dirty.no_tree {
        capture(&machine, &start, limit, |console| judge::device_tree_message(console).is_some())?
    } else {
        capture(&machine, &start, limit, to_the_end)?
    };
    let cases = if dirty.no_tree {
        vec![Case::new("dirty", dirty.name, judge::device_tree(boot.end, &boot.ending(), &boot.console))]
    } else {
        let mut cases = judge::tests(boot.end, &boot.ending(), &boot.console);
        let passed = cases.iter().any(|case| case.verdict == Verdict::Passed);
        if !passed {
            cases.push(Case::unknown("dirty", dirty.name, "no test has passed".into()));
        }
        cases
    };
    let (tail, replay) = (boot.tail(&kernel.elf), machine.shell_line(&start));
    Ok(Outcome { name: name.into(), cases, tail, replay, wall: boot.wall })
}

fn write(image: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let directory = image.parent().context("an image without a directory")?.join("dirty");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(name);
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Replaces the instruction at `entry` by a branch to the prologue's part for the other CPUs. Returns the replaced instruction.
fn hook(image: &mut [u8], entry: usize) -> Result<u32> {
    let place = image.get_mut(entry..entry + 4).context("secondary_entry is not in the image")?;
    let displaced = u32::from_le_bytes((&*place).try_into()?);
    // The prologue executes this instruction at another address, so only MSR DAIFSet and MOV between registers are accepted.
    let moves = displaced & 0xffe0_ffe0 == 0xaa00_03e0;
    ensure!(displaced == 0xd503_4fdf || moves, "secondary_entry begins with {displaced:#010x}");
    let branch = code::b(IMAGE_AT + entry as u64, PROLOGUE_AT + SECONDARY as u64);
    place.copy_from_slice(&branch.to_le_bytes());
    Ok(displaced)
}

/// Patches the boot code so that it reads ID_AA64MMFR4_EL1.E2H0 as -1, which means that HCR_EL2.E2H is RES1. QEMU has no such
/// CPU, but on every CPU with FEAT_VHE the kernel can run at EL1 with E2H set.
fn deny_e2h0(image: &mut [u8]) -> Result<()> {
    let read = code::mrs(1, (3, 0, 0, 7, 4)).to_le_bytes();
    let boot_code = image.get_mut(..0x1_0000).context("the image is small")?;
    let mut places = boot_code.chunks_exact_mut(4).filter(|word| **word == read);
    let (Some(place), None) = (places.next(), places.next()) else {
        bail!("the boot code does not read ID_AA64MMFR4_EL1 once")
    };
    // MOVZ X1, #0xf00, LSL #16.
    place.copy_from_slice(&0xd2a1_e001_u32.to_le_bytes());
    Ok(())
}

const CODE: usize = 0x40;
const VECTORS: usize = 0x2000;
const SECONDARY: usize = 0x3000;
const END: usize = 0x5000;

/// The prologue's image. `x0`, if there is one, is passed to the kernel in place of the device tree's address.
fn prologue(el: El, x0: Option<u64>, displaced: u32, entry: u64) -> Vec<u8> {
    let mut words = vec![0u32; END / 4];
    // The arm64 boot header; see the kernel's head.S.
    words[0] = code::b(0, CODE as u64);
    words[4] = END as u32;
    words[6] = 0xa;
    words[14] = u32::from_le_bytes(*b"ARM\x64");

    let mut first = dirty(el, CODE);
    if let Some(x0) = x0 {
        first.extend(code::mov(0, x0));
    }
    first.extend(code::mov(16, IMAGE_AT));
    first.push(code::BR_X16);
    assert!(CODE + first.len() * 4 <= VECTORS, "the prologue has no room");
    words[CODE / 4..][..first.len()].copy_from_slice(&first);

    // An exception here can only be the write of a register that the CPU lacks: go on behind it.
    let elr = if el == El::El2 { (3, 4, 4, 0, 1) } else { (3, 0, 4, 0, 1) };
    let pass_over = [code::mrs(18, elr), code::ADD_X18_4, code::msr(elr, 18), code::ERET];
    for vector in 0..16 {
        words[(VECTORS + vector * 0x80) / 4..][..pass_over.len()].copy_from_slice(&pass_over);
    }

    let mut further = dirty(el, SECONDARY);
    further.push(displaced);
    let here = PROLOGUE_AT + (SECONDARY + further.len() * 4) as u64;
    further.push(code::b(here, IMAGE_AT + entry + 4));
    assert!(SECONDARY + further.len() * 4 <= END, "the prologue has no room");
    words[SECONDARY / 4..][..further.len()].copy_from_slice(&further);
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A system register: op0, op1, CRn, CRm, op2.
type Register = (u32, u32, u32, u32, u32);

const ONES: u64 = u64::MAX;
/// A value for SCTLR_EL1 and SCTLR_EL2 with MMU and caches off: big endian, alignment checked, and every bit set that has no effect
/// while the MMU is off.
const SCTLR: u64 = !(1 << 0 | 1 << 2 | 1 << 12);
/// A breakpoint that is enabled for every level and security state.
const BCR: u64 = 0x1e7 | 1 << 13;
/// A watchpoint on 2 GiB that is enabled for every level and security state.
const WCR: u64 = 0x1fff | 1 << 13 | 31 << 24;

/// EL1's registers with their values. If there is an EL2, HCR_EL2.E2H must be 0, so that the names mean EL1's registers.
const OF_EL1: [(Register, u64); 22] = [
    ((3, 0, 1, 0, 2), ONES),                            // CPACR_EL1
    ((3, 0, 2, 0, 0), 0x0000_dead_0000_1000),           // TTBR0_EL1
    ((3, 0, 2, 0, 1), 0x0000_dead_0000_2000),           // TTBR1_EL1
    ((3, 0, 2, 0, 2), ONES),                            // TCR_EL1
    ((3, 0, 2, 0, 3), ONES),                            // TCR2_EL1
    ((3, 0, 1, 0, 3), ONES),                            // SCTLR2_EL1
    ((3, 0, 10, 2, 0), ONES),                           // MAIR_EL1
    ((3, 0, 10, 2, 3), ONES),                           // PIR_EL1
    ((3, 0, 13, 0, 1), ONES),                           // CONTEXTIDR_EL1
    ((3, 0, 13, 0, 4), ONES),                           // TPIDR_EL1
    ((3, 0, 14, 1, 0), 0xff),                           // CNTKCTL_EL1
    ((3, 0, 2, 5, 0), ONES),                            // GCSCR_EL1
    ((3, 3, 9, 14, 0), 0xf),                            // PMUSERENR_EL0
    ((3, 3, 13, 2, 3), 1),                              // AMUSERENR_EL0
    ((2, 0, 0, 0, 4), 0xffff_8000_8000_0000),           // DBGBVR0_EL1
    ((2, 0, 0, 0, 5), BCR),                             // DBGBCR0_EL1
    ((2, 0, 0, 1, 4), IMAGE_AT),                        // DBGBVR1_EL1
    ((2, 0, 0, 1, 5), BCR),                             // DBGBCR1_EL1
    ((2, 0, 0, 0, 6), 0xffff_8000_8000_0000),           // DBGWVR0_EL1
    ((2, 0, 0, 0, 7), WCR),                             // DBGWCR0_EL1
    ((2, 0, 0, 2, 2), 1 | 1 << 12 | 1 << 13 | 1 << 15), // MDSCR_EL1: SS, TDCC, KDE, MDE
    ((2, 0, 1, 3, 4), 1),                               // OSDLR_EL1
];

/// EL2's registers with their values. HCR_EL2 comes first, with every bit set, E2H and TGE among them.
const OF_EL2: [(Register, u64); 38] = [
    ((3, 4, 1, 1, 0), ONES),                   // HCR_EL2
    ((3, 4, 1, 2, 2), ONES),                   // HCRX_EL2
    ((3, 4, 1, 1, 3), ONES),                   // HSTR_EL2
    ((3, 4, 1, 1, 7), ONES),                   // HACR_EL2
    ((3, 4, 1, 1, 1), ONES),                   // MDCR_EL2
    ((3, 4, 1, 1, 4), 0x000b_ffff_ffff_ffff),  // HFGRTR_EL2: all that traps
    ((3, 4, 1, 1, 5), 0x000b_ffff_ffff_ffff),  // HFGWTR_EL2
    ((3, 4, 1, 1, 6), 0xf07f_ffff_ffff_ffff),  // HFGITR_EL2
    ((3, 4, 3, 1, 4), 0x87ff_ffff_ffff_ffff),  // HDFGRTR_EL2
    ((3, 4, 3, 1, 5), 0x8fff_ffff_ffff_ffff),  // HDFGWTR_EL2
    ((3, 4, 3, 1, 6), ONES),                   // HAFGRTR_EL2
    ((3, 4, 3, 1, 0), 0),                      // HDFGRTR2_EL2
    ((3, 4, 3, 1, 1), 0),                      // HDFGWTR2_EL2
    ((3, 4, 3, 1, 2), 0),                      // HFGRTR2_EL2
    ((3, 4, 3, 1, 3), 0),                      // HFGWTR2_EL2
    ((3, 4, 3, 1, 7), 1),                      // HFGITR2_EL2
    ((3, 4, 14, 1, 0), ONES & !0xc03),         // CNTHCTL_EL2: in either format all that traps
    ((3, 4, 14, 0, 3), 0x0123_4567_89ab_cdef), // CNTVOFF_EL2
    ((3, 4, 14, 0, 6), 0x0123_4567_89ab_cdef), // CNTPOFF_EL2
    ((3, 4, 14, 2, 1), 1),                     // CNTHP_CTL_EL2
    ((3, 4, 14, 3, 1), 1),                     // CNTHV_CTL_EL2
    ((3, 4, 2, 1, 0), 0x00ff_dead_0000_3000),  // VTTBR_EL2
    ((3, 4, 2, 1, 2), ONES),                   // VTCR_EL2
    ((3, 4, 0, 0, 0), 0x1234_5678),            // VPIDR_EL2
    ((3, 4, 0, 0, 5), 0x0012_3456),            // VMPIDR_EL2
    ((3, 4, 1, 2, 0), 0),                      // ZCR_EL2
    ((3, 4, 1, 2, 6), 0),                      // SMCR_EL2
    ((3, 4, 10, 5, 0), ONES),                  // MPAM2_EL2
    ((3, 0, 10, 4, 3), ONES),                  // LORC_EL1
    ((3, 4, 2, 0, 0), 0x0000_dead_0000_4000),  // TTBR0_EL2
    ((3, 4, 2, 0, 2), ONES),                   // TCR_EL2
    ((3, 4, 10, 2, 0), ONES),                  // MAIR_EL2
    ((3, 4, 13, 0, 2), ONES),                  // TPIDR_EL2
    ((3, 4, 12, 9, 5), 0x6),                   // ICC_SRE_EL2: EL1 may not use system registers
    ((3, 4, 12, 11, 0), ONES),                 // ICH_HCR_EL2
    ((3, 4, 1, 1, 2), 0x33ff | ONES << 20),    // CPTR_EL2: in either format all that traps
    ((3, 5, 14, 1, 0), 0xff),                  // CNTKCTL_EL12
    ((3, 4, 1, 0, 0), SCTLR),                  // SCTLR_EL2
];

/// The code, for offset `at` in the prologue, that writes garbage to all of these registers. It leaves A, I and F open, and D
/// masked, since a step would be taken at once with D open. It clobbers x1 and x18.
fn dirty(el: El, at: usize) -> Vec<u32> {
    let vbar = if el == El::El2 { (3, 4, 12, 0, 0) } else { (3, 0, 12, 0, 0) };
    let mut words = vec![code::adr(1, VECTORS as i64 - at as i64), code::msr(vbar, 1), code::ISB];
    let mut put = |register, value| {
        words.extend(code::mov(1, value));
        words.push(code::msr(register, 1));
    };
    OF_EL1.iter().for_each(|&(register, value)| put(register, value));
    // OSLAR_EL1: sets the OS lock.
    put((2, 0, 1, 0, 4), 1);
    put((3, 0, 1, 0, 0), SCTLR);
    match el {
        El::El2 => {
            put((3, 0, 12, 0, 0), 0xdead_0800);
            OF_EL2.iter().for_each(|&(register, value)| put(register, value));
        }
        // The kernel must not rely on the stack pointer that PSTATE.SP selects.
        El::El1 => words.push(code::SPSEL_0),
    }
    words.push(code::ISB);
    // The vectors come last: from here on an undefined write is no longer skipped.
    words.extend(code::mov(1, 0xdead_1000));
    words.push(code::msr(vbar, 1));
    words.push(code::AIF_OPEN);
    words.push(code::ISB);
    // The boot protocol asks for x1 = 0.
    words.extend(code::mov(1, 0));
    words
}

/// The encodings of the instructions in the prologue.
mod code {
    use super::Register;

    pub const ISB: u32 = 0xd503_3fdf;
    pub const ERET: u32 = 0xd69f_03e0;
    pub const BR_X16: u32 = 0xd61f_0200;
    /// ADD X18, X18, #4.
    pub const ADD_X18_4: u32 = 0x9100_1252;
    /// MSR SPSel, #0.
    pub const SPSEL_0: u32 = 0xd500_40bf;
    /// MSR DAIFClr, #7.
    pub const AIF_OPEN: u32 = 0xd503_47ff;

    fn field((op0, op1, crn, crm, op2): Register) -> u32 {
        (op0 & 1) << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
    }

    pub fn msr(to: Register, from: u32) -> u32 {
        0xd510_0000 | field(to) | from
    }

    pub fn mrs(to: u32, from: Register) -> u32 {
        0xd530_0000 | field(from) | to
    }

    /// MOVZ, and MOVK for each further half that is not 0.
    pub fn mov(register: u32, value: u64) -> Vec<u32> {
        let half = |n: u32| (value >> (16 * n)) as u32 & 0xffff;
        let mut words = vec![0xd280_0000 | half(0) << 5 | register];
        words.extend(
            (1..4).filter(|&n| half(n) != 0).map(|n| 0xf280_0000 | n << 21 | half(n) << 5 | register),
        );
        words
    }

    pub fn adr(register: u32, distance: i64) -> u32 {
        let distance = distance as u32;
        0x1000_0000 | (distance & 3) << 29 | (distance >> 2 & 0x7_ffff) << 5 | register
    }

    pub fn b(from: u64, to: u64) -> u32 {
        0x1400_0000 | (to.wrapping_sub(from) >> 2) as u32 & 0x03ff_ffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_are_what_an_assembler_makes() {
        assert_eq!(code::msr((3, 4, 1, 1, 0), 1), 0xd51c_1101, "msr hcr_el2, x1");
        assert_eq!(code::msr((2, 0, 0, 2, 2), 1), 0xd510_0241, "msr mdscr_el1, x1");
        assert_eq!(code::mrs(18, (3, 0, 4, 0, 1)), 0xd538_4032, "mrs x18, elr_el1");
        assert_eq!(code::mov(1, 0xffff_0000_0000_0002), [0xd280_0041, 0xf2ff_ffe1]);
        assert_eq!(code::mov(0, 0), [0xd280_0000]);
        assert_eq!(code::adr(1, 0x1fc0), 0x1000_fe01);
        assert_eq!(code::b(0x1000, 0x1040), 0x1400_0010);
        assert_eq!(code::b(0x1040, 0x1000), 0x17ff_fff0);
    }

    #[test]
    fn the_prologue_is_an_image_that_goes_on_to_the_kernels() {
        let (entry, displaced) = (0x40, 0xd503_4fdf);
        for el in [El::El1, El::El2] {
            let image = prologue(el, None, displaced, entry);
            assert_eq!(&image[56..60], b"ARM\x64");
            let words: Vec<_> =
                image.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
            assert!(words[CODE / 4..VECTORS / 4].contains(&code::BR_X16));
            let at = words.iter().position(|&word| word == displaced).unwrap();
            assert_eq!(words[at + 1], code::b(PROLOGUE_AT + at as u64 * 4 + 4, IMAGE_AT + entry + 4));
        }
    }

    #[test]
    fn an_entry_that_cannot_be_moved_is_refused() {
        let mut image = vec![0; 0x100];
        image[0x40..0x44].copy_from_slice(&0xd503_4fdf_u32.to_le_bytes());
        assert_eq!(hook(&mut image, 0x40).unwrap(), 0xd503_4fdf);
        assert_eq!(image[0x40..0x44], code::b(IMAGE_AT + 0x40, PROLOGUE_AT + SECONDARY as u64).to_le_bytes());
        assert!(hook(&mut image, 0x40).is_err(), "a branch");
        assert!(hook(&mut image, 0x1000).is_err(), "outside");
        assert!(deny_e2h0(&mut vec![0; 0x1_0000]).is_err());
    }
}
