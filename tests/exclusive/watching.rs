//! Watchpoints on words that exclusives use.

use super::{code, remove, watch};
use crate::support::OwnPage;
use ::slots::Access;
use core::hint::black_box;
use core::sync::atomic::{
    AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, SeqCst},
};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::debug::slots::{Disposition, Hit};
use kernel::debug::stats;
use kernel::exception::DebugFrame;
use kernel::idle;
use kernel::irq::off::IrqOff;
use kernel::println;
use kernel::report::symbols;
use kernel::sync::SpinLock;
use kernel::watcher;

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::ReadWrite];

static WORD: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
static BYTE: AtomicU8 = AtomicU8::new(0);
static HALF: AtomicU16 = AtomicU16::new(0);
static SMALL: AtomicU32 = AtomicU32::new(0);

fn word() -> u64 {
    &raw const WORD as u64
}

/// The forms of atomics that the compiler generates on this target. Each of them is one sequence.
pub fn every_form_under_a_watchpoint_on_one_cpu() -> Outcome {
    type Form = (&'static str, fn() -> u64, u64);
    // For each form: what it returns, and what WORD is afterwards. WORD is 5 before.
    let forms: [(Form, u64); 14] = [
        (("fetch_add", || WORD.fetch_add(3, Relaxed), 5), 8),
        (("fetch_sub", || WORD.fetch_sub(6, AcqRel), 5), u64::MAX),
        (("fetch_and", || WORD.fetch_and(4, SeqCst), 5), 4),
        (("fetch_or", || WORD.fetch_or(0xff00, Relaxed), 5), 0xff05),
        (("fetch_xor", || WORD.fetch_xor(1, Relaxed), 5), 4),
        (("fetch_nand", || WORD.fetch_nand(1, Relaxed), 5), !1),
        (("fetch_max", || WORD.fetch_max(9, Relaxed), 5), 9),
        (("fetch_min", || WORD.fetch_min(2, SeqCst), 5), 2),
        (("swap", || WORD.swap(77, AcqRel), 5), 77),
        (("exchange", || WORD.compare_exchange(5, 6, AcqRel, Acquire).unwrap_or(100), 5), 6),
        (("weak", || WORD.compare_exchange_weak(5, 6, SeqCst, Relaxed).unwrap_or(100), 5), 6),
        (("in a function", || code::add(WORD.as_ptr(), 2), 5), 7),
        (("delayed branch", || code::add_below(WORD.as_ptr(), 9), 5), 6),
        (("update", || WORD.fetch_update(AcqRel, Acquire, |n| Some(n * 2)).unwrap_or(100), 5), 10),
    ];
    const TIMES: u64 = 50;
    for ((name, run, returns), after) in forms {
        for access in ACCESSES {
            // `fetch_update` first loads the word, which is one more hit of a slot for loads. A weak exchange may fail, and it does
            // if the slot is hit by its store.
            let more = match (name, access) {
                ("update", Access::Read | Access::ReadWrite) => TIMES,
                _ => 0,
            };
            let weak_fails = name == "weak" && access == Access::Write;
            let id = watch(word(), 8, access, Disposition::Count)?;
            let mut wrong = 0;
            for _ in 0..TIMES {
                // D is masked, so this store does not hit the slot.
                let masked = kernel::arch::daif::AllMasked::new();
                WORD.store(5, Relaxed);
                drop(masked);
                let mut returned = black_box(run)();
                while weak_fails && returned == 100 {
                    returned = black_box(run)();
                }
                let masked = kernel::arch::daif::AllMasked::new();
                wrong += u64::from(returned != returns || WORD.load(Relaxed) != after);
                drop(masked);
            }
            let hits = remove(id)?;
            check_eq!((wrong, hits), (0, TIMES + more), "{name} {access:?}");
        }
    }
    // A comparison that fails does not store.
    for (access, wanted) in ACCESSES.into_iter().zip([50, 0, 50]) {
        WORD.store(1, Relaxed);
        let id = watch(word(), 8, access, Disposition::Count)?;
        let failed = (0..50).filter(|_| WORD.compare_exchange(5, 6, AcqRel, Acquire) == Err(1)).count();
        check_eq!((failed, remove(id)?), (50, wanted), "{access:?}");
    }
    Ok(())
}

/// Few rounds: where QEMU runs its CPUs as threads on fewer processors, every round can wait for a turn of each other CPU.
const ROUNDS: u64 = 100;

static PAIR: Pair = Pair(core::cell::UnsafeCell::new([0; 2]));
#[repr(align(16))]
struct Pair(core::cell::UnsafeCell<[u64; 2]>);
// SAFETY: while several CPUs use it, all accesses are exclusives.
unsafe impl Sync for Pair {}

fn hammer() {
    for _ in 0..ROUNDS {
        WORD.fetch_add(1, Relaxed);
        BYTE.fetch_add(1, Relaxed);
        HALF.fetch_add(3, AcqRel);
        let mut seen = SMALL.load(Relaxed);
        while let Err(now) = SMALL.compare_exchange(seen, seen.wrapping_add(7), AcqRel, Acquire) {
            seen = now;
        }
        code::add_pair(PAIR.0.get(), 5);
    }
}

/// Each word is watched in turn while all CPUs use it. No update is lost, and each attempt that is executed in software is one hit.
pub fn every_form_under_a_watchpoint_on_all_cpus() -> Outcome {
    let places = [
        (word(), 8),
        (&raw const BYTE as u64, 1),
        (&raw const HALF as u64, 2),
        (&raw const SMALL as u64, 4),
        (PAIR.0.get() as u64, 8),
        (PAIR.0.get() as u64 + 8, 8),
    ];
    for (index, (address, length)) in places.into_iter().enumerate() {
        for access in ACCESSES {
            if index == 5 && access == Access::Write {
                // Some emulators have stored the first half of a pair when the watchpoint on the second half hits.
                continue;
            }
            WORD.store(0, Relaxed);
            BYTE.store(0, Relaxed);
            HALF.store(0, Relaxed);
            SMALL.store(0, Relaxed);
            // SAFETY: no other CPU uses it now.
            unsafe { *PAIR.0.get() = [0; 2] };
            let (attempts, free) = (stats::SEQUENCES.sum(), stats::FREE_RUNS.sum());
            let id = watch(address, length, access, Disposition::Count)?;
            let cpus = idle::on_all(hammer) as u64;
            let (attempts, free) = (stats::SEQUENCES.sum() - attempts, stats::FREE_RUNS.sum() - free);
            let hits = remove(id)?;
            let rounds = cpus * ROUNDS;
            // SAFETY: as above.
            let pair = unsafe { *PAIR.0.get() };
            let sums =
                (WORD.load(Relaxed), BYTE.load(Relaxed), HALF.load(Relaxed), SMALL.load(Relaxed), pair);
            let wanted =
                (rounds, rounds as u8, (rounds * 3) as u16, (rounds * 7) as u32, [rounds * 5, rounds * 5]);
            check_eq!(sums, wanted, "{index} {access:?}");
            check_eq!(free, 0);
            check!(hits >= rounds, "{index} {access:?}: {hits} hits of {rounds}");
            // SMALL is read by an ordinary load, too, which hits without an attempt.
            if index != 3 {
                check_eq!(hits, attempts, "{index} {access:?}");
            }
        }
    }
    Ok(())
}

/// How often each CPU takes the lock. The number is small, because CPUs that wait for the lock hit the watchpoint again and again.
const TIMES_TAKEN: u64 = 50;
static LOCK: OwnPage<SpinLock<u64>> = OwnPage(SpinLock::new(0));
/// 1 while a CPU holds LOCK. [`TOGETHER`] counts how often a CPU has taken LOCK while another CPU held it.
static INSIDE: AtomicU64 = AtomicU64::new(0);
static TOGETHER: AtomicU64 = AtomicU64::new(0);

fn lock_and_count() {
    for _ in 0..TIMES_TAKEN {
        let mut guard = LOCK.lock();
        TOGETHER.fetch_add(INSIDE.swap(1, Relaxed), Relaxed);
        *guard += 1;
        INSIDE.store(0, Relaxed);
    }
}

/// The address of the byte of LOCK that says whether the lock is taken: the byte that differs while it is.
fn lock_byte() -> Result<u64, Ended> {
    let start = &raw const LOCK as u64;
    // SAFETY: the lock's own memory, and nobody uses it now.
    let changes = |at: u64| unsafe { (at as *const u8).read_volatile() };
    let before: alloc::vec::Vec<u8> = (start..start + size_of_val(&*LOCK) as u64).map(changes).collect();
    let guard = LOCK.lock();
    let found = (start..).zip(&before).find(|(at, was)| changes(*at) != **was).map(|(at, _)| at);
    drop(guard);
    found.ok_or_else(|| crate::failed("a lock that is taken looks like one that is not"))
}

pub fn a_lock_under_a_watchpoint_on_all_cpus() -> Outcome {
    let byte = lock_byte()?;
    for access in ACCESSES {
        *LOCK.lock() = 0;
        TOGETHER.store(0, Relaxed);
        let id = watch(byte, 1, access, Disposition::Count)?;
        let cpus = idle::on_all(lock_and_count) as u64;
        let hits = remove(id)?;
        check_eq!((*LOCK.lock(), TOGETHER.load(Relaxed)), (cpus * TIMES_TAKEN, 0), "{access:?}");
        // Taking the lock is a sequence, giving it back is a plain store. So a slot for loads is hit only when the lock is taken.
        let least = if access == Access::Read { 1 } else { 2 } * cpus * TIMES_TAKEN;
        check!(hits >= least, "{access:?}: {hits} hits");
    }
    Ok(())
}

fn print_something() {
    for _ in 0..3 {
        println!("# a line from every CPU");
    }
}

pub fn the_console_lock_under_a_watchpoint() -> Outcome {
    let Ok(symbol) = symbols::by_name("kernel::console::HOLDER") else {
        harness::skip!("the image has no symbol table");
    };
    for access in ACCESSES {
        let id = watch(symbol.address, 8, access, Disposition::Count)?;
        let cpus = idle::on_all(print_something) as u64;
        let hits = remove(id)?;
        check!(hits >= 3 * cpus, "{access:?}: {hits} hits");
    }
    Ok(())
}

/// A slot for stores is widened after a store-exclusive has hit it, and then catches loads, too. These loads are not counted, and
/// no handler is called for them.
pub fn loads_beside_a_widened_watchpoint_are_silent() -> Outcome {
    WORD.store(0, Relaxed);
    let steps = stats::STEP_OVERS.sum();
    let id = watch(word(), 8, Access::Write, Disposition::Count)?;
    let mut failed = 0;
    // An interrupt could make the store-exclusive fail before it hits the slot.
    let off = IrqOff::new();
    for n in 0..20 {
        // The store-exclusive hits the slot and fails: from now on the slot is widened.
        failed += u64::from(WORD.compare_exchange_weak(n, n + 1, Relaxed, Relaxed).is_err());
        for _ in 0..3 {
            failed += u64::from(WORD.load(Relaxed) != n);
        }
        failed -= u64::from(WORD.compare_exchange_weak(n, n + 1, Relaxed, Relaxed).is_ok());
    }
    WORD.store(99, Relaxed);
    drop(off);
    let hits = remove(id)?;
    check_eq!((failed, hits), (0, 21));
    check!(stats::STEP_OVERS.sum() - steps >= 20, "the loads were stepped over");
    Ok(())
}

static TOLD: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

fn told(hit: &Hit, _: &mut DebugFrame) {
    TOLD[hit.data].fetch_add(1, Relaxed);
}

pub fn slots_on_one_word_are_told_each_once() -> Outcome {
    let reads = watch(word(), 8, Access::Read, Disposition::Call(watcher!(told, 0)))?;
    let writes = watch(word() + 4, 4, Access::Write, Disposition::Call(watcher!(told, 1)))?;
    let other = watch(word() + 8, 8, Access::ReadWrite, Disposition::Call(watcher!(told, 2)))?;
    TOLD.iter().for_each(|told| told.store(0, Relaxed));
    for _ in 0..30 {
        code::add(WORD.as_ptr(), 1);
    }
    let hits = [remove(reads)?, remove(writes)?];
    check_eq!((hits, remove(other)?), ([30, 30], 0));
    check_eq!(TOLD.each_ref().map(|told| told.load(Relaxed)), [30, 30, 0]);
    Ok(())
}
