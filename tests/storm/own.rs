//! A CPU's own target. The CPU knows what is set on it, and knows every execution.

use super::code;
use super::code::{Marks, Target};
use super::ground::Ground;
use super::held::Held;
use super::set::{Set, Way};
use ::slots::{Cpus, Privilege, Request};
use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use harness::storm::{Due, Random, due, signal_cpu};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::percpu::{self, PerCpu};
use kernel::watcher;

static GROUND: PerCpu<Ground> = kernel::per_cpu!(Ground::new());

/// The breakpoint that its own handler has removed in debug context. It becomes free once every CPU has disarmed it.
static GOING: PerCpu<Cell<Option<Held>>> = kernel::per_cpu!(Cell::new(None));

/// This CPU's ground and target.
pub fn ground() -> (&'static Ground, Target) {
    (GROUND.this(), Target::own(percpu::index()))
}

/// Sets slots and probes, runs the target, and removes them. Checks that no hit is lost and none is counted twice. Thread context.
///
/// # Errors
/// If a count, or the result of an execution, is not as it must be.
pub fn set_and_run(random: &mut Random, probes: u32) -> Result<(), String> {
    let (ground, target) = ground();
    let breakpoints = 1 + u32::from(random.one_in(4));
    let set = Set::random(random, breakpoints, 1, probes);
    let cpus = if random.one_in(2) { Cpus::ALL } else { Cpus::of(percpu::index() as u32) };
    ground.begin_change();
    let placed = set.place(target, cpus)?;
    // If the slots are not free, the target runs with nothing set.
    let set = if placed.is_some() { set } else { Set::default() };
    ground.end_change(&set);
    for _ in 0..1 + random.below(4) {
        run(random, 100);
        if random.one_in(2) {
            signal_cpu(percpu::index());
        }
    }
    ground.begin_change();
    let counts = placed.unwrap_or_default().take_away()?;
    let owed = ground.end_change(&Set::default());
    if counts != owed {
        return Err(format!("{set:?}: {counts:?} where {owed:?} is due"));
    }
    Ok(())
}

/// Runs the target in a random way. Thread context.
pub fn run(random: &mut Random, times: u32) {
    let (ground, target) = ground();
    match random.below(8) {
        0 => ground.run(target, Way::Stepped, 1 + random.below(3)),
        1 => ground.run(target, Way::Masked, 1 + random.below(times / 4)),
        2 => ground.run(target, Way::Faulting, 1 + random.below(times / 2)),
        _ => ground.run(target, Way::Plain, 1 + random.below(times)),
    }
}

fn remove_itself(hit: &Hit, frame: &mut DebugFrame) {
    // The mark tells [`one_shot`] that the removal has succeeded.
    frame.x[1] += if slots::remove(hit.id).is_ok() { 1 } else { 1 << 8 };
}

/// Sets a breakpoint whose handler removes it, and checks that it is hit once.
///
/// # Errors
/// If a count, or the result of an execution, is not as it must be.
pub fn one_shot(random: &mut Random) -> Result<(), String> {
    let point = random.below(code::POINTS as u32) as usize;
    let (ground, target) = ground();
    let request = Request::Breakpoint { address: target.point(point), privilege: Privilege::El1 };
    if !gone() {
        run(random, 100);
        return Ok(());
    }
    ground.begin_change();
    due(Due::Racing, 1);
    let Some(held) = Held::get(&request, Cpus::ALL, Some(watcher!(remove_itself)))? else {
        ground.end_change(&Set::default());
        return Ok(());
    };
    let mut result = Ok(());
    for expected in [1, 0, 0, 0] {
        let seen = target.run(false);
        due(Due::Breakpoints, expected);
        if seen != Some(Marks { breakpoints: expected, ..Marks::default() }) {
            result = Err(format!("a breakpoint that takes itself away: {seen:x?} where {expected} is due"));
        }
    }
    if slots::hits(held.id()).is_some() {
        result = Err("a breakpoint that has taken itself away is still live".into());
    }
    GOING.this().set(Some(held));
    ground.end_change(&Set::default());
    result
}

/// Whether the last breakpoint of [`one_shot`] is free again. If so, its permit is given back.
fn gone() -> bool {
    let going = GOING.this();
    let gone = going.get().is_none_or(|held| held.is_gone());
    if gone {
        going.set(None);
    }
    gone
}

/// After a round, waits until the last breakpoint of [`one_shot`] is free. No other CPU sets slots that count meanwhile.
///
/// # Errors
/// If the slot manager fails to remove a slot.
pub fn settle() -> Result<(), String> {
    let (ground, target) = ground();
    ground.begin_change();
    ground.end_change(&Set::default());
    ground.begin_change();
    // A slot that was retired in debug context becomes free in a later call of the slot manager, once every CPU has disarmed it.
    let request = Request::Breakpoint { address: target.entry(), privilege: Privilege::El1 };
    while !gone() {
        if let Ok(id) = slots::install(&request, Cpus::ALL, Disposition::Count) {
            slots::remove(id).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// At the beginning of a round nothing is set on this CPU's target.
pub fn begin() {
    GROUND.this().end_change(&Set::default());
}
