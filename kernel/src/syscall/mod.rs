//! System calls: Linux's numbers and conventions for AArch64 (X8 is the number, X0 to X5 are the arguments, X0 is the result).

mod files;
mod memory;
mod process;
mod time;

use crate::errno::Errno;
use crate::exception::Frame;
use crate::task::{self, Task};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use linux_raw_sys::general as nr;

/// A system call. Its arguments are in the frame.
type Call = fn(&Task, &mut Frame) -> Result<u64, Errno>;

/// One more than the highest number in the table.
const CALLS: usize = 512;

macro_rules! calls {
    ($($number:ident => $function:path,)*) => {
        static TABLE: [Option<Call>; CALLS] = {
            let mut table: [Option<Call>; CALLS] = [None; CALLS];
            $(table[nr::$number as usize] = Some($function);)*
            table
        };
    };
}

calls! {
    __NR_brk => memory::brk,
    __NR_mmap => memory::mmap,
    __NR_munmap => memory::munmap,
    __NR_mprotect => memory::mprotect,
    __NR_mremap => memory::mremap,
    __NR_madvise => memory::madvise,
    __NR_openat => files::openat,
    __NR_close => files::close,
    __NR_read => files::read,
    __NR_write => files::write,
    __NR_writev => files::writev,
    __NR_ioctl => files::ioctl,
    __NR_newfstatat => files::newfstatat,
    __NR_readlinkat => files::readlinkat,
    __NR_exit => process::exit,
    __NR_exit_group => process::exit_group,
    __NR_set_tid_address => process::set_tid_address,
    __NR_getpid => process::getpid,
    __NR_gettid => process::gettid,
    __NR_getppid => process::getppid,
    __NR_clock_gettime => time::clock_gettime,
}

/// One bit for each number that the log has named as missing.
static NAMED: [AtomicU64; CALLS / 64] = [const { AtomicU64::new(0) }; CALLS / 64];

/// Serves a system call of the running task. Thread context. Not inlined into the entry, where no probe can be (H6).
#[inline(never)]
pub fn call(frame: &mut Frame) {
    let Some(task) = task::current() else { return };
    let number = frame.x[8] as u32 as usize;
    let call = TABLE.get(number).copied().flatten();
    let result = match call {
        Some(call) => call(task, frame),
        None => missing(number),
    };
    frame.x[0] = match result {
        Ok(value) => value,
        Err(errno) => errno.as_result(),
    };
}

/// A call that the kernel does not have. The log names each number once.
#[cold]
fn missing(number: usize) -> Result<u64, Errno> {
    if let Some(word) = NAMED.get(number / 64) {
        let bit = 1 << (number % 64);
        if word.fetch_or(bit, Relaxed) & bit == 0 {
            log::warn!("system call {number} is missing: ENOSYS");
        }
    }
    Err(Errno::ENOSYS)
}
