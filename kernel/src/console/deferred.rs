//! What a CPU could not print at once.
//!
//! A ring of bytes a CPU, which a BRK's handler may print into in the middle of anything that is done with it, whatever is masked
//! (rule I8). Who prints reserves room for a whole text, then fills it in; the text of a handler that comes in between lies
//! behind. What is reserved is *committed*, for [`flush`] to print, by who finds nothing uncommitted in front of its own text:
//! everybody who comes later on this CPU has finished by then. So lines stay whole.

use crate::arch::daif::AllMasked;
use crate::percpu::PerCpu;
use core::fmt::{self, Write};
use core::sync::atomic::{
    AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

const SIZE: usize = 4096;

/// The three positions count bytes since boot: `printed` <= `committed` <= `reserved` <= `printed` + [`SIZE`].
struct Ring {
    bytes: [AtomicU8; SIZE],
    reserved: AtomicUsize,
    committed: AtomicUsize,
    printed: AtomicUsize,
    /// Bytes that did not fit and were not told of yet.
    lost: AtomicUsize,
}

static RINGS: PerCpu<Ring> = crate::per_cpu!(Ring {
    bytes: [const { AtomicU8::new(0) }; SIZE],
    reserved: AtomicUsize::new(0),
    committed: AtomicUsize::new(0),
    printed: AtomicUsize::new(0),
    lost: AtomicUsize::new(0),
});

/// Counts the bytes of a text.
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Fills in what was reserved, from `at` on.
struct Fill<'a> {
    ring: &'a Ring,
    at: usize,
    end: usize,
    lost: usize,
}

impl Write for Fill<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let whole = text.floor_char_boundary(self.end - self.at);
        for byte in &text.as_bytes()[..whole] {
            self.ring.bytes[self.at % SIZE].store(*byte, Relaxed);
            self.at += 1;
        }
        self.lost += text.len() - whole;
        if whole < text.len() {
            // What comes behind a part that is missing would not be the text.
            self.fill_up();
        }
        Ok(())
    }
}

impl Fill<'_> {
    /// With bytes that are not printed.
    fn fill_up(&mut self) {
        while self.at < self.end {
            self.ring.bytes[self.at % SIZE].store(0, Relaxed);
            self.at += 1;
        }
    }
}

impl Ring {
    /// Room for so many bytes, or for as many as there is room for: from where to where.
    fn reserve(&self, length: usize) -> (usize, usize) {
        let mut start = self.reserved.load(Relaxed);
        loop {
            let end = start + length.min(SIZE - (start - self.printed.load(Acquire)));
            match self.reserved.compare_exchange(start, end, Relaxed, Relaxed) {
                Ok(_) => return (start, end),
                Err(now) => start = now,
            }
        }
    }

    /// What was reserved from `start` on, which is not nothing, has been filled in.
    fn commit(&self, start: usize) {
        let mut from = start;
        loop {
            let end = self.reserved.load(Relaxed);
            if self.committed.compare_exchange(from, end, Release, Relaxed).is_err() {
                // In the middle of another text, whose printer commits this one too; or a handler's text came in between,
                // and its printer has.
                return;
            }
            if self.reserved.load(Relaxed) == end {
                return;
            }
            // A handler's text came between the load and the exchange, and was not at the front then.
            from = end;
        }
    }
}

/// Keeps what was to be printed. Any context.
pub fn keep(text: fmt::Arguments) {
    // This CPU's ring stays this CPU's, and no interrupt is later than it need be.
    let _masked = AllMasked::new();
    let ring = RINGS.this();
    let mut length = Length(0);
    let _ = length.write_fmt(text);
    let (start, end) = ring.reserve(length.0);
    let mut fill = Fill { ring, at: start, end, lost: 0 };
    let _ = fill.write_fmt(text);
    // Values that are formatted twice need not be the same twice.
    fill.fill_up();
    ring.lost.fetch_add(fill.lost, Relaxed);
    if start != end {
        ring.commit(start);
    }
}

/// Whether this CPU has kept anything. Any context.
pub fn any() -> bool {
    let ring = RINGS.this();
    ring.committed.load(Acquire) != ring.printed.load(Relaxed) || ring.lost.load(Relaxed) != 0
}

/// Prints what was kept. For who holds the console, of whom a CPU has one at a time; interrupts off.
pub fn flush(put: &mut dyn FnMut(u8)) {
    let ring = RINGS.this();
    loop {
        let at = ring.printed.load(Relaxed);
        if at != ring.committed.load(Acquire) {
            let byte = ring.bytes[at % SIZE].load(Relaxed);
            if byte != 0 {
                put(byte);
            }
            // Not before: from here on the place is for somebody else's byte.
            ring.printed.store(at + 1, Release);
            continue;
        }
        match ring.lost.swap(0, Relaxed) {
            0 => return,
            lost => {
                let text = format_args!("[{lost} bytes printed in debug context did not fit and are lost]\n");
                let _ = super::Put(put).write_fmt(text);
            }
        }
    }
}
