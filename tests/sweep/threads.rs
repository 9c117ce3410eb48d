//! The interrupt switches between kernel threads: with breakpoints in both threads, with a debugger's step in one of them, and with
//! a switch that has to wait for a step (M8, I5).

use super::code;
use alloc::boxed::Box;
use core::hint::black_box;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use harness::sweep::{Scenario, breakpoint};
use kernel::debug;
use kernel::debug::session::{self, Wish};
use kernel::drivers::timer;
use kernel::exception::{DebugFrame, Frame};
use kernel::percpu;
use kernel::sched::{self, Handle};
use rules::pstate::SPSR_SS;
use spin::Mutex;

pub static SCENARIOS: [Scenario; 4] = [
    // The switch is put off during a step, and made right after it.
    Scenario {
        name: "reschedule-put-off",
        setup: || breakpoint(code::line_at(), None),
        before: || start(waits_for_its_turn),
        body: code::line,
        handler: switch_to_other,
        covers: |frame| debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS != 0,
        facts: || {
            let turns = TURNS.load(Relaxed);
            end();
            [turns, LATE.swap(0, Relaxed)]
        },
        due: |_, [_, late]| late == 0,
        ..Scenario::EMPTY
    },
    // Both threads hit the same breakpoint and step over it, and are preempted there.
    Scenario {
        name: "threads-breakpoint",
        setup: || breakpoint(code::line_at(), None),
        before: || start(takes_turns),
        body: take_turns,
        handler: |frame| _ = (code::line(), switch(frame)),
        covers: |frame| in_other() && debug::this().stash_len.get() != 0 && frame.pc == code::line_at(),
        facts: || {
            end();
            [TURNS.load(Relaxed), 0]
        },
        due: |result, [turns, _]| (result, turns) == (0x303, 6),
        ..Scenario::EMPTY
    },
    // A debugger steps the other thread. No step lands in the first one.
    Scenario {
        name: "threads-step",
        setup: || breakpoint(code::line_at(), None),
        before: || start(is_stepped),
        body: take_turns,
        handler: |frame| _ = (code::line(), switch(frame)),
        covers: |_| in_other() && debug::this().stash_len.get() != 0,
        facts: || {
            end();
            [LANDED.load(Relaxed), STRAYED.load(Relaxed) << 8 | TURNS.load(Relaxed)]
        },
        due: |result, [_, seen]| (result, seen) == (0x303, 3),
        ..Scenario::EMPTY
    },
    // The other thread is stepped through the switch to the first thread and back. Meanwhile its session is saved with it (I5).
    Scenario {
        name: "threads-step-switch",
        before: || start(is_stepped_through_a_switch),
        body: take_turns,
        handler: |frame| _ = (code::line(), switch(frame)),
        facts: || {
            end();
            [TURNS.load(Relaxed), STRAYED.load(Relaxed)]
        },
        due: |result, facts| (result, facts) == (0x303, [3, 0]),
        ..Scenario::EMPTY
    },
];

const OTHER: &str = "other";
/// The most instructions that may pass from the interrupt handler's request for a reschedule to the other thread's turn: the rest
/// of the handler, the step that is under way, its exception, and the interrupt that the exception raises. Without that interrupt
/// the next tick would switch, a thousand times as late.
const AT_ONCE: u64 = 4000;

static THREAD: Mutex<Option<Handle>> = Mutex::new(None);
static STOP: AtomicBool = AtomicBool::new(false);
static TURNS: AtomicU64 = AtomicU64::new(0);
static ASKED: AtomicU64 = AtomicU64::new(0);
static LATE: AtomicU64 = AtomicU64::new(0);
static LANDED: AtomicU64 = AtomicU64::new(0);
static STRAYED: AtomicU64 = AtomicU64::new(0);

/// Starts the other thread, which yields at once.
fn start(entry: fn()) {
    for word in [&TURNS, &ASKED, &LATE, &LANDED, &STRAYED] {
        word.store(0, Relaxed);
    }
    STOP.store(false, Relaxed);
    let thread = sched::spawn(percpu::index(), OTHER, Box::new(entry));
    *THREAD.lock() = thread.ok();
}

/// Tells the other thread to end, and waits until it has ended.
fn end() {
    STOP.store(true, Relaxed);
    let thread = THREAD.lock().take();
    match thread {
        Some(thread) => thread.join(),
        None => STRAYED.store(u64::MAX, Relaxed),
    }
}

fn in_other() -> bool {
    sched::current() == OTHER
}

/// An interrupt's handler that asks for a reschedule. In the run without an interrupt it yields instead.
fn switch_to_other(frame: Option<&Frame>) {
    ASKED.store(timer::now(), Relaxed);
    match frame {
        Some(_) => sched::want_reschedule(),
        None => sched::yield_now(),
    }
}

fn switch(frame: Option<&Frame>) {
    if frame.is_some() {
        sched::want_reschedule();
    }
}

fn waits_for_its_turn() {
    loop {
        sched::yield_now();
        if STOP.load(Relaxed) {
            return;
        }
        TURNS.fetch_add(1, Relaxed);
        let late = timer::now() - ASKED.load(Relaxed) > AT_ONCE;
        LATE.fetch_add(u64::from(late), Relaxed);
    }
}

/// The other thread: has two turns, and hits the breakpoint in each of them.
fn takes_turns() {
    for _ in 0..2 {
        sched::yield_now();
        TURNS.fetch_add(code::line(), Relaxed);
    }
}

/// The first thread: hits the breakpoint, has turns until the other thread has ended, and hits the breakpoint again.
extern "C" fn take_turns() -> u64 {
    let first = code::line();
    let thread = THREAD.lock().clone();
    let Some(thread) = thread else { return u64::MAX };
    thread.join();
    first << 8 | code::line()
}

/// The other thread's hook. Counts in STRAYED the steps that land in the first thread, which must be none.
fn hook(frame: &mut DebugFrame) -> Wish {
    STRAYED.fetch_add(u64::from(!in_other()), Relaxed);
    LANDED.store(LANDED.load(Relaxed).wrapping_mul(31).wrapping_add(frame.pc), Relaxed);
    let seen = (code::line as *const () as u64..code::line_at() + 8).contains(&frame.pc);
    TURNS.fetch_add(u64::from(seen), Relaxed);
    Wish::Step
}

fn is_stepped() {
    sched::yield_now();
    if session::step_with(hook, || _ = black_box(code::line())).is_err() {
        STRAYED.fetch_add(1, SeqCst);
    }
}

fn is_stepped_through_a_switch() {
    sched::yield_now();
    let through = || {
        sched::yield_now();
        black_box(code::line());
    };
    if session::step_with(hook, through).is_err() {
        STRAYED.fetch_add(1, SeqCst);
    }
}
