//! The debugger's client, its steps, and the calls that it steps over; and the calls whose return a return probe waits for.

use super::at_each::{Subject, try_each};
use crate::address_of;
use crate::support::nothing_left;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::daif::AllMasked;
use kernel::debug::debugger::{self, Client, Resume, Stop};
use kernel::debug::runs;
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Instance, ReturnProbe, WantedReturn};
use kernel::watcher;
use rules::plan::Place;

/// Two clients with equal contents: the engine tells them apart by their addresses alone.
static FIRST_OF_TWO: Client = Client { tell: runs, data: 0 };
static SECOND_OF_TWO: Client = Client { tell: runs, data: 0 };

fn runs(_: &Client, _: Stop, _: &mut DebugFrame) -> Resume {
    Resume::Run
}

/// No context executes the return addresses of the calls in these tests, so this handler is never called.
fn not_called(_: &Hit, _: &mut DebugFrame) {}

static FIRST: AtomicU64 = AtomicU64::new(0);

fn nobody() {
    debugger::unregister();
    FIRST.store(0, Relaxed);
}

/// In the middle of the operation, the handler's client takes the place of the operation's client, and runs over a call. At the
/// end, a client that is no longer registered waits for no call, and one that still is waits for its call.
pub fn debuggers_come_and_go_in_the_middle_of_others() -> Outcome {
    #[inline(never)]
    fn come_and_go() {
        let _ = debugger::register(&FIRST_OF_TWO);
        debugger::unregister();
    }
    fn nested() {
        debugger::unregister();
        FIRST.fetch_add(debugger::register(&SECOND_OF_TWO).is_err().into(), Relaxed);
        let to = Place { pc: address_of!(five), sp: (&raw const FIRST).addr() as u64 };
        FIRST.fetch_add((!runs::begin(to, &SECOND_OF_TWO, watcher!(not_called))).into(), Relaxed);
    }
    fn check(_: u64) -> Outcome {
        let there = debugger::is_there();
        let waits = {
            let _masked = AllMasked::new();
            runs::count()
        };
        debugger::unregister();
        {
            let _masked = AllMasked::new();
            runs::end_of(|_| true);
        }
        check_eq!(FIRST.load(Relaxed), 0, "clients that could not be registered, calls that could not begin");
        check_eq!(waits, usize::from(there), "calls waited for");
        nothing_left()
    }
    let also = &[
        "kernel::debug::debugger::unregister",
        "kernel::debug::debugger::register",
        "kernel::debug::runs::",
    ];
    try_each(&Subject { outer: come_and_go, nested, also, prepare: nobody, check }, 20)
}

specimen! {
    /// Adds 1 to `n` five times.
    fn five(n: u64) -> u64 {
        ".rept 5", "add x0, x0, #1", ".endr", "ret"
    }
}

pub fn a_step_goes_on_whatever_debugger_comes_and_goes() -> Outcome {
    static STEPS: AtomicU64 = AtomicU64::new(0);
    static RESULT: AtomicU64 = AtomicU64::new(0);
    fn hook(frame: &mut DebugFrame) -> Wish {
        let inside = (address_of!(five)..address_of!(five) + 24).contains(&frame.pc);
        STEPS.fetch_add(inside.into(), Relaxed);
        Wish::Step
    }
    fn stepped() {
        let stepped = session::step_with(hook, || RESULT.store(five(1), Relaxed));
        RESULT.fetch_add(u64::from(stepped.is_err()) * 100, Relaxed);
    }
    fn nested() {
        FIRST.fetch_add(debugger::register(&FIRST_OF_TWO).is_ok().into(), Relaxed);
        debugger::unregister();
    }
    fn check(nested: u64) -> Outcome {
        check_eq!((RESULT.load(Relaxed), STEPS.load(Relaxed), FIRST.load(Relaxed)), (6, 6, nested));
        Ok(())
    }
    fn prepare() {
        nobody();
        STEPS.store(0, Relaxed);
        RESULT.store(0, Relaxed);
    }
    let also = &["kernel::debug::session::", "kernel::debug::debugger::"];
    try_each(&Subject { outer: stepped, nested, also, prepare, check }, 20)
}

