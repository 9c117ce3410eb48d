//! The memory of a program that a call reads into or writes from: one range, or several (`struct iovec`).

use crate::errno::Errno;
use crate::task::user;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

/// The most bytes of one call (Linux: MAX_RW_COUNT).
pub const MOST: u64 = 0x7fff_f000;

/// The ranges of user memory that are left.
pub struct Buffers {
    /// Address and length of each, the next one last.
    ranges: Vec<[u64; 2]>,
    left: u64,
}

impl Buffers {
    /// One range.
    pub fn one(address: u64, length: u64) -> Result<Self, Errno> {
        let mut ranges = Vec::new();
        ranges.try_reserve_exact(1).map_err(|_| Errno::ENOMEM)?;
        ranges.push([address, length]);
        Ok(Self { ranges, left: length.min(MOST) })
    }

    /// The ranges that a vector in user memory names.
    pub fn vector(address: u64, count: u64) -> Result<Self, Errno> {
        if count > u64::from(raw::UIO_MAXIOV) {
            return Err(Errno::EINVAL);
        }
        let mut ranges = Vec::new();
        ranges.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
        let mut left: u64 = 0;
        for index in (0..count).rev() {
            let [start, length] = user::get::<[u64; 2]>(address.wrapping_add(16 * index))?;
            if length > i64::MAX as u64 {
                return Err(Errno::EINVAL);
            }
            left = left.saturating_add(length);
            ranges.push([start, length]);
        }
        Ok(Self { ranges, left: left.min(MOST) })
    }

    /// How many bytes are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next range, of at most `most` bytes. None if there is none.
    pub fn next(&mut self, most: usize) -> Option<(u64, usize)> {
        loop {
            let [address, length] = self.ranges.last_mut()?;
            let count = (*length).min(most as u64).min(self.left);
            if count == 0 {
                if *length > 0 {
                    return None;
                }
                self.ranges.pop();
                continue;
            }
            let start = *address;
            *address = address.wrapping_add(count);
            *length -= count;
            self.left -= count;
            return Some((start, count as usize));
        }
    }

    /// Copies from user memory, as many bytes as there are and `to` has room for.
    ///
    /// # Errors
    /// EFAULT.
    pub fn copy_in(&mut self, to: &mut [u8]) -> Result<usize, Errno> {
        let wanted = self.left.min(to.len() as u64) as usize;
        if self.copy_some_in(to) == wanted { Ok(wanted) } else { Err(Errno::EFAULT) }
    }

    /// Copies from user memory, as many bytes as there are and `to` has room for, up to the first one that cannot be read. Returns how many.
    pub fn copy_some_in(&mut self, to: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some((from, count)) = self.next(to.len() - done) {
            let copied = user::read_some(from, &mut to[done..done + count]);
            done += copied;
            if copied < count {
                break;
            }
        }
        done
    }

    /// Copies to user memory.
    ///
    /// # Errors
    /// EFAULT.
    pub fn copy_out(&mut self, from: &[u8]) -> Result<(), Errno> {
        if self.copy_some_out(from) == from.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Copies to user memory, up to the first byte that cannot be written. Returns how many bytes.
    pub fn copy_some_out(&mut self, from: &[u8]) -> usize {
        let mut done = 0;
        while let Some((to, count)) = self.next(from.len() - done) {
            let copied = user::write_some(to, &from[done..done + count]);
            done += copied;
            if copied < count {
                break;
            }
        }
        done
    }
}
