//! Editing of the line that is being typed (ICANON).

use linux_raw_sys::general as raw;

use crate::output::TAB;
use crate::queue::Kind;
use crate::{Effects, OutputQueue, Tty};

/// What one key erases.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Character,
    Word,
    Line,
}

const ERASE_COLUMN: &[u8] = b"\x08 \x08";

impl Tty {
    /// The characters that edit or end a line. False if `byte` is none of them.
    pub(crate) fn edit(&mut self, byte: u8, effects: &mut Effects, out: &mut impl OutputQueue) -> bool {
        let extended = self.termios.local(raw::IEXTEN);
        let echoes = self.termios.local(raw::ECHO);
        if self.termios.is(byte, raw::VERASE) {
            self.erase(Unit::Character, out);
        } else if self.termios.is(byte, raw::VKILL) {
            self.kill(out);
        } else if extended && self.termios.is(byte, raw::VWERASE) {
            self.erase(Unit::Word, out);
        } else if extended && self.termios.is(byte, raw::VLNEXT) {
            self.literal_next = true;
            if echoes && self.termios.local(raw::ECHOCTL) {
                self.output(b"^\x08", out);
            }
        } else if extended && echoes && self.termios.is(byte, raw::VREPRINT) {
            self.reprint(byte, out);
        } else if byte == b'\n' {
            if echoes || self.termios.local(raw::ECHONL) {
                self.output(b"\n", out);
            }
            self.end_line(byte, Kind::LineEnd, effects, out);
        } else if self.termios.is(byte, raw::VEOF) {
            self.end_line(0, Kind::Eof, effects, out);
        } else if self.termios.is(byte, raw::VEOL) || (extended && self.termios.is(byte, raw::VEOL2)) {
            if echoes {
                if self.queue.line_is_empty() {
                    self.line_column = self.column;
                }
                self.echo(byte, out);
            }
            self.end_line(byte, Kind::LineEnd, effects, out);
        } else {
            return false;
        }
        true
    }

    fn reprint(&mut self, byte: u8, out: &mut impl OutputQueue) {
        self.echo(byte, out);
        self.output(b"\n", out);
        let mut at = 0;
        while let Some(byte) = self.queue.line_byte(at) {
            self.echo(byte, out);
            at += 1;
        }
    }

    /// Erases the whole line, on the screen too if ECHOKE says so.
    fn kill(&mut self, out: &mut impl OutputQueue) {
        const ON_SCREEN: u32 = raw::ECHO | raw::ECHOK | raw::ECHOKE | raw::ECHOE;
        if self.queue.line_is_empty() {
            return;
        }
        if self.termios.lflag & ON_SCREEN == ON_SCREEN {
            self.erase(Unit::Line, out);
            return;
        }
        self.queue.drop_last(usize::MAX);
        if self.termios.local(raw::ECHO) {
            self.echo(self.termios.character(raw::VKILL), out);
            if self.termios.local(raw::ECHOK) {
                self.output(b"\n", out);
            }
        }
    }

    fn erase(&mut self, unit: Unit, out: &mut impl OutputQueue) {
        let mut in_word = false;
        while let Some((length, first)) = self.last_character() {
            if unit == Unit::Word {
                if is_word(first) {
                    in_word = true;
                } else if in_word {
                    break;
                }
            }
            self.queue.drop_last(length);
            if self.termios.local(raw::ECHO) {
                self.erase_on_screen(unit, first, out);
            }
            if unit == Unit::Character {
                break;
            }
        }
    }

    /// The length in bytes and the first byte of the line's last character. `None` at the beginning of the line, and if there are
    /// only bytes that continue a character: such bytes are not erased.
    fn last_character(&self) -> Option<(usize, u8)> {
        let at = self.queue.line().rev().position(|byte| !self.is_continuation(byte))?;
        let first = self.queue.line().rev().nth(at)?;
        Some((at + 1, first))
    }

    /// Takes the character that began with `first` from the screen. The character is no longer in the queue.
    fn erase_on_screen(&mut self, unit: Unit, first: u8, out: &mut impl OutputQueue) {
        if unit == Unit::Character && !self.termios.local(raw::ECHOE) {
            self.echo(self.termios.character(raw::VERASE), out);
        } else if first == b'\t' {
            let used = self.columns_before_tab();
            self.erase_tab(TAB - used % TAB, out);
        } else {
            for _ in 0..self.width(first) {
                self.output(ERASE_COLUMN, out);
            }
        }
    }

    /// The columns that a character other than a tab takes on the screen.
    fn width(&self, first: u8) -> usize {
        match first.is_ascii_control() {
            true if self.termios.local(raw::ECHOCTL) => 2,
            true => 0,
            false => 1,
        }
    }

    /// The column in which a tab behind the present line begins, counted from a tab stop.
    fn columns_before_tab(&self) -> usize {
        let mut columns = 0;
        for byte in self.queue.line().rev() {
            if byte == b'\t' {
                return columns;
            }
            if !self.is_continuation(byte) {
                columns += self.width(byte);
            }
        }
        columns.wrapping_add(self.line_column)
    }
}

/// Whether a character that begins with `first` belongs to a word: letters of Latin-1, digits and `_`, as in Linux. The first
/// bytes of most characters in UTF-8 are letters by that.
fn is_word(first: u8) -> bool {
    first.is_ascii_alphanumeric() || first == b'_' || (first >= 0xc0 && first != 0xd7 && first != 0xf7)
}
