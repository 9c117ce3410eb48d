//! The bounds that are explored. Each scenario is explored to its end; no scenario has everything, because the product of all kinds of events
//! has too many states. What one leaves out another one has.

use crate::config::{Base, Class, Config, Flaw};
use Base::{Probed, Program, Thread};
use Class::{
    Breakpoint, Debugger, Deferred, Fatal, Fault, MovedPc, Nmi, Probe, Section, SlotChanges, Warn, Watchpoint,
};

fn scenario(name: &'static str, cpus: usize, threads: &[Base], depth: usize, without: &[Class]) -> Config {
    Config { name, cpus, threads: threads.to_vec(), depth, without: without.to_vec() }
}

/// The scenarios with this number of CPUs.
pub fn scenarios(cpus: usize) -> Vec<Config> {
    match cpus {
        1 => vec![
            scenario("one thread, deep", 1, &[Thread], 4, &[SlotChanges]),
            scenario("one thread, all events", 1, &[Thread], 3, &[]),
            scenario(
                "one program, deep",
                1,
                &[Program],
                4,
                &[SlotChanges, Fatal, Section, Nmi, Warn, Breakpoint],
            ),
            scenario("one program, deeper than all events", 1, &[Program], 3, &[SlotChanges]),
            scenario("one program, all events", 1, &[Program], 2, &[]),
            scenario("one program with a user probe", 1, &[Probed], 2, &[SlotChanges]),
            scenario(
                "two threads",
                1,
                &[Thread, Program],
                2,
                &[SlotChanges, Probe, MovedPc, Section, Fatal, Nmi],
            ),
            scenario("two threads, all events", 1, &[Thread, Program], 1, &[]),
        ],
        _ => vec![
            scenario(
                "two CPUs, steps",
                2,
                &[Thread, Program],
                1,
                &[Section, Fatal, Nmi, Warn, MovedPc, Probe, Deferred],
            ),
            scenario(
                "two CPUs, programs",
                2,
                &[Program, Program],
                1,
                &[Section, Fatal, Nmi, Warn, MovedPc, Probe],
            ),
            scenario(
                "two CPUs, slots",
                2,
                &[Thread, Program],
                2,
                &[Section, Fatal, Nmi, Warn, MovedPc, Probe, Deferred, Debugger, Fault, SlotChanges],
            ),
            scenario(
                "two CPUs, threads",
                2,
                &[Thread, Thread],
                2,
                &[Section, Fatal, Nmi, Warn, MovedPc, Probe, Deferred, Watchpoint, Fault, SlotChanges],
            ),
        ],
    }
}

/// Scenarios with all kinds of events that take tens of seconds each, and a gigabyte of memory.
pub fn full(cpus: usize) -> Vec<Config> {
    match cpus {
        1 => vec![
            scenario("one thread, all events, deep", 1, &[Thread], 4, &[]),
            scenario("one program, all events, deeper", 1, &[Program], 3, &[]),
        ],
        _ => vec![scenario("two CPUs, all events", 2, &[Thread, Program], 1, &[])],
    }
}

/// Scenarios with all kinds of events that do not end the kernel, for walks at random: they have too many states to be explored.
pub fn large() -> Vec<Config> {
    vec![
        scenario("at random: one CPU", 1, &[Thread, Program], 5, &[Fatal]),
        scenario("at random: two CPUs, a thread and a program", 2, &[Thread, Program], 4, &[Fatal]),
        scenario("at random: two CPUs, two programs", 2, &[Program, Program], 4, &[Fatal]),
    ]
}

/// Scenarios that are small enough to be explored for each of many changed tables.
pub fn small() -> Vec<Config> {
    vec![
        scenario("small: one thread", 1, &[Thread], 2, &[SlotChanges]),
        scenario("small: one program", 1, &[Program], 2, &[SlotChanges]),
        scenario("small: two threads", 1, &[Thread, Program], 1, &[SlotChanges]),
        scenario("small: one program with a user probe", 1, &[Probed], 1, &[SlotChanges]),
    ]
}

/// Scenarios that show what a flaw of the kernel's does.
pub fn showing(flaw: Flaw) -> impl Iterator<Item = Config> {
    let without: &[Class] = match flaw {
        // Without slots the plan is the only step that can end at the BRK, as in the kernel, which keeps a step-over there.
        Flaw::EndOfPlanMakesUpNothing => &[Breakpoint, Watchpoint],
        _ => &[],
    };
    small().into_iter().map(move |config| config.without(without))
}
