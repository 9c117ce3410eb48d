//! A program is stepped through what an instruction of a program can do, and each step lands where T2 says, once (T1, T6).
//!
//! Each walk is made twice, the second time with an interrupt before every step. The landings must be the same.
#![expect(clippy::single_range_in_vec_init, reason = "a path is a list of ranges, and the shortest has one")]

use super::client::{Landing, Watch, Watching};
use super::program::{Act, BRKPT, EXECUTES, NO_SIGNAL, PERF, Program, WRITES, give_way, word};
use super::text::{self, data};
use crate::failed;
use alloc::vec::Vec;
use core::iter;
use core::ops::Range;
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use kernel::debug::stats;
use kernel::percpu;
use kernel::sched::{self, CpuSet};
use kernel::smp;
use kernel::task;
use rules::step::Owners;
use signals::Signal;

suite!("programs-walks":
    t2_a_step_over_a_call_lands_behind_it_once,
    t2_a_step_over_a_call_that_is_restarted,
    t2_a_step_over_a_call_that_a_stop_interrupts_lands_behind_it,
    t2_a_step_over_a_fault_that_is_handled,
    t2_a_step_into_a_handler_and_back,
    t2_the_children_of_a_stepped_program_are_not_stepped,
    t2_a_step_over_execve_lands_on_the_first_instruction,
    t2_a_step_goes_with_the_program_to_another_cpu,
    t2_a_step_over_a_load_exclusive_lands_behind_its_sequence,
    h9_a_sequence_that_cannot_be_one_step_runs_free,
    t2_a_step_over_a_brk_lands_nowhere,
    t6_a_brk_ends_the_step_of_a_tracer_only,
    t6_a_slot_where_a_step_lands_is_hit_once,
    t6_a_slot_that_reports_is_hit_once_by_a_stepped_program,
    t6_owners_of_a_step_are_apart,
);

/// A walk through a part of the program.
struct Walk<'a> {
    /// Where the part begins.
    from: u64,
    /// Where the last step lands.
    until: u64,
    /// Where the program is sent SIGUSR1 when it lands there; 0 if nowhere.
    signalled_at: u64,
    /// Who asks for the steps.
    owner: Owners,
    /// Called before the program goes on.
    prepare: &'a dyn Fn(&Program) -> Outcome,
    /// Called once the program sleeps, or has ended.
    drive: &'a dyn Fn(&Program, &Watching) -> Outcome,
    /// The signals that the program counts.
    signals: (u8, u8),
}

impl Walk<'_> {
    fn through(from: u64, until: u64) -> Self {
        Self {
            from,
            until,
            signalled_at: 0,
            owner: Owners::TRACER,
            prepare: &|_| Ok(()),
            drive: &|_, _| Ok(()),
            signals: NO_SIGNAL,
        }
    }

    /// Steps a program from its call on, with or without interrupts. Returns where the steps landed.
    fn once(&self, interrupts: bool) -> Result<Vec<Landing>, Ended> {
        let program = Program::start(Act::At(self.from), 30)?;
        (self.prepare)(&program)?;
        let (signalled_at, owner) = (self.signalled_at, self.owner);
        let watch = Watch { signalled_at, interrupts, owner, ..Watch::until(self.until) };
        let watching = Watching::task(&program.task, &watch).map_err(failed)?;
        program.go();
        (self.drive)(&program, &watching)?;
        check_eq!(program.signals()?, self.signals);
        check_eq!(watching.exceptions(), watching.count(), "step exceptions, and steps that were reported");
        check_eq!(watching.strangers(), 0, "steps of other programs");
        check_eq!(watching.left_behind(), 0, "steps that were left behind in the kernel");
        if interrupts {
            let (sent, steps) = (watching.interrupts(), watching.count());
            check!(sent >= steps, "{sent} interrupts for {steps} steps");
        }
        Ok(watching.landings())
    }

    /// Makes the walk, without and with interrupts, and compares where the steps landed with the path. Returns the last landing.
    fn lands_on(&self, path: &[Range<u64>]) -> Result<Landing, Ended> {
        let mut last = None;
        for interrupts in [false, true] {
            let landings = self.once(interrupts)?;
            let landed: Vec<_> = landings.iter().map(|landing| number(landing.pc)).collect();
            check_eq!(landed, instructions(path), "instructions landed on, with interrupts: {interrupts}");
            last = landings.last().copied();
        }
        last.ok_or_else(|| Ended::Failed("no step".into()))
    }
}

