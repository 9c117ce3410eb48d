//! Exclusive sequences (H9): with a watchpoint on their word, with a breakpoint in them, stepped, and in free runs.

use super::code;
use super::steps::step;
use crate::support::OwnPage;
use ::slots::{Access, Cpus, Privilege, Request};
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, remove_first, slot};
use kernel::debug;
use kernel::debug::slots::Disposition;
use kernel::debug::stats::{self, Counter};
use spin::Mutex;

pub static SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "exclusive-watchpoint",
        setup: || watch(Access::ReadWrite),
        body: add,
        handler: |_| _ = add(),
        facts: sums,
        due: |_, [sum, _]| sum != 0,
        ..Scenario::EMPTY
    },
    // The store-exclusive hits the slot and fails. The next attempt is executed as one step.
    Scenario {
        name: "exclusive-watchpoint-store",
        setup: || watch(Access::Write),
        body: add,
        handler: |_| _ = add(),
        facts: sums,
        due: |_, [sum, _]| sum != 0,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "exclusive-breakpoint",
        setup: || breakpoint(attempts as *const () as u64 + 4, None),
        body: add,
        handler: |_| _ = add(),
        facts: sums,
        due: |_, [sum, _]| sum != 0,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "exclusive-step",
        body: step_add,
        handler: |_| _ = add(),
        facts: sums,
        due: |_, [sum, _]| sum != 0,
        ..Scenario::EMPTY
    },
    // A load of another word between the exclusives hits the slot.
    Scenario {
        name: "exclusive-watchpoint-between",
        setup: || slot(&request(BY.as_ptr() as u64, 8, Access::Read), Cpus::ALL, Disposition::Count),
        body: add_other,
        handler: |_| _ = add_other(),
        facts: sums,
        due: |_, [sum, _]| sum != 0,
        ..Scenario::EMPTY
    },
    // The sequence cannot be executed as one step, so it runs free until the next exception. An interrupt is such an exception, and
    // makes the sequence start again. There must be as many hits as attempts.
    Scenario {
        name: "exclusive-runs-free",
        before: || ATTEMPTS.store(u64::from(watch(Access::ReadWrite).is_err()) << 32, Relaxed),
        body: stuck,
        handler: |_| _ = stuck(),
        covers: |frame| {
            debug::this().stash_len.get() != 0 && frame.pc == add_current_el as *const () as u64 + 4
        },
        facts: || [ATTEMPTS.load(Relaxed).wrapping_sub(remove_first()), WORD.swap(0, Relaxed)],
        due: |_, [unseen, sum]| unseen == 0 && sum != 0,
        varies: FREE,
        ..Scenario::EMPTY
    },
    // The doubleword that holds a lock is watched while the lock is taken and released.
    Scenario {
        name: "lock-watchpoint",
        setup: || {
            let address = &raw const LOCK as u64 & !7;
            slot(&request(address, 8, Access::ReadWrite), Cpus::ALL, Disposition::Count)
        },
        body: lock,
        facts: || [LOCK_VALUE.swap(0, Relaxed), u64::from(LOCK.is_locked())],
        due: |_, facts| facts == [2, 0],
        ..Scenario::EMPTY
    },
];

/// Counters that depend on how often an interrupt ends a free run.
const FREE: &[Counter] = &[stats::WATCHPOINTS, stats::STEPS, stats::FREE_RUNS, stats::CANCELLED];

static WORD: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
static BY: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(5));
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
static LOCK: OwnPage<Mutex<()>> = OwnPage(Mutex::new(()));
static LOCK_VALUE: AtomicU64 = AtomicU64::new(0);

specimen! {
    /// Adds 1 with an exclusive sequence, whose load-exclusive is the second instruction. Returns the number of attempts.
    pub fn attempts(word: u64) -> u64 {
        "mov x9, #0",
        "2: ldxr x1, [x0]",
        "add x1, x1, #1",
        "stxr w2, x1, [x0]",
        "add x9, x9, #1",
        "cbnz w2, 2b",
        "mov x0, x9",
        "ret",
    }

    /// Adds the value of a system register with an exclusive sequence, which therefore cannot be executed as one step. Returns the
    /// number of attempts.
    pub fn add_current_el(word: u64) -> u64 {
        "mov x9, #0",
        "2: ldxr x2, [x0]",
        "mrs x3, currentel",
        "add x2, x2, x3",
        "stxr w4, x2, [x0]",
        "add x9, x9, #1",
        "cbnz w4, 2b",
        "mov x0, x9",
        "ret",
    }
}

fn request(address: u64, length: u64, access: Access) -> Request {
    Request::Watchpoint { address, length, access, privilege: Privilege::El1 }
}

fn watch(access: Access) -> Result<(), String> {
    slot(&request(WORD.as_ptr() as u64, 8, access), Cpus::ALL, Disposition::Count)
}

/// The sum of what was added since the last call. D is masked, so that the slot is not hit.
fn sums() -> [u64; 2] {
    let _masked = kernel::arch::daif::AllMasked::new();
    [WORD.swap(0, Relaxed), 0]
}

extern "C" fn add() -> u64 {
    attempts(WORD.as_ptr() as u64);
    0
}

extern "C" fn step_add() -> u64 {
    step(24, || attempts(WORD.as_ptr() as u64))
}

specimen! {
    /// Adds the doubleword at `by`, which is loaded between the exclusives.
    pub fn add_loaded(word: u64, by: u64) -> u64 {
        "2: ldxr x2, [x0]",
        "ldr x3, [x1]",
        "add x2, x2, x3",
        "stxr w4, x2, [x0]",
        "cbnz w4, 2b",
        "ret",
    }
}

extern "C" fn add_other() -> u64 {
    add_loaded(WORD.as_ptr() as u64, BY.as_ptr() as u64);
    0
}

extern "C" fn stuck() -> u64 {
    ATTEMPTS.fetch_add(add_current_el(WORD.as_ptr() as u64), Relaxed);
    // The WARN is an exception, which ends the last free run.
    code::warn();
    0
}

extern "C" fn lock() -> u64 {
    for _ in 0..2 {
        let guard = LOCK.lock();
        LOCK_VALUE.store(LOCK_VALUE.load(Relaxed) + 1, Relaxed);
        drop(guard);
    }
    0
}
