//! A debugger's steps through exclusive sequences: each sequence is one step.

use super::{breakpoint, code, remove, watch};
use ::slots::{Access, Kind};
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::debug::session::{self, Stepped, Wish};
use kernel::debug::slots::Disposition;
use kernel::debug::{self, stats};
use kernel::drivers::gic::{self, Target};
use kernel::exception::{DebugFrame, Frame};
use kernel::idle;
use kernel::irq::{self, sgi};
use kernel::sync::SpinLock;

/// The steps that landed in one function: the offset, and what was stepped.
pub type Landed = Vec<(u64, Stepped)>;

const ROOM: usize = 64;
static FUNCTION: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static LANDED: kernel::sync::SpinLock<[(u64, Stepped); ROOM]> =
    SpinLock::new([(0, Stepped::Instruction); ROOM]);
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Called at each step that lands in the function, before the next step begins.
static AT_EACH: kernel::sync::SpinLock<fn(&mut DebugFrame)> = SpinLock::new(|_| ());

fn follow(frame: &mut DebugFrame) -> Wish {
    let [start, end] = FUNCTION.each_ref().map(|address| address.load(Relaxed));
    let inside = (start..end).contains(&frame.pc);
    let count = COUNT.load(Relaxed);
    if inside || count != 0 {
        if count < ROOM {
            LANDED.lock()[count] = (frame.pc.wrapping_sub(start), session::last(debug::this()));
        }
        COUNT.store(count + 1, Relaxed);
    }
    if inside {
        let at_each = *AT_EACH.lock();
        at_each(frame);
    }
    if inside || count == 0 { Wish::Step } else { Wish::Run }
}

/// Steps through `body`, and returns the steps from the first one that lands in the function until they leave it. The step that
/// leaves the function is not returned, nor are steps beyond the first [`ROOM`].
pub fn steps(function: u64, words: u64, body: impl FnOnce()) -> Result<Landed, Ended> {
    steps_with(function, words, |_| (), body)
}

fn steps_with(
    function: u64,
    words: u64,
    at_each: fn(&mut DebugFrame),
    body: impl FnOnce(),
) -> Result<Landed, Ended> {
    FUNCTION[0].store(function, Relaxed);
    FUNCTION[1].store(function + 4 * words, Relaxed);
    COUNT.store(0, Relaxed);
    *AT_EACH.lock() = at_each;
    session::step_with(follow, body).map_err(crate::failed)?;
    let count = COUNT.load(Relaxed);
    Ok(LANDED.lock()[..count.min(ROOM)].iter().filter(|(offset, _)| *offset < 4 * words).copied().collect())
}

const ONE: Stepped = Stepped::Instruction;

fn sequence(instructions: u32) -> Stepped {
    Stepped::Sequence { instructions }
}

pub fn a_sequence_is_one_step() -> Outcome {
    let mut value = 5u64;
    let mut before = 0;
    let landed = steps(code::add as *const () as u64, 7, || before = code::add(&raw mut value, 4))?;
    check_eq!((value, before), (9, 5));
    check_eq!(landed, [(0, ONE), (4, ONE), (code::ADD_PAST, sequence(4)), (24, ONE)]);

    // Both ways out of the sequence, with the flags of the comparison, must be the same as without steps.
    let at = code::compare_exchange as *const () as u64;
    for (word, old) in [(6u32, 6), (6, 7), (8, 7), (0, 0)] {
        let (mut plain, mut stepped) = (word, word);
        let wanted = code::compare_exchange(&raw mut plain, old, 99);
        let mut result = 0;
        let landed = steps(at, 11, || result = code::compare_exchange(&raw mut stepped, old, 99))?;
        check_eq!((stepped, result), (plain, wanted));
        let past = if u64::from(word) == old {
            (code::CAS_STORED, sequence(5))
        } else {
            (code::CAS_CLREX, sequence(3))
        };
        check_eq!(landed[..2], [(0, ONE), past]);
        check!(landed[2..].iter().all(|step| step.1 == ONE), "{landed:?}");
    }

    // This sequence has a way out without CLREX, and its branch back is not the instruction after the store-exclusive.
    let at = code::add_below as *const () as u64;
    for (limit, past) in [(9, (code::BELOW_STORED, sequence(5))), (3, (code::BELOW_LIMIT, sequence(4)))] {
        let mut value = 3;
        let landed = steps(at, 10, || before = code::add_below(&raw mut value, limit))?;
        check_eq!((before, value), (3, 3 + u64::from(limit == 9)));
        check_eq!(landed[..2], [(0, ONE), past]);
    }
    Ok(())
}

static HELD: AtomicU32 = AtomicU32::new(0);
static WAITED: AtomicU64 = AtomicU64::new(0);

pub fn a_step_waits_for_another_cpu_and_says_so() -> Outcome {
    fn release_at_last(_: &mut DebugFrame) {
        if matches!(session::last(debug::this()), Stepped::Waiting { .. })
            && WAITED.fetch_add(1, Relaxed) == 2
        {
            HELD.store(0, Relaxed);
        }
    }
    HELD.store(1, Relaxed);
    WAITED.store(0, Relaxed);
    let at = code::wait_and_take as *const () as u64;
    let landed = steps_with(at, 6, release_at_last, || code::wait_and_take(HELD.as_ptr()))?;
    let waiting = (code::WAIT_LOAD, Stepped::Waiting { rounds: debug::exclusive::ROUNDS });
    check_eq!(landed[..2], [(0, ONE), (4, ONE)]);
    check_eq!(landed[2..], [waiting, waiting, waiting, (20, sequence(4))]);
    check_eq!(HELD.load(Relaxed), 1);
    Ok(())
}

