//! Adds file and line to the backtraces in a console, while it is shown.
//!
//! The kernel prints `  [<ffff800080012345>] function+0x12/0x80`; the user reads the same with ` at path/file.rs:123`.

use crate::paths::root;
use addr2line::Loader;
use std::path::Path;

const FRAME: &[u8] = b"  [<";

/// A filter over the console's bytes. Only lines that may be frames of a backtrace are held back, so that prompts show at once.
pub struct Symboliser {
    lines: Option<Loader>,
    root: String,
    /// The beginning of the current line, as long as the line may be a frame.
    held: Vec<u8>,
    passing: bool,
    /// Whether the line before was a frame. If so, the next frame's address is a return address.
    in_backtrace: bool,
}

impl Symboliser {
    /// A filter for the console of this ELF. If the ELF has no line information, nothing is added.
    pub fn new(elf: &Path) -> Self {
        let root = format!("{}/", root().display());
        Self { lines: Loader::new(elf).ok(), root, held: Vec::new(), passing: false, in_backtrace: false }
    }

    /// Takes bytes of the console, and returns the bytes that can be shown now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte == b'\n' {
                self.end_line(&mut shown);
            } else if self.passing {
                shown.push(byte);
            } else {
                self.held.push(byte);
                let compared = self.held.len().min(FRAME.len());
                if self.held[..compared] != FRAME[..compared] {
                    self.passing = true;
                    shown.append(&mut self.held);
                }
            }
        }
        shown
    }

    /// The bytes that are still held back when the console has ended.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn end_line(&mut self, shown: &mut Vec<u8>) {
        let frame = !self.passing && self.held.starts_with(FRAME);
        let line = std::mem::take(&mut self.held);
        let (text, end) = match line.strip_suffix(b"\r") {
            Some(text) => (text, &b"\r\n"[..]),
            None => (&line[..], &b"\n"[..]),
        };
        shown.extend(text);
        if frame && let Some(place) = self.place(text) {
            shown.extend(b" at ");
            shown.extend(place.as_bytes());
        }
        shown.extend(end);
        self.passing = false;
        self.in_backtrace = frame;
    }

    fn place(&self, frame: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(frame).ok()?;
        let address = text.strip_prefix("  [<")?.split_once(">]")?.0;
        let address = u64::from_str_radix(address, 16).ok()?;
        // A return address points behind the call, which may be in the next line or even in the next function.
        let address = if self.in_backtrace { address.checked_sub(4)? } else { address };
        let location = self.lines.as_ref()?.find_location(address).ok()??;
        let file = location.file?;
        let file = file.strip_prefix(self.root.as_str()).unwrap_or(file);
        Some(match location.line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_lines() -> Symboliser {
        Symboliser::new(Path::new("/nonexistent"))
    }

    #[test]
    fn a_prompt_is_not_held_back() {
        let mut filter = without_lines();
        assert_eq!(filter.feed(b"boot\r\nstepwell> "), b"boot\r\nstepwell> ");
        assert_eq!(filter.feed(b"  "), b"  ");
    }

    #[test]
    fn bytes_are_neither_lost_nor_changed_however_they_are_cut() {
        let console = b"a\n  [<ffff800080012345>] f+0x1/0x2\r\n  [x\n\n  [<zz>] g\n  [<1";
        for cut in 0..console.len() {
            let mut filter = without_lines();
            let mut shown = filter.feed(&console[..cut]);
            shown.extend(filter.feed(&console[cut..]));
            shown.extend(filter.finish());
            assert_eq!(shown, console);
        }
    }
}
