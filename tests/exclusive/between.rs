//! Watchpoints that are hit by ordinary loads and stores between the exclusives, and free runs that end because the thread is
//! switched.

use super::{code, remove, watch};
use crate::support::OwnPage;
use ::slots::Access;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::slots::{Disposition, Hit};
use kernel::debug::stats;
use kernel::exception::DebugFrame;
use kernel::percpu;
use kernel::sched;
use kernel::watcher;

static WORD: AtomicU64 = AtomicU64::new(0);
static OTHER: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

const TIMES: u64 = 20;

/// The watchpoint's exception clears the monitor, so the store-exclusive of the first attempt fails. The handler executes the
/// second attempt as a whole, and does not count it as a second hit.
pub fn an_ordinary_access_between_the_exclusives_is_hit_once_an_attempt() -> Outcome {
    type Form = (&'static str, Access, extern "C" fn(*mut u64, *const u64) -> u64);
    let forms: [Form; 4] = [
        ("load", Access::Read, code::add_loaded_or_give_up),
        ("load", Access::ReadWrite, code::add_loaded_or_give_up),
        ("store", Access::Write, code::add_stored_or_give_up),
        ("store", Access::ReadWrite, code::add_stored_or_give_up),
    ];
    for (name, access, run) in forms {
        OTHER.store(3, Relaxed);
        WORD.store(100, Relaxed);
        let free = stats::FREE_RUNS.sum();
        let id = watch(OTHER.as_ptr() as u64, 8, access, Disposition::Count)?;
        let mut left = u64::MAX;
        for _ in 0..TIMES {
            left = left.min(run(WORD.as_ptr(), OTHER.as_ptr()));
        }
        let hits = remove(id)?;
        check_eq!(hits, TIMES, "{name} {access:?}");
        // An interrupt can make another attempt fail, but not fifty.
        check!(left > 50, "{name} {access:?}: {left} attempts of 100 left");
        check_eq!(stats::FREE_RUNS.sum() - free, 0, "{name} {access:?}");
        let (word, other) =
            if name == "load" { (100 + 3 * TIMES, 3) } else { (100 + TIMES, 100 + TIMES - 1) };
        check_eq!((WORD.load(Relaxed), OTHER.load(Relaxed)), (word, other), "{name} {access:?}");
    }
    Ok(())
}

/// If the handler moves PC out of the sequence, the context goes on there.
pub fn a_handler_may_leave_a_sequence_at_an_ordinary_access() -> Outcome {
    fn leave(_: &Hit, frame: &mut DebugFrame) {
        // The end of the function: `mov x0, x12; ret`.
        let pc = code::add_loaded_or_give_up as *const () as u64 + 8 * 4;
        frame.move_to(pc);
    }
    OTHER.store(3, Relaxed);
    WORD.store(100, Relaxed);
    let id = watch(OTHER.as_ptr() as u64, 8, Access::Read, Disposition::Call(watcher!(leave)))?;
    let left = code::add_loaded_or_give_up(WORD.as_ptr(), OTHER.as_ptr());
    check_eq!((remove(id)?, left, WORD.load(Relaxed)), (1, 100, 100));
    Ok(())
}

/// A thread calls `yield_now` while it runs free. A slot is suspended for the free run; in the other thread that slot must be hit.
pub fn a_free_run_ends_with_its_threads_turn() -> Outcome {
    static STOP: AtomicBool = AtomicBool::new(false);
    static SEEN: AtomicU64 = AtomicU64::new(0);
    const ROUNDS: u64 = 100;
    STOP.store(false, Relaxed);
    SEEN.store(0, Relaxed);
    WORD.store(0, Relaxed);
    OTHER.store(0, Relaxed);
    // The slot is set before the reader is spawned, because the reader may have a turn at once.
    let id = watch(OTHER.as_ptr() as u64, 8, Access::Read, Disposition::Count)?;
    // The reader reads the word once in each of its turns.
    let reader = sched::spawn(
        percpu::index(),
        "reader",
        alloc::boxed::Box::new(|| {
            while !STOP.load(Relaxed) {
                sched::yield_now();
                if SEEN.load(Relaxed) != ROUNDS {
                    _ = OTHER.load(Relaxed);
                    SEEN.fetch_add(1, Relaxed);
                }
            }
        }),
    )
    .map_err(super::super::failed)?;
    let before = stats::FREE_RUNS.sum();
    let mut own = 0;
    // Without ticks only the switch of threads can end a free run.
    crate::threads::without_tick(|| {
        while SEEN.load(Relaxed) < ROUNDS {
            // Each hit leaves the slot suspended until the context's next exception. A switch by `yield_now` is no exception.
            code::add_with_system_read(OTHER.as_ptr());
            own += 1;
            sched::yield_now();
        }
    });
    STOP.store(true, Relaxed);
    reader.join();
    let hits = remove(id)?;
    check!(stats::FREE_RUNS.sum() > before, "the sequence was executed as one step, and never ran free");
    check_eq!(OTHER.load(Relaxed), 3 * own);
    check_eq!(hits, own + ROUNDS, "of {own} sequences and {ROUNDS} loads");
    Ok(())
}
