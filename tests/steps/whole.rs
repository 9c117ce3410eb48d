//! Steps through the kernel's own code, which masks exceptions, takes locks, waits for other CPUs and switches threads.

use crate::address_of;
use crate::failed;
use crate::support::breakpoint_at;
use crate::threads::here;
use ::slots::Cpus;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::debug;
use kernel::debug::session::{self, Stepped, Wish};
use kernel::debug::slots::{self, Disposition};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::off::IrqOff;
use kernel::sync::IrqMutex;
use kernel::{percpu, sched, time};
use rules::pstate::Daif;

/// What a hook has seen of the steps of one context.
struct Seen {
    steps: AtomicU64,
    /// How many steps were stretches with D masked.
    masked: AtomicU64,
    /// How many steps were exclusive sequences.
    sequences: AtomicU64,
    /// How many steps landed with D masked, ran free, or landed while another thread ran.
    astray: AtomicU64,
    /// How many steps landed on [`the_end`].
    ended: AtomicU64,
}

impl Seen {
    const fn new() -> Self {
        Self {
            steps: AtomicU64::new(0),
            masked: AtomicU64::new(0),
            sequences: AtomicU64::new(0),
            astray: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    fn reset(&self) {
        for word in [&self.steps, &self.masked, &self.sequences, &self.astray, &self.ended] {
            word.store(0, Relaxed);
        }
    }

    fn note(&self, frame: &Frame) -> Wish {
        self.steps.fetch_add(1, Relaxed);
        match session::last(debug::this()) {
            Stepped::Masked => _ = self.masked.fetch_add(1, Relaxed),
            Stepped::Sequence { .. } => _ = self.sequences.fetch_add(1, Relaxed),
            Stepped::Free(_) => _ = self.astray.fetch_add(1, Relaxed),
            _ => {}
        }
        self.astray.fetch_add(frame.masks().contains(Daif::D).into(), Relaxed);
        if frame.pc == address_of!(the_end) {
            self.ended.fetch_add(1, Relaxed);
            return Wish::Run;
        }
        Wish::Step
    }

    /// Checks that the steps reached the end, and that none went astray.
    fn check(&self) -> Outcome {
        check_eq!((self.ended.load(Relaxed), self.astray.load(Relaxed)), (1, 0));
        Ok(())
    }
}

static SEEN: Seen = Seen::new();

fn hook(frame: &mut DebugFrame) -> Wish {
    SEEN.note(frame)
}

specimen! {
    /// The function at which the stepping ends.
    fn the_end() {
        "mov x0, #0x7e57", "ret"
    }
}

/// Steps through `body` to its end, and returns its result.
fn stepped<R>(body: impl FnOnce() -> R) -> Result<R, Ended> {
    SEEN.reset();
    let mut result = None;
    session::step_with(hook, || {
        result = Some(body());
        the_end();
    })
    .map_err(failed)?;
    SEEN.check()?;
    result.ok_or_else(|| failed("it did not run"))
}

#[inline(never)]
fn target(n: u64) -> u64 {
    core::hint::black_box(n) ^ 0x5107
}

pub fn slots_are_installed_and_removed_in_steps() -> Outcome {
    let request = breakpoint_at(address_of!(target));
    let mut sum = 0;
    let (hits, removed) = stepped(|| {
        let id = slots::install(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
        sum = target(0);
        let hits = slots::hits(id);
        Ok::<_, Ended>((hits, slots::remove(id)))
    })??;
    check_eq!((sum, hits, removed), (0x5107, Some(1), Ok(())));
    check!(SEEN.masked.load(Relaxed) >= 2, "the registers are written with D masked (H1)");
    check!(SEEN.steps.load(Relaxed) > 100);
    check_eq!(slots::list().count(), 0);
    Ok(())
}

pub fn a_lock_is_taken_and_given_back_in_steps() -> Outcome {
    static LOCK: IrqMutex<u64> = IrqMutex::new(0);
    stepped(|| {
        for _ in 0..3 {
            *LOCK.lock() += 1;
        }
    })?;
    check_eq!(*LOCK.lock(), 3);
    check!(SEEN.sequences.load(Relaxed) >= 3, "taking a lock is an exclusive sequence");
    Ok(())
}

pub fn a_line_is_printed_in_steps() -> Outcome {
    stepped(|| kernel::println!("# printed in steps, number {}", target(1)))?;
    check!(SEEN.steps.load(Relaxed) > 200);
    Ok(())
}

/// How many turns the other thread has had.
static OTHERS_TURNS: AtomicU64 = AtomicU64::new(0);
/// 1 while the other thread has a turn.
static OTHER_RUNS: AtomicU64 = AtomicU64::new(0);

fn hook_of_one(frame: &mut DebugFrame) -> Wish {
    SEEN.astray.fetch_add(OTHER_RUNS.load(Relaxed), Relaxed);
    SEEN.note(frame)
}

fn turns(n: u64) {
    for _ in 0..n {
        OTHER_RUNS.store(1, Relaxed);
        OTHERS_TURNS.fetch_add(1, Relaxed);
        OTHER_RUNS.store(0, Relaxed);
        sched::yield_now();
    }
}

pub fn a_step_goes_through_a_switch_of_threads() -> Outcome {
    SEEN.reset();
    OTHERS_TURNS.store(0, Relaxed);
    // Without ticks no thread is preempted: a turn ends where its thread yields.
    {
        let _off = IrqOff::new();
        time::pause();
    }
    let other = here("other", || turns(6));
    let mut before = [0; 3];
    let begun = session::step_with(hook_of_one, || {
        for turns in &mut before {
            *turns = OTHERS_TURNS.load(Relaxed);
            sched::yield_now();
        }
        the_end();
    });
    time::resume();
    other?.join();
    begun.map_err(failed)?;
    SEEN.check()?;
    check!(before[0] < before[1] && before[1] < before[2], "the other thread had turns: {before:?}");
    check!(SEEN.masked.load(Relaxed) >= 3, "the switch itself is in a stretch with D masked");
    check_eq!(OTHERS_TURNS.load(Relaxed), 6);
    Ok(())
}

/// Two threads step and yield to each other. Each has all of its own steps and none of the other's.
pub fn threads_that_switch_have_steps_of_their_own() -> Outcome {
    specimen! {
        fn gives_way(times: u64) {
            "stp x29, x30, [sp, #-32]!", // 0
            "str x19, [sp, #16]",        // 1
            "mov x19, x0",               // 2
            "1: bl {yields}",            // 3
            "subs x19, x19, #1",         // 4
            "b.ne 1b",                   // 5
            "ldr x19, [sp, #16]",        // 6
            "ldp x29, x30, [sp], #32",   // 7
            "ret",                       // 8
            yields = sym yields,
        }
    }
    extern "C" fn yields() {
        sched::yield_now();
    }
    /// What the hook has seen of a thread: its stack, its steps in `gives_way`, and its steps on another stack.
    struct Thread {
        stack: AtomicU64,
        inside: AtomicU64,
        strangers: AtomicU64,
    }
    static THREADS: [Thread; 2] = [const {
        Thread { stack: AtomicU64::new(0), inside: AtomicU64::new(0), strangers: AtomicU64::new(0) }
    }; 2];
    fn note(thread: &Thread, frame: &mut DebugFrame) -> Wish {
        const STACK: u64 = !(2 * kernel::mm::layout::STACK_SIZE as u64 - 1);
        let stack = frame.sp & STACK;
        if thread.stack.load(Relaxed) == 0 {
            thread.stack.store(stack, Relaxed);
        }
        thread.strangers.fetch_add((thread.stack.load(Relaxed) != stack).into(), Relaxed);
        let entry = address_of!(gives_way);
        thread.inside.fetch_add((entry..entry + 36).contains(&frame.pc).into(), Relaxed);
        if frame.pc == address_of!(the_end) { Wish::Run } else { Wish::Step }
    }
    fn walk(hook: session::Hook, times: u64) {
        let _ = session::step_with(hook, || {
            gives_way(times);
            the_end();
        });
    }
    for thread in &THREADS {
        for word in [&thread.stack, &thread.inside, &thread.strangers] {
            word.store(0, Relaxed);
        }
    }
    // Without ticks no thread is preempted, so neither thread is over before the other one has begun.
    {
        let _off = IrqOff::new();
        time::pause();
    }
    let first = here("first", || walk(|frame| note(&THREADS[0], frame), 10));
    let second = here("second", || walk(|frame| note(&THREADS[1], frame), 7));
    let joined = [first, second].map(|thread| thread.map(|thread| thread.join()));
    time::resume();
    for joined in joined {
        joined?;
    }
    for (thread, times) in THREADS.iter().zip([10, 7]) {
        check_eq!(thread.inside.load(Relaxed), 6 + 3 * times, "{times} times");
        check_eq!(thread.strangers.load(Relaxed), 0);
    }
    check!(THREADS[0].stack.load(Relaxed) != THREADS[1].stack.load(Relaxed));
    check_eq!(sched::threads(percpu::index()), 0);
    Ok(())
}
