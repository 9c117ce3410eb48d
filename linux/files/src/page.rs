//! The unit in which the contents of files are stored.

/// The size of a page in bytes.
pub const PAGE_SIZE: usize = 4096;

/// A counted page of memory. Clones share the memory: the tree has one, and each mapping of the page has one of its own.
///
/// The methods take `&self`, because user programs write to a mapped page at any time: no `&mut [u8]` to it can exist.
/// `offset + len` is never above [`PAGE_SIZE`] when the tree calls them.
pub trait Page: Clone {
    /// A new page full of zeros, or `None` if there is no memory.
    fn zeroed() -> Option<Self>;

    /// Copies bytes out of the page, from `offset` on.
    fn read(&self, offset: usize, to: &mut [u8]);

    /// Copies bytes into the page, from `offset` on.
    fn write(&self, offset: usize, from: &[u8]);

    /// Sets `len` bytes from `offset` on to zero.
    fn zero(&self, offset: usize, len: usize) {
        const ZEROS: [u8; 256] = [0; 256];
        let end = offset + len;
        for at in (offset..end).step_by(ZEROS.len()) {
            self.write(at, &ZEROS[..ZEROS.len().min(end - at)]);
        }
    }
}
