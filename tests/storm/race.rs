//! Slots and probes that come and go while every CPU runs the target. How often they are hit cannot be known in advance, but the
//! result of each execution tells it. The counts of slots and probes, of their handlers and of the executions must be the same.

use super::code::{POINTS, RACED};
use super::held::Held;
use ::slots::{Access, Cpus, Privilege, Request};
use alloc::format;
use alloc::string::{String, ToString};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::storm::{Due, Random, due, fail};
use kernel::arch::barrier::relax;
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::percpu::{self, PerCpu};
use kernel::watcher;

/// Counts of breakpoints, watchpoints, pre-handlers and post-handlers.
type Four = [AtomicU64; 4];

/// The hits that the results of each CPU's executions have told.
static TOLD: PerCpu<Four> = kernel::per_cpu!([const { AtomicU64::new(0) }; 4]);
/// How often handlers were called on each CPU.
static CALLED: PerCpu<Four> = kernel::per_cpu!([const { AtomicU64::new(0) }; 4]);
/// What slots and probes have counted. A probe's hits stand for its pre-handler and for its post-handler.
static COUNTED: Four = [const { AtomicU64::new(0) }; 4];

/// The mark for two hits of one slot by one access, which no execution may have.
const TWICE: u64 = 1 << 32;

/// Runs the target `times` times. Works in every context except debug context.
pub fn run(times: u32) {
    for _ in 0..times {
        let Some(marks) = RACED.run(false) else {
            return fail(format_args!("cpu{}: the raced target did not do what it does", percpu::index()));
        };
        if marks.breakpoints >= TWICE || marks.watchpoints >= TWICE {
            return fail(format_args!("cpu{}: a slot was hit twice by one access", percpu::index()));
        }
        let four = [marks.breakpoints, marks.watchpoints, marks.probes & 0xff, marks.probes >> 8];
        for (sum, mark) in TOLD.this().iter().zip(four) {
            sum.fetch_add(mark, Relaxed);
        }
        due(Due::Breakpoints, four[0]);
        due(Due::Watchpoints, four[1]);
        due(Due::Brks, four[2]);
    }
}

fn called(which: usize) {
    CALLED.this()[which].fetch_add(1, Relaxed);
}

/// Adds a mark to `marks`, and adds [`TWICE`] if the execution's last hit was of the same slot and at the same instruction. `last`
/// stands for that hit; it is 0 at the beginning of an execution.
fn mark(hit: &Hit, pc: u64, marks: u64, last: &mut u64) -> u64 {
    let this = u64::from(hit.id.generation) << 32 | pc & 0xffff_ffff;
    let twice = if *last == this { TWICE } else { 0 };
    *last = this;
    marks + 1 + twice
}

fn mark_breakpoint(hit: &Hit, frame: &mut DebugFrame) {
    called(0);
    frame.x[1] = mark(hit, frame.pc, frame.x[1], &mut frame.x[9]);
}

fn mark_watchpoint(hit: &Hit, frame: &mut DebugFrame) {
    called(1);
    frame.x[2] = mark(hit, frame.pc, frame.x[2], &mut frame.x[10]);
}

/// Sets a slot on the target, and removes it after a while. Only one CPU at a time may call this.
///
/// # Errors
/// If the slot cannot be set or removed although nothing stands in the way.
pub fn slot(random: &mut Random, cpus: usize) -> Result<(), String> {
    let breakpoint = random.one_in(2);
    let (point, access) =
        (random.below(POINTS as u32) as usize, random.pick(&[Access::Read, Access::ReadWrite]));
    let cpu = random.below(cpus as u32 * 2);
    let (linger, times) = (random.below(60_000), random.below(30));
    let privilege = Privilege::El1;
    let (request, watcher) = if breakpoint {
        (Request::Breakpoint { address: RACED.point(point), privilege }, watcher!(mark_breakpoint))
    } else {
        let (address, length) = (RACED.memory(), 8);
        (Request::Watchpoint { address, length, access, privilege }, watcher!(mark_watchpoint))
    };
    let cpus = if (cpu as usize) < cpus { Cpus::of(cpu) } else { Cpus::ALL };
    due(Due::Racing, 1);
    let Some(held) = Held::get(&request, cpus, Some(watcher))? else {
        run(times);
        return Ok(());
    };
    run(times);
    (0..linger).for_each(|_| relax());
    let hits = held.give()?;
    COUNTED[usize::from(!breakpoint)].fetch_add(hits, Relaxed);
    Ok(())
}

fn pre(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    called(2);
    frame.x[3] += 1;
    Then::Run
}

fn post(_: &Kprobe, frame: &mut DebugFrame) {
    called(3);
    frame.x[3] += 1 << 8;
}

/// Sets a probe on the target, and removes it after a while. Only one CPU at a time may call this.
///
/// # Errors
/// If the probe cannot be set or removed although nothing stands in the way.
pub fn probe(random: &mut Random) -> Result<(), String> {
    let address = RACED.point(random.below(POINTS as u32) as usize);
    let (linger, times) = (random.below(60_000), random.below(30));
    kprobe::register(address, Some(pre), Some(post)).map_err(|error| error.to_string())?;
    run(times);
    (0..linger).for_each(|_| relax());
    let (hits, missed) = kprobe::unregister(address).map_err(|error| error.to_string())?;
    COUNTED[2].fetch_add(hits, Relaxed);
    COUNTED[3].fetch_add(hits, Relaxed);
    if missed != 0 {
        return Err(format!("{missed} hits of a probe were missed, although its handlers never reach it"));
    }
    Ok(())
}

/// Compares the counts, and returns the hits of slots and of probes so far. Called while no CPU storms.
///
/// # Errors
/// If counts differ that must be the same.
pub fn compare() -> Result<[u64; 2], String> {
    let sum =
        |all: &PerCpu<Four>, which: usize| all.iter().map(|four| four[which].load(Relaxed)).sum::<u64>();
    let names = ["hits of breakpoints", "hits of watchpoints", "hits of probes", "post-handlers of probes"];
    for (which, name) in names.into_iter().enumerate() {
        let (told, called) = (sum(&TOLD, which), sum(&CALLED, which));
        let counted = COUNTED[which].load(Relaxed);
        if [told, called] != [counted; 2] {
            return Err(format!(
                "{name} that came and went: {counted} counted, {called} handlers called, {told} told by executions"
            ));
        }
    }
    Ok([COUNTED[0].load(Relaxed) + COUNTED[1].load(Relaxed), COUNTED[2].load(Relaxed)])
}
