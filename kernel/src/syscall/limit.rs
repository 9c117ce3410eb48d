//! `calls=`: programs have only the system calls that the boot argument names, and ENOSYS for all others. So a test can show what a program
//! really needs. Without the argument nothing here runs.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the names of numbers begin with in `linux-raw-sys`.
const PREFIX: &str = "__NR_";

/// One more than the highest number that can be allowed.
pub const CALLS: usize = 512;

/// One bit for each number, set if programs have the call.
static ALLOWED: [AtomicU64; CALLS / 64] = [const { AtomicU64::new(0) }; CALLS / 64];

/// Allows the calls of a list with commas between the names. `known` has the names and numbers of the kernel's calls. Called once, before the
/// first program starts.
///
/// # Errors
/// A message that names the word that is no call of this kernel.
pub fn allow(list: &str, known: &[(&str, u32)]) -> Result<(), String> {
    for name in list.split(',') {
        let call = known.iter().find(|(known, _)| known.strip_prefix(PREFIX) == Some(name));
        let &(_, number) =
            call.ok_or_else(|| format!("calls={list}: the kernel has no system call '{name}'"))?;
        ALLOWED[number as usize / 64].fetch_or(1 << (number % 64), Relaxed);
    }
    Ok(())
}

/// Whether the call with this number was allowed. Any context.
pub fn is_allowed(number: u32) -> bool {
    let word = ALLOWED.get(number as usize / 64);
    word.is_some_and(|word| word.load(Relaxed) >> (number % 64) & 1 != 0)
}
