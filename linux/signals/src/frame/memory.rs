//! User memory, as signal frames are written to it and read from it.

use core::mem::MaybeUninit;
use zerocopy::{FromBytes, IntoBytes};

/// User memory. It refuses addresses outside, which Linux checks for the whole [`super::FRAME_SIZE`].
pub trait Memory {
    /// Copies bytes to an address in user memory. Returns whether all of them were written.
    fn write(&mut self, to: u64, from: &[u8]) -> bool;

    /// Writes zeros. Returns whether all of them were written.
    fn clear(&mut self, to: u64, length: usize) -> bool;

    /// Copies user memory from an address into a slice. Returns whether it could.
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool;

    /// Copies a value from user memory into a place that need not hold one before. None if it cannot be read.
    fn read_into<'a, T: FromBytes + IntoBytes>(
        &mut self,
        from: u64,
        to: &'a mut MaybeUninit<T>,
    ) -> Option<&'a mut T> {
        let value = to.write(T::new_zeroed());
        self.read(from, value.as_mut_bytes()).then_some(value)
    }
}
