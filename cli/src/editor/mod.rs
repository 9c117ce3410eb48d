//! A line editor that takes its input byte by byte.

mod history;
mod keys;
#[cfg(test)]
mod tests;

use core::fmt::Write;

use history::History;
use keys::{Decoder, Key};

/// What the caller is to do after a byte of input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// Nothing, because the line is not complete.
    Pending,
    /// A line is complete, without its end. It may be empty.
    Line(&'a str),
    /// A line is complete but must not be used: tell its author why.
    Rejected(LineError),
    /// The input has ended (^D on an empty line).
    End,
}

/// Why a line must not be used: some characters that were typed are missing from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The line has more characters than the editor has room for.
    TooLong {
        /// How many characters the editor has room for.
        limit: usize,
    },
    /// The line has a NUL, or bytes that are not ASCII.
    NotAscii,
}

impl core::error::Error for LineError {}

impl core::fmt::Display for LineError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LineError::TooLong { limit } => {
                write!(f, "the line is too long and was not run: at most {limit} characters")
            }
            LineError::NotAscii => {
                f.write_str("the line was not run: only printable ASCII characters are understood")
            }
        }
    }
}

/// A line editor for lines of up to `N` characters, which remembers the last `H` lines.
///
/// Keys: left, right, home, end, ^A, ^E, ^B, ^F move; backspace, delete, ^D, ^K (to the end), ^U (to the start), ^W
/// (a word) delete; up, down, ^P, ^N recall; ^C gives the line up; ^L draws it again; ^D on an empty line ends the
/// input. CR, LF and CRLF end a line.
///
/// Lines are ASCII without NUL. Other characters, and characters beyond the first `N`, sound the bell and are left out. Such a
/// line is rejected when it is complete, unless its author seems to have noticed: if the editor echoes, a key that deletes shows
/// this. The recall of another line puts a complete line in place of the one that lacks characters; down, back to the unfinished
/// line, brings back the rejection too.
///
/// With echo off (input from a pipe) nothing is written, no key but ^C makes up for a character that was left out, and a ^D also
/// ends a last line that has no line end. After such a line [`LineEditor::ended`] is true.
pub struct LineEditor<const N: usize, const H: usize = 8> {
    prompt: &'static str,
    echo: bool,
    decoder: Decoder,
    line: [u8; N],
    len: usize,
    cursor: usize,
    spoilt: Option<LineError>,
    /// What `spoilt` was for the unfinished line, while the history shows an older one in its place.
    draft_spoilt: Option<LineError>,
    /// The line was returned, and is cleared before the next byte is handled.
    finished: bool,
    after_cr: bool,
    ended: bool,
    history: History<N, H>,
}

impl<const N: usize, const H: usize> LineEditor<N, H> {
    /// An editor that draws `prompt` and echoes what is typed; if `echo` is false, it does neither.
    pub const fn new(prompt: &'static str, echo: bool) -> Self {
        LineEditor {
            prompt,
            echo,
            decoder: Decoder::new(),
            line: [0; N],
            len: 0,
            cursor: 0,
            spoilt: None,
            draft_spoilt: None,
            finished: false,
            after_cr: false,
            ended: false,
            history: History::new(),
        }
    }

    /// Draws the prompt. To be called at the beginning, and after each [`Event::Line`] or [`Event::Rejected`] has been dealt with.
    pub fn draw_prompt(&self, out: &mut dyn Write) {
        self.put(out, self.prompt);
    }

