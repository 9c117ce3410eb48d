//! Displaced instructions that hit watchpoints. Handlers and debuggers see the PC and the masks of the probed context (M10, K1),
//! and steps go on from there.

use super::{How, POSTS, Probe, masked};
use crate::address_of;
use crate::failed;
use crate::support::{OwnPage, Slot, breakpoint_at, nothing_left, watchpoint_at};
use ::slots::{Access, Cpus};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::{Ended, Outcome};
use kernel::arch::daif;
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::slots::{Disposition, Hit};
use kernel::debug::{record, stats};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::watcher;
use rules::pstate::Daif;

static CELL: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

specimen! {
    /// Returns `value` + 3; its first instruction is probed and stores `value`.
    fn store(to: *const AtomicU64, value: u64) -> u64 {
        "str x1, [x0]", "add x1, x1, #1", "add x1, x1, #2", "mov x0, x1", "ret"
    }
}

fn call(value: u64) -> u64 {
    store(&raw const CELL.0, value)
}

fn site() -> u64 {
    address_of!(store)
}

/// Masks with D clear, so that slots are hit: none, those of an interrupt handler, and two sets that no context of the kernel has.
const MASKS: [Daif; 4] =
    [Daif::empty(), Daif::I.union(Daif::F), Daif::I, Daif::I.union(Daif::F).union(Daif::A)];

const ROUNDS: u64 = 10;

fn watched(disposition: Disposition) -> Result<Slot, Ended> {
    Slot::on(&watchpoint_at(CELL.as_ptr() as u64, 8, Access::Write), Cpus::ALL, disposition)
}

pub fn a_watchpoints_handler_sees_the_probed_address_and_the_probed_masks() -> Outcome {
    static SEEN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    fn look(_: &Hit, frame: &mut DebugFrame) {
        SEEN[0].fetch_add(1, Relaxed);
        SEEN[1].store(frame.pc, Relaxed);
        SEEN[2].store(frame.masks().bits(), Relaxed);
    }
    for how in How::ALL {
        for masks in MASKS {
            SEEN[0].store(0, Relaxed);
            let slot = watched(Disposition::Call(watcher!(look)))?;
            let probe = Probe::on(site(), how)?;
            for n in 1..=ROUNDS {
                let (result, after) = masked(masks, || (call(n), daif::read()));
                check_eq!((result, CELL.load(Relaxed), after), (n + 3, n, masks), "{how:?}");
                let seen = SEEN.each_ref().map(|seen| seen.load(Relaxed));
                check_eq!(seen, [n, site(), masks.bits()], "{how:?}, {masks}");
                check_eq!((kprobe::depth(), slot.hits()), (0, Some(n)));
            }
            let posts = if how == How::Post { ROUNDS } else { 0 };
            check_eq!((probe.remove(ROUNDS), POSTS.load(Relaxed)), ((ROUNDS, 0), posts), "{how:?}, {masks}");
        }
    }
    Ok(())
}

/// The probed context goes on as the handler of a slot leaves the frame. Here the handler moves PC past the probed instruction,
/// which is then not done.
pub fn a_watchpoints_handler_can_move_the_probed_context() -> Outcome {
    fn skips(_: &Hit, frame: &mut DebugFrame) {
        let pc = frame.pc;
        frame.move_to(pc + 8);
    }
    for how in How::ALL {
        for masks in MASKS {
            CELL.store(77, Relaxed);
            let slot = watched(Disposition::Call(watcher!(skips)))?;
            let probe = Probe::on(site(), how)?;
            for n in 1..=ROUNDS {
                let (result, after) = masked(masks, || (call(n), daif::read()));
                check_eq!((result, after, kprobe::depth()), (n + 2, masks, 0), "{how:?}, {masks}");
            }
            check_eq!((probe.remove(ROUNDS), POSTS.load(Relaxed)), ((ROUNDS, 0), 0), "{how:?}");
            check_eq!((slot.hits(), CELL.load(Relaxed)), (Some(ROUNDS), 77), "{how:?}");
        }
    }
    Ok(())
}

