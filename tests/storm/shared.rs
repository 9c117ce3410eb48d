//! The shared target. What is set on it stays for a whole round, so the number of hits is the sum over the executions of all CPUs.

use super::code::SHARED;
use super::ground::Ground;
use super::set::{Counts, Placed, Set, Way};
use super::{Plan, exclusive, own, race};
use alloc::format;
use alloc::string::String;
use core::cell::Cell;
use harness::storm::{Random, Round, in_place};
use kernel::percpu::PerCpu;
use kernel::smp;
use kernel::sync::SpinLock;

static GROUND: PerCpu<Ground> = kernel::per_cpu!(Ground::new());
static PLAN: PerCpu<Cell<Option<Plan>>> = kernel::per_cpu!(Cell::new(None));

static PLACED: SpinLock<Option<Placed>> = SpinLock::new(None);
/// First, what the slots and probes have counted. Second, the counts that the executions of all CPUs must have made.
static SUMS: SpinLock<[Counts; 2]> = SpinLock::new([Counts { hits: [0; 3], probes: [(0, 0); 2] }; 2]);

/// Sets the round's set on the shared target, if it is this CPU's turn.
///
/// # Errors
/// If a slot or a probe cannot be set or removed although nothing stands in the way.
pub fn place(round: &Round) -> Result<(), String> {
    let plan = Plan::of(round);
    PLAN.this().set(Some(plan));
    GROUND.this().end_change(&plan.set);
    if in_place(plan.turns[0]) {
        let placed = plan.set.place(SHARED, ::slots::Cpus::ALL)?;
        *PLACED.lock() = Some(placed.ok_or("slots that nobody holds cannot be had")?);
    }
    Ok(())
}

/// Removes the round's set if it is this CPU's turn, and adds this CPU's executions to the sums.
///
/// # Errors
/// If a slot or a probe cannot be set or removed although nothing stands in the way.
pub fn take_away(round: &Round) -> Result<(), String> {
    let ground = GROUND.this();
    ground.begin_change();
    let owed = ground.end_change(&Set::default());
    ground.begin_change();
    SUMS.lock()[1].add(&owed);
    if in_place(Plan::of(round).turns[1]) {
        let placed = PLACED.lock().take().ok_or("nothing is set")?;
        let counts = placed.take_away()?;
        SUMS.lock()[0].add(&counts);
    }
    Ok(())
}

/// Compares the sums. Called while no CPU storms.
///
/// # Errors
/// If counts differ that must be the same.
pub fn compare() -> Result<(), String> {
    let [counted, owed] = *SUMS.lock();
    if counted != owed {
        return Err(format!("the shared target: {counted:?} counted, {owed:?} due"));
    }
    Ok(())
}

/// Runs the shared target in a random way, but not by steps. Thread context.
pub fn run(random: &mut Random, times: u32) {
    match random.below(8) {
        0 => run_as(Way::Masked, 1 + random.below(times / 4)),
        1 => run_as(Way::Faulting, 1 + random.below(times / 2)),
        _ => run_as(Way::Plain, 1 + random.below(times)),
    }
}

/// Runs the shared target by a debugger's steps. Thread context.
pub fn step(random: &mut Random) {
    run_as(Way::Stepped, 1 + random.below(4));
}

/// Runs the shared target in this way. Works in every context except debug context; [`Way::Stepped`] in threads only.
pub fn run_as(way: Way, times: u32) {
    GROUND.this().run_if_settled(SHARED, way, times);
}

/// Sets and removes a watchpoint on the word of the exclusives, if it is this CPU's turn.
///
/// # Errors
/// If a slot or a probe cannot be set or removed although nothing stands in the way.
pub fn race_exclusive(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if in_place(plan.turns[4]) => exclusive::slot(random, smp::online_count()),
        _ => {
            exclusive::run(random.below(30));
            Ok(())
        }
    }
}

/// Sets and removes slots on the raced target, if it is this CPU's turn.
///
/// # Errors
/// If a slot or a probe cannot be set or removed although nothing stands in the way.
pub fn race_slot(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if plan.races && in_place(plan.turns[2]) => race::slot(random, smp::online_count()),
        _ => {
            race::run(random.below(30));
            Ok(())
        }
    }
}

/// Sets a breakpoint whose handler removes it, if this is a round in which slots may be removed at any time.
///
/// # Errors
/// If a count, or the result of an execution, is not as it must be.
pub fn one_shot(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if plan.races => own::one_shot(random),
        _ => {
            own::run(random, 100);
            Ok(())
        }
    }
}

/// Sets and removes a probe on the raced target, if it is this CPU's turn.
///
/// # Errors
/// If a slot or a probe cannot be set or removed although nothing stands in the way.
pub fn race_probe(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if in_place(plan.turns[3]) => race::probe(random),
        _ => {
            race::run(random.below(30));
            Ok(())
        }
    }
}
