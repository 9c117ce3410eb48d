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

/// The memory of a signal frame: a range that lies in the part of the address space that programs have.
pub struct FrameMemory(());

impl FrameMemory {
    /// For accesses to a range. Thread context.
    ///
    /// # Errors
    /// EFAULT if the range does not lie in a program's part of the address space.
    pub fn new(address: u64, length: usize) -> Result<Self, Errno> {
        (checked(address, length)? == address).then_some(Self(())).ok_or(Errno::EFAULT)
    }
}

impl signals::frame::Memory for FrameMemory {
    #[inline(always)]
    fn write(&mut self, to: u64, from: &[u8]) -> bool {
        let bytes = from.as_ptr();
        // SAFETY: `from` is valid for reads. Where its length is not known when this is compiled, this is a plain copy.
        0 == unsafe {
            match from.len() {
                16 => usercopy::to_user_16(to, bytes),
                32 => usercopy::to_user_32(to, bytes),
                48 => usercopy::to_user_48(to, bytes),
                272 => usercopy::to_user_272(to, bytes),
                512 => usercopy::to_user_512(to, bytes),
                length => usercopy::to_user(to, bytes, length),
            }
        }
    }

    #[inline(always)]
    fn clear(&mut self, to: u64, length: usize) -> bool {
        0 == match length {
            96 => usercopy::zero_user_96(to),
            length => usercopy::zero_user(to, length),
        }
    }

    #[inline(always)]
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool {
        let bytes = to.as_mut_ptr();
        // SAFETY: `to` is valid for writes.
        0 == unsafe {
            match to.len() {
                272 => usercopy::from_user_272(bytes, from),
                length => usercopy::from_user(bytes, from, length),
            }
        }
    }

    #[inline(always)]
    fn read_into<'a, T: zerocopy::FromBytes>(
        &mut self,
        from: u64,
        to: &'a mut MaybeUninit<T>,
    ) -> Option<&'a mut T> {
        let bytes = to.as_mut_ptr().cast::<u8>();
        // SAFETY: the place has room for the type's size; whatever bytes it then has are a value of the type.
        unsafe {
            let left = match size_of::<T>() {
                32 => usercopy::from_user_32(bytes, from),
                560 => {
                    usercopy::from_user_512(bytes, from) + usercopy::from_user_48(bytes.add(512), from + 512)
                }
                length => usercopy::from_user(bytes, from, length),
            };
            (left == 0).then(|| to.assume_init_mut())
        }
    }
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

/// Stores a word to user memory by one instruction. Thread context; may sleep.
///
/// # Errors
/// EFAULT.
pub fn store_word(to: u64, value: u32) -> Result<(), Errno> {
    if usercopy::store_word(checked(to, 4)?, value) { Ok(()) } else { Err(Errno::EFAULT) }
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
