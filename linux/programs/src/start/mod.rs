//! The stack that a program finds when it starts.
//!
//! From the top down, as Linux's `fs/exec.c` and `create_elf_tables` lay it out:
//!
//! ```text
//! top          8 zero bytes
//!              the path that execve was given (AT_EXECFN)
//!              the strings of the environment, the first one lowest
//!              the strings of the arguments, the first one lowest
//!              padding to a multiple of 16
//!              "aarch64" (AT_PLATFORM)
//!              16 random bytes (AT_RANDOM)
//!              padding, so that SP is a multiple of 16
//!              the auxiliary vector, which ends with AT_NULL
//!              pointers to the strings of the environment, NULL
//!              pointers to the arguments, NULL
//! SP           argc
//! ```
//!
//! [`Strings`] collects the strings while `execve` copies them from the old program, and enforces the limits early. [`layout`]
//! computes addresses; [`InitialStack::pieces`] says which bytes go where. The strings are not copied again.

mod aux;
mod strings;
#[cfg(test)]
mod tests;

pub use aux::AuxValues;
pub use strings::{STRING_MAX, Strings, total_limit};

use aux::Pointers;
use strings::POINTER;

use alloc::vec::Vec;
use core::ops::Range;

use linux_raw_sys::errno;

/// The value of `AT_PLATFORM`.
const PLATFORM: &[u8; 8] = b"aarch64\0";

/// What the stack of a new program holds.
#[derive(Clone, Copy, Debug)]
pub struct Contents<'a> {
    /// The arguments. If there is none, the program gets one empty argument, as on Linux from 5.18 on.
    pub arguments: &'a Strings,
    /// The environment.
    pub environment: &'a Strings,
    /// The path that `execve` was given, also if that is a script, without NUL.
    pub path: &'a [u8],
    /// The 16 bytes for `AT_RANDOM`.
    pub random: [u8; 16],
    /// The values of the auxiliary vector that do not point into the stack.
    pub aux: &'a AuxValues,
}

/// Where everything lies on the stack of a new program.
#[derive(Clone, Debug)]
pub struct InitialStack<'a> {
    /// The initial SP, where `argc` lies: a multiple of 16.
    pub sp: u64,
    /// The address behind the stack's highest byte.
    pub top: u64,
    /// Where the strings of the arguments lie, as `/proc/PID/cmdline` shows them.
    pub arguments: Range<u64>,
    /// Where the strings of the environment lie, as `/proc/PID/environ` shows them.
    pub environment: Range<u64>,
    /// Everything from SP to the first string.
    tables: Vec<u8>,
    /// Where in `tables` the auxiliary vector lies.
    auxv: Range<usize>,
    argument_bytes: &'a [u8],
    environment_bytes: &'a [u8],
    path: &'a [u8],
}

impl InitialStack<'_> {
    /// Addresses and the bytes that belong there, in ascending order, without holes from [`sp`](Self::sp) to [`top`](Self::top).
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        // The NUL of the path, and the 8 bytes at the top.
        const END: &[u8] = &[0; 1 + TOP_GAP as usize];
        let mut address = self.sp;
        [self.tables.as_slice(), self.argument_bytes, self.environment_bytes, self.path, END].into_iter().map(
            move |bytes| {
                let start = address;
                address += bytes.len() as u64;
                (start, bytes)
            },
        )
    }

    /// The auxiliary vector, with `AT_NULL`, as `/proc/PID/auxv` shows it.
    pub fn auxv(&self) -> &[u8] {
        &self.tables[self.auxv.clone()]
    }
}

/// Linux leaves the uppermost pointer of the stack unused.
const TOP_GAP: u64 = 8;

/// The alignment of SP at the start of a program, in bytes.
const SP_ALIGNMENT: u64 = 16;

/// Lays out the stack that ends below `top`. `limit` (see [`total_limit`]) is the limit on the strings and the pointers to them.
///
/// Allocates the pointers and the auxiliary vector: 8 bytes for each string, and less than 1 KiB.
pub fn layout<'a>(contents: &Contents<'a>, top: u64, limit: u64) -> Result<InitialStack<'a>, StartError> {
    let Contents { arguments, environment, path, .. } = *contents;
    if path.len() >= STRING_MAX {
        return Err(StartError::StringTooLong);
    }
    let argument_bytes = if arguments.count() == 0 { b"\0".as_slice() } else { arguments.bytes() };
    let argc = arguments.count().max(1);
    let envc = environment.count();
    let strings = [argument_bytes, environment.bytes(), path].map(|bytes| bytes.len() as u64);
    // Each term is the length of a slice or less than one, so the sums do not overflow.
    let cost = strings.iter().sum::<u64>() + 1 + (argc + envc) * POINTER;
    if cost > limit {
        return Err(StartError::TooMuch);
    }

    let below = |address: u64, size: u64| address.checked_sub(size).ok_or(StartError::TooMuch);
    let path_at = below(top, TOP_GAP + 1 + strings[2])?;
    let environment_at = below(path_at, strings[1])?;
    let arguments_at = below(environment_at, strings[0])?;
    let platform = below(align_down(arguments_at), PLATFORM.len() as u64)?;
    let random = below(platform, contents.random.len() as u64)?;
    let pointers = Pointers { random, path: path_at, platform };
    let auxc = contents.aux.entries(pointers).count() as u64;
    // argc and the two NULLs.
    let words = 2 * auxc + argc + envc + 3;
    let sp = align_down(below(random, words * POINTER)?);

    let mut tables = Vec::new();
    tables.try_reserve_exact((arguments_at - sp) as usize).map_err(|_| StartError::NoMemory)?;
    let mut word = |value: u64| tables.extend_from_slice(&value.to_le_bytes());
    word(argc);
    for (at, bytes) in [(arguments_at, argument_bytes), (environment_at, environment.bytes())] {
        let mut address = at;
        for string in bytes.split_inclusive(|&byte| byte == 0) {
            word(address);
            address += string.len() as u64;
        }
        word(0);
    }
    contents.aux.entries(pointers).flatten().for_each(word);
    let auxv_end = tables.len();
    tables.resize((random - sp) as usize, 0);
    tables.extend_from_slice(&contents.random);
    tables.extend_from_slice(PLATFORM);
    tables.resize((arguments_at - sp) as usize, 0);

    Ok(InitialStack {
        sp,
        top,
        arguments: arguments_at..environment_at,
        environment: environment_at..path_at,
        auxv: auxv_end - 2 * (auxc * POINTER) as usize..auxv_end,
        tables,
        argument_bytes,
        environment_bytes: environment.bytes(),
        path,
    })
}

fn align_down(address: u64) -> u64 {
    address & !(SP_ALIGNMENT - 1)
}

/// Why a program cannot be given its strings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// A string has more than [`STRING_MAX`] bytes, with its NUL.
    StringTooLong,
    /// The strings and the pointers to them have more bytes than the limit, or than there are addresses below the top.
    TooMuch,
    /// No memory for the strings or the pointers.
    NoMemory,
}

impl StartError {
    /// The error number of `execve`, positive.
    pub fn errno(self) -> u32 {
        match self {
            Self::StringTooLong | Self::TooMuch => errno::E2BIG,
            Self::NoMemory => errno::ENOMEM,
        }
    }
}
