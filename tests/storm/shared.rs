//! The shared target. What is set there stays for a whole round, so the number of hits is the sum of all CPUs' executions.

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
/// What the slots and probes counted, and what all CPUs' executions come to.
static SUMS: SpinLock<[Counts; 2]> = SpinLock::new([Counts { hits: [0; 3], probes: [(0, 0); 2] }; 2]);

/// Sets what the round is about, if it is this CPU's turn.
///
/// # Errors
/// What should have been possible and was not.
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

/// Takes it away, if it is this CPU's turn; adds up what this CPU did.
///
/// # Errors
/// What should have been possible and was not.
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

/// Compares the sums. Where nobody storms.
///
/// # Errors
/// What is not the same.
pub fn compare() -> Result<(), String> {
    let [counted, owed] = *SUMS.lock();
    if counted != owed {
        return Err(format!("the shared target: {counted:?} counted, {owed:?} due"));
    }
    Ok(())
}

/// Runs it in some way. Thread context.
pub fn run(random: &mut Random, times: u32) {
    match random.below(8) {
        0 => run_as(Way::Masked, 1 + random.below(times / 4)),
        1 => run_as(Way::Faulting, 1 + random.below(times / 2)),
        _ => run_as(Way::Plain, 1 + random.below(times)),
    }
}

/// Runs it by a debugger's steps. Thread context.
pub fn step(random: &mut Random) {
    run_as(Way::Stepped, 1 + random.below(4));
}

/// Runs it in one way. Any context, stepping apart.
pub fn run_as(way: Way, times: u32) {
    GROUND.this().run_if_settled(SHARED, way, times);
}

/// A watchpoint comes and goes on the word of the exclusives, if it is this CPU's turn.
///
/// # Errors
/// What should have been possible and was not.
pub fn race_exclusive(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if in_place(plan.turns[4]) => exclusive::slot(random, smp::online_count()),
        _ => {
            exclusive::run(random.below(30));
            Ok(())
        }
    }
}

/// Slots come and go on the raced target, if it is this CPU's turn.
///
/// # Errors
/// What should have been possible and was not.
pub fn race_slot(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if plan.races && in_place(plan.turns[2]) => race::slot(random, smp::online_count()),
        _ => {
            race::run(random.below(30));
            Ok(())
        }
    }
}

/// A breakpoint takes itself away, in a round for that.
///
/// # Errors
/// What is not so.
pub fn one_shot(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if plan.races => own::one_shot(random),
        _ => {
            own::run(random, 100);
            Ok(())
        }
    }
}

/// Probes come and go there, if it is this CPU's turn.
///
/// # Errors
/// What should have been possible and was not.
pub fn race_probe(random: &mut Random) -> Result<(), String> {
    match PLAN.this().get() {
        Some(plan) if in_place(plan.turns[3]) => race::probe(random),
        _ => {
            race::run(random.below(30));
            Ok(())
        }
    }
}
