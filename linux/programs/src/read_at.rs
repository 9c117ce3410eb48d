//! The file that a program is read from.

/// A file's bytes by offset. Programs may be tens of megabytes, of which only the headers are read here, so the whole file need not
/// lie in one slice.
pub trait ReadAt {
    /// Copies the file's bytes from `offset` on into `to` and returns how many bytes were copied. Fewer than `to.len()` means that
    /// more may follow; 0 means that `offset` lies at or behind the end of the file (or that `to` is empty).
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError>;

    /// The length of the file, in bytes.
    fn size(&self) -> u64;
}

/// Why a file could not be read: the error number (positive, such as `EIO`) that the file gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadError(pub u32);

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = from.len().min(to.len());
        to[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn size(&self) -> u64 {
        self.len() as u64
    }
}

/// Fills as much of `to` as the file has from `offset` on. Returns the number of bytes filled.
pub(crate) fn read_full(
    file: &(impl ReadAt + ?Sized),
    offset: u64,
    to: &mut [u8],
) -> Result<usize, ReadError> {
    let mut done = 0;
    while done < to.len() {
        let Some(at) = offset.checked_add(done as u64) else { break };
        let count = file.read_at(at, &mut to[done..])?;
        if count == 0 {
            break;
        }
        // A file that claims to have copied more than there was room for must not lead to an index out of bounds.
        done = done.saturating_add(count).min(to.len());
    }
    Ok(done)
}
