//! A debugger's plans (`One`, `Count`, `Until`, `Over`), begun at a BRK, by slots and by probes.

use super::client::{CLIENT, Why, debugged, told, will_answer};
use super::trace::trace;
use crate::address_of;
use crate::failed;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me, nothing_left};
use ::slots::{Cpus, Kind};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch::daif::AllMasked;
use kernel::debug::debugger::{self, Plan, Resume, Taken};
use kernel::debug::session::Stepped;
use kernel::debug::slots::{Disposition, Hit};
use kernel::debug::stats;
use kernel::exception::{DebugFrame, Frame, brk};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::percpu;
use kernel::watcher;
use rules::step::StepError;

const INSTRUCTION: Why = Why::Step(Stepped::Instruction);
const CALL: Why = Why::Step(Stepped::Call);

specimen! {
    /// Computes n + (n - 1) + ... + 1 by calling itself.
    pub fn sums(n: u64) -> u64 {
        "stp x29, x30, [sp, #-32]!",    // 0
        "str x0, [sp, #16]",            // 1
        "cbz x0, 1f",                   // 2
        "sub x0, x0, #1",               // 3
        "bl {sums}",                    // 4
        "ldr x1, [sp, #16]",            // 5
        "add x0, x0, x1",               // 6
        "1: ldp x29, x30, [sp], #32",   // 7
        "ret",                          // 8
        sums = sym sums,
    }
}

/// The address of the BL with which `sums` calls itself.
fn call_in_sums() -> u64 {
    address_of!(sums) + 4 * 4
}

specimen! {
    fn stops(n: u64) -> u64 {
        "stp x29, x30, [sp, #-16]!", // 0
        "brk #{debugger}",           // 1
        "add x0, x0, #1",            // 2
        "add x0, x0, #2",            // 3
        "bl {sums}",                 // 4
        "add x0, x0, #8",            // 5
        "ldp x29, x30, [sp], #16",   // 6
        "ret",                       // 7
        debugger = const brk::DEBUGGER,
        sums = sym sums,
    }
}

/// Calls `stops(1)` with a debugger that gives these answers. For each call of the debugger, returns why it was told and at which
/// word of `stops`.
fn stops_with(answers: &'static [Resume]) -> Result<Vec<(Why, i64)>, Ended> {
    let told = debugged(answers, || {
        check_eq!(stops(1), 18);
        Ok(())
    })?;
    let word = |pc: u64| pc.wrapping_sub(address_of!(stops)) as i64 / 4;
    Ok(told.into_iter().map(|told| (told.why, word(told.pc))).collect())
}

pub fn a_debugger_is_told_of_its_brk_and_of_one_step() -> Outcome {
    check_eq!(stops_with(&[])?, [(Why::Brk, 2)]);
    check_eq!(stops_with(&[Resume::Step(Plan::One)])?, [(Why::Brk, 2), (INSTRUCTION, 3)]);
    Ok(())
}

pub fn so_many_steps_are_told_once() -> Outcome {
    let steps = stats::STEPS.here();
    let told = stops_with(&[Resume::Step(Plan::Count(5))])?;
    check_eq!(stats::STEPS.here() - steps, 5);
    let third = (address_of!(sums) + 8).wrapping_sub(address_of!(stops)) as i64 / 4;
    check_eq!(told, [(Why::Brk, 2), (INSTRUCTION, third)]);
    check_eq!(stops_with(&[Resume::Step(Plan::Count(0))])?, [(Why::Brk, 2)]);
    Ok(())
}

pub fn a_predicate_is_asked_behind_every_step() -> Outcome {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    fn is_word_5(frame: &Frame) -> bool {
        ASKED.fetch_add(1, Relaxed);
        frame.pc == address_of!(stops) + 5 * 4
    }
    ASKED.store(0, Relaxed);
    let told = stops_with(&[Resume::Step(Plan::Until(is_word_5)), Resume::Step(Plan::One)])?;
    check_eq!(told, [(Why::Brk, 2), (INSTRUCTION, 5), (INSTRUCTION, 6)]);
    // sums(4) is 9 instructions for each of 4 levels and 5 for the last one.
    check_eq!(ASKED.load(Relaxed), 3 + 4 * 9 + 5);
    Ok(())
}

