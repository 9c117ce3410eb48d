//! The bytes that were typed and not yet read.

use alloc::collections::{TryReserveError, VecDeque};

/// How many bytes are kept.
pub(crate) const LIMIT: usize = 4096;

/// What a byte is to a canonical reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A byte within a line.
    Plain,
    /// The last byte of a line, which is a part of the line.
    LineEnd,
    /// The end of a line that VEOF has ended. Its byte is 0; a canonical reader does not see the byte.
    Eof,
}

/// The queue: whole lines first, then the line that is being typed. Without ICANON there are no lines.
#[derive(Debug)]
pub(crate) struct Queue {
    cells: VecDeque<(u8, Kind)>,
    /// How many cells, from the oldest on, belong to whole lines.
    whole: usize,
}

impl Queue {
    /// Allocates the room for all [`LIMIT`] bytes.
    pub(crate) fn new() -> Result<Self, TryReserveError> {
        let mut cells = VecDeque::new();
        cells.try_reserve_exact(LIMIT)?;
        Ok(Self { cells, whole: 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The number of bytes in whole lines, each VEOF counted.
    pub(crate) fn whole(&self) -> usize {
        self.whole
    }

    /// Adds a byte to the line that is being typed; false if there is no room. One byte of room is left for the line's end.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        let fits = self.cells.len() < LIMIT - 1;
        if fits {
            self.cells.push_back((byte, Kind::Plain));
        }
        fits
    }

    /// Ends the line that is being typed; false if there is no room.
    pub(crate) fn end_line(&mut self, byte: u8, kind: Kind) -> bool {
        let fits = self.cells.len() < LIMIT;
        if fits {
            self.cells.push_back((byte, kind));
            self.whole = self.cells.len();
        }
        fits
    }

    /// The line that is being typed, in both directions.
    pub(crate) fn line(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.cells.range(self.whole..).map(|(byte, _)| *byte)
    }

    /// Byte `at` of the line that is being typed.
    pub(crate) fn line_byte(&self, at: usize) -> Option<u8> {
        self.cells.get(self.whole.checked_add(at)?).map(|(byte, _)| *byte)
    }

    /// Whether nothing of the present line has been typed.
    pub(crate) fn line_is_empty(&self) -> bool {
        self.cells.len() == self.whole
    }

    /// Drops the last `count` bytes of the line that is being typed.
    pub(crate) fn drop_last(&mut self, count: usize) {
        let keep = self.cells.len().saturating_sub(count).max(self.whole);
        self.cells.truncate(keep);
    }

    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.whole = 0;
    }

    /// The oldest byte.
    pub(crate) fn first(&self) -> Option<(u8, Kind)> {
        self.cells.front().copied()
    }

    /// Removes the oldest byte.
    pub(crate) fn pop(&mut self) -> Option<(u8, Kind)> {
        let cell = self.cells.pop_front()?;
        self.whole = self.whole.saturating_sub(1);
        Some(cell)
    }

    /// How many of the bytes in whole lines a canonical reader sees.
    pub(crate) fn whole_without_eof(&self) -> usize {
        self.cells.range(..self.whole).filter(|(_, kind)| *kind != Kind::Eof).count()
    }

    /// ICANON was switched: lines lose their ends. Switched on, all that is there becomes one line that can be read at once, so
    /// what was typed before the switch is not edited any more. Switched off, all can be read as bytes, a VEOF as a byte 0.
    pub(crate) fn switch_lines(&mut self, on: bool) {
        for (_, kind) in &mut self.cells {
            *kind = Kind::Plain;
        }
        self.whole = 0;
        if on {
            self.whole = self.cells.len();
            if let Some((_, kind)) = self.cells.back_mut() {
                *kind = Kind::LineEnd;
            }
        }
    }
}
