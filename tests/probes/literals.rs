//! Simulated loads of literals (rule K1) read the same bytes as the instruction, in one access.

use crate::address_of;
use crate::failed;
use crate::support::{all_idle, on_other_cpus};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::barrier::relax;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Wanted};
use kernel::mm::{layout, patch};

/// All zeros or all ones. It lies at the start of the data, because a literal must be within 1 MiB of the instruction that loads
/// it.
#[unsafe(link_section = ".noprobe.data")]
static FLIPPED: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);

fn flip() {
    while !STOP.load(Relaxed) {
        FLIPPED.store(0, Relaxed);
        FLIPPED.store(u64::MAX, Relaxed);
        // Under icount CPUs take turns, and a CPU that does not say that it waits keeps its turn to the end.
        relax();
    }
}

/// DDI 0487 B2.2.1: the load of an aligned doubleword is single-copy atomic, and so is its simulation.
pub fn a_literal_that_another_cpu_writes_is_read_whole() -> Outcome {
    const RET: u32 = 0xd65f_03c0;
    crate::needs_several_cpus!();
    let at = layout::generated_end() as u64 - 64;
    let distance = FLIPPED.as_ptr() as u64 - at;
    check!(distance < 1 << 20, "{distance:#x} bytes are more than a literal's offset can be");
    let ldr = 0x5800_0000 | (distance as u32 / 4) << 5;
    {
        let _off = IrqOff::new();
        patch::write_words(at as usize, &[ldr, RET]);
    }
    // SAFETY: the text is executable, and holds LDR X0 (literal) and RET.
    let load: extern "C" fn() -> u64 = unsafe { core::mem::transmute(at as *const ()) };
    STOP.store(false, Relaxed);
    on_other_cpus(flip);
    let torn = |calls: u64| (0..calls).filter(|_| !matches!(load(), 0 | u64::MAX)).count();
    let natively = torn(50_000);
    let simulated = kprobe::register(at, None, None).map(|_| {
        let torn = torn(50_000);
        (torn, kprobe::unregister(at))
    });
    STOP.store(true, Relaxed);
    all_idle();
    check_eq!(natively, 0);
    check_eq!(simulated.map_err(failed)?, (0, Ok((50_000, 0))), "half of one value, half of the other");
    Ok(())
}

specimen! {
    /// Returns its last two instructions.
    fn reads_a_doubleword_of_itself() -> u64 {
        "ldr x0, 2f", "ret", "2: add x1, x1, #1", "sub x1, x1, #1"
    }

    /// Returns its last instruction, sign-extended.
    fn reads_a_word_of_itself() -> u64 {
        "ldrsw x0, 2f", "ret", "add x1, x1, #1", "2: sub x1, x1, #1"
    }
}

/// A load of a literal that lies on probed instructions reads the original instructions, not what the probes have written there.
pub fn a_literal_on_probed_text_is_what_the_probe_replaced() -> Outcome {
    // ADD X1, X1, #1 and SUB X1, X1, #1. They are not read from the text: where everything is probed, so may they be, and the load not.
    const ADD: u64 = 0x9100_0421;
    const SUB: u64 = 0xd100_0421;
    const SIGN: u64 = 0xffff_ffff_0000_0000;
    let functions = [
        (reads_a_doubleword_of_itself as extern "C" fn() -> u64, SUB << 32 | ADD),
        (reads_a_word_of_itself, SIGN | SUB),
    ];
    for (function, expected) in functions {
        let address = address_of!(function);
        for optimise in [false, true] {
            for probed in [&[0][..], &[0, 8], &[0, 12], &[0, 8, 12]] {
                let wanted = probed
                    .iter()
                    .map(|offset| Wanted { optimise: Some(optimise), ..Wanted::at(address + offset) });
                let probes = kprobe::register_all(wanted).map_err(failed)?;
                let read = function();
                kprobe::remove_all(&probes);
                check_eq!(read, expected, "with probes at {probed:?}");
            }
        }
    }
    Ok(())
}