pub fn over_is_one_step_where_no_call_is() -> Outcome {
    const OVER: Resume = Resume::Step(Plan::Over);
    let told = stops_with(&[OVER, OVER, OVER, OVER, OVER])?;
    check_eq!(
        told,
        [(Why::Brk, 2), (INSTRUCTION, 3), (INSTRUCTION, 4), (CALL, 5), (INSTRUCTION, 6), (INSTRUCTION, 7)]
    );
    Ok(())
}

/// How often the handler of a slot or probe was called, or, in some tests, how often it began a plan.
/// [`over_from_the_first_hit`] sets it to 100 if no plan can be begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);
fn over_from_the_first_hit(_: &Hit, frame: &mut DebugFrame) {
    if BEGUN.fetch_add(1, Relaxed) == 0 && debugger::step(frame, Plan::Over, &CLIENT).is_err() {
        BEGUN.store(100, Relaxed);
    }
}

/// Runs over the outermost call that `sums` makes to itself. Returns the number of step exceptions, and how many of them ended
/// step-overs.
fn over_a_recursion() -> Result<(u64, u64), Ended> {
    will_answer(&[]);
    BEGUN.store(0, Relaxed);
    let first = Slot::calling(&breakpoint_at(call_in_sums()), watcher!(over_from_the_first_hit))?;
    let (steps, overs) = (stats::STEPS.here(), stats::STEP_OVERS.here());
    let sum = sums(9);
    let (steps, overs) = (stats::STEPS.here() - steps, stats::STEP_OVERS.here() - overs);
    check_eq!((sum, BEGUN.load(Relaxed), first.hits()), (45, 9, Some(9)));
    let told = told();
    check_eq!(told.len(), 1, "{told:x?}");
    let [told] = told[..] else { return Err(failed("not told")) };
    check_eq!((told.why, told.pc), (CALL, call_in_sums() + 4));
    check_eq!(told.x0, 36, "the outermost call has returned, not a call inside of it");
    Ok((steps, overs))
}

pub fn over_a_call_is_not_taken_in_by_recursion() -> Outcome {
    let (steps, overs) = over_a_recursion()?;
    check_eq!(steps, overs, "the plan uses a breakpoint: all steps are step-overs");
    nothing_left()
}

/// Sets breakpoints until only `left` of them are free.
fn no_breakpoints_left(left: u8) -> Result<Vec<Slot>, Ended> {
    let free = kernel::debug::slots::count(Kind::Breakpoint) - left;
    (0..free).map(|_| Slot::counting(&breakpoint_at(address_of!(no_breakpoints_left)))).collect()
}

pub fn over_a_call_goes_by_steps_where_no_slot_is_free() -> Outcome {
    let others = no_breakpoints_left(1)?;
    let steps = over_a_recursion();
    drop(others);
    // The steps are 8 levels of 9 instructions, one level of 5, and the call itself. The step-overs of the slot's other hits share
    // the debugger's steps.
    check_eq!(steps?, (1 + 8 * 9 + 5, 9));
    Ok(())
}

/// An interrupt in the middle of the call runs through the same code, and comes to the same return address.
fn over_with_an_interrupt() -> Outcome {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    static SUM: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &mut Frame) {
        TAKEN.fetch_add(1, Relaxed);
        SUM.store(sums(5), Relaxed);
    }
    fn innermost(_: &Hit, frame: &mut DebugFrame) {
        if frame.x[0] == 0 && TAKEN.load(Relaxed) == 0 {
            interrupt_me();
        }
    }
    TAKEN.store(0, Relaxed);
    let _interrupt = OnDemand::new(handler);
    let _innermost = Slot::calling(&breakpoint_at(address_of!(sums) + 8), watcher!(innermost))?;
    over_a_recursion_with(9 + 5)?;
    check_eq!((TAKEN.load(Relaxed), SUM.load(Relaxed)), (1, 15));
    Ok(())
}

