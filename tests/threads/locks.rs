//! Priorities, sleeping locks and sleep (rule T8): who runs when several threads want the same CPU or the same lock.

use crate::failed;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use kernel::clock;
use kernel::percpu;
use kernel::sched::{self, Alarm, CpuSet, Mutex, Policy, Thread, WaitQueue, preempt};
use kernel::sync::IrqMutex;

suite!("threads-locks":
    a_lock_lends_its_holder_the_priority_of_its_waiters,
    a_lock_goes_to_the_most_important_waiter,
    a_more_important_thread_waits_while_preemption_is_off,
    no_wake_up_is_lost,
    a_waiter_that_gives_up_leaves_the_others_in_their_order,
    an_alarm_ends_a_sleep,
    a_thread_that_may_run_anywhere_goes_to_an_idle_cpu,
);

/// What the threads of a test have done, in this order.
static DONE: IrqMutex<Vec<&str>> = IrqMutex::new(Vec::new());

fn done(what: &'static str) {
    DONE.lock().push(what);
}

/// A thread on this CPU that does not run before it is woken.
fn here(policy: Policy, body: impl FnOnce() + Send + 'static) -> Result<Arc<Thread>, Ended> {
    let cpu = percpu::index();
    sched::create("test", Box::new(body), None, policy, CpuSet::of(cpu), Some(cpu)).map_err(failed)
}

/// Gives way until the threads have done so many things.
fn until(count: usize) -> Vec<&'static str> {
    while DONE.lock().len() < count {
        sched::yield_now();
    }
    core::mem::take(&mut *DONE.lock())
}

/// The case of a signal's lock: the least important thread holds the lock that the most important one needs, and a third thread, which
/// needs no lock, is between the two. The holder has to run before the third.
fn a_lock_lends_its_holder_the_priority_of_its_waiters() -> Outcome {
    static LOCK: Mutex<u64> = Mutex::new(0);
    let high = here(Policy::Fifo(30), || {
        *LOCK.lock() += 1;
        done("high has the lock");
    })?;
    let middle = here(Policy::Fifo(20), || done("middle runs"))?;
    let (high, middle) = (high.id(), middle.id());
    let low = here(Policy::Fifo(10), move || {
        let mut guard = LOCK.lock();
        // Runs at once, and waits for the lock.
        sched::wake(high);
        // Would run at once, if this thread had its own priority still.
        sched::wake(middle);
        done("low holds the lock");
        *guard += 1;
        drop(guard);
        done("low is done");
    })?;
    sched::wake(low.id());
    check_eq!(until(4), ["low holds the lock", "high has the lock", "middle runs", "low is done"]);
    check_eq!(*LOCK.lock(), 2);
    Ok(())
}

fn a_lock_goes_to_the_most_important_waiter() -> Outcome {
    static LOCK: Mutex<()> = Mutex::new(());
    let waiter = |priority, what: &'static str| {
        here(Policy::Fifo(priority), move || {
            let _guard = LOCK.lock();
            done(what);
        })
    };
    let waiters = [waiter(10, "10")?, waiter(20, "20")?, waiter(30, "30")?];
    let guard = LOCK.lock();
    // Each of them runs at once, and waits: this thread has at most the priority of the one before.
    waiters.iter().for_each(|waiter| sched::wake(waiter.id()));
    check_eq!(DONE.lock().len(), 0);
    drop(guard);
    check_eq!(until(3), ["30", "20", "10"]);
    Ok(())
}

fn a_more_important_thread_waits_while_preemption_is_off() -> Outcome {
    let other = here(Policy::Fifo(10), || done("the other thread"))?;
    let off = preempt::Off::new();
    sched::wake(other.id());
    done("preemption is off");
    drop(off);
    done("preemption is on");
    check_eq!(until(3), ["preemption is off", "the other thread", "preemption is on"]);
    Ok(())
}

