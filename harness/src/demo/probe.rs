//! A probe with both handlers on a function that the timer interrupt calls, on all CPUs.

use super::tick::{self, Counting, Counts};
use super::{Finding, Outcome};
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::{smp, time};

static PRE: AtomicU64 = AtomicU64::new(0);
static POST: AtomicU64 = AtomicU64::new(0);
/// The sum of the function's arguments, which are numbers of ticks. The pre-handler adds them up.
static ARGUMENTS: AtomicU64 = AtomicU64::new(0);

pub fn show() -> Outcome {
    let _counting = Counting::start();
    let function = time::account as *const () as u64;
    let probe = kprobe::register(function, Some(pre), Some(post))?;
    // While all CPUs are held, no counter is ahead of another one.
    let now = || {
        smp::rendezvous(|| {
            let counts = [&PRE, &POST, &ARGUMENTS].map(|counter| counter.load(Relaxed));
            (Counts::of_all(), probe.hits(), counts)
        })
    };
    let (since, hits_before, counts_before) = now();
    tick::wait();
    let (until, hits, counts) = now();
    let (_, missed) = kprobe::unregister(function)?;
    let Counts { interrupts, ticks } = until.since(since);
    let hits = hits - hits_before;
    let [pre, post, arguments] = core::array::from_fn(|i| counts[i] - counts_before[i]);
    Ok(Finding {
        counts: format!(
            "time::account: {interrupts} timer interrupts, {hits} hits, {pre} pre, {post} post, {missed} missed; {ticks} ticks, {arguments} in x0"
        ),
        agree: interrupts > 0 && [hits, pre, post] == [interrupts; 3] && missed == 0 && ticks == arguments,
    })
}

fn pre(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    PRE.fetch_add(1, Relaxed);
    ARGUMENTS.fetch_add(frame.x[0], Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    POST.fetch_add(1, Relaxed);
}
