//! A text that grows fallibly.

use alloc::vec::Vec;
use core::fmt;

/// An error means that there is no memory.
pub type Result = fmt::Result;

/// The text of a file.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Text(Vec<u8>);

impl Text {
    /// No text yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// No memory.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result {
        self.0.try_reserve(bytes.len()).map_err(|_| fmt::Error)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends bytes, but those in `special` as a backslash and three octal digits (Linux: `seq_escape`, `seq_path`).
    ///
    /// # Errors
    /// No memory.
    pub fn escaped(&mut self, bytes: &[u8], special: &[u8]) -> Result {
        for &byte in bytes {
            if special.contains(&byte) {
                fmt::Write::write_fmt(self, format_args!("\\{byte:03o}"))?;
            } else {
                self.bytes(&[byte])?;
            }
        }
        Ok(())
    }

    /// Appends blanks up to this length.
    ///
    /// # Errors
    /// No memory.
    pub(crate) fn pad(&mut self, length: usize) -> Result {
        while self.len() < length {
            self.bytes(b" ")?;
        }
        Ok(())
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> Result {
        self.bytes(text.as_bytes())
    }
}