    /// Whether ^D has ended the input. True also after the [`Event::Line`] of a last line that ^D has ended.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes one byte of input, writes the echo for it to `out` (whose errors are ignored), and returns what the caller must do.
    pub fn feed(&mut self, byte: u8, out: &mut dyn Write) -> Event<'_> {
        if self.finished {
            self.reset();
        }
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        if after_cr && byte == b'\n' {
            return Event::Pending;
        }
        match self.decoder.feed(byte) {
            None => {}
            Some(Key::Enter) => return self.finish(out),
            Some(Key::EndOrDelete) if self.len == 0 && self.spoilt.is_none() => {
                self.ended = true;
                self.put(out, "\r\n");
                return Event::End;
            }
            Some(Key::EndOrDelete) if !self.echo => {
                self.ended = true;
                return self.finish(out);
            }
            Some(key) => self.edit(key, out),
        }
        Event::Pending
    }

    fn edit(&mut self, key: Key, out: &mut dyn Write) {
        match key {
            Key::Char(c) => self.insert(c, out),
            Key::NotAscii => self.spoil(LineError::NotAscii, out),
            Key::Left => self.move_to(self.cursor.saturating_sub(1), out),
            Key::Right => self.move_to((self.cursor + 1).min(self.len), out),
            Key::Home => self.move_to(0, out),
            Key::End => self.move_to(self.len, out),
            Key::Backspace => self.delete(self.cursor.saturating_sub(1), self.cursor, out),
            Key::Delete | Key::EndOrDelete => self.delete(self.cursor, (self.cursor + 1).min(self.len), out),
            Key::KillToEnd => self.delete(self.cursor, self.len, out),
            Key::KillToStart => self.delete(0, self.cursor, out),
            Key::KillWord => self.delete(self.word_start(), self.cursor, out),
            Key::Up | Key::Down => self.recall(key == Key::Up, out),
            Key::GiveUp => {
                self.put(out, "^C\r\n");
                self.reset();
                self.draw_prompt(out);
            }
            Key::Redraw => {
                self.put(out, "\r\n");
                self.draw_prompt(out);
                self.put_bytes(out, 0);
                self.back(out, self.len - self.cursor);
            }
            Key::Enter | Key::Unknown => self.put(out, "\x07"),
        }
    }

    fn finish(&mut self, out: &mut dyn Write) -> Event<'_> {
        self.put(out, "\r\n");
        self.finished = true;
        if let Some(error) = self.spoilt {
            return Event::Rejected(error);
        }
        self.history.push(&self.line[..self.len]);
        Event::Line(text(&self.line[..self.len]))
    }

    fn reset(&mut self) {
        self.len = 0;
        self.cursor = 0;
        self.spoilt = None;
        self.finished = false;
        self.history.leave();
    }

    fn insert(&mut self, c: u8, out: &mut dyn Write) {
        if self.len == N {
            return self.spoil(LineError::TooLong { limit: N }, out);
        }
        self.line.copy_within(self.cursor..self.len, self.cursor + 1);
        self.line[self.cursor] = c;
        self.len += 1;
        self.put_bytes(out, self.cursor);
        self.cursor += 1;
        self.back(out, self.len - self.cursor);
    }

    fn spoil(&mut self, error: LineError, out: &mut dyn Write) {
        self.spoilt = self.spoilt.or(Some(error));
        self.put(out, "\x07");
    }

    /// Deletes the characters from `from` up to, not including, `to`, and leaves the cursor at `from`.
    fn delete(&mut self, from: usize, to: usize, out: &mut dyn Write) {
        if self.echo {
            self.spoilt = None;
        }
        if from == to {
            return self.put(out, "\x07");
        }
        self.move_to(from, out);
        self.line.copy_within(to..self.len, from);
        self.len -= to - from;
        self.put_bytes(out, from);
        self.put(out, "\x1b[K");
        self.back(out, self.len - from);
    }

    fn word_start(&self) -> usize {
        let before = &self.line[..self.cursor];
        let last = before.iter().rposition(|&c| c != b' ').unwrap_or(0);
        before[..last].iter().rposition(|&c| c == b' ').map_or(0, |space| space + 1)
    }

    fn recall(&mut self, older: bool, out: &mut dyn Write) {
        let from_draft = self.history.shows_draft();
        let Some(recalled) = self.history.step(older, &self.line[..self.len]) else {
            return self.put(out, "\x07");
        };
        let len = recalled.len();
        self.line[..len].copy_from_slice(recalled);
        self.move_to(0, out);
        self.len = len;
        // Without echo nobody has seen that characters were left out, so the recall is no answer to that.
        if self.echo {
            if from_draft {
                self.draft_spoilt = self.spoilt;
            }
            self.spoilt = if self.history.shows_draft() { self.draft_spoilt } else { None };
        }
        self.put_bytes(out, 0);
        self.put(out, "\x1b[K");
        self.cursor = len;
    }

    fn move_to(&mut self, to: usize, out: &mut dyn Write) {
        if to < self.cursor {
            self.back(out, self.cursor - to);
        } else if self.echo {
            let _ = out.write_str(text(&self.line[self.cursor..to]));
        }
        self.cursor = to;
    }

    fn back(&self, out: &mut dyn Write, columns: usize) {
        for _ in 0..columns {
            self.put(out, "\x08");
        }
    }

    fn put_bytes(&self, out: &mut dyn Write, from: usize) {
        self.put(out, text(&self.line[from..self.len]));
    }

    fn put(&self, out: &mut dyn Write, text: &str) {
        if self.echo {
            let _ = out.write_str(text);
        }
    }
}

/// The bytes of a line as text: only printable ASCII is ever put into a line.
fn text(ascii: &[u8]) -> &str {
    core::str::from_utf8(ascii).unwrap_or("")
}
