//! From bytes to a program that can be started, without a kernel.
//!
//! What `execve` does to a file on Linux for AArch64, as functions from values to values:
//!
//! 1. [`script`] looks at the first bytes of the file. If they are a `#!` line, it names the interpreter and gives the new arguments;
//!    the kernel then opens the interpreter and starts again, for at most five levels.
//! 2. [`elf`] checks an ELF file and reads what matters of it into an [`elf::Image`]. A path of `PT_INTERP` names a second file
//!    (`ld.so`), which is read in the same way with [`elf::Role::Interpreter`]. [`elf::Image::plan`] lists the mappings to make.
//! 3. [`start`] lays out the strings, pointers and the auxiliary vector that the program finds on its stack.
//!
//! [`cpu`] says what a program is told of the CPU. [`ramdisk`] reads the archive that holds the first programs, plain or compressed by [`gzip`].
//!
//! The kernel does what these functions decide: it opens and maps files, copies bytes to user memory and keeps locks. Every input may
//! come from a user program, so no input makes a function here panic. Behaviour is Linux's; where it differs on purpose, the item says so.
//! Where the size of an allocation depends on the input, the allocation is fallible, and its failure is ENOMEM.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cpu;
pub mod elf;
pub mod gzip;
pub mod ramdisk;
mod read_at;
pub mod script;
pub mod start;

pub use read_at::{ReadAt, ReadError};

/// The size of a page, in bytes: the unit of mappings, and the value of `AT_PAGESZ`.
pub const PAGE_SIZE: u64 = 4096;

/// `address` rounded down to a multiple of [`PAGE_SIZE`].
const fn page_floor(address: u64) -> u64 {
    address & !(PAGE_SIZE - 1)
}

/// `address` rounded up to a multiple of [`PAGE_SIZE`], or `None` if that is 2^64.
const fn page_ceil(address: u64) -> Option<u64> {
    address.checked_next_multiple_of(PAGE_SIZE)
}

/// Memory for a value whose size depends on the input is not there: ENOMEM.
struct NoMemory;

/// Appends `value`.
fn push<T>(to: &mut alloc::vec::Vec<T>, value: T) -> Result<(), NoMemory> {
    to.try_reserve(1).map_err(|_| NoMemory)?;
    to.push(value);
    Ok(())
}