/// The number of an instruction in the program's text.
fn number(pc: u64) -> u64 {
    pc.wrapping_sub(text::BASE) / 4
}

/// The instructions that a program lands on if it is stepped from its call on: those on the way to its act, and those of the path.
fn instructions(path: &[Range<u64>]) -> Vec<u64> {
    let way = text::go() + 4..text::go() + 24;
    iter::once(&way).chain(path).flat_map(|part| number(part.start)..number(part.end)).collect()
}

/// Gives way until the program sleeps.
fn until_it_sleeps(program: &Program) {
    while !program.sleeps() && !program.has_ended() {
        give_way();
    }
}

fn t2_a_step_over_a_call_lands_behind_it_once() -> Outcome {
    let walk = Walk::through(text::calls(), text::calls_end());
    walk.lands_on(&[text::calls()..text::calls_end() + 4]).map(|_| ())
}

/// A handler interrupts a call that goes on after it: the step over the call lands on the handler's first instruction, the step over
/// rt_sigreturn on the call, before it, and that over the call behind it.
fn t2_a_step_over_a_call_that_is_restarted() -> Outcome {
    let walk = Walk {
        drive: &|program, _| {
            until_it_sleeps(program);
            task::signal_group(program.task.process.pid, Signal::SIGUSR1);
            until_it_sleeps(program);
            program.wake(word::WAIT);
            Ok(())
        },
        ..Walk::through(text::waits(), text::waits_end())
    };
    let path = [
        text::waits()..text::waits_call() + 4,
        text::user()..text::user_end(),
        text::restorer()..text::restorer_end(),
        text::waits_call()..text::waits_end() + 4,
    ];
    walk.lands_on(&path).map(|_| ())
}

/// No handler runs: the call is made again, and the step lands behind it.
fn t2_a_step_over_a_call_that_a_stop_interrupts_lands_behind_it() -> Outcome {
    let walk = Walk {
        drive: &|program, _| {
            until_it_sleeps(program);
            task::signal_group(program.task.process.pid, Signal::SIGSTOP);
            until_it_sleeps(program);
            task::signal_group(program.task.process.pid, Signal::SIGCONT);
            until_it_sleeps(program);
            program.wake(word::WAIT);
            Ok(())
        },
        ..Walk::through(text::waits(), text::waits_end())
    };
    walk.lands_on(&[text::waits()..text::waits_end() + 4]).map(|_| ())
}

/// Pages that come in, and a page that does not: its signal's handler goes on behind the instruction.
fn t2_a_step_over_a_fault_that_is_handled() -> Outcome {
    let path = [
        text::faults()..text::faults_load() + 4,
        text::segv()..text::segv_end(),
        text::restorer()..text::restorer_end(),
        text::faults_load() + 4..text::faults_end() + 4,
    ];
    Walk::through(text::faults(), text::faults_end()).lands_on(&path).map(|_| ())
}

/// A signal comes when a step is asked for and not yet made. It lands on the handler's first instruction, before it; and rt_sigreturn on
/// the instruction that was to be stepped, before it.
fn t2_a_step_into_a_handler_and_back() -> Outcome {
    let at = text::waits_call() - 4;
    let walk = Walk {
        signalled_at: at,
        prepare: &|program| {
            program.write(word::WAIT, 1);
            Ok(())
        },
        ..Walk::through(text::waits(), text::waits_end())
    };
    let path = [
        text::waits()..at + 4,
        text::user()..text::user_end(),
        text::restorer()..text::restorer_end(),
        at..text::waits_end() + 4,
    ];
    walk.lands_on(&path).map(|_| ())
}

fn t2_the_children_of_a_stepped_program_are_not_stepped() -> Outcome {
    let walk = Walk::through(text::family(), text::family_end());
    let last = walk.lands_on(&[text::family()..text::family_end() + 4])?;
    check_eq!((last.x[10], last.x[11]), (7 << 8, 9), "the child's status, and what the thread has stored");
    Ok(())
}

