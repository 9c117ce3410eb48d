//! Takes a line apart into words.

use super::{Location, ParseError};

/// The words of a line that have not been taken yet.
pub struct Args<'a> {
    rest: &'a str,
}

impl<'a> Args<'a> {
    pub fn new(line: &'a str) -> Args<'a> {
        Args { rest: line.trim_ascii() }
    }

    /// The next word.
    pub fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.rest = self.rest[word.len()..].trim_ascii_start();
        Some(word)
    }

    /// The next word, which is not taken.
    pub fn peek(&self) -> Option<&'a str> {
        self.rest.split_ascii_whitespace().next()
    }

    /// The next words, as far as they name a place.
    ///
    /// # Errors
    /// Those of [`Location::parse`].
    pub fn location(&mut self) -> Result<Location<'a>, ParseError<'a>> {
        let (location, rest) = Location::split(self.rest)?;
        self.rest = rest.trim_ascii_start();
        Ok(location)
    }

    /// All that is left, without the blanks around it.
    pub fn rest(&mut self) -> Option<&'a str> {
        let rest = core::mem::take(&mut self.rest);
        (!rest.is_empty()).then_some(rest)
    }
}