static TAKEN_AT: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// An interrupt comes when the load-exclusive is about to be stepped. The sequence is executed first, the interrupt is taken behind
/// it, and the step is then reported as a step of a sequence.
pub fn an_interrupt_during_a_sequence_is_taken_behind_it() -> Outcome {
    fn taken(frame: &mut Frame) {
        TAKEN_AT.store(frame.pc, Relaxed);
        TAKEN.fetch_add(1, Relaxed);
        // A sequence in the interrupt's handler does not belong to the debugger's steps.
        let mut value = 1;
        code::add(&raw mut value, 1);
    }
    fn send(frame: &mut DebugFrame) {
        if frame.pc == code::add as *const () as u64 + code::ADD_LOAD {
            gic::send_sgi(sgi::TEST, Target::Me);
        }
    }
    irq::set_handler(sgi::TEST, taken);
    TAKEN.store(0, Relaxed);
    let stashes = stats::STASHES.here();
    let at = code::add as *const () as u64;
    let mut value = 5;
    let landed = steps_with(at, 7, send, || _ = code::add(&raw mut value, 4))?;
    check_eq!(landed, [(0, ONE), (4, ONE), (code::ADD_PAST, sequence(4)), (24, ONE)]);
    check_eq!((value, TAKEN.load(Relaxed)), (9, 1));
    check_eq!(TAKEN_AT.load(Relaxed), at + code::ADD_PAST);
    check!(stats::STASHES.here() > stashes);
    Ok(())
}

fn keep_on(_: &mut DebugFrame) -> Wish {
    Wish::Step
}

static SUM: AtomicU64 = AtomicU64::new(0);
static SMALL: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
const ROUNDS: u64 = 100;

fn stepped(body: impl FnOnce()) {
    if session::step_with(keep_on, body).is_err() {
        REFUSED.fetch_add(1, Relaxed);
    }
}

fn atomics() {
    stepped(|| {
        for _ in 0..ROUNDS {
            SUM.fetch_add(3, Relaxed);
            let mut seen = SMALL.load(Relaxed);
            while let Err(now) = SMALL.compare_exchange_weak(seen, seen + 1, AcqRel, Acquire) {
                seen = now;
            }
            SUM.swap(SUM.swap(0, AcqRel), AcqRel);
        }
    });
}

pub fn steps_through_atomics_on_all_cpus() -> Outcome {
    SMALL.store(0, Relaxed);
    REFUSED.store(0, Relaxed);
    let (attempts, free) = (stats::SEQUENCES.sum(), stats::FREE_RUNS.sum());
    let cpus = idle::on_all(atomics) as u64;
    check_eq!((u64::from(SMALL.load(Relaxed)), REFUSED.load(Relaxed)), (cpus * ROUNDS, 0));
    check!(stats::SEQUENCES.sum() - attempts >= 4 * cpus * ROUNDS);
    check_eq!(stats::FREE_RUNS.sum() - free, 0);
    Ok(())
}

static LOCK: SpinLock<u64> = SpinLock::new(0);

fn lock() {
    stepped(|| {
        for _ in 0..ROUNDS {
            let mut guard = LOCK.lock();
            *guard += 1;
        }
    });
}

pub fn steps_through_a_lock_on_all_cpus() -> Outcome {
    *LOCK.lock() = 0;
    REFUSED.store(0, Relaxed);
    let cpus = idle::on_all(lock) as u64;
    check_eq!((*LOCK.lock(), REFUSED.load(Relaxed)), (cpus * ROUNDS, 0));
    Ok(())
}

static WATCHED: AtomicU64 = AtomicU64::new(0);

/// Steps, and sequences under a watchpoint, need no free slot.
pub fn all_slots_in_use() -> Outcome {
    let at = code::add as *const () as u64;
    let mut ids = Vec::new();
    for n in 0..debug::slots::count(Kind::Breakpoint) {
        // The first three breakpoints are on `add`, the others elsewhere.
        let offset = [0, code::ADD_LOAD, code::ADD_PAST].get(n as usize).copied();
        let address = offset.map_or(atomics as *const () as u64 + 4 * u64::from(n), |offset| at + offset);
        ids.push(breakpoint(address).map_err(crate::failed)?);
    }
    let watched = &raw const WATCHED as u64;
    for n in 0..debug::slots::count(Kind::Watchpoint) {
        let access = [Access::Read, Access::Write, Access::ReadWrite][n as usize % 3];
        ids.push(watch(watched, 8, access, Disposition::Count)?);
    }
    let full = breakpoint(at + 24).is_err() && watch(watched, 4, Access::Read, Disposition::Count).is_err();
    let landed = steps(at, 7, || _ = code::add(WATCHED.as_ptr(), 2));
    let kinds: Vec<_> = ids.iter().map(|id| id.kind).collect();
    let mut hits = Vec::new();
    for id in ids {
        hits.push(remove(id)?);
    }
    check!(full);
    check_eq!(landed?, [(0, ONE), (4, ONE), (code::ADD_PAST, sequence(4)), (24, ONE)]);
    for (index, (kind, hits)) in kinds.into_iter().zip(&hits).enumerate() {
        let wanted = u64::from(kind == Kind::Watchpoint || index < 3);
        check_eq!(*hits, wanted, "slot {index}");
    }
    Ok(())
}
