//! One word to which all CPUs add by load-exclusive and store-exclusive (rule H9), in threads and in interrupts, while a watchpoint
//! on the word comes and goes. How often a store-exclusive fails cannot be known in advance, but each execution reports every
//! exception that it has taken. The counts of the slots, of their handler and of the executions must be the same, and the word must
//! be the sum of all additions.
//!
//! The watchpoint always matches loads. After the hit of a watchpoint for stores alone, the next load-exclusive would take an
//! exception that calls no handler, and so the execution would not report it.

use super::held::Held;
use crate::support::OwnPage;
use ::slots::{Access, Cpus, Privilege, Request};
use alloc::format;
use alloc::string::String;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::storm::{Due, Random, due};
use kernel::arch::barrier::relax;
use kernel::arch::daif::AllMasked;
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::percpu::PerCpu;
use kernel::watcher;

static WORD: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

/// How often each CPU has executed [`add_one`].
static RUNS: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));
/// How many exceptions the executions have told of.
static TOLD: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));
/// How often the slots' handler was called.
static CALLED: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));
/// How many hits the slots have counted.
static COUNTED: AtomicU64 = AtomicU64::new(0);

/// The mark of an exception at the store-exclusive. The mark of an exception at the load-exclusive is 1.
const STORE: u64 = 1 << 32;

specimen! {
    /// Adds 1 to the word. x1 is for marks.
    fn add_one(word: *const AtomicU64) {
        "2: ldxr x9, [x0]", "add x9, x9, #1", "stxr w10, x9, [x0]", "cbnz w10, 2b", "ret"
    }
}

/// Adds 1 to the word `times` times. Works in every context except debug context.
pub fn run(times: u32) {
    for _ in 0..times {
        let mut marks = 0u64;
        // SAFETY: the function uses the registers that are named here, and changes the word only.
        unsafe {
            asm!(
                "bl {add_one}",
                add_one = sym add_one,
                in("x0") &raw const WORD,
                inout("x1") marks,
                out("x9") _,
                out("x10") _,
                out("x30") _,
                options(nostack),
            );
        }
        let (loads, stores) = (marks % STORE, marks / STORE);
        TOLD.this().fetch_add(loads + stores, Relaxed);
        due(Due::Watchpoints, loads + stores);
        due(Due::Sequences, loads);
        due(Due::Failed, stores);
    }
    RUNS.this().fetch_add(times.into(), Relaxed);
}

fn mark(_: &Hit, frame: &mut DebugFrame) {
    CALLED.this().fetch_add(1, Relaxed);
    let at_load = frame.pc == add_one as *const () as u64;
    frame.x[1] += if at_load { 1 } else { STORE };
}

/// Sets a watchpoint on the word, and removes it after a while. Only one CPU at a time may call this.
///
/// # Errors
/// If the slot cannot be set or removed although nothing stands in the way.
pub fn slot(random: &mut Random, cpus: usize) -> Result<(), String> {
    let access = random.pick(&[Access::Read, Access::ReadWrite]);
    let cpu = random.below(cpus as u32 * 2);
    let (linger, times) = (random.below(60_000), random.below(30));
    let cpus = if (cpu as usize) < cpus { Cpus::of(cpu) } else { Cpus::ALL };
    let (address, length, privilege) = ((&raw const WORD).addr() as u64, 8, Privilege::El1);
    let held =
        Held::get(&Request::Watchpoint { address, length, access, privilege }, cpus, Some(watcher!(mark)))?;
    run(times);
    if let Some(held) = held {
        (0..linger).for_each(|_| relax());
        COUNTED.fetch_add(held.give()?, Relaxed);
    }
    Ok(())
}

/// Compares the counts and the word, and returns the hits so far. Called while no CPU storms.
///
/// # Errors
/// If counts differ that must be the same.
pub fn compare() -> Result<u64, String> {
    let sum = |all: &PerCpu<AtomicU64>| all.iter().map(|count| count.load(Relaxed)).sum::<u64>();
    let (told, called, counted) = (sum(&TOLD), sum(&CALLED), COUNTED.load(Relaxed));
    if [told, called] != [counted; 2] {
        return Err(format!(
            "hits at exclusives: {counted} counted, {called} handlers called, {told} told by executions"
        ));
    }
    let word = {
        let _masked = AllMasked::new();
        WORD.load(Relaxed)
    };
    if word != sum(&RUNS) {
        return Err(format!("{} executions have added {word}", sum(&RUNS)));
    }
    Ok(counted)
}
