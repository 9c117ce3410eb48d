//! The memory of the running task, as system calls read and write it. No address that a program gives can do harm: each access has the
//! permissions of EL0, and a fault that cannot be repaired is an error.

use crate::arch::usercopy;
use crate::errno::Errno;
use crate::space::TOP;
use core::mem::MaybeUninit;

/// The address without its tag byte, if a range from there on lies in the part of the address space that programs have.
fn checked(address: u64, length: usize) -> Result<u64, Errno> {
    // Bits 63 to 56 are ignored by loads and stores of EL0 (TCR_EL1.TBI0). Bit 55 chooses the kernel's half.
    let address = address & !(0xff << 56);
    match address.checked_add(length as u64) {
        Some(end) if end <= TOP => Ok(address),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies from user memory. Thread context; may sleep.
///
/// # Errors
/// EFAULT if not all of it can be read.
pub fn read(from: u64, to: &mut [u8]) -> Result<(), Errno> {
    if read_some(from, to) == to.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies from user memory, up to the first byte that cannot be read. Returns how many bytes. Thread context; may sleep.
pub fn read_some(from: u64, to: &mut [u8]) -> usize {
    let Ok(from) = checked(from, to.len()) else { return 0 };
    // SAFETY: `to` is valid for writes.
    to.len() - unsafe { usercopy::from_user(to.as_mut_ptr(), from, to.len()) }
}

/// Copies to user memory. Thread context; may sleep.
///
/// # Errors
/// EFAULT if not all of it can be written; what comes before the first byte that cannot be written is.
pub fn write(to: u64, from: &[u8]) -> Result<(), Errno> {
    if write_some(to, from) == from.len() { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies to user memory, up to the first byte that cannot be written. Returns how many bytes. Thread context; may sleep.
pub fn write_some(to: u64, from: &[u8]) -> usize {
    let Ok(to) = checked(to, from.len()) else { return 0 };
    // SAFETY: `from` is valid for reads.
    from.len() - unsafe { usercopy::to_user(to, from.as_ptr(), from.len()) }
}

/// A type of which every value of its bytes is a value, without padding.
///
/// # Safety
/// The type has no padding, and no invalid values.
pub unsafe trait Plain: Copy {}

// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: integers.
unsafe impl Plain for i32 {}
// SAFETY: integers.
unsafe impl Plain for u64 {}
// SAFETY: an array of such values has no padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Copies a value from user memory. Thread context; may sleep.
///
/// # Errors
/// EFAULT.
pub fn get<T: Plain>(from: u64) -> Result<T, Errno> {
    let from = checked(from, size_of::<T>())?;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the value has room for its own size.
    match unsafe { usercopy::from_user(value.as_mut_ptr().cast(), from, size_of::<T>()) } {
        // SAFETY: all bytes are there, and all values are valid.
        0 => Ok(unsafe { value.assume_init() }),
        _ => Err(Errno::EFAULT),
    }
}

/// Loads a word, a multiple of 4, by one instruction. Where the caller may not sleep, a page that is not there is an error as well.
///
/// # Errors
/// EFAULT.
pub fn load_word(from: u64) -> Result<u32, Errno> {
    u32::try_from(usercopy::load_word(checked(from, 4)?)).map_err(|_| Errno::EFAULT)
}

/// Copies a value to user memory. Thread context; may sleep.
///
/// # Errors
/// EFAULT.
pub fn put<T: Plain>(to: u64, value: T) -> Result<(), Errno> {
    let to = checked(to, size_of::<T>())?;
    // SAFETY: the value has its own size.
    match unsafe { usercopy::to_user(to, (&raw const value).cast(), size_of::<T>()) } {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Writes zeros to user memory. Thread context; may sleep.
///
/// # Errors
/// EFAULT.
pub fn clear(to: u64, length: usize) -> Result<(), Errno> {
    match usercopy::zero_user(checked(to, length)?, length) {
        0 => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Copies a string without its NUL into `to`. Returns its length, which is that of `to` if the string does not end before. Thread
/// context; may sleep.
///
/// # Errors
/// EFAULT.
pub fn string(from: u64, to: &mut [u8]) -> Result<usize, Errno> {
    let from = checked(from, 0)?;
    let most = to.len().min((TOP - from) as usize);
    // SAFETY: `to` is valid for writes.
    match unsafe { usercopy::string_from_user(to.as_mut_ptr(), from, most) } {
        u64::MAX => Err(Errno::EFAULT),
        length => Ok(length as usize),
    }
}
