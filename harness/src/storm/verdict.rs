//! The first failure of a storm, with its seed; and the check by which a storm that hangs is noticed.

use super::{Round, place};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use kernel::drivers::timer;
use kernel::exception::Say;

/// A storm hangs if no CPU begins an action for this many seconds.
const PATIENCE: u64 = 30;
const ROOM: usize = 512;

/// The failure. It is stored without allocation, because an NMI may report it.
struct Why {
    text: UnsafeCell<[u8; ROOM]>,
    length: UnsafeCell<usize>,
}

// SAFETY: only the caller of `fail` that has claimed `CLAIMED` writes, and others read only after `FAILED` is set.
unsafe impl Sync for Why {}

static WHY: Why = Why { text: UnsafeCell::new([0; ROOM]), length: UnsafeCell::new(0) };
static CLAIMED: AtomicBool = AtomicBool::new(false);
static FAILED: AtomicBool = AtomicBool::new(false);

static ON: AtomicBool = AtomicBool::new(false);
static SEED: AtomicU64 = AtomicU64::new(0);
static ROUND: AtomicU64 = AtomicU64::new(0);
static EXCEPTIONS: AtomicU64 = AtomicU64::new(0);
/// How many actions had been begun at the last check.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static SINCE: AtomicU64 = AtomicU64::new(0);

struct Cut<'a> {
    text: &'a mut [u8],
    length: usize,
}

impl Write for Cut<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for letter in more.chars() {
            // Only whole letters are stored, because the stored bytes are read as a `str`.
            let room = self.text.get_mut(self.length..self.length + letter.len_utf8()).ok_or(fmt::Error)?;
            self.length += letter.encode_utf8(room).len();
        }
        Ok(())
    }
}

/// Reports that the storm has failed, and why. Only the first report is kept. Any context. Allocates nothing.
pub fn fail(why: fmt::Arguments) {
    if CLAIMED.swap(true, SeqCst) {
        return;
    }
    // SAFETY: only the caller that has claimed `CLAIMED` writes, and nobody reads before `FAILED` is set.
    let text = unsafe { &mut *WHY.text.get() };
    let mut cut = Cut { text, length: 0 };
    let _ = cut.write_fmt(why);
    let length = cut.length;
    // SAFETY: as for the text.
    unsafe { *WHY.length.get() = length };
    FAILED.store(true, Release);
}

/// Whether the storm has failed. Any context.
pub fn failed() -> bool {
    FAILED.load(Acquire)
}

/// Why the storm has failed; None if it has not. Call it only while nobody storms.
pub fn why() -> Option<&'static str> {
    // SAFETY: once `FAILED` is set, nobody writes any more.
    failed().then(|| unsafe { core::str::from_utf8_unchecked(&(&*WHY.text.get())[..*WHY.length.get()]) })
}

/// Notes that a storm of this many exceptions begins, or a round of it.
pub fn begin(round: &Round, exceptions: u64) {
    SEED.store(round.seed, Relaxed);
    ROUND.store(round.number, Relaxed);
    EXCEPTIONS.store(exceptions, Relaxed);
    SINCE.store(timer::now(), Relaxed);
    ON.store(true, SeqCst);
}

/// Notes that the storm is over.
pub fn end() {
    ON.store(false, SeqCst);
}

/// Called by the tick. Ends the kernel if no CPU has begun an action for a while. The length of a round is no criterion: an emulator's
/// host may give the machine little time, while the machine's clock goes on.
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

/// For the report of a panic: says which storm was running, if there was one. Any context.
pub fn last_words(say: &Say) {
    if ON.swap(false, SeqCst) {
        say(format_args!("{}", Failure("the kernel ended")));
    }
}

/// The reason of a failure. It is shown with the seed, the round, and the boot arguments that make the same choices again.
pub struct Failure<'a>(pub &'a str);

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seed, round, exceptions] = [&SEED, &ROUND, &EXCEPTIONS].map(|word| word.load(Relaxed));
        writeln!(f, "storm: failed seed={seed} round={round}: {}", self.0)?;
        write!(f, "storm: again: mode=storm seed={seed} exceptions={exceptions}")
    }
}
