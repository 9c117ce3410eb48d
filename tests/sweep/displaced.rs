//! Displaced instructions that hit watchpoints whose handlers begin steps. Wherever the interrupt comes, the handlers see the
//! probed context (M10, K1). One more scenario has a call that never returns, because its thread ends in it.

use super::code;
use crate::support::OwnPage;
use ::slots::{Access, Cpus, Privilege, Request};
use alloc::boxed::Box;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, kprobe, kretprobe, optimised, slot};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::slots::{Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::kprobe::{Instance, Kprobe, ReturnProbe, Then, WantedReturn};
use kernel::percpu;
use kernel::sched::{self, Handle};
use kernel::watcher;
use spin::Mutex;

pub static SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "displaced-watchpoint-step",
        setup: || {
            kprobe(code::store_at(), Some(pre), None)?;
            watched()
        },
        body: store,
        handler: |_| _ = store(),
        facts: steps,
        due: |result, facts| result == 5 && matches!(facts, [1 | 2, 0]),
        ..Scenario::EMPTY
    },
    // With a post-handler, the step is reported after that handler.
    Scenario {
        name: "displaced-watchpoint-step-post",
        setup: || {
            kprobe(code::store_at(), Some(pre), Some(post))?;
            watched()
        },
        body: store,
        handler: |_| _ = store(),
        facts: steps,
        due: |result, facts| result == 5 && matches!(facts, [1 | 2, 0]),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "displaced-watchpoint-step-optimised",
        setup: || {
            optimised(code::store_at(), pre)?;
            watched()
        },
        body: store,
        handler: |_| _ = store(),
        facts: steps,
        due: |result, facts| result == 5 && matches!(facts, [1 | 2, 0]),
        ..Scenario::EMPTY
    },
    // The watchpoint is hit by the read of a simulated instruction.
    Scenario {
        name: "displaced-literal-step",
        setup: || {
            kprobe(literal_at(), Some(pre), None)?;
            let watched = watchpoint(literal_at() + 8, Access::Read);
            slot(&watched, Cpus::ALL, Disposition::Call(watcher!(begins)))
        },
        body: literal,
        handler: |_| _ = literal(),
        facts: steps,
        due: |result, facts| result == 9 && matches!(facts, [1 | 2, 0]),
        ..Scenario::EMPTY
    },
    // The probe has one instance only. The second call gets it, which shows that the thread has given it back at its end.
    Scenario {
        name: "return-probe-thread-ends",
        setup: || {
            let address = ends as *const () as u64;
            kretprobe(&WantedReturn { address, entry: Some(entered), handler: returned, instances: 1 })
        },
        before: || *THREAD.lock() = sched::spawn(percpu::index(), "ends", Box::new(|| ends(true))).ok(),
        body: join,
        handler: |frame| {
            if frame.is_some() {
                sched::want_reschedule();
            }
        },
        facts: || [ENTERED.swap(0, Relaxed), RETURNED.swap(0, Relaxed)],
        due: |result, facts| result == 1 && facts == [2, 1],
        ..Scenario::EMPTY
    },
];

core::arch::global_asm!(
    ".pushsection .text.sweep_displaced, \"ax\"",
    ".balign 4096",
    // fn() -> 9
    ".globl sweep_literal",
    "sweep_literal:",
    "ldr x0, 1f",
    "ret",
    "1: .quad 9",
    ".balign 4096",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "sweep_literal"]
    safe fn literal() -> u64;
}

fn literal_at() -> u64 {
    literal as *const () as u64
}

static WATCHED: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
/// How many steps were reported.
static TOLD: AtomicU64 = AtomicU64::new(0);
/// How often a handler or the debugger saw a PC that it would not see without the probe.
static ASTRAY: AtomicU64 = AtomicU64::new(0);
static POSTS: AtomicU64 = AtomicU64::new(0);

fn steps() -> [u64; 2] {
    [TOLD.swap(0, Relaxed), ASTRAY.swap(0, Relaxed)]
}

extern "C" fn store() -> u64 {
    code::store(WATCHED.as_ptr() as u64)
}

fn watchpoint(address: u64, access: Access) -> Request {
    Request::Watchpoint { address, length: 8, access, privilege: Privilege::El1 }
}

fn watched() -> Result<(), String> {
    slot(&watchpoint(WATCHED.as_ptr() as u64, Access::Write), Cpus::ALL, Disposition::Call(watcher!(begins)))
}

fn is_at(pc: u64, behind: u64) -> bool {
    [code::store_at(), literal_at()].iter().any(|at| pc == at + behind)
}

fn begins(_: &Hit, frame: &mut DebugFrame) {
    POSTS.store(0, Relaxed);
    let begun = debugger::step(frame, Plan::One, &CLIENT).is_ok();
    ASTRAY.fetch_add(u64::from(!begun || !is_at(frame.pc, 0)), Relaxed);
}

static CLIENT: Client = Client { tell: told, data: 0 };

fn told(_: &Client, _: Stop, frame: &mut DebugFrame) -> Resume {
    TOLD.fetch_add(1, Relaxed);
    ASTRAY.fetch_add(u64::from(!is_at(frame.pc, 4)), Relaxed);
    Resume::Run
}

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Then::Run
}

/// The post-handler, which must be called once for each hit of the watchpoint. Adds to ASTRAY if it is called again.
fn post(_: &Kprobe, frame: &mut DebugFrame) {
    ASTRAY.fetch_add(POSTS.fetch_add(1, Relaxed) + u64::from(!is_at(frame.pc, 4)), Relaxed);
}

static THREAD: Mutex<Option<Handle>> = Mutex::new(None);
static ENTERED: AtomicU64 = AtomicU64::new(0);
static RETURNED: AtomicU64 = AtomicU64::new(0);

/// If `thread` is true, ends the thread that calls this. Otherwise returns.
#[inline(never)]
extern "C" fn ends(thread: bool) {
    if thread {
        sched::exit()
    }
}

fn entered(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) -> bool {
    ENTERED.fetch_add(1, Relaxed);
    true
}

fn returned(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    RETURNED.fetch_add(1, Relaxed);
}

extern "C" fn join() -> u64 {
    let thread = THREAD.lock().take();
    thread.map_or(0, |thread| {
        thread.join();
        ends(false);
        1
    })
}
