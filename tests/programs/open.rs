//! Handlers of synchronous exceptions from EL0 run with everything open, and can be preempted (M2, M3, the second phase of M4); those of
//! interrupts run with I and F masked (M5).

use super::client::{Handlers, OPEN, Watch, Watching};
use super::program::{Act, BRKPT, EXECUTES, NO_SIGNAL, PERF, Program, WRITES, give_way, word};
use super::text::{self, data};
use crate::failed;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::exception::{DebugFrame, Frame, frame::ec};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::sched::{self, Alarm, CpuSet, Policy};
use kernel::{clock, percpu, time};
use rules::pstate::Daif;

suite!("programs-open":
    m2_m3_m4_handlers_have_everything_open,
    m2_a_more_important_thread_preempts_a_system_call,
    m3_a_more_important_thread_preempts_the_handler_of_a_brk,
    m4_a_more_important_thread_preempts_the_report_of_a_step,
    m4_a_more_important_thread_preempts_the_report_of_a_breakpoint,
    m4_a_more_important_thread_preempts_the_report_of_a_watchpoint,
    m5_an_interrupt_of_a_program_runs_with_interrupts_masked,
);

const MILLISECOND: u64 = 1_000_000;
/// How long the more important threads sleep: many ticks, because a slow emulator may need more than one for a thread to fall asleep.
const NAP: u64 = 20 * MILLISECOND;

fn m2_m3_m4_handlers_have_everything_open() -> Outcome {
    let _handlers = Handlers::new(|_| ());
    let program = Program::start(Act::Spot, 30)?;
    let events = [
        program.event(EXECUTES, text::spot(), 4, true)?,
        program.event(WRITES, data(word::STORED), 4, true)?,
    ];
    let watch = Watch::until(text::go() + 4);
    let watching = Watching::task(&program.task, &watch).map_err(failed)?;
    program.go();
    check_eq!(program.signals()?, (2, PERF));
    check_eq!(events.map(|event| event.read().value), [1, 1]);
    check_eq!(watching.count(), 1);
    let program = Program::start(Act::Brk, 30)?;
    program.go();
    check_eq!(program.signals()?, (1, BRKPT));
    for (class, name) in OPEN {
        check_eq!(Handlers::of_class(class), (true, false), "{name}: called, anything masked");
    }
    Ok(())
}

/// The class whose handler waits for the more important thread.
static CLASS: AtomicU64 = AtomicU64::new(0);
/// What the handler is doing: not begun, waits, goes on.
static PHASE: AtomicU64 = AtomicU64::new(BEFORE);
const BEFORE: u64 = 0;
const WAITS: u64 = 1;
const GOES_ON: u64 = 2;
/// The phase in which the thread has seen the handler.
static SEEN: AtomicU64 = AtomicU64::new(BEFORE);

/// In a handler: waits until the more important thread has run. Only an interrupt can bring it here: the handler calls nothing.
fn wait(frame: &Frame) {
    if frame.class() != CLASS.load(SeqCst) || PHASE.load(SeqCst) != BEFORE {
        return;
    }
    PHASE.store(WAITS, SeqCst);
    let start = clock::nanoseconds();
    while SEEN.load(SeqCst) == BEFORE && clock::nanoseconds() - start < 1000 * MILLISECOND {
        core::hint::spin_loop();
    }
    PHASE.store(GOES_ON, SeqCst);
}

/// Has the handler of a class wait for a more important thread, which the tick wakes on the same CPU.
fn preempted(class: u64, program: &Program) -> Outcome {
    CLASS.store(class, SeqCst);
    PHASE.store(BEFORE, SeqCst);
    SEEN.store(BEFORE, SeqCst);
    let _handlers = Handlers::new(wait);
    let thread = || {
        while PHASE.load(SeqCst) == BEFORE {
            sched::prepare_to_sleep();
            let _alarm = Alarm::at(clock::nanoseconds() + NAP);
            sched::sleep();
        }
        SEEN.store(PHASE.load(SeqCst), SeqCst);
    };
    let cpu = percpu::index();
    let high = sched::create("high", Box::new(thread), None, Policy::Fifo(50), CpuSet::of(cpu), Some(cpu));
    sched::wake(high.map_err(failed)?.id());
    program.go();
    let signals = program.signals();
    // The thread ends also if the handler was not called.
    let _ = PHASE.compare_exchange(BEFORE, GOES_ON, SeqCst, SeqCst);
    while SEEN.load(SeqCst) == BEFORE {
        give_way();
    }
    signals?;
    check_eq!(SEEN.load(SeqCst), WAITS, "what the handler was doing when the thread ran: 1 waits, 2 goes on");
    Ok(())
}

