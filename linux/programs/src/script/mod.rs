//! `#!` lines, as Linux's `fs/binfmt_script.c` reads them.

#[cfg(test)]
mod tests;

use core::ops::{Range, RangeInclusive};

use linux_raw_sys::errno;

use crate::start::{StartError, Strings};

/// How many bytes at the beginning of a file decide what the file is. A `#!` line ends here at the latest.
pub const HEAD_SIZE: usize = 256;

/// How many scripts may stand one behind the other, each the interpreter of the one before, in front of a program.
pub const LEVELS_MAX: u32 = 5;

/// A `#!` line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Script<'a> {
    /// The path of the interpreter. Empty if the file ends behind `#!`: opening it then gives ENOENT, as on Linux.
    pub interpreter: &'a [u8],
    /// The rest of the line, if there is any: one argument, with the spaces inside it. Cut off, as on Linux, if the line has more than
    /// [`HEAD_SIZE`] bytes.
    pub argument: Option<&'a [u8]>,
}

impl<'a> Script<'a> {
    /// Reads the `#!` line at the beginning of `head`, the first [`HEAD_SIZE`] bytes of a file, or all bytes of a shorter file.
    ///
    /// `None` if the file does not begin with `#!`, if the line has no path, or if the path may be longer than `head` shows. Linux
    /// answers all three with ENOEXEC, unless the file is in another format that can be run.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let head = &head[..head.len().min(HEAD_SIZE)];
        let mut line = Line { bytes: [0; HEAD_SIZE] };
        line.bytes[..head.len()].copy_from_slice(head);
        let (interpreter, argument) = line.parse()?;
        // Positions behind the end of a short file are NULs of the padding: the strings there are empty.
        let string = |range: Range<usize>| {
            let bytes = head.get(range.start..range.end.min(head.len())).unwrap_or_default();
            &bytes[..bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len())]
        };
        Some(Self { interpreter: string(interpreter), argument: argument.map(string) })
    }

    /// The arguments of the interpreter: its path, the line's argument, `path` (how the script was named), and `arguments` without
    /// the first, which was the script's own name. Within the limit of `arguments`.
    ///
    /// Allocates a new list.
    pub fn arguments(&self, path: &[u8], arguments: &Strings) -> Result<Strings, StartError> {
        let mut all = Strings::new(arguments.limit());
        let new = [Some(self.interpreter), self.argument, Some(path)];
        for string in new.into_iter().flatten().chain(arguments.iter().skip(1)) {
            all.push(string)?;
        }
        Ok(all)
    }
}

/// Counts the scripts of one `execve`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Levels(u32);

impl Levels {
    /// Counts one more script. Call this for each [`Script`] found, before its interpreter is looked at.
    pub fn enter(&mut self) -> Result<(), TooDeep> {
        if self.0 >= LEVELS_MAX {
            return Err(TooDeep);
        }
        self.0 += 1;
        Ok(())
    }
}

/// More than [`LEVELS_MAX`] scripts stand one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooDeep;

impl TooDeep {
    /// The error number of `execve`, positive.
    pub fn errno(self) -> u32 {
        errno::ELOOP
    }
}

/// The first bytes of a file, padded with NULs.
struct Line {
    bytes: [u8; HEAD_SIZE],
}

const LAST: usize = HEAD_SIZE - 1;

impl Line {
    fn is_blank(&self, at: usize) -> bool {
        matches!(self.bytes[at], b' ' | b'\t')
    }

    /// The first position of `range` that is neither space nor tab.
    fn next_non_blank(&self, range: RangeInclusive<usize>) -> Option<usize> {
        range.into_iter().find(|&at| !self.is_blank(at))
    }

    /// The first position of `range` that is space, tab or NUL.
    fn next_terminator(&self, range: RangeInclusive<usize>) -> Option<usize> {
        range.into_iter().find(|&at| self.is_blank(at) || self.bytes[at] == 0)
    }

    /// Where the interpreter and the argument lie. Follows Linux's `load_script` line by line, because its results in corner cases
    /// (no newline, NULs in the line) follow from the order of its steps.
    fn parse(&self) -> Option<(Range<usize>, Option<Range<usize>>)> {
        if !self.bytes.starts_with(b"#!") {
            return None;
        }
        // Linux does not look for a newline behind a NUL. There is no need to: both strings end at the NUL at the latest.
        let mut end = match self.bytes.iter().position(|&byte| byte == b'\n') {
            Some(newline) => newline,
            None => {
                // Without a newline the path is complete only if something ends it.
                let name = self.next_non_blank(2..=LAST)?;
                self.next_terminator(name..=LAST)?;
                LAST
            }
        };
        // Ends at the `!` at the latest.
        while self.is_blank(end - 1) {
            end -= 1;
        }
        let name = self.next_non_blank(2..=end).filter(|&name| name != end)?;
        let separator = self.next_terminator(name..=end).filter(|&at| self.bytes[at] != 0);
        let argument =
            separator.and_then(|separator| Some((separator, self.next_non_blank(separator..=end)?)));
        match argument {
            Some((separator, argument)) => Some((name..separator, Some(argument..end))),
            None => Some((name..end, None)),
        }
    }
}
