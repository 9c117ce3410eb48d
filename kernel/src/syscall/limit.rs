//! `calls=`: programs have only the system calls that the boot argument names, and ENOSYS for all others. So a test can show what a program
//! really needs.

use alloc::format;
use alloc::string::String;

/// What the names of numbers begin with in `linux-raw-sys`.
const PREFIX: &str = "__NR_";

/// Calls `allow` with the number of each call of a list with commas between the names. `known` has the names and numbers of the kernel's
/// calls.
///
/// # Errors
/// A message that names the word that is no call of this kernel.
pub fn each(list: &str, known: &[(&str, u32)], mut allow: impl FnMut(usize)) -> Result<(), String> {
    for name in list.split(',') {
        let call = known.iter().find(|(known, _)| known.strip_prefix(PREFIX) == Some(name));
        let &(_, number) =
            call.ok_or_else(|| format!("calls={list}: the kernel has no system call '{name}'"))?;
        allow(number as usize);
    }
    Ok(())
}