fn t2_a_step_over_execve_lands_on_the_first_instruction() -> Outcome {
    let walk = Walk {
        drive: &|program, watching| {
            // The new program waits as the first one has.
            while program.read(word::READY) == 0 || !program.sleeps() {
                give_way();
                check!(!program.has_ended(), "ended after {} steps", watching.count());
            }
            program.write(word::ACT, (text::spot() - text::BASE) as u32);
            program.go();
            Ok(())
        },
        ..Walk::through(text::exec(), text::BASE)
    };
    walk.lands_on(&[text::exec()..text::exec_end(), text::BASE..text::BASE + 4]).map(|_| ())
}

/// The program goes to another CPU in a call that it is stepped over, and back while it sleeps in one.
fn t2_a_step_goes_with_the_program_to_another_cpu() -> Outcome {
    let here = percpu::index();
    let Some(there) = smp::online().find(|&cpu| cpu != here) else {
        return Err(Ended::Skipped("one CPU".into()));
    };
    let path = [text::moves()..text::moves_end() + 4];
    let asleep = instructions(&[text::moves()..text::moves_wait() + 4]).len() as u64;
    for interrupts in [false, true] {
        let walk = Walk {
            prepare: &|program| {
                program.write(word::MASK, 1 << there);
                Ok(())
            },
            drive: &|program, watching| {
                while watching.count() != asleep || !program.sleeps() {
                    give_way();
                    check!(!program.has_ended(), "ended after {} steps", watching.count());
                }
                sched::set_affinity(program.task.thread(), CpuSet::of(here)).map_err(failed)?;
                program.wake(word::WAIT);
                Ok(())
            },
            ..Walk::through(text::moves(), text::moves_end())
        };
        let landings = walk.once(interrupts)?;
        let landed: Vec<_> = landings.iter().map(|landing| number(landing.pc)).collect();
        check_eq!(landed, instructions(&path), "instructions landed on, with interrupts: {interrupts}");
        for landing in landings {
            let away = (text::moves_call() + 4..=text::moves_wait()).contains(&landing.pc);
            let cpu = if away { there } else { here };
            check_eq!(landing.cpu, cpu, "the CPU of the landing on instruction {}", number(landing.pc));
        }
    }
    Ok(())
}

/// A load-exclusive without a store-exclusive is stepped as any other load.
fn t2_a_step_over_a_load_exclusive_lands_behind_its_sequence() -> Outcome {
    let path =
        [text::exclusive()..text::exclusive_load() + 4, text::exclusive_past()..text::exclusive_end() + 4];
    let last = Walk::through(text::exclusive(), text::exclusive_end()).lands_on(&path)?;
    check_eq!((last.x[2], last.x[5]), (0, 5), "the status of the store-exclusive, and what it has stored");
    Ok(())
}

/// The program runs free from the load-exclusive on. It is stepped again from its next exception on, which is the system call behind the
/// sequence, or an interrupt that comes before.
fn h9_a_sequence_that_cannot_be_one_step_runs_free() -> Outcome {
    let runs = stats::FREE_RUNS.sum();
    for interrupts in [false, true] {
        let landings = Walk::through(text::free(), text::free_end()).once(interrupts)?;
        let landed: Vec<_> = landings.iter().map(|landing| number(landing.pc)).collect();
        let way = instructions(&[text::free()..text::free_load() + 4]);
        check!(landed.starts_with(&way), "{landed:?} begins otherwise than {way:?}");
        let last = landings.last().map(|last| (last.pc, last.x[5]));
        check_eq!(last, Some((text::free_end(), 5)), "the end, and what the sequence has stored: {landed:?}");
    }
    let runs = stats::FREE_RUNS.sum() - runs;
    check!(runs >= 2, "{runs} free runs");
    Ok(())
}

/// The BRK is reported, and its step is over.
fn t2_a_step_over_a_brk_lands_nowhere() -> Outcome {
    let walk = Walk { signals: (1, BRKPT), ..Walk::through(text::brk(), 0) };
    walk.lands_on(&[text::brk()..text::brk() + 4]).map(|_| ())
}

