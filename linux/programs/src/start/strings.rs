//! The arguments and the environment, and Linux's limits on them.

use alloc::vec::Vec;

use linux_raw_sys::general::ARG_MAX;

use super::StartError;
use crate::PAGE_SIZE;

/// The longest string that Linux takes, in bytes, with its NUL: `MAX_ARG_STRLEN`.
pub const STRING_MAX: usize = 32 * PAGE_SIZE as usize;

/// The limit on all strings of one `execve` and the pointers to them, in bytes, if the stack may grow to `stack_limit` bytes
/// (RLIMIT_STACK): a quarter of the stack, but at least 128 KiB and at most 6 MiB.
pub fn total_limit(stack_limit: u64) -> u64 {
    // Linux's `_STK_LIM / 4 * 3`.
    const MOST: u64 = 8 * 1024 * 1024 / 4 * 3;
    (stack_limit / 4).clamp(ARG_MAX.into(), MOST)
}

/// A list of strings in one piece of memory, each ended by a NUL, as they will lie on the stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Strings {
    bytes: Vec<u8>,
    count: u64,
    limit: u64,
}

impl Strings {
    /// An empty list that takes up to `limit` bytes (see [`total_limit`]) of strings and pointers to them.
    pub const fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), count: 0, limit }
    }

    /// Appends `string`, up to the first NUL if it has one. The list is unchanged if that fails.
    ///
    /// Allocates what the string needs.
    pub fn push(&mut self, string: &[u8]) -> Result<(), StartError> {
        let string = string.split(|&byte| byte == 0).next().unwrap_or_default();
        let length = string.len().saturating_add(1);
        if length > STRING_MAX {
            return Err(StartError::StringTooLong);
        }
        if self.cost().saturating_add(length as u64 + POINTER) > self.limit {
            return Err(StartError::TooMuch);
        }
        self.bytes.try_reserve(length).map_err(|_| StartError::NoMemory)?;
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        self.count += 1;
        Ok(())
    }

    /// How many strings there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The strings, each with its NUL, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The strings without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .split_inclusive(|&byte| byte == 0)
            .map(|string| string.strip_suffix(b"\0").unwrap_or(string))
    }

    /// The limit that the list was made with, in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What of the limit is used: the bytes of the strings, and a pointer for each.
    pub(super) fn cost(&self) -> u64 {
        self.bytes.len() as u64 + self.count * POINTER
    }
}

/// The size of a pointer in a program, in bytes.
pub(super) const POINTER: u64 = 8;
