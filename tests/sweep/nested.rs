//! Interrupt handlers that use the feature which they interrupt, or another one. There is a scenario for each pair of: a step-over,
//! an exclusive sequence, a sequence with an ordinary access in it, a free run, a debugger's plan.

use super::code;
use super::exclusive::{add_current_el, add_loaded, attempts};
use crate::support::OwnPage;
use ::slots::{Access, Cpus, Privilege, Request, SlotId};
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, slot};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::debug::stats::{self, Counter};
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::watcher;

pub static SCENARIOS: [Scenario; 25] = [
    pair::<Over, Over>("nested-over-over"),
    pair::<Over, Sequence>("nested-over-sequence"),
    pair::<Over, Between>("nested-over-between"),
    pair::<Over, Free>("nested-over-free"),
    pair::<Over, Planned>("nested-over-plan"),
    pair::<Sequence, Over>("nested-sequence-over"),
    pair::<Sequence, Sequence>("nested-sequence-sequence"),
    pair::<Sequence, Between>("nested-sequence-between"),
    pair::<Sequence, Free>("nested-sequence-free"),
    pair::<Sequence, Planned>("nested-sequence-plan"),
    pair::<Between, Over>("nested-between-over"),
    pair::<Between, Sequence>("nested-between-sequence"),
    pair::<Between, Between>("nested-between-between"),
    pair::<Between, Free>("nested-between-free"),
    pair::<Between, Planned>("nested-between-plan"),
    pair::<Free, Over>("nested-free-over"),
    pair::<Free, Sequence>("nested-free-sequence"),
    pair::<Free, Between>("nested-free-between"),
    pair::<Free, Free>("nested-free-free"),
    pair::<Free, Planned>("nested-free-plan"),
    pair::<Planned, Over>("nested-plan-over"),
    pair::<Planned, Sequence>("nested-plan-sequence"),
    pair::<Planned, Between>("nested-plan-between"),
    pair::<Planned, Free>("nested-plan-free"),
    pair::<Planned, Planned>("nested-plan-plan"),
];

/// Counters that depend on how often an interrupt ends a free run.
const FREE: &[Counter] =
    &[stats::WATCHPOINTS, stats::STEPS, stats::FREE_RUNS, stats::CANCELLED, stats::SEQUENCES];

/// A feature. [`Feature::run`] uses it once.
trait Feature {
    /// Tells the features apart.
    const NUMBER: u8;
    /// Called once for each scenario.
    fn set_up() -> Result<(), String>;
    extern "C" fn run() -> u64;
}

const fn pair<Outer: Feature, Inner: Feature>(name: &'static str) -> Scenario {
    Scenario {
        name,
        setup: || {
            Outer::set_up()?;
            if Outer::NUMBER == Inner::NUMBER { Ok(()) } else { Inner::set_up() }
        },
        before: || {
            for count in [&SUM, &ATTEMPTS] {
                count.store(0, Relaxed);
            }
            if Outer::NUMBER == Free::NUMBER || Inner::NUMBER == Free::NUMBER {
                STUCK_SLOT.set();
            }
        },
        body: Outer::run,
        handler: |_| _ = Inner::run(),
        facts: || [SUM.load(Relaxed), STUCK_SLOT.unseen()],
        // Each use of a feature adds something to SUM. An NMI's handler uses none.
        due: |_, [sum, unseen]| sum != 0 && unseen == 0,
        varies: if Outer::NUMBER == Free::NUMBER || Inner::NUMBER == Free::NUMBER { FREE } else { &[] },
        ..Scenario::EMPTY
    }
}

/// The sum of what the features' runs have added. It does not depend on their order.
static SUM: AtomicU64 = AtomicU64::new(0);

fn add(value: u64) -> u64 {
    SUM.fetch_add(value, Relaxed);
    0
}

/// A step-over: a breakpoint whose hits are counted is stepped over.
struct Over;