/// The BRK is not reported to a user probe, whose step goes on over the delivery of the signal.
fn t6_a_brk_ends_the_step_of_a_tracer_only() -> Outcome {
    let walk =
        Walk { owner: Owners::UPROBE, signals: (1, BRKPT), ..Walk::through(text::brk(), text::trap()) };
    walk.lands_on(&[text::brk()..text::brk() + 4, text::trap()..text::trap() + 4]).map(|_| ())
}

/// The step-over of a slot and the step of a tracer are made by the same instruction, and neither ends the other.
fn t6_a_slot_where_a_step_lands_is_hit_once() -> Outcome {
    for (from, until, path, slots) in [
        (
            text::spot(),
            text::spot() + 8,
            &[text::spot()..text::spot() + 12][..],
            &[(EXECUTES, text::spot()), (WRITES, data(word::STORED))][..],
        ),
        (
            text::calls(),
            text::calls_end(),
            &[text::calls()..text::calls_end() + 4],
            &[(EXECUTES, text::calls() + 4)],
        ),
        (
            text::exclusive(),
            text::exclusive_end(),
            &[
                text::exclusive()..text::exclusive_load() + 4,
                text::exclusive_past()..text::exclusive_end() + 4,
            ],
            &[(EXECUTES, text::exclusive_load())],
        ),
    ] {
        let events = core::cell::RefCell::new(Vec::new());
        let prepare = |program: &Program| {
            for &(kind, address) in slots {
                events.borrow_mut().push(program.event(kind, address, 4, false)?);
            }
            Ok(())
        };
        let walk = Walk { prepare: &prepare, ..Walk::through(from, until) };
        walk.lands_on(path)?;
        for event in events.borrow().iter() {
            check_eq!(event.read().value, 1, "hits of each slot in each walk");
        }
    }
    Ok(())
}

/// The hit is reported by a signal, whose handler is stepped too. After the handler the instruction waits for its step-over: it hits the slot
/// no more.
fn t6_a_slot_that_reports_is_hit_once_by_a_stepped_program() -> Outcome {
    let spot = text::spot();
    let path = [
        spot..spot + 4,
        // The branch over the handler's last two instructions but one is taken.
        text::trap()..text::trap_end() - 12,
        text::trap_end() - 4..text::trap_end(),
        spot..spot + 12,
    ];
    for interrupts in [false, true] {
        let event = core::cell::RefCell::new(None);
        let prepare = |program: &Program| {
            *event.borrow_mut() = Some(program.event(EXECUTES, spot, 4, true)?);
            Ok(())
        };
        let walk = Walk { prepare: &prepare, signals: (1, PERF), ..Walk::through(spot, spot + 8) };
        let landings = walk.once(interrupts)?;
        // The vDSO has what the handler returns to.
        let own = |landing: &&Landing| (text::BASE..text::member_done()).contains(&landing.pc);
        let landed: Vec<_> = landings.iter().filter(own).map(|landing| number(landing.pc)).collect();
        check_eq!(landed, instructions(&path), "instructions landed on, with interrupts: {interrupts}");
        let hits = event.borrow().as_ref().map(|event| event.read().value);
        check_eq!(hits, Some(1), "hits, with interrupts: {interrupts}");
    }
    Ok(())
}

fn t6_owners_of_a_step_are_apart() -> Outcome {
    let (one, other) = (Owners::TRACER, Owners::UPROBE);
    for (asked, cancelled, left) in [
        (one | other, Owners::empty(), one | other),
        (one | other, other, one),
        (one | other, one, other),
        (other, Owners::empty(), one | other),
    ] {
        let program = Program::start(Act::Spot, 30)?;
        program.task.debug.request_step(asked);
        // The watch asks for a step of the tracer.
        let watch = Watch::until(text::go() + 4);
        let watching = Watching::task(&program.task, &watch).map_err(failed)?;
        program.task.debug.cancel_step(cancelled);
        program.go();
        check_eq!(program.signals()?, NO_SIGNAL);
        let landed: Vec<_> = watching.landings().iter().map(|one| (number(one.pc), one.owners)).collect();
        check_eq!(landed, [(number(text::go() + 4), left)], "asked {asked:?}, cancelled {cancelled:?}");
    }
    Ok(())
}
