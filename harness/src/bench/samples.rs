//! A series of samples of one operation, and the difference of two series.
//!
//! A few samples of each series lie between two marks. With `mode=samples` the host logs what is executed between the marks. In
//! that log it looks for a sample that cost as much as the median, and counts the expensive instructions of that sample.

use core::arch::naked_asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::println;

/// The samples of a series.
const SAMPLES: usize = 1001;
/// One in so many samples has marks.
const MARKED: usize = 125;

/// Begins a sample of the series with this number. The host looks for this symbol, and for the counter, which is in x1 after the
/// first instruction.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn sample_begin(series: u64) {
    naked_asm!("mrs x1, cntvct_el0", "ret")
}

/// Ends a sample. The argument is 0. The host stops the guest at the last instruction; QEMU's log then has the two instructions
/// behind the read of the counter, and so the counter's value.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn sample_end(zero: u64) {
    naked_asm!("mrs x1, cntvct_el0", "nop", "nop", "ret")
}

/// Stands for both marks of the other samples.
extern "C" fn no_mark(_: u64) {}

type Marks = (extern "C" fn(u64), extern "C" fn(u64));

/// A series of samples.
#[derive(Clone, Copy)]
pub struct Series {
    /// From 1 on, in the order in which the series are made.
    number: u64,
    /// The median of the samples, in instructions.
    pub median: u64,
}

/// Takes the samples of a series.
#[inline(always)]
pub fn series(mut sample: impl FnMut() -> u64) -> Series {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Relaxed);
    let mut samples = [0; SAMPLES];
    for (n, place) in samples.iter_mut().enumerate() {
        // The compiler must not make two loops of this one: it would not make the same of the two samples in them.
        let marked = n % MARKED == MARKED / 2;
        let marks: Marks = if marked { (sample_begin, sample_end) } else { (no_mark, no_mark) };
        let (begin, end) = black_box(marks);
        begin(number);
        *place = sample();
        end(0);
    }
    samples.sort_unstable();
    Series { number, median: samples[SAMPLES / 2] }
}

/// What an operation costs: a series with the operation, minus a series without it.
pub struct Cost {
    with: Series,
    without: Series,
}

impl Cost {
    /// The difference of two series.
    pub fn of(with: Series, without: Series) -> Self {
        Self { with, without }
    }

    /// A series from which nothing is to be subtracted.
    pub fn whole(with: Series) -> Self {
        Self { with, without: Series { number: 0, median: 0 } }
    }

    /// Prints the row, and from which series it is: `series: KEY NUMBER MEDIAN NUMBER MEDIAN PARTS`. The row is the difference
    /// of the medians, divided by PARTS.
    pub fn print(self, key: &str) {
        let Self { with, without } = self;
        println!("bench: {key} {}", with.median - without.median);
        println!("series: {key} {} {} {} {} 1", with.number, with.median, without.number, without.median);
    }
}