fn m2_a_more_important_thread_preempts_a_system_call() -> Outcome {
    preempted(ec::SVC64, &Program::start(Act::Names, 30)?)
}

fn m3_a_more_important_thread_preempts_the_handler_of_a_brk() -> Outcome {
    preempted(ec::BRK64, &Program::start(Act::Brk, 30)?)
}

fn m4_a_more_important_thread_preempts_the_report_of_a_step() -> Outcome {
    let program = Program::start(Act::Spot, 30)?;
    let watch = Watch::until(text::go() + 4);
    let watching = Watching::task(&program.task, &watch).map_err(failed)?;
    preempted(ec::STEP_LOWER, &program)?;
    check_eq!(watching.count(), 1);
    Ok(())
}

fn m4_a_more_important_thread_preempts_the_report_of_a_breakpoint() -> Outcome {
    let program = Program::start(Act::Spot, 30)?;
    let event = program.event(EXECUTES, text::spot(), 4, true)?;
    preempted(ec::BREAKPOINT_LOWER, &program)?;
    check_eq!(event.read().value, 1);
    Ok(())
}

fn m4_a_more_important_thread_preempts_the_report_of_a_watchpoint() -> Outcome {
    let program = Program::start(Act::Spot, 30)?;
    let event = program.event(WRITES, data(word::STORED), 4, true)?;
    preempted(ec::WATCHPOINT_LOWER, &program)?;
    check_eq!(event.read().value, 1);
    Ok(())
}

/// Ticks that interrupt a program in a loop. The probe's handler is shown the masks of the tick's handler, whose argument is the frame of what
/// the tick has interrupted.
fn m5_an_interrupt_of_a_program_runs_with_interrupts_masked() -> Outcome {
    static SEEN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    fn look(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        // SAFETY: the argument of the handler that has run into the probe: the frame lives as long as that handler runs.
        let interrupted = unsafe { &*(frame.x[0] as *const Frame) };
        if interrupted.is_of_el0() {
            let right = frame.masks() == Daif::I | Daif::F;
            SEEN[usize::from(right)].fetch_add(1, SeqCst);
        }
        Then::Run
    }
    SEEN.iter().for_each(|count| count.store(0, SeqCst));
    let program = Program::start(Act::At(text::runs()), 30)?;
    let tick = time::interrupt as *const ();
    let probe = kprobe::register(tick.addr() as u64, Some(look), None).map_err(failed)?;
    let thread = {
        let program = Program { task: program.task.clone() };
        move || {
            let start = clock::nanoseconds();
            while SEEN.iter().map(|count| count.load(SeqCst)).sum::<u64>() < 5
                && clock::nanoseconds() - start < 10_000 * MILLISECOND
            {
                sched::prepare_to_sleep();
                let _alarm = Alarm::at(clock::nanoseconds() + NAP);
                sched::sleep();
            }
            program.write(word::GO, 0);
        }
    };
    let cpu = percpu::index();
    let high = sched::create("high", Box::new(thread), None, Policy::Fifo(50), CpuSet::of(cpu), Some(cpu));
    sched::wake(high.map_err(failed)?.id());
    program.go();
    let signals = program.signals();
    kprobe::unregister(probe.address).map_err(failed)?;
    check_eq!(signals?, NO_SIGNAL);
    let [wrong, right] = SEEN.each_ref().map(|count| count.load(SeqCst));
    check!(right > 0, "no tick has interrupted the program");
    check_eq!(wrong, 0, "ticks with other masks, besides {right} with I and F masked");
    Ok(())
}