/// The call of the operation ends. The calls that the handler has begun in the middle are still waited for afterwards.
pub fn calls_run_over_come_and_go_in_the_middle_of_others() -> Outcome {
    static BEGUN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    static ENDED: AtomicU64 = AtomicU64::new(0);
    /// Called with D masked, because `runs::begin` requires that.
    #[inline(always)]
    fn begin(who: usize, client: &'static Client) {
        let to = Place { pc: address_of!(five) + 4 * who as u64, sp: (&raw const BEGUN).addr() as u64 };
        BEGUN[who].fetch_add(runs::begin(to, client, watcher!(not_called)).into(), Relaxed);
    }
    #[inline(never)]
    fn ours() {
        let _masked = AllMasked::new();
        begin(0, &FIRST_OF_TWO);
        runs::end_of(|run| {
            let mine = run.client.is(&FIRST_OF_TWO);
            ENDED.fetch_add(mine.into(), Relaxed);
            mine
        });
    }
    fn its() {
        begin(1, &SECOND_OF_TWO);
    }
    fn check(nested: u64) -> Outcome {
        let left = {
            let _masked = AllMasked::new();
            let left = runs::count() as u64;
            runs::end_of(|_| true);
            left
        };
        let begun = [BEGUN[0].load(Relaxed), BEGUN[1].load(Relaxed)];
        check_eq!(
            (begun, ENDED.load(Relaxed)),
            ([1, nested], 1),
            "begun: the operation's, the handler's; ended"
        );
        check_eq!(left, nested, "the handler's calls that are left");
        nothing_left()
    }
    let prepare = || BEGUN.iter().chain([&ENDED]).for_each(|count| count.store(0, Relaxed));
    try_each(&Subject { outer: ours, nested: its, also: &["kernel::debug::runs::"], prepare, check }, 40)
}

pub fn calls_return_in_the_middle_of_others() -> Outcome {
    static ENTERED: AtomicU64 = AtomicU64::new(0);
    static RETURNED: AtomicU64 = AtomicU64::new(0);
    static WRONG: AtomicU64 = AtomicU64::new(0);
    static CALLS: AtomicU64 = AtomicU64::new(0);
    fn entered(_: &ReturnProbe, instance: &Instance, _: &mut DebugFrame) -> bool {
        let number = ENTERED.fetch_add(1, Relaxed);
        instance.data(0).store(number, Relaxed);
        true
    }
    fn returned(_: &ReturnProbe, instance: &Instance, _: &mut DebugFrame) {
        // If the instance's number is already taken, another call has had the same instance: the return is counted twice, and the
        // check fails.
        RETURNED.fetch_add(1 + (instance.data(0).swap(u64::MAX, Relaxed) == u64::MAX) as u64, Relaxed);
    }
    fn call() {
        CALLS.fetch_add(1, Relaxed);
        WRONG.fetch_add((five(3) != 8).into(), Relaxed);
    }
    fn reset() {
        [&ENTERED, &RETURNED, &WRONG, &CALLS].iter().for_each(|count| count.store(0, Relaxed));
    }
    fn check(nested: u64) -> Outcome {
        // A call that comes inside the handler of another call is missed (rule K5), and so has no instance.
        check_eq!((CALLS.load(Relaxed), WRONG.load(Relaxed)), (1 + nested, 0));
        check_eq!(ENTERED.load(Relaxed), RETURNED.load(Relaxed));
        check!(ENTERED.load(Relaxed) != 0, "no call was seen");
        Ok(())
    }
    let wanted =
        WantedReturn { address: address_of!(five), entry: Some(entered), handler: returned, instances: 4 };
    let probe = kprobe::register_return(&wanted).map_err(crate::failed)?;
    let also = &["tests::reentrancy::debugger::calls_return_in_the_middle_of_others::"];
    let outcome = try_each(&Subject { outer: call, nested: call, also, prepare: reset, check }, 5);
    kprobe::remove_return(probe);
    outcome
}