/// Like [`over_a_recursion`], but does not count the steps, and expects `hits` hits of the breakpoint on the call.
fn over_a_recursion_with(hits: u64) -> Outcome {
    will_answer(&[]);
    BEGUN.store(0, Relaxed);
    let first = Slot::calling(&breakpoint_at(call_in_sums()), watcher!(over_from_the_first_hit))?;
    let sum = sums(9);
    check_eq!((sum, BEGUN.load(Relaxed), first.hits()), (45, hits, Some(hits)));
    let told: Vec<_> = told().into_iter().map(|told| (told.why, told.pc, told.x0)).collect();
    check_eq!(told, [(CALL, call_in_sums() + 4, 36)]);
    Ok(())
}

pub fn over_a_call_is_not_taken_in_by_an_interrupts_handler() -> Outcome {
    over_with_an_interrupt()?;
    nothing_left()?;
    let others = no_breakpoints_left(2)?;
    let outcome = over_with_an_interrupt();
    drop(others);
    outcome
}

pub fn a_slot_stops_in_the_debugger() -> Outcome {
    static CALLED: AtomicU64 = AtomicU64::new(0);
    fn called(_: &Hit, _: &mut DebugFrame) {
        CALLED.fetch_add(1, Relaxed);
    }
    CALLED.store(0, Relaxed);
    let entry = address_of!(sums);
    let at = breakpoint_at(entry + 8);
    let told = debugged(&[Resume::Step(Plan::Count(2))], || {
        // Each of the three slots gets its own disposition (H7).
        let counts = Slot::counting(&at)?;
        let stops = Slot::on(&at, Cpus::ALL, Disposition::STOP)?;
        let calls = Slot::calling(&at, watcher!(called))?;
        check_eq!(sums(0), 0);
        check_eq!([counts.hits(), stops.hits(), calls.hits()], [Some(1); 3]);
        check_eq!(sums(0), 0);
        check_eq!(stops.hits(), Some(2));
        Ok(())
    })?;
    check_eq!(CALLED.load(Relaxed), 2);
    let told: Vec<_> = told.into_iter().map(|told| (told.why, told.pc.wrapping_sub(entry))).collect();
    check_eq!(told, [(Why::Slot, 8), (INSTRUCTION, 32), (Why::Slot, 8)]);
    Ok(())
}

pub fn another_stop_ends_the_plan() -> Outcome {
    let entry = address_of!(stops);
    let told = debugged(&[Resume::Step(Plan::Count(100))], || {
        let _stops = Slot::on(&breakpoint_at(entry + 12), Cpus::ALL, Disposition::STOP)?;
        check_eq!(stops(1), 18);
        Ok(())
    })?;
    let told: Vec<_> = told.into_iter().map(|told| (told.why, told.pc.wrapping_sub(entry))).collect();
    check_eq!(told, [(Why::Brk, 8), (Why::Slot, 12)]);
    // A stop also ends a plan that runs over a call.
    let entry = address_of!(sums);
    const ANSWERS: &[Resume] = &[Resume::Step(Plan::Count(2)), Resume::Step(Plan::Over)];
    let told = debugged(ANSWERS, || {
        let _stops = Slot::on(&breakpoint_at(entry + 24), Cpus::ALL, Disposition::STOP)?;
        check_eq!(stops(1), 18);
        Ok(())
    })?;
    let told: Vec<_> = told.into_iter().map(|told| told.why).collect();
    check_eq!(told, [Why::Brk, INSTRUCTION, Why::Slot, Why::Slot, Why::Slot, Why::Slot]);
    Ok(())
}

pub fn without_a_debugger_stops_are_counted() -> Outcome {
    let before = stats::UNATTENDED.here();
    let slot = Slot::on(&breakpoint_at(address_of!(sums)), Cpus::ALL, Disposition::STOP)?;
    check_eq!((sums(2), slot.hits()), (3, Some(3)));
    drop(slot);
    check_eq!(stops(1), 18);
    check_eq!(stats::UNATTENDED.here() - before, 4);
    Ok(())
}

