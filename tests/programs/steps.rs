//! Steps of a program by a client in the kernel: where they land (T2), and that nobody else is stepped (I6).

use super::program::{Act, EXECUTES, NO_SIGNAL, Program, TRACE};
use super::text;
use crate::failed;
use alloc::vec::Vec;
use harness::ktest::Outcome;
use harness::{check_eq, suite};
use kernel::debug::slots::{Disposition, Installed};
use kernel::debug::stats;
use kernel::syscall;
use rules::step::Owners;
use slots::{Cpus, Privilege, Request};

suite!("programs-steps":
    t2_a_step_over_a_call_lands_behind_it,
    m2_a_step_over_a_call_does_not_go_into_the_kernel,
    t1_a_step_that_is_cancelled_is_not_made,
    i6_one_stepped_program_among_others_is_the_only_one_that_is_stepped,
    t3_slots_of_programs_are_apart,
);

fn t2_a_step_over_a_call_lands_behind_it() -> Outcome {
    let program = Program::start(Act::Spot, 30)?;
    let event = program.event(EXECUTES, text::spot(), 4, false)?;
    // The program is in a call. The step is due right behind it.
    program.task.debug.request_step(Owners::TRACER);
    program.go();
    check_eq!(program.signals()?, (1, TRACE));
    check_eq!(event.read().value, 1, "the program has gone on");
    Ok(())
}

/// A breakpoint on an SVC: its step-over ends with the call, and the kernel's work for the call is not stepped, although debug exceptions of
/// EL1 are enabled (M1, M2).
fn m2_a_step_over_a_call_does_not_go_into_the_kernel() -> Outcome {
    let request = Request::breakpoint(syscall::uname as *const () as u64, Privilege::El1);
    let kernels = Installed::new(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
    let program = Program::start(Act::Names, 30)?;
    let event = program.event(EXECUTES, text::call(), 4, false)?;
    let before = kernels.hits().unwrap_or(0);
    let counters = [stats::STEPS, stats::COMPLETED_IN_SOFTWARE, stats::LEFT_BEHIND, stats::SPURIOUS];
    let sums = counters.map(|counter| counter.sum());
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    let calls = kernels.hits().unwrap_or(0) - before;
    check_eq!((event.read().value, calls), (100, 100), "hits of the program's slot, and of the kernel's");
    let [steps, software, left, spurious] = counters.map(|counter| counter.sum());
    // The kernel's own hits are stepped over, in software if the instruction is probed too; nothing else is stepped.
    let steps = steps - sums[0] + software - sums[1];
    check_eq!((steps, left - sums[2], spurious - sums[3]), (100, 0, 0), "steps");
    Ok(())
}

fn t1_a_step_that_is_cancelled_is_not_made() -> Outcome {
    let program = Program::start(Act::Spot, 30)?;
    program.task.debug.request_step(Owners::TRACER);
    program.task.debug.cancel_step(Owners::TRACER);
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    Ok(())
}

fn i6_one_stepped_program_among_others_is_the_only_one_that_is_stepped() -> Outcome {
    let spurious = stats::SPURIOUS.sum();
    let programs = (0..12).map(|_| Program::start(Act::Spot, 30)).collect::<Result<Vec<_>, _>>()?;
    for (number, program) in programs.iter().enumerate() {
        if number == 5 {
            program.task.debug.request_step(Owners::TRACER);
        }
    }
    programs.iter().for_each(Program::go);
    for (number, program) in programs.iter().enumerate() {
        let expected = if number == 5 { (1, TRACE) } else { NO_SIGNAL };
        check_eq!(program.signals()?, expected, "program {number}");
    }
    check_eq!(stats::SPURIOUS.sum(), spurious, "step exceptions that nobody asked for");
    Ok(())
}

fn t3_slots_of_programs_are_apart() -> Outcome {
    let programs = (0..4).map(|_| Program::start(Act::Spot, 30)).collect::<Result<Vec<_>, _>>()?;
    let mut events = Vec::new();
    for program in &programs[..2] {
        events.push(program.event(EXECUTES, text::spot(), 4, false)?);
    }
    programs.iter().for_each(Program::go);
    for program in &programs {
        check_eq!(program.signals()?, NO_SIGNAL);
    }
    check_eq!(events.iter().map(|event| event.read().value).collect::<Vec<_>>(), [1, 1]);
    Ok(())
}
