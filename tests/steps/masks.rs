//! Steps through code that waits, and through code that changes its own masks.

use super::trace::{trace, trace_with};
use crate::address_of;
use crate::failed;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch::daif;
use kernel::debug::session::{self, Stepped, Wish};
use kernel::debug::{self, stats};
use kernel::exception::{DebugFrame, Frame, brk};
use kernel::kprobe::{self, Kprobe, Then};
use rules::pstate::{Daif, SPSR_SS};
use rules::step::StepError;

specimen! {
    fn waits() {
        "wfi", "yield", "sevl", "wfe", "nop", "isb", "dsb sy", "ret"
    }
}

pub fn wfi_and_hints_are_one_step_each() -> Outcome {
    let trace = trace(address_of!(waits), || waits())?;
    check_eq!(trace.words(), [0, 1, 2, 3, 4, 5, 6, 7]);
    check!(trace.complete);
    Ok(())
}

specimen! {
    /// Reads DAIF at four points, and returns the four values, one byte each.
    fn masks_interrupts() -> u64 {
        "mrs x1, daif",            // 0
        "msr daifset, #2",         // 1
        "mrs x2, daif",            // 2
        "msr daifclr, #2",         // 3
        "mrs x3, daif",            // 4
        "mov x4, #0x1c0",          // 5
        "msr daif, x4",            // 6
        "mrs x4, daif",            // 7
        "msr daif, x1",            // 8
        "lsr x0, x1, #6",          // 9
        "orr x0, x0, x2, lsl #2",  // 10
        "orr x0, x0, x3, lsl #10", // 11
        "orr x0, x0, x4, lsl #18", // 12
        "ret",                     // 13
    }
}

pub fn interrupt_masks_can_be_changed_by_stepped_code() -> Outcome {
    let mut read = 0;
    let trace = trace(address_of!(masks_interrupts), || read = masks_interrupts())?;
    check_eq!(trace.words(), (0..14).collect::<alloc::vec::Vec<i64>>());
    check!(trace.complete);
    check_eq!(read, 0x0700_0200, "the stepped code reads the masks that it wrote");
    for (index, (_, masks)) in trace.pcs.iter().enumerate() {
        let expected = match index {
            2 | 3 => Daif::I,
            7 | 8 => Daif::A | Daif::I | Daif::F,
            _ => Daif::empty(),
        };
        check_eq!(*masks, expected, "at instruction {index}");
    }
    Ok(())
}

specimen! {
    /// Masks D in three stretches: by DAIFSet, by DAIF, and by DAIFSet with exceptions taken in the stretch.
    fn masks_everything(n: u64) -> u64 {
        "mrs x1, daif",       // 0
        "msr daifset, #0xf",  // 1
        "add x0, x0, #1",     // 2
        "msr daifclr, #0xf",  // 3
        "mov x2, #0x3c0",     // 4
        "msr daif, x2",       // 5
        "add x0, x0, #2",     // 6
        "mrs x3, daif",       // 7
        "msr daif, x1",       // 8
        "add x0, x0, x3",     // 9
        "msr daifset, #0xf",  // 10
        "brk #{empty}",       // 11
        "add x0, x0, #4",     // 12
        "brk #{debugger}",    // 13
        "brk #{empty}",       // 14
        "msr daifclr, #0xf",  // 15
        "ret",                // 16
        empty = const brk::EMPTY,
        debugger = const brk::DEBUGGER,
    }
}

/// Bit n is set if step n was a masked stretch.
static MASKED: AtomicU64 = AtomicU64::new(0);
/// The number of steps.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The number of steps that landed with D masked.
static LANDED_MASKED: AtomicU64 = AtomicU64::new(0);

fn note_stretches(frame: &Frame) {
    let count = COUNT.fetch_add(1, Relaxed);
    if session::last(debug::this()) == Stepped::Masked {
        MASKED.fetch_or(1 << count, Relaxed);
    }
    LANDED_MASKED.fetch_add(frame.masks().contains(Daif::D).into(), Relaxed);
}

