//! M4: while a program's debug exception is in its second phase, an interrupt makes a program of higher priority runnable. How long it takes
//! until that program runs.

use super::place::must;
use super::program::{Act, Foremost, PERIOD, Program, hit, word};
use super::with_timer;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use kernel::drivers::timer;
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Instance, Kprobe, ReturnProbe, Then, WantedReturn};
use kernel::{clock, task, time};

/// How many interrupts there are, each a few instructions later in the second phase than the one before.
const SAMPLES: usize = 32;
/// How many instructions after the second phase has begun the first interrupt comes, and how much later each of the others does.
const FIRST: u64 = 100;
const LATER: u64 = 8;
/// How many instructions the two programs have to begin.
const SOON: u64 = 4_000_000;

/// When the interrupts came, in ticks of the counter.
static RAISED: [AtomicU64; SAMPLES] = [const { AtomicU64::new(0) }; SAMPLES];
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Whether the second phase is under way.
static REPORTING: AtomicBool = AtomicBool::new(false);
/// How many interrupts came in the second phase.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// The second phase begins: arms the timer.
fn begins(_: &Kprobe, _: &mut DebugFrame) -> Then {
    let sample = NEXT.fetch_add(1, Relaxed);
    if let Some(raised) = RAISED.get(sample) {
        REPORTING.store(true, Relaxed);
        raised.store(timer::arm_after(FIRST + LATER * sample as u64), Relaxed);
    }
    Then::Run
}

fn ends(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    REPORTING.store(false, Relaxed);
}

/// The timer's handler: the tick's, which wakes who sleeps until now. It also starts the timer again, for the next tick.
fn wakes(frame: &mut Frame) {
    INSIDE.fetch_add(usize::from(REPORTING.load(Relaxed)), Relaxed);
    time::interrupt(frame);
    timer::stop();
}

/// Returns how many instructions are executed at most from the interrupt to the first instruction of the program that it wakes.
pub fn wake_in_second_phase() -> u64 {
    let second_phase = task::report as *const () as u64;
    let _foremost = Foremost::new();
    let low = Program::start(Act::Hits, SAMPLES, 30);
    let high = Program::start(Act::Wakes, SAMPLES, 50);
    let event = low.event(4, hit(), true);
    must(kprobe::register(second_phase, Some(begins), None));
    let instances = kprobe::DEFAULT_INSTANCES;
    let wanted = WantedReturn { address: second_phase, entry: None, handler: ends, instances };
    let end = must(kprobe::register_return(&wanted));
    let (now, nanoseconds) = (timer::now(), clock::nanoseconds());
    low.write(word::FIRST, now + SOON);
    // At the counter's 1 GHz a tick is a nanosecond.
    high.write(word::FIRST, nanoseconds + SOON);
    with_timer(wakes, || {
        low.wait();
        high.wait();
    });
    kprobe::remove_return(end);
    must(kprobe::unregister(second_phase));
    assert_eq!(event.read().value, SAMPLES as u64, "bench: hits");
    assert_eq!(INSIDE.load(Relaxed), SAMPLES, "bench: interrupts in the second phase");
    let waited = |sample: usize| high.read(word::WOKEN + 8 * sample as u64) - RAISED[sample].load(Relaxed);
    let longest = (0..SAMPLES).map(waited).max().unwrap_or(0);
    assert!(longest < PERIOD, "bench: a program was woken by something else");
    longest
}
