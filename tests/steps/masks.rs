//! Stepped code that waits, and that changes its own masks.

use super::trace::trace;
use crate::arch::daif;
use crate::debug::step::{self, Wish};
use crate::exception::Frame;
use crate::ktest::Outcome;
use crate::{address_of, check, check_eq};
use core::arch::naked_asm;
use rules::pstate::Daif;
use rules::step::StepError;

#[unsafe(naked)]
extern "C" fn waits() {
    naked_asm!("wfi", "yield", "sevl", "wfe", "nop", "isb", "dsb sy", "ret")
}

pub fn wfi_and_hints_are_one_step_each() -> Outcome {
    let trace = trace(address_of!(waits), || waits())?;
    check_eq!(trace.words(), [0, 1, 2, 3, 4, 5, 6, 7]);
    check!(trace.complete);
    Ok(())
}

/// Returns DAIF as the stepped code read it at each of four points, a byte each.
#[unsafe(naked)]
extern "C" fn masks_interrupts() -> u64 {
    naked_asm!(
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
    )
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

#[unsafe(naked)]
extern "C" fn masks_everything() -> u64 {
    naked_asm!(
        "nop",               // 0
        "msr daifset, #0xf", // 1
        "nop",               // 2
        "nop",               // 3
        "msr daifclr, #0xf", // 4
        "mov x0, #7",        // 5
        "ret",               // 6
    )
}

pub fn steps_end_where_stepped_code_masks_debug_exceptions() -> Outcome {
    let mut result = 0;
    let trace = trace(address_of!(masks_everything), || result = masks_everything())?;
    // QEMU reports the step of instruction 1 with D masked already; the next one is then an error, not a run to where D opens.
    check_eq!(trace.words(), [0, 1, 2]);
    check!(!trace.complete);
    check_eq!(trace.pcs[2].1, Daif::all());
    check_eq!(result, 7);
    Ok(())
}

pub fn a_step_of_a_masked_context_is_an_error() -> Outcome {
    fn never(_: &mut Frame) -> Wish {
        Wish::Run
    }
    let mut ran = false;
    let result = {
        let _masked = daif::AllMasked::new();
        step::step_with(never, || ran = true)
    };
    check_eq!(result, Err(StepError::DebugMasked));
    check!(!ran, "nothing runs where a step was asked for and refused");
    Ok(())
}
