//! Breakpoints and watchpoints that are hit, stepped over, set and removed.

use super::code;
use crate::support::OwnPage;
use ::slots::{Access, Cpus, Kind, Privilege, Request};
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, hits_of, remove_first, slot, split, watchpoint};
use kernel::debug;
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::debug::stats::{self, Counter};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::off::{self, IrqOff};
use kernel::watcher;
use rules::pstate::SPSR_SS;

pub static SCENARIOS: [Scenario; 15] = [
    Scenario {
        name: "breakpoint",
        setup: || breakpoint(code::line_at(), None),
        body: code::line,
        covers: |frame| in_a_step(frame, code::line_at()),
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "watchpoint",
        setup: || watchpoint(&raw const WATCHED as u64),
        body: store,
        covers: |frame| in_a_step(frame, code::store_at()),
        handler: |_| _ = store(),
        ..Scenario::EMPTY
    },
    // The instruction under a breakpoint hits a watchpoint while it is stepped over.
    Scenario {
        name: "breakpoint-watchpoint",
        setup: || {
            breakpoint(code::store_at(), None)?;
            watchpoint(&raw const WATCHED as u64)
        },
        body: store,
        covers: |frame| in_a_step(frame, code::store_at()),
        handler: |_| _ = store(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "breakpoint-in-handler",
        setup: || {
            breakpoint(code::line_at(), None)?;
            breakpoint(code::handler_at(), None)
        },
        body: code::line,
        covers: |frame| in_a_step(frame, code::line_at()),
        handler: |_| _ = code::handler(1),
        ..Scenario::EMPTY
    },
    // The slot is set for this CPU only.
    Scenario {
        name: "breakpoint-one-cpu",
        setup: || slot(&at_line(), Cpus::of(0), Disposition::Count),
        body: code::line,
        covers: |frame| in_a_step(frame, code::line_at()),
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "breakpoint-calls",
        setup: || breakpoint(code::line_at(), Some(watcher!(counts))),
        body: code::line,
        covers: |frame| in_a_step(frame, code::line_at()),
        handler: |_| _ = code::line(),
        facts: || [CALLS.swap(0, Relaxed), 0],
        ..Scenario::EMPTY
    },
    // A range needs two slots. An instruction that touches both of them is one hit.
    Scenario {
        name: "watchpoint-two-slots",
        setup: || split(&watched(PAIR[0].as_ptr() as u64 + 4, 8, Access::ReadWrite)),
        body: pair,
        covers: |frame| in_a_step(frame, store_pair as *const () as u64),
        handler: |_| _ = pair(),
        ..Scenario::EMPTY
    },
    // Three slots are on one instruction, and two on what that instruction stores. Each is hit, and all are stepped over together
    // (H7).
    Scenario {
        name: "several-slots",
        setup: || {
            let store = Request::Breakpoint { address: code::store_at(), privilege: Privilege::El1 };
            slot(&store, Cpus::ALL, Disposition::Count)?;
            slot(&store, Cpus::of(0), Disposition::Call(watcher!(counts)))?;
            slot(&store, Cpus::ALL, Disposition::Call(watcher!(counts)))?;
            slot(
                &watched(WATCHED.as_ptr() as u64, 8, Access::Write),
                Cpus::of(0),
                Disposition::Call(watcher!(counts)),
            )?;
            slot(&watched(WATCHED.as_ptr() as u64 + 4, 4, Access::ReadWrite), Cpus::ALL, Disposition::Count)
        },
        body: store,
        covers: |frame| in_a_step(frame, code::store_at()),
        handler: |_| _ = store(),
        facts: || [CALLS.swap(0, Relaxed), 0],
        // Two slots overlap. Where FAR is in the range of both, one exception hits both of them, otherwise there is an exception
        // for each.
        varies: &[stats::WATCHPOINTS],
        ..Scenario::EMPTY
    },
    // All slots of the CPU are in use, and each is hit.
    Scenario {
        name: "slots-full",
        setup: fill,
        body: all_slots,
        handler: |_| {
            CELLS[0].store(1, Relaxed);
            code::handler(1);
        },
        ..Scenario::EMPTY
    },
    // The breakpoint's handler moves PC. The step is reported before the next instruction.
    Scenario {
        name: "breakpoint-moves-pc",
        setup: || breakpoint(code::line_at(), Some(watcher!(skips))),
        body: code::line,
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    // The breakpoint is hit in nested sections with interrupts off. Where the kernel masks interrupts by priority, an NMI comes in
    // these sections.
    Scenario {
        name: "breakpoint-interrupts-off",
        setup: || breakpoint(code::line_at(), None),
        body: interrupts_off,
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "install-uninstall",
        setup: || breakpoint(code::handler_at(), None),
        body: install_and_remove,
        handler: |_| _ = code::handler(1),
        ..Scenario::EMPTY
    },
    // The kernel sets a slot for this CPU alone in a shorter way.
    Scenario {
        name: "install-uninstall-one-cpu",
        setup: || breakpoint(code::handler_at(), None),
        body: install_and_remove_here,
        handler: |_| _ = code::handler(1),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "install-in-handler",
        body: code::counted,
        handler: installs,
        facts: || [remove_first().wrapping_sub(HITS_DUE.load(Relaxed)), FAILED.load(Relaxed)],
        varies: STEP_OVER,
        nmis: false,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "uninstall-in-handler",
        before: || FAILED.store(breakpoint(code::loop_at(), None).is_err().into(), Relaxed),
        body: code::counted,
        handler: removes,
        covers: |frame| in_a_step(frame, code::loop_at()),
        facts: || [HITS.load(Relaxed).wrapping_sub(HITS_DUE.load(Relaxed)), FAILED.load(Relaxed)],
        varies: STEP_OVER,
        nmis: false,
        ..Scenario::EMPTY
    },
];

/// Whether the interrupted context has hit a slot at `at`, and is about to execute the instruction there in a step-over.
fn in_a_step(frame: &Frame, at: u64) -> bool {
    debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS != 0 && frame.pc == at
}

/// `slots-full` uses at most this many slots of each kind. A CPU without banks has no more.
const SOME: usize = 16;

/// The counters that vary if a breakpoint is set for a part of the body only.
const STEP_OVER: &[Counter] = &[stats::BREAKPOINTS, stats::STEPS, stats::STEP_OVERS, stats::CANCELLED];

static WATCHED: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
static CELLS: OwnPage<[AtomicU64; SOME]> = OwnPage([const { AtomicU64::new(0) }; SOME]);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// The two doublewords that [`store_pair`] stores to.
static PAIR: OwnPage<[AtomicU64; 2]> = OwnPage([const { AtomicU64::new(0) }; 2]);

static HITS: AtomicU64 = AtomicU64::new(0);
static HITS_DUE: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

extern "C" fn store() -> u64 {
    code::store(&raw const WATCHED as u64)
}

fn skips(_: &Hit, frame: &mut DebugFrame) {
    let pc = frame.pc;
    frame.move_to(pc + 4);
}

fn counts(_: &Hit, _: &mut DebugFrame) {
    CALLS.fetch_add(1, Relaxed);
}

fn at_line() -> Request {
    Request::Breakpoint { address: code::line_at(), privilege: Privilege::El1 }
}

fn watched(address: u64, length: u64, access: Access) -> Request {
    Request::Watchpoint { address, length, access, privilege: Privilege::El1 }
}

specimen! {
    /// Stores two doublewords with one instruction, and loads them with another one.
    fn store_pair(address: u64) {
        "stp xzr, xzr, [x0]", "ldp x1, x2, [x0]", "ret"
    }
}

extern "C" fn pair() -> u64 {
    store_pair(PAIR[0].as_ptr() as u64);
    0
}

fn number(kind: Kind) -> usize {
    usize::from(slots::count(kind)).min(SOME)
}

/// Uses all slots. One breakpoint is where the interrupt's handler hits it; all others are on instructions in a row. Each
/// watchpoint is on a word of its own.
fn fill() -> Result<(), String> {
    breakpoint(code::handler_at(), None)?;
    for n in 1..number(Kind::Breakpoint) as u64 {
        breakpoint(code::sled as *const () as u64 + 4 * n, None)?;
    }
    CELLS[..number(Kind::Watchpoint)].iter().try_for_each(|cell| watchpoint(cell.as_ptr() as u64))
}

/// Hits every slot once, and checks that one more slot is refused.
extern "C" fn all_slots() -> u64 {
    for cell in &CELLS[..number(Kind::Watchpoint)] {
        cell.store(1, Relaxed);
    }
    let refused = slots::install(&at_line(), Cpus::of(0), Disposition::Count).is_err();
    code::handler(code::sled(u64::from(refused)))
}

extern "C" fn interrupts_off() -> u64 {
    let outer = IrqOff::new();
    let first = code::line();
    let inner = IrqOff::new();
    let second = code::line();
    drop(inner);
    let held = off::enabled();
    drop(outer);
    first << 16 | second << 8 | u64::from(held) << 1 | u64::from(off::enabled())
}

extern "C" fn install_and_remove() -> u64 {
    hits_between(Cpus::ALL)
}

extern "C" fn install_and_remove_here() -> u64 {
    hits_between(Cpus::of(0))
}

/// Sets a slot and removes it, and executes the instruction before, in between and after. Only the execution in between hits.
fn hits_between(cpus: Cpus) -> u64 {
    code::line();
    let Ok(id) = slots::install(&at_line(), cpus, Disposition::Count) else { return u64::MAX };
    code::line();
    let hits = slots::hits(id).unwrap_or(u64::MAX);
    let removed = slots::remove(id).is_ok();
    code::line();
    hits << 1 | u64::from(removed)
}

/// How often the interrupted [`code::counted`] has executed the instruction at [`code::loop_at`]. Without a frame the function has
/// ended.
fn passed(frame: Option<&Frame>) -> u64 {
    match frame {
        None => 3,
        Some(frame) if code::loop_range().contains(&frame.pc) => frame.x[10],
        Some(frame) if (code::counted as *const () as u64..code::loop_at()).contains(&frame.pc) => 0,
        Some(_) => 3,
    }
}

/// H2: once `install` has returned every execution hits.
fn installs(frame: Option<&Frame>) {
    let failed = breakpoint(code::loop_at(), None).is_err();
    FAILED.store(failed.into(), Relaxed);
    HITS_DUE.store(3 - passed(frame), Relaxed);
}

/// H2: every execution before `remove` has hit, also the one that is being stepped over.
fn removes(frame: Option<&Frame>) {
    let under_way = frame.is_some() && debug::this().stash_len.get() != 0;
    HITS_DUE.store(passed(frame) + u64::from(under_way), Relaxed);
    HITS.store(hits_of(0), Relaxed);
    remove_first();
}