fn through_masked_stretches() -> Result<u64, Ended> {
    for word in [&MASKED, &COUNT, &LANDED_MASKED] {
        word.store(0, Relaxed);
    }
    let mut result = 0;
    let trace = trace_with(address_of!(masks_everything), note_stretches, || result = masks_everything(0))?;
    check_eq!(trace.words(), [0, 1, 4, 5, 9, 10, 16]);
    check!(trace.complete);
    check_eq!(LANDED_MASKED.load(Relaxed), 0);
    check_eq!(MASKED.load(Relaxed), 0b101_0100, "the steps that landed on 4, 9 and 16");
    Ok(result)
}

pub fn a_stretch_with_debug_exceptions_masked_is_one_step() -> Outcome {
    let unattended = stats::UNATTENDED.here();
    check_eq!(through_masked_stretches()?, 7 + 0x3c0);
    check_eq!(stats::UNATTENDED.here() - unattended, 1, "the debugger's BRK in the third stretch");
    Ok(())
}

/// A probe in the stretch parks the step. The copy of the probed instruction runs with D masked, as the instruction does.
pub fn probes_are_hit_in_a_masked_stretch() -> Outcome {
    let sites = [2, 6, 12].map(|word| address_of!(masks_everything) + 4 * word);
    for site in sites {
        kprobe::register(site, None, None).map_err(failed)?;
    }
    let result = through_masked_stretches();
    let counts = sites.map(kprobe::unregister);
    check_eq!(result?, 7 + 0x3c0);
    check_eq!(counts, [Ok((1, 0)); 3]);
    Ok(())
}

/// An interrupt that becomes pending in the stretch is taken after the step and before its report. It is not stepped into.
pub fn an_interrupt_waits_for_the_end_of_a_masked_stretch() -> Outcome {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    static STASHED: AtomicU64 = AtomicU64::new(0);
    fn taken(frame: &mut Frame) {
        TAKEN.fetch_add(1, Relaxed);
        let pending = debug::this().stash_len.get() == 1 && frame.pstate & SPSR_SS == 0;
        STASHED.fetch_add(pending.into(), Relaxed);
    }
    fn send(_: &Kprobe, _: &mut DebugFrame) -> Then {
        interrupt_me();
        Then::Run
    }
    TAKEN.store(0, Relaxed);
    STASHED.store(0, Relaxed);
    let _interrupt = OnDemand::new(taken);
    let sites = [2, 6, 12].map(|word| address_of!(masks_everything) + 4 * word);
    for site in sites {
        kprobe::register(site, Some(send), None).map_err(failed)?;
    }
    let result = through_masked_stretches();
    let counts = sites.map(kprobe::unregister);
    check_eq!(result?, 7 + 0x3c0);
    check_eq!(counts, [Ok((1, 0)); 3]);
    check_eq!(
        (TAKEN.load(Relaxed), STASHED.load(Relaxed)),
        (3, 3),
        "each interrupt came before its step was reported (M13)"
    );
    Ok(())
}

/// A breakpoint is on the instruction that masks D. The step-over ends as usual, and the debugger's step still goes to the end of
/// the stretch.
pub fn a_breakpoint_where_a_masked_stretch_begins() -> Outcome {
    let sites =
        [1, 5, 10].map(|word| Slot::counting(&breakpoint_at(address_of!(masks_everything) + 4 * word)));
    let result = through_masked_stretches();
    check_eq!(result?, 7 + 0x3c0);
    for slot in sites {
        check_eq!(slot?.hits(), Some(1));
    }
    Ok(())
}

pub fn a_step_of_a_masked_context_is_an_error() -> Outcome {
    fn never(_: &mut DebugFrame) -> Wish {
        Wish::Run
    }
    let mut ran = false;
    let result = {
        let _masked = daif::AllMasked::new();
        session::step_with(never, || ran = true)
    };
    check_eq!(result, Err(StepError::DebugMasked));
    check!(!ran, "the body does not run if its step is refused");
    Ok(())
}