/// Two threads hand a turn to each other. The queue's waiter looks for its turn before it sleeps, so a wake-up that comes between must
/// not be lost.
fn no_wake_up_is_lost() -> Outcome {
    const TURNS: u64 = 500;
    static TURN: AtomicU64 = AtomicU64::new(0);
    static QUEUE: WaitQueue = WaitQueue::new();
    TURN.store(0, SeqCst);
    let player = |parity: u64| {
        move || {
            for turn in (parity..2 * TURNS).step_by(2) {
                QUEUE.wait(|| (TURN.load(SeqCst) == turn).then_some(()));
                TURN.store(turn + 1, SeqCst);
                QUEUE.wake_all();
            }
            done("done");
        }
    };
    let start = |parity, cpus| {
        let thread = sched::create("turns", Box::new(player(parity)), None, Policy::Fair(0), cpus, None);
        thread.map(|thread| sched::wake(thread.id())).map_err(failed)
    };
    start(0, CpuSet::ALL)?;
    start(1, CpuSet::ALL)?;
    until(2);
    check_eq!(TURN.load(SeqCst), 2 * TURNS);
    Ok(())
}

/// Four threads wait at a queue. The second one gives up, which frees its place in the list, and so does the last one; the others are woken
/// in the order in which they came, once.
fn a_waiter_that_gives_up_leaves_the_others_in_their_order() -> Outcome {
    static QUEUE: WaitQueue = WaitQueue::new();
    static GO: AtomicBool = AtomicBool::new(false);
    static GIVES_UP: [AtomicBool; 4] = [const { AtomicBool::new(false) }; 4];
    GO.store(false, SeqCst);
    let waits = |number: usize, told: [&'static str; 2]| {
        GIVES_UP[number].store(false, SeqCst);
        let thread = here(Policy::Fifo(30), move || {
            let go = || GO.load(SeqCst).then_some(());
            let waited = QUEUE.wait_unless(|| GIVES_UP[number].load(SeqCst), go);
            done(told[usize::from(waited.is_ok())]);
        })?;
        // Runs at once, and sleeps.
        sched::wake(thread.id());
        Ok::<_, Ended>(thread)
    };
    waits(0, ["first gives up", "first"])?;
    let second = waits(1, ["second gives up", "second"])?;
    waits(2, ["third gives up", "third"])?;
    let fourth = waits(3, ["fourth gives up", "fourth"])?;
    // Their condition does not hold: they join the queue again, in the same order.
    QUEUE.wake_all();
    for (number, thread) in [(1, second), (3, fourth)] {
        GIVES_UP[number].store(true, SeqCst);
        sched::wake(thread.id());
    }
    check_eq!(until(2), ["second gives up", "fourth gives up"]);
    GO.store(true, SeqCst);
    QUEUE.wake_all();
    check_eq!(until(2), ["first", "third"]);
    Ok(())
}

fn an_alarm_ends_a_sleep() -> Outcome {
    static AT: AtomicU64 = AtomicU64::new(0);
    AT.store(clock::nanoseconds() + 3_000_000, Relaxed);
    let sleeper = here(Policy::Fair(0), || {
        let at = AT.load(Relaxed);
        let alarm = Alarm::at(at);
        while clock::nanoseconds() < at {
            sched::prepare_to_sleep();
            if clock::nanoseconds() < at {
                sched::sleep();
            }
        }
        drop(alarm);
        done("awake");
    })?;
    sched::wake(sleeper.id());
    until(1);
    check!(clock::nanoseconds() >= AT.load(Relaxed));
    Ok(())
}

fn a_thread_that_may_run_anywhere_goes_to_an_idle_cpu() -> Outcome {
    crate::needs_several_cpus!();
    static WHERE: AtomicU64 = AtomicU64::new(0);
    static RAN: AtomicBool = AtomicBool::new(false);
    RAN.store(false, SeqCst);
    let me = percpu::index();
    let body = || {
        WHERE.store(percpu::index() as u64, SeqCst);
        RAN.store(true, SeqCst);
    };
    let thread = sched::create("roams", Box::new(body), None, Policy::Fair(0), CpuSet::ALL, Some(me));
    sched::wake(thread.map_err(failed)?.id());
    // This thread does not give way.
    while !RAN.load(SeqCst) {
        kernel::arch::barrier::relax();
    }
    check!(WHERE.load(SeqCst) != me as u64);
    Ok(())
}
