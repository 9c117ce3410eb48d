//! Calls that never return, because their thread ends or their frames are left. Their instances are given back (I9).

use super::room::all;
use super::{Probe, wanted};
use crate::address_of;
use crate::failed;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::drivers::timer;
use kernel::exception::DebugFrame;
use kernel::kprobe::{Instance, ReturnProbe, WantedReturn};
use kernel::sched;
use kernel::sync::IrqMutex;
use kernel::{percpu, smp};

const THREADS: usize = 16;
/// A single instance that is not given back is seen at the end of its round.
const ROUNDS: u64 = 8;

fn nothing(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {}

/// Waits while HOLD is set, and then ends the thread that calls this.
#[inline(never)]
extern "C" fn ends() {
    STARTED.fetch_add(1, Relaxed);
    while HOLD.load(Relaxed) {
        sched::yield_now();
    }
    sched::exit()
}

static HOLD: AtomicBool = AtomicBool::new(false);
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The number of calls that are still under way after every CPU has switched away from the threads that have ended, or has not done so for
/// [`PATIENCE`] seconds: a virtual CPU that its host has put aside takes its time.
fn left(probe: &Probe) -> usize {
    let start = timer::now();
    while probe.counts().2 != 0 && timer::now().wrapping_sub(start) < PATIENCE * timer::frequency() {
        sched::yield_now();
        kernel::arch::barrier::relax();
    }
    probe.counts().2
}

const PATIENCE: u64 = 10;

pub fn threads_that_end_in_a_call_give_it_back() -> Outcome {
    HOLD.store(false, Relaxed);
    let probe = Probe::new(&WantedReturn { instances: THREADS, ..wanted(address_of!(ends), nothing) })?;
    for round in 1..=ROUNDS {
        let cpus: Vec<usize> = smp::online().collect();
        let threads: Result<Vec<_>, _> = cpus
            .iter()
            .cycle()
            .take(THREADS)
            .map(|&cpu| sched::spawn(cpu, "ends", Box::new(|| ends())))
            .collect();
        for thread in threads.map_err(failed)? {
            thread.join();
        }
        check_eq!(left(&probe), 0, "round {round}");
        check_eq!(probe.counts(), (THREADS as u64 * round, 0, 0), "round {round}");
    }
    check_eq!(probe.remove(), (THREADS as u64 * ROUNDS, 0));
    check_eq!(all(64)?.len(), 16, "all room is there");
    Ok(())
}

/// `sched::exit` has a return probe, too, and never returns. Its instance must be given back.
pub fn a_return_probe_on_the_way_to_a_threads_end_is_given_back() -> Outcome {
    HOLD.store(false, Relaxed);
    let exit = Probe::new(&wanted(address_of!(sched::exit), nothing))?;
    for round in 1..=2 * THREADS as u64 {
        sched::spawn(percpu::index(), "ends", Box::new(|| ())).map_err(failed)?.join();
        check_eq!((left(&exit), exit.counts()), (0, (round, 0, 0)));
    }
    Ok(())
}

/// The probe is removed first. Until their threads end, the calls hold the room that the probe had.
pub fn threads_that_outlive_the_probe_give_its_room_back() -> Outcome {
    for _ in 0..2 {
        HOLD.store(true, Relaxed);
        STARTED.store(0, Relaxed);
        let probe = Probe::new(&WantedReturn { instances: THREADS, ..wanted(address_of!(ends), nothing) })?;
        let spawn = |_| sched::spawn(percpu::index(), "ends", Box::new(|| ends()));
        let threads: Result<Vec<_>, _> = (0..THREADS).map(spawn).collect();
        let threads = threads.map_err(failed)?;
        while STARTED.load(Relaxed) < THREADS as u64 {
            sched::yield_now();
        }
        check_eq!(probe.remove(), (THREADS as u64, 0));
        check!(all(64)?.len() < 16, "the calls hold room");
        HOLD.store(false, Relaxed);
        threads.iter().for_each(sched::Handle::join);
        check_eq!(all(64)?.len(), 16, "all room is there");
    }
    Ok(())
}

specimen! {
    /// Returns to the caller of `jumps`, past the frame of `jumps`, which has called this function.
    fn leaves(n: u64) -> u64 {
        "add x0, x0, #1", "mov sp, x9", "mov x30, x10", "ret"
    }

    fn jumps(n: u64) -> u64 {
        "mov x9, sp",
        "mov x10, x30",
        "sub sp, sp, #64",
        "bl {leaves}",
        "brk #0x7f1",
        leaves = sym leaves,
    }
}

/// Calls [`jumps`] with `n` more frames on the stack.
fn deeper(n: u64) -> u64 {
    if n == 0 { jumps(1) } else { core::hint::black_box(deeper(n - 1)) }
}

/// Leaves frames, first from fewer and fewer frames on the stack, then always from the same place.
fn leave_frames() -> Outcome {
    let probe = Probe::new(&wanted(address_of!(leaves), nothing))?;
    for n in (0..4 * THREADS as u64).rev() {
        check_eq!(deeper(n), 2);
    }
    let before = probe.counts();
    for n in 1..=20 * THREADS as u64 {
        check_eq!(jumps(n), n + 1);
        check_eq!((probe.counts().0, probe.counts().1), (before.0 + n, 0));
    }
    check_eq!(probe.remove(), (24 * THREADS as u64, 0));
    Ok(())
}

pub fn frames_that_are_left_give_their_calls_back() -> Outcome {
    static OUTCOME: IrqMutex<Option<Outcome>> = IrqMutex::new(None);
    let thread = sched::spawn(percpu::index(), "leaves", Box::new(|| *OUTCOME.lock() = Some(leave_frames())));
    thread.map_err(failed)?.join();
    OUTCOME.lock().take().unwrap_or_else(|| Err(failed("the thread has not run")))?;
    check_eq!(all(64)?.len(), 16, "the end of the thread gives back the rest");
    Ok(())
}
