//! Keeps what a CPU could not print at once.
//!
//! Each CPU has a ring of bytes. Nothing masks a BRK (rule I8), so the handler of a BRK may print into the ring while
//! this CPU is in the middle of any operation on the ring. A printer therefore first reserves room for its whole text,
//! and then fills the room; a handler that comes in between puts its text behind that room. [`flush`] prints only
//! reserved text that is *committed*. A printer that finds no uncommitted text in front of its own commits everything
//! that is reserved: all texts behind its own are from handlers, which have finished by then. So lines stay whole.

use crate::arch::daif::AllMasked;
use crate::percpu::PerCpu;
use core::fmt::{self, Write};
use core::sync::atomic::{
    AtomicU8, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

const SIZE: usize = 4096;

/// The ring of a CPU. The three positions count bytes since boot: `printed` <= `committed` <= `reserved` <= `printed` + [`SIZE`].
struct Ring {
    bytes: [AtomicU8; SIZE],
    reserved: AtomicUsize,
    committed: AtomicUsize,
    printed: AtomicUsize,
    /// The number of bytes that did not fit and were not reported yet.
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

/// Writes text into the reserved room, from `at` to `end`.
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
            // The text would be wrong with a part missing in the middle: the rest of the room stays empty.
            self.fill_up();
        }
        Ok(())
    }
}

impl Fill<'_> {
    /// Fills the rest of the room with zeros, which are not printed.
    fn fill_up(&mut self) {
        while self.at < self.end {
            self.ring.bytes[self.at % SIZE].store(0, Relaxed);
            self.at += 1;
        }
    }
}

impl Ring {
    /// Reserves `length` bytes, or as many as there is room for. Returns the first position and the one past the last.
    fn reserve(&self, length: usize) -> (usize, usize) {
        let mut start = self.reserved.load(Relaxed);
        loop {
            // If a handler has kept and printed text since `start` was read, `printed` may be past `start`: then there is no room,
            // the exchange fails, and the loop looks again.
            let waiting = start.wrapping_sub(self.printed.load(Acquire));
            let end = start + length.min(SIZE.saturating_sub(waiting));
            match self.reserved.compare_exchange(start, end, Relaxed, Relaxed) {
                Ok(_) => return (start, end),
                Err(now) => start = now,
            }
        }
    }

    /// Commits the text that begins at `start`, is not empty, and has been filled in.
    fn commit(&self, start: usize) {
        let mut from = start;
        loop {
            let end = self.reserved.load(Relaxed);
            if self.committed.compare_exchange(from, end, Release, Relaxed).is_err() {
                // In the first round: this text lies behind a text that is not filled in yet, and the printer of that text
                // will commit both. In a later round: the text at `from` is a handler's, which the handler has committed.
                return;
            }
            if self.reserved.load(Relaxed) == end {
                return;
            }
            // A handler has reserved room. If it did so between the load and the exchange, it could not commit its text,
            // because this text was not committed yet: then the next round commits the handler's text.
            from = end;
        }
    }
}

/// Keeps a text, to be printed by [`flush`]. Any context.
pub fn keep(text: fmt::Arguments) {
    // Masked, this code stays on the CPU whose ring it has looked up. No interrupt waits longer than for one text.
    let _masked = AllMasked::new();
    let ring = RINGS.this();
    let mut length = Length(0);
    let _ = length.write_fmt(text);
    let (start, end) = ring.reserve(length.0);
    let mut fill = Fill { ring, at: start, end, lost: 0 };
    let _ = fill.write_fmt(text);
    // The text was formatted twice, and may be shorter the second time.
    fill.fill_up();
    ring.lost.fetch_add(fill.lost, Relaxed);
    if start != end {
        ring.commit(start);
    }
}

/// Whether this CPU has kept any text. Any context.
pub fn any() -> bool {
    let ring = RINGS.this();
    ring.committed.load(Acquire) != ring.printed.load(Relaxed) || ring.lost.load(Relaxed) != 0
}

/// Prints what this CPU has kept. Called with interrupts off, and only by the context that holds the console, so no other context
/// of this CPU is in this function.
pub fn flush(put: &mut dyn FnMut(u8)) {
    let ring = RINGS.this();
    loop {
        let at = ring.printed.load(Relaxed);
        if at != ring.committed.load(Acquire) {
            let byte = ring.bytes[at % SIZE].load(Relaxed);
            if byte != 0 {
                put(byte);
            }
            // Last: from here on the place may be reserved for another byte.
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
