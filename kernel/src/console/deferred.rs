//! What a CPU could not print at once.

use crate::arch::daif::AllMasked;
use crate::percpu::PerCpu;
use core::cell::{Cell, UnsafeCell};
use core::fmt::{self, Write};

const SIZE: usize = 4096;

struct Buffer {
    bytes: UnsafeCell<[u8; SIZE]>,
    len: Cell<usize>,
    lost: Cell<usize>,
}

static BUFFERS: PerCpu<Buffer> =
    crate::per_cpu!(Buffer { bytes: UnsafeCell::new([0; SIZE]), len: Cell::new(0), lost: Cell::new(0) });

struct Keep<'a>(&'a Buffer);

impl Write for Keep<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let len = self.0.len.get();
        let room = text.len().min(SIZE - len);
        // SAFETY: only this CPU uses its buffer, and `keep` and `flush` run with all exceptions masked.
        let bytes = unsafe { &mut *self.0.bytes.get() };
        bytes[len..len + room].copy_from_slice(&text.as_bytes()[..room]);
        self.0.len.set(len + room);
        self.0.lost.set(self.0.lost.get() + text.len() - room);
        Ok(())
    }
}

/// Keeps what was to be printed.
pub fn keep(text: fmt::Arguments) {
    let _masked = AllMasked::new();
    let _ = Keep(BUFFERS.this()).write_fmt(text);
}

/// Whether this CPU has kept anything.
pub fn any() -> bool {
    BUFFERS.this().len.get() != 0
}

/// Prints what was kept.
pub fn flush(to: &mut impl Write) {
    let buffer = BUFFERS.this();
    while buffer.len.get() != 0 || buffer.lost.get() != 0 {
        let _masked = AllMasked::new();
        // SAFETY: as in `Keep`.
        let bytes = unsafe { &*buffer.bytes.get() };
        let (len, lost) = (buffer.len.replace(0), buffer.lost.replace(0));
        for chunk in bytes[..len].utf8_chunks() {
            let _ = to.write_str(chunk.valid());
        }
        if lost != 0 {
            let _ = writeln!(to, "[{lost} bytes printed in debug context did not fit and are lost]");
        }
    }
}