pub fn a_watchpoints_handler_can_change_the_probed_contexts_masks() -> Outcome {
    static WANTED: AtomicU64 = AtomicU64::new(0);
    fn sets(_: &Hit, frame: &mut DebugFrame) {
        record::foreign();
        frame.pstate = frame.pstate & !Daif::all().bits() | WANTED.load(Relaxed);
    }
    for how in How::ALL {
        let slot = watched(Disposition::Call(watcher!(sets)))?;
        let probe = Probe::on(site(), how)?;
        let mut calls = 0;
        for masks in MASKS {
            for wanted in MASKS {
                WANTED.store(wanted.bits(), Relaxed);
                calls += 1;
                let (result, after) = masked(masks, || (call(calls), daif::read()));
                check_eq!((result, after), (calls + 3, wanted), "{how:?}, from {masks}");
                check_eq!((CELL.load(Relaxed), slot.hits(), kprobe::depth()), (calls, Some(calls), 0));
                check_eq!(POSTS.load(Relaxed), if how == How::Post { calls } else { 0 });
            }
        }
        check_eq!(probe.remove(calls), (calls, 0), "{how:?}");
    }
    Ok(())
}

/// What a debugger is told: whether the stop is a slot's (not a step's), the index of the word in `store`, the masks, and how often
/// the post-handler had run.
type Told = (bool, u64, u64, u64);

static TOLD: [[AtomicU64; 4]; 8] = [const { [const { AtomicU64::new(0) }; 4] }; 8];
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How many steps the debugger asks for at each of its stops, in order. At the first 0 it lets the context run.
static PLANS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

static CLIENT: Client = Client { tell: client, data: 0 };

fn client(_: &Client, stop: Stop, frame: &mut DebugFrame) -> Resume {
    let count = COUNT.fetch_add(1, Relaxed);
    if let Some(told) = TOLD.get(count) {
        let word = frame.pc.wrapping_sub(site()) / 4;
        let all = [matches!(stop, Stop::Slot(_)).into(), word, frame.masks().bits(), POSTS.load(Relaxed)];
        told.iter().zip(all).for_each(|(told, value)| told.store(value, Relaxed));
    }
    match PLANS.get(count).map_or(0, |plan| plan.load(Relaxed)) {
        0 => Resume::Run,
        1 => Resume::Step(Plan::One),
        count => Resume::Step(Plan::Count(count)),
    }
}

/// What the debugger is told while `body` runs, and how many step exceptions there were.
fn debugged(plans: &[u64], body: impl FnOnce() -> Outcome) -> Result<(Vec<Told>, u64), Ended> {
    COUNT.store(0, Relaxed);
    for (index, plan) in PLANS.iter().enumerate() {
        plan.store(plans.get(index).copied().unwrap_or(0), Relaxed);
    }
    debugger::register(&CLIENT).map_err(failed)?;
    let steps = stats::STEPS.here();
    let outcome = body();
    let steps = stats::STEPS.here() - steps;
    debugger::unregister();
    outcome?;
    nothing_left()?;
    let told = TOLD.iter().take(COUNT.load(Relaxed)).map(|told| {
        let [slot, word, masks, posts] = told.each_ref().map(|value| value.load(Relaxed));
        (slot != 0, word, masks, posts)
    });
    Ok((told.collect(), steps))
}

/// What the debugger must be told, from the stops and the words. The post-handler has run once if the probe has one, and if the
/// stop is behind the probed instruction.
fn due(how: How, told: &[(bool, u64)], masks: Daif) -> Vec<Told> {
    let posts = |word| u64::from(how == How::Post && word > 0);
    told.iter().map(|&(slot, word)| (slot, word, masks.bits(), posts(word))).collect()
}