pub fn there_is_one_debugger() -> Outcome {
    debugger::register(&CLIENT).map_err(failed)?;
    let second = debugger::register(&CLIENT);
    debugger::unregister();
    check_eq!(second, Err(Taken));
    check_eq!(debugger::register(&CLIENT), Ok(()));
    debugger::unregister();
    Ok(())
}

/// A slot's handler begins a plan for the context that its frame belongs to.
pub fn a_slots_handler_has_its_context_stepped() -> Outcome {
    fn begins(_: &Hit, frame: &mut DebugFrame) {
        if debugger::step(frame, Plan::Count(2), &CLIENT).is_ok() {
            BEGUN.fetch_add(1, Relaxed);
        }
    }
    fn moves_and_begins(hit: &Hit, frame: &mut DebugFrame) {
        let pc = frame.pc;
        frame.move_to(pc + 4);
        begins(hit, frame);
    }
    let entry = address_of!(sums);
    for (watcher, lands) in [(watcher!(begins), 28), (watcher!(moves_and_begins), 32)] {
        BEGUN.store(0, Relaxed);
        will_answer(&[]);
        let slot = Slot::calling(&breakpoint_at(entry + 4), watcher)?;
        sums(0);
        check_eq!((slot.hits(), BEGUN.load(Relaxed)), (Some(1), 1));
        let told: Vec<_> = told().into_iter().map(|told| (told.why, told.pc.wrapping_sub(entry))).collect();
        check_eq!(told, [(INSTRUCTION, lands)]);
    }
    Ok(())
}

/// A probe's handler begins a plan for the probed context. The first step is the probed instruction, in whatever way the kernel
/// executes it.
pub fn a_probes_handler_has_its_context_stepped() -> Outcome {
    fn begins(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        BEGUN.fetch_add(debugger::step(frame, Plan::One, &CLIENT).is_ok().into(), Relaxed);
        Then::Run
    }
    fn begins_after(_: &Kprobe, frame: &mut DebugFrame) {
        BEGUN.fetch_add(debugger::step(frame, Plan::One, &CLIENT).is_ok().into(), Relaxed);
    }
    fn skips(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        BEGUN.fetch_add(debugger::step(frame, Plan::One, &CLIENT).is_ok().into(), Relaxed);
        frame.pc += 4;
        Then::Skip
    }
    let entry = address_of!(sums);
    // The probed instruction runs out of line, is simulated, or is skipped. The last two cases begin the plan in the post-handler.
    type Case = (u64, Option<kprobe::PreHandler>, Option<kprobe::PostHandler>, u64);
    let cases: [Case; 5] = [
        (4, Some(begins), None, 8),
        (8, Some(begins), None, 28),
        (4, Some(skips), None, 8),
        (4, None, Some(begins_after), 28),
        (8, None, Some(begins_after), 32),
    ];
    for breakpoint in [false, true] {
        for (site, pre, post, lands) in cases {
            will_answer(&[]);
            BEGUN.store(0, Relaxed);
            let also = if breakpoint { Some(Slot::counting(&breakpoint_at(entry + site))?) } else { None };
            kprobe::register(entry + site, pre, post).map_err(failed)?;
            let sum = sums(0);
            let counts = kprobe::unregister(entry + site);
            check_eq!((sum, counts, BEGUN.load(Relaxed)), (0, Ok((1, 0)), 1));
            check_eq!(also.and_then(|slot| slot.hits()), breakpoint.then_some(1));
            let told: Vec<_> =
                told().into_iter().map(|told| (told.why, told.pc.wrapping_sub(entry))).collect();
            check_eq!(told, [(INSTRUCTION, lands)], "at {site}, post-handler {}", post.is_some());
        }
    }
    Ok(())
}