impl Feature for Over {
    const NUMBER: u8 = 0;

    fn set_up() -> Result<(), String> {
        breakpoint(code::line_at(), None)
    }

    extern "C" fn run() -> u64 {
        add(code::line())
    }
}

fn watch(word: &AtomicU64, access: Access) -> Request {
    Request::Watchpoint { address: word.as_ptr() as u64, length: 8, access, privilege: Privilege::El1 }
}

/// An exclusive sequence whose word is watched, so that it is executed as one step.
struct Sequence;

static WORD: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

impl Feature for Sequence {
    const NUMBER: u8 = 1;

    fn set_up() -> Result<(), String> {
        slot(&watch(&WORD, Access::ReadWrite), Cpus::ALL, Disposition::Count)
    }

    extern "C" fn run() -> u64 {
        add(attempts(WORD.as_ptr() as u64))
    }
}

/// An exclusive sequence that loads a watched word between its exclusives.
struct Between;

static OTHER: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(5));
static TO: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

impl Feature for Between {
    const NUMBER: u8 = 2;

    fn set_up() -> Result<(), String> {
        slot(&watch(&OTHER, Access::Read), Cpus::ALL, Disposition::Count)
    }

    extern "C" fn run() -> u64 {
        let before = TO.load(Relaxed);
        add_loaded(TO.as_ptr() as u64, OTHER.as_ptr() as u64);
        add(u64::from(TO.load(Relaxed) > before))
    }
}

/// An exclusive sequence whose word is watched, and that cannot be executed as one step.
struct Free;

static STUCK: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
/// How many attempts there were. Each of them is a hit of the slot.
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// The slot on [`STUCK`]. It is set again for each run, because the number of its hits depends on where the interrupt comes.
struct StuckSlot(Cell<Option<SlotId>>);

// SAFETY: only the CPU that sweeps uses it, in thread context.
unsafe impl Sync for StuckSlot {}

static STUCK_SLOT: StuckSlot = StuckSlot(Cell::new(None));

impl StuckSlot {
    fn set(&self) {
        let set = slots::install(&watch(&STUCK, Access::ReadWrite), Cpus::ALL, Disposition::Count);
        self.0.set(set.ok());
    }

    /// Removes the slot, and returns the number of attempts that did not hit it.
    fn unseen(&self) -> u64 {
        let Some(id) = self.0.take() else { return 0 };
        let _off = IrqOff::new();
        let hits = slots::hits(id).unwrap_or(0);
        let _ = slots::remove(id);
        ATTEMPTS.load(Relaxed).wrapping_sub(hits)
    }
}

impl Feature for Free {
    const NUMBER: u8 = 3;

    fn set_up() -> Result<(), String> {
        Ok(())
    }

    extern "C" fn run() -> u64 {
        ATTEMPTS.fetch_add(add_current_el(STUCK.as_ptr() as u64), Relaxed);
        // The WARN is an exception, which ends the last free run.
        code::warn();
        add(1)
    }
}

/// A breakpoint's handler begins a debugger's plan of two steps.
struct Planned;

impl Feature for Planned {
    const NUMBER: u8 = 4;

    fn set_up() -> Result<(), String> {
        breakpoint(code::outer as *const () as u64, Some(watcher!(begin))).map_err(|error| error.to_string())
    }

    extern "C" fn run() -> u64 {
        add(code::outer(1))
    }
}

fn begin(_: &Hit, frame: &mut DebugFrame) {
    add(u64::from(debugger::step(frame, Plan::Count(2), &CLIENT).is_ok()) << 16);
}

static CLIENT: Client = Client { tell: told, data: 0 };

fn told(_: &Client, stop: Stop, frame: &mut DebugFrame) -> Resume {
    let landed = frame.pc.wrapping_sub(code::outer as *const () as u64);
    add(u64::from(matches!(stop, Stop::Step(_))) << 32 | landed << 40);
    Resume::Run
}
