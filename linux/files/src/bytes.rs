//! Copies of byte strings whose allocation may fail.

use alloc::vec::Vec;

use crate::{FileError, Result};

/// Copies `bytes` into a vector without spare capacity.
///
/// # Errors
/// `NoMemory`.
pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| FileError::NoMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Makes room for one more element, so that the next `push` or `insert` does not allocate.
///
/// # Errors
/// `NoMemory`.
pub(crate) fn room_for_one<T>(vector: &mut Vec<T>) -> Result<()> {
    vector.try_reserve(1).map_err(|_| FileError::NoMemory)
}
