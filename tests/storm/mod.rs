//! What the CPUs do in a storm; `harness/src/storm` runs it. All CPUs set slots and probes on copies of one function and run the
//! copies, and the result of each execution tells what has happened to it. Every count is known exactly. How it is known differs
//! from copy to copy:
//!
//! - `own`: each CPU has a copy of its own. The CPU knows what is set there, and knows each execution, in interrupts too.
//! - `shared`: all CPUs run a copy on which nothing changes during a round, so the sum is known.
//! - `race`: all CPUs run a copy while slots and probes come and go. The result of each execution tells how often it was hit.
//! - `exclusive`: all CPUs add to a word by exclusives, while a watchpoint on the word comes and goes. Here too, the result of each
//!   execution tells how often it was hit.
//!
//! Meanwhile `programs` at EL0 do what programs do, with slots of their own; they know how often each of their instructions was executed.
//!
//! The other files: `code` has the function. `set` has what can be set on it, and the result that an execution then must have.
//! `marks` has the marks that handlers leave in registers. `held` and `permits` have the slots. `ground` has what a CPU remembers
//! of a target. `steps` has the debugger's steps.

mod code;
mod exclusive;
mod ground;
mod held;
mod marks;
mod own;
mod permits;
mod programs;
mod race;
mod set;
mod shared;
mod steps;

use harness::storm::{self, Act, Action, Due, Random, Round, Storm, due};
use kernel::irq::off::IrqOff;
use kernel::{kwarn, percpu, sched, smp};
use set::Way;

pub static STORM: Storm = Storm {
    prepare: |round| {
        own::begin();
        shared::place(round)?;
        programs::begin(round)
    },
    actions: &[
        often(12, "sets slots on its own target", Act::Tries(|random| own::set_and_run(random, 0))),
        often(2, "sets slots and probes on its own target", Act::Tries(|random| own::set_and_run(random, 2))),
        often(2, "sets a slot that takes itself away", Act::Tries(shared::one_shot)),
        often(8, "runs its own target", Act::Does(|random| own::run(random, 100))),
        often(40, "runs the shared target", Act::Does(|random| shared::run(random, 100))),
        often(6, "steps the shared target", Act::Does(shared::step)),
        often(14, "sets slots on the raced target", Act::Tries(shared::race_slot)),
        often(6, "sets a probe on the raced target", Act::Tries(shared::race_probe)),
        often(24, "runs the raced target", Act::Does(|random| race::run(1 + random.below(60)))),
        often(6, "sets a slot on the word of the exclusives", Act::Tries(shared::race_exclusive)),
        often(
            12,
            "adds to the word of the exclusives",
            Act::Does(|random| exclusive::run(1 + random.below(60))),
        ),
        often(4, "warns", Act::Does(|_| warn())),
        often(32, "interrupts", Act::Does(interrupt)),
        often(8, "runs with interrupts off", Act::Does(with_interrupts_off)),
        often(4, "gives way", Act::Does(|_| sched::yield_now())),
    ],
    interrupt: in_interrupt,
    nmi: || shared::run_as(Way::Masked, 1),
    background,
    settle: |round| {
        programs::settle()?;
        own::settle()?;
        shared::take_away(round)
    },
    sums: || {
        shared::compare()?;
        let [slots, probes] = race::compare()?;
        let mut sums = programs::sums();
        sums.extend([
            ("hits of slots that come and go", slots),
            ("hits of probes that come and go", probes),
            ("hits of slots on exclusives", exclusive::compare()?),
        ]);
        Ok(sums)
    },
};

const fn often(weight: u32, name: &'static str, act: Act) -> Action {
    Action { name, weight, act }
}

fn warn() {
    kwarn!(true);
    due(Due::Warnings, 1);
}

/// Sends interrupts to this CPU, to another CPU, or to all others. Then runs targets, so that the interrupts come in them.
fn interrupt(random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        match random.below(6) {
            0 => storm::signal_others(),
            1 => storm::signal_cpu(random.below(smp::online_count() as u32) as usize),
            2 if storm::nmi() => storm::nmi_me(),
            _ => storm::signal_cpu(percpu::index()),
        }
        if random.one_in(2) { own::run(random, 8) } else { shared::run(random, 8) }
    }
}

/// With interrupts off ordinary interrupts wait, and are taken one after the other at the end.
fn with_interrupts_off(random: &mut Random) {
    let _off = IrqOff::new();
    interrupt(random);
    race::run(1 + random.below(20));
}

fn in_interrupt(random: &mut Random) {
    let way = random.pick(&[Way::Plain, Way::Plain, Way::Faulting, Way::Masked]);
    let times = 1 + random.below(4);
    match random.below(5) {
        0 => {
            let (ground, target) = own::ground();
            ground.run_if_settled(target, way, times);
        }
        1 => race::run(times),
        2 => exclusive::run(times),
        _ => shared::run_as(way, times),
    }
    if random.one_in(16) {
        warn();
    }
}

fn background(random: &mut Random) {
    match random.below(4) {
        0 => race::run(1 + random.below(8)),
        1 => exclusive::run(1 + random.below(8)),
        _ => shared::run_as(random.pick(&[Way::Plain, Way::Faulting, Way::Masked]), 1 + random.below(8)),
    }
    if random.one_in(16) {
        warn();
    }
}

/// What all CPUs must agree on in a round. It depends on the round alone.
#[derive(Clone, Copy)]
struct Plan {
    /// What is set on the shared target.
    set: set::Set,
    /// The CPUs whose turn it is to set `set`, to remove it, to race slots, to race probes, and to watch the exclusives.
    turns: [u32; 5],
    /// Whether slots are removed while a CPU may be stepping over them. In the other rounds no step may be cancelled.
    races: bool,
}

impl Plan {
    fn of(round: &Round) -> Self {
        let mut random = round.random(storm::Stream::Plan);
        let probes = if random.one_in(2) { 2 } else { 0 };
        let set = set::Set::random(&mut random, 2, 1, probes);
        Self { set, turns: [0; 5].map(|_| random.below(1 << 16)), races: !random.one_in(4) }
    }
}
