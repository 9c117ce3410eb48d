//! Sequences that cannot be executed in software. They run free, and must come to their end.

use super::stepping::steps;
use super::{code, remove, wait_a_tick, watch};
use ::slots::Access;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::session::Stepped;
use kernel::debug::slots::Disposition;
use kernel::debug::stats;
use kernel::irq::off::IrqOff;

static WORD: AtomicU64 = AtomicU64::new(0);

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::ReadWrite];

fn with_system_read() {
    code::add_with_system_read(WORD.as_ptr());
}

pub fn a_sequence_that_cannot_be_run_gets_on() -> Outcome {
    type Form = (&'static str, u64, u64, fn());
    let forms: [Form; 4] = [
        ("a system register", code::add_with_system_read as *const () as u64, 7, with_system_read),
        ("too long", code::add_slowly as *const () as u64, 205, || code::add_slowly(WORD.as_ptr(), 3)),
        ("a branch", code::add_by_branch as *const () as u64, 8, || code::add_by_branch(WORD.as_ptr(), 3)),
        ("either way", code::add_by_either as *const () as u64, 9, || code::add_by_either(WORD.as_ptr(), 3)),
    ];
    for (name, at, words, run) in forms {
        for access in ACCESSES {
            WORD.store(0, Relaxed);
            let free = stats::FREE_RUNS.sum();
            let id = watch(&raw const WORD as u64, 8, access, Disposition::Count)?;
            for _ in 0..20 {
                run();
            }
            wait_a_tick();
            let hits = remove(id)?;
            let free = stats::FREE_RUNS.sum() - free;
            // While the context runs free its hits are not seen. So there are fewer hits than rounds, and the ticks decide how
            // many.
            check_eq!(WORD.load(Relaxed), 60, "{name} {access:?}");
            check!(hits >= 1 && free >= 1, "{name} {access:?}: {hits} hits, {free} free runs");
        }
        if name == "either way" {
            continue;
        }
        WORD.store(0, Relaxed);
        let free = stats::FREE_RUNS.sum();
        let landed = steps(at, words, run)?;
        wait_a_tick();
        check_eq!(WORD.load(Relaxed), 3, "{name}");
        check_eq!(landed[0], (0, Stepped::Instruction), "{name}");
        check!(stats::FREE_RUNS.sum() - free >= 1, "{name}");
    }
    Ok(())
}

pub fn a_lone_load_exclusive_is_an_ordinary_step() -> Outcome {
    WORD.store(5, Relaxed);
    let free = stats::FREE_RUNS.sum();
    let at = code::load_only as *const () as u64;
    let mut value = 0;
    let landed = steps(at, 4, || value = code::load_only(WORD.as_ptr()))?;
    check_eq!(landed, [0, 4, 8, 12].map(|offset| (offset, Stepped::Instruction)));
    check_eq!(value, 5);
    let id = watch(&raw const WORD as u64, 8, Access::Read, Disposition::Count)?;
    let sum: u64 = (0..10).map(|_| code::load_only(WORD.as_ptr())).sum();
    check_eq!((remove(id)?, sum), (10, 50));
    check_eq!(stats::FREE_RUNS.sum() - free, 0);
    Ok(())
}

/// A word in read-only memory. Its address is used, so the compiler cannot replace it by its value.
static READ_ONLY: u64 = 11;

pub fn a_sequence_that_faults() -> Outcome {
    let at = code::may_fault as *const () as u64;
    let nowhere = 0xffff_0fff_0000_0000_u64 as *const u64;
    check_eq!((code::may_fault(nowhere), code::may_fault(&raw const READ_ONLY)), (1, 2));
    for (address, fixup, wanted) in
        [(nowhere, code::FIXUP_LOAD, 1), (&raw const READ_ONLY, code::FIXUP_STORE, 2)]
    {
        let mut result = 0;
        // The step of the sequence ends in the fault's handler, which is outside of the function. So the only step that lands in
        // the function is the one that lands on the load-exclusive.
        let landed = steps(at, 10, || result = code::may_fault(address))?;
        check_eq!((result, landed.len()), (wanted, 1), "{fixup}: {landed:?}");
        check_eq!(landed[0], (0, Stepped::Instruction));
    }
    let (free, completed) = (stats::FREE_RUNS.sum(), stats::FIXUPS.sum());
    let id = watch(&raw const READ_ONLY as u64, 8, Access::ReadWrite, Disposition::Count)?;
    // An interrupt would end the free run and clear the monitor, so that the store-exclusive fails without a fault.
    let off = IrqOff::new();
    let results = [(); 10].map(|()| code::may_fault(&raw const READ_ONLY));
    drop(off);
    check_eq!((remove(id)?, results), (10, [2; 10]));
    check_eq!(stats::FREE_RUNS.sum() - free, 10);
    // In each round two accesses fault: one of the handler that executes the sequence in software, and one of the sequence itself,
    // which then runs free.
    check_eq!(stats::FIXUPS.sum() - completed, 20);
    Ok(())
}