/// A debugger that asks for a step of a masked context, or of a context that another session steps, is told that the step is
/// refused.
pub fn a_plan_that_cannot_be_is_refused() -> Outcome {
    const ANSWERS: &[Resume] = &[Resume::Step(Plan::One), Resume::Step(Plan::One)];
    let told = debugged(ANSWERS, || {
        let _masked = AllMasked::new();
        stops(1);
        Ok(())
    })?;
    let told: Vec<_> = told.into_iter().map(|told| told.why).collect();
    check_eq!(told, [Why::Brk, Why::Refused(StepError::DebugMasked)]);

    let mut others = None;
    let told = debugged(ANSWERS, || {
        others = Some(trace(address_of!(stops), || _ = stops(1))?);
        Ok(())
    })?;
    let told: Vec<_> = told.into_iter().map(|told| told.why).collect();
    check_eq!(told, [Why::Brk, Why::Refused(StepError::Busy)]);
    check!(others.is_some_and(|others| others.complete && others.steps == 7 + 1 + 4 * 9 + 5));
    Ok(())
}

/// A plan runs over a call that never returns. The plan ends when its thread ends.
pub fn over_a_call_that_ends_the_thread() -> Outcome {
    extern "C" fn ends() {
        kernel::sched::exit();
    }
    specimen! {
        fn calls() {
            "stp x29, x30, [sp, #-16]!", "bl {ends}", "ldp x29, x30, [sp], #16", "ret", ends = sym ends
        }
    }
    will_answer(&[]);
    BEGUN.store(0, Relaxed);
    let slot = Slot::calling(&breakpoint_at(address_of!(calls) + 4), watcher!(over_from_the_first_hit))?;
    let thread = crate::threads::here("ends", || calls())?;
    thread.join();
    check_eq!((slot.hits(), BEGUN.load(Relaxed), told().len()), (Some(1), 1, 0));
    drop(slot);
    nothing_left()
}

/// A plan runs over a call. During the call another thread of this CPU runs through the same return address, on its own stack.
pub fn over_a_call_is_not_taken_in_by_another_thread() -> Outcome {
    use kernel::sched;
    /// The number of calls, and the number of calls during which no other thread made one.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    static RUNS: AtomicU64 = AtomicU64::new(0);
    /// Set when all threads are spawned, so that no thread has made its calls before the others begin.
    static ALL: AtomicBool = AtomicBool::new(false);
    #[inline(never)]
    extern "C" fn gives_way(n: u64) -> u64 {
        let before = CALLS.fetch_add(1, Relaxed);
        sched::yield_now();
        RUNS.fetch_add(u64::from(CALLS.load(Relaxed) == before + 1), Relaxed);
        n
    }
    specimen! {
        fn calls(n: u64) -> u64 {
            "stp x29, x30, [sp, #-16]!", // 0
            "bl {gives_way}",            // 1
            "add x1, x1, #1",            // 2
            "ldp x29, x30, [sp], #16",   // 3
            "ret",                       // 4
            gives_way = sym gives_way,
        }
    }
    fn over_in_the_middle(_: &Hit, frame: &mut DebugFrame) {
        if frame.x[0] == 1 {
            BEGUN.fetch_add(debugger::step(frame, Plan::Over, &CLIENT).is_ok().into(), Relaxed);
        }
    }
    will_answer(&[]);
    BEGUN.store(0, Relaxed);
    RUNS.store(0, Relaxed);
    ALL.store(false, Relaxed);
    let site = address_of!(calls) + 4;
    let here = Cpus::of(percpu::index() as u32);
    let slot = Slot::on(&breakpoint_at(site), here, Disposition::Call(watcher!(over_in_the_middle)))?;
    // The thread in the middle is stepped; the stacks of the others are below and above its stack.
    let threads: Result<Vec<_>, _> = [0, 1, 0]
        .map(|n| {
            crate::threads::here("caller", move || {
                while !ALL.load(Relaxed) {
                    sched::yield_now();
                }
                for _ in 0..3 {
                    calls(n);
                }
            })
        })
        .into_iter()
        .collect();
    ALL.store(true, Relaxed);
    for thread in threads? {
        thread.join();
    }
    check_eq!((slot.hits(), BEGUN.load(Relaxed)), (Some(9), 3));
    check!(RUNS.load(Relaxed) < 9, "a thread was in the call while another thread made one");
    let told: Vec<_> =
        told().into_iter().map(|told| (told.why, told.pc.wrapping_sub(site), told.x0)).collect();
    check_eq!(told, [(CALL, 4, 1); 3]);
    drop(slot);
    nothing_left()
}