pub fn a_plan_from_a_watchpoints_stop_counts_the_probed_instructions() -> Outcome {
    for how in How::ALL {
        for masks in MASKS {
            let run = |plans: &[u64]| {
                debugged(plans, || {
                    let slot = watched(Disposition::STOP)?;
                    let probe = Probe::on(site(), how)?;
                    let result = masked(masks, || call(5));
                    check_eq!(
                        (result, probe.remove(1), slot.hits()),
                        (8, (1, 0), Some(1)),
                        "{how:?}, {masks}"
                    );
                    Ok(())
                })
            };
            let (told, _) = run(&[])?;
            check_eq!(told, due(how, &[(true, 0)], masks), "{how:?}");
            let (told, _) = run(&[1, 1, 2])?;
            check_eq!(told, due(how, &[(true, 0), (false, 1), (false, 2), (false, 4)], masks), "{how:?}");
            let (told, _) = run(&[3])?;
            check_eq!(told, due(how, &[(true, 0), (false, 3)], masks), "{how:?}, {masks}");
        }
    }
    Ok(())
}

/// A watchpoint stops a debugger whose plan is under way. The plan is set aside while the copy runs (M12), and the stop must still
/// end it, so that another plan can begin.
pub fn a_watchpoints_stop_ends_a_plan_that_steps_the_probed_code() -> Outcome {
    for how in How::ALL {
        let run = |plans: &[u64]| {
            debugged(plans, || {
                let stop = Slot::on(&breakpoint_at(site()), Cpus::ALL, Disposition::STOP)?;
                let slot = watched(Disposition::STOP)?;
                let probe = Probe::on(site(), how)?;
                let result = call(5);
                let counts = (probe.remove(1), slot.hits(), stop.hits());
                check_eq!((result, counts), (8, ((1, 0), Some(1), Some(1))), "{how:?}");
                Ok(())
            })
        };
        let none = Daif::empty();
        check_eq!(run(&[3])?.0, due(how, &[(true, 0), (true, 0)], none), "{how:?}");
        check_eq!(run(&[3, 2])?.0, due(how, &[(true, 0), (true, 0), (false, 2)], none), "{how:?}");
    }
    Ok(())
}

pub fn a_breakpoint_a_watchpoint_and_a_probe_are_hit_once_each() -> Outcome {
    static ASTRAY: AtomicU64 = AtomicU64::new(0);
    fn look(_: &Hit, frame: &mut DebugFrame) {
        ASTRAY.fetch_add(u64::from(frame.pc != site()), Relaxed);
    }
    ASTRAY.store(0, Relaxed);
    for how in How::ALL {
        for handler in [Disposition::Count, Disposition::Call(watcher!(look))] {
            let breakpoint = Slot::on(&breakpoint_at(site()), Cpus::ALL, handler)?;
            let slots = [watched(handler)?, watched(Disposition::Call(watcher!(look)))?];
            let probe = Probe::on(site(), how)?;
            for n in 1..=ROUNDS {
                check_eq!((call(n), breakpoint.hits()), (n + 3, Some(n)), "{how:?}");
                check_eq!(slots.each_ref().map(Slot::hits), [Some(n); 2], "{how:?}");
            }
            check_eq!(probe.remove(ROUNDS), (ROUNDS, 0));
        }
    }
    check_eq!(ASTRAY.load(Relaxed), 0);
    Ok(())
}

/// A pre-handler begins a step of the probed instruction. The step is that one instruction, wherever it runs.
pub fn a_step_from_the_probed_address_lands_behind_the_instruction() -> Outcome {
    fn begins(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        let _ = debugger::step(frame, Plan::One, &CLIENT);
        Then::Run
    }
    for how in [How::Pre, How::Optimised] {
        let (told, _) = debugged(&[0], || {
            let slot = watched(Disposition::Count)?;
            let wanted = kprobe::Wanted {
                pre: Some(begins),
                optimise: Some(how == How::Optimised),
                ..kprobe::Wanted::at(site())
            };
            let probe = kprobe::register_all([wanted]).map_err(failed)?[0];
            let result = call(5);
            check_eq!((result, kprobe::remove(probe), slot.hits()), (8, (1, 0), Some(1)));
            Ok(())
        })?;
        check_eq!(told, [(false, 1, 0, 0)], "{how:?}");
    }
    Ok(())
}
