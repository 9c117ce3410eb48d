//! Steps through code that switches its stack pointer, and through code that calls the firmware.

use super::trace::{trace, trace_with};
use crate::address_of;
use crate::support::{Slot, breakpoint_at};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, skip};
use kernel::arch::psci;
use kernel::debug::stats;
use kernel::exception::Frame;
use platform::Conduit;

specimen! {
    /// Switches to SP_EL0, writes `n` to SP, and switches back. Returns 0 if SP_EL0 held `n` and SP is as it was before.
    fn switches_stack_pointer(n: u64) -> u64 {
        "mrs x1, daif",    // 0
        "msr daifset, #3", // 1
        "mov x2, sp",      // 2
        "msr spsel, #0",   // 3
        "mov x3, sp",      // 4
        "mov sp, x0",      // 5
        "mov x4, sp",      // 6
        "mrs x6, spsel",   // 7
        "mov sp, x3",      // 8
        "msr spsel, #1",   // 9
        "mov x5, sp",      // 10
        "msr daif, x1",    // 11
        "sub x0, x0, x4",  // 12
        "sub x5, x5, x2",  // 13
        "orr x0, x0, x5",  // 14
        "orr x0, x0, x6",  // 15
        "ret",             // 16
    }
}

pub fn the_stack_pointer_can_be_switched_by_stepped_code() -> Outcome {
    static STEP: AtomicU64 = AtomicU64::new(0);
    static ON_SP_EL0: AtomicU64 = AtomicU64::new(0);
    fn note(frame: &Frame) {
        const SP_ELX: u64 = 1;
        let step = STEP.fetch_add(1, Relaxed);
        ON_SP_EL0.fetch_or((!frame.pstate & SP_ELX) << step, Relaxed);
    }
    STEP.store(0, Relaxed);
    ON_SP_EL0.store(0, Relaxed);
    let mut result = 1;
    let entry = address_of!(switches_stack_pointer);
    let trace = trace_with(entry, note, || result = switches_stack_pointer(0x7e57_1230))?;
    check_eq!(trace.words(), (0..17).collect::<alloc::vec::Vec<i64>>());
    check!(trace.complete);
    check_eq!(result, 0, "SP_EL0 holds `n`, and SP_EL1 is as it was");
    check_eq!(ON_SP_EL0.load(Relaxed), 0b11_1111_0000, "behind instruction 3, up to 9");
    Ok(())
}

/// A breakpoint is on the instruction that switches the stack pointer. The step exception comes on the other stack pointer.
pub fn a_step_over_ends_on_the_other_stack_pointer() -> Outcome {
    let overs = stats::STEP_OVERS.here();
    let slot = Slot::counting(&breakpoint_at(address_of!(switches_stack_pointer) + 12))?;
    let results = [switches_stack_pointer(16), switches_stack_pointer(32)];
    check_eq!((results, slot.hits()), ([0; 2], Some(2)));
    check_eq!(stats::STEP_OVERS.here() - overs, 2);
    Ok(())
}

specimen! {
    /// Calls PSCI_VERSION. Where the kernel's own stub is at EL2, the stub ignores the call.
    fn hypervisor_call() -> u64 {
        "movz w0, #0x8400, lsl #16", "hvc #0", "ret"
    }

    fn secure_monitor_call() -> u64 {
        "movz w0, #0x8400, lsl #16", "smc #0", "ret"
    }
}

fn is_one_step(call: extern "C" fn() -> u64) -> Outcome {
    let without = call();
    let mut result = 0;
    let trace = trace(address_of!(call), || result = call())?;
    check_eq!(trace.words(), [0, 1, 2]);
    check!(trace.complete);
    check_eq!(result, without);
    // A breakpoint on the call is stepped over, too.
    let slot = Slot::counting(&breakpoint_at(address_of!(call) + 4))?;
    check_eq!((call(), slot.hits()), (without, Some(1)));
    Ok(())
}

pub fn a_hypervisor_call_is_one_step() -> Outcome {
    if psci::conduit() == Some(Conduit::Hvc) {
        check!(hypervisor_call() & !0xf == 0x1_0000, "version 1 of PSCI");
    }
    is_one_step(hypervisor_call)
}

pub fn a_secure_monitor_call_is_one_step() -> Outcome {
    if psci::conduit() != Some(Conduit::Smc) {
        skip!("the firmware is called by HVC");
    }
    check!(secure_monitor_call() & !0xf == 0x1_0000, "version 1 of PSCI");
    is_one_step(secure_monitor_call)
}
