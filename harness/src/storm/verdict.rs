//! The first thing that went wrong, with the seed; and who notices that nothing goes on any more.

use super::{Round, place};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use kernel::drivers::timer;
use kernel::exception::Say;

/// Seconds without the end of a round after which a storm hangs.
const PATIENCE: u64 = 30;
const ROOM: usize = 512;

/// What went wrong, kept without allocation: an NMI may be the one that tells.
struct Why {
    text: UnsafeCell<[u8; ROOM]>,
    length: UnsafeCell<usize>,
}

// SAFETY: written by the one who claims `CLAIMED`, read behind `FAILED`.
unsafe impl Sync for Why {}

static WHY: Why = Why { text: UnsafeCell::new([0; ROOM]), length: UnsafeCell::new(0) };
static CLAIMED: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicBool = AtomicBool::new(false);

static ON: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
static ROUND: AtomicU64 = AtomicU64::new(0);
static EXCEPTIONS: AtomicU64 = AtomicU64::new(0);
/// What was begun when somebody looked last.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static SINCE: AtomicU64 = AtomicU64::new(0);

struct Cut<'a> {
    text: &'a mut [u8],
    length: usize,
}

impl Write for Cut<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for &byte in more.as_bytes() {
            if let Some(room) = self.text.get_mut(self.length) {
                *room = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// The storm has failed: why. What comes first counts. Any context but debug context with a lock held; no allocation.
pub fn fail(why: fmt::Arguments) {
    if CLAIMED.swap(true, SeqCst) {
        return;
    }
    // SAFETY: only who has claimed it writes, and nobody reads before `FAILED`.
    let text = unsafe { &mut *WHY.text.get() };
    let mut cut = Cut { text, length: 0 };
    let _ = cut.write_fmt(why);
    let length = cut.length;
    // SAFETY: as above.
    unsafe { *WHY.length.get() = length };
    FAILED.store(true, Release);
}

/// Whether it has. Any context.
pub fn failed() -> bool {
    FAILED.load(Acquire)
}

/// Why it has, if it has. Where nobody storms.
pub fn why() -> Option<&'static str> {
    // SAFETY: behind `FAILED` nobody writes any more.
    failed().then(|| unsafe { core::str::from_utf8_unchecked(&(&*WHY.text.get())[..*WHY.length.get()]) })
}

/// A storm of so many exceptions begins, or a round of it.
pub fn begin(round: &Round, exceptions: u64) {
    SEED.store(round.seed, Relaxed);
    ROUND.store(round.number, Relaxed);
    EXCEPTIONS.store(exceptions, Relaxed);
    SINCE.store(timer::now(), Relaxed);
    ON.store(true, SeqCst);
}

/// The storm is over.
pub fn end() {
    ON.store(false, SeqCst);
}

/// From the tick: ends the kernel if no CPU begins anything any more. How long a round takes says nothing: an emulator's host
/// may have little time for the machine, whose clock goes on all the same.
pub fn look() {
    let begun = place::begun();
    if BEGUN.swap(begun, Relaxed) != begun {
        SINCE.store(timer::now(), Relaxed);
    }
    let late = timer::now().wrapping_sub(SINCE.load(Relaxed)) as i64;
    if ON.load(Relaxed) && late > (PATIENCE * timer::frequency()) as i64 {
        panic!("the storm hangs: no CPU has begun anything for {PATIENCE} s; {}", place::whereabouts());
    }
}

/// For a panic's report: which storm it was, if there was one. Any context.
pub fn last_words(say: &Say) {
    if ON.swap(false, SeqCst) {
        say(format_args!("{}", Failure("the kernel ended")));
    }
}

/// A failure as it is printed: with what does it again.
pub struct Failure<'a>(pub &'a str);

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seed, round, exceptions] = [&SEED, &ROUND, &EXCEPTIONS].map(|word| word.load(Relaxed));
        writeln!(f, "storm: failed seed={seed} round={round}: {}", self.0)?;
        write!(f, "storm: again: mode=storm seed={seed} exceptions={exceptions}")
    }
}
