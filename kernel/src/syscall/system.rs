//! What programs ask of the machine and of their limits.

use super::process::put_usage;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::mm::pages;
use crate::task::{self, Task, user};
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;

/// What uname gives: the system, the machine's name, the release, the version, the kind of machine, and the domain. glibc refuses releases
/// older than what it was built for.
pub const NAMES: [&str; 6] = ["Linux", "stepwell", "6.1.0-stepwell", "#1", "aarch64", "(none)"];

/// uname
pub fn uname(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    /// __NEW_UTS_LEN, and a NUL.
    const FIELD: usize = 65;
    let mut names = [0; 6 * FIELD];
    for (to, name) in names.chunks_mut(FIELD).zip(NAMES) {
        to[..name.len()].copy_from_slice(name.as_bytes());
    }
    user::write(frame.x[0], &names)?;
    Ok(0)
}

/// sysinfo
pub fn sysinfo(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    // struct sysinfo is fourteen words of 8 bytes: some of its fields are shorter.
    let mut words = [0_u64; 14];
    words[0] = crate::clock::nanoseconds() / 1_000_000_000;
    let page = crate::mm::layout::PAGE as u64;
    (words[4], words[5]) = (pages::total() as u64 * page, pages::free() as u64 * page);
    words[10] = task::count();
    words[13] = 1;
    user::put(frame.x[0], words)?;
    Ok(0)
}

/// getrusage
pub fn getrusage(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [who, to, ..] = frame.x;
    let (own, children) = task.run_times();
    let time = match who as i32 {
        0 => own,
        raw::RUSAGE_CHILDREN => children,
        1 => crate::sched::run_time(task.thread()),
        _ => return Err(Errno::EINVAL),
    };
    put_usage(to, time).and(if to == 0 { Err(Errno::EFAULT) } else { Ok(0) })
}

/// prlimit64
pub fn prlimit64(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [pid, resource, new, old, ..] = frame.x;
    let pid = if pid as u32 == 0 { task.process.pid } else { pid as u32 };
    let new = if new == 0 { None } else { Some(user::get::<[u64; 2]>(new)?) };
    let before = task::exchange_limit(pid, resource as u32, new)?;
    if old != 0 {
        user::put(old, before)?;
    }
    Ok(0)
}

/// getrlimit
pub fn getrlimit(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [resource, to, ..] = frame.x;
    user::put(to, task::exchange_limit(task.process.pid, resource as u32, None)?)?;
    Ok(0)
}

/// setrlimit
pub fn setrlimit(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [resource, from, ..] = frame.x;
    let new = user::get::<[u64; 2]>(from)?;
    task::exchange_limit(task.process.pid, resource as u32, Some(new))?;
    Ok(0)
}

/// The personality of 32-bit programs, and the bits that say which one it is (`<sys/personality.h>`).
const PER_LINUX32: u32 = 8;
const PER_MASK: u32 = 0xff;
/// Asks for the personality and changes nothing.
const PER_ASK: u32 = u32::MAX;

/// personality: kept, passed on to children and kept by execve. ADDR_NO_RANDOMIZE holds always, since no address is random; the other flags
/// have no effect.
///
/// # Errors
/// EINVAL for PER_LINUX32, as on a CPU without 32-bit programs.
pub fn personality(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let new = frame.x[0] as u32;
    let old = task.personality.load(Relaxed);
    if new != PER_ASK && new & PER_MASK == PER_LINUX32 {
        return Err(Errno::EINVAL);
    }
    if new != PER_ASK {
        task.personality.store(new, Relaxed);
    }
    Ok(old.into())
}

/// getrandom
pub fn getrandom(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, length, flags, ..] = frame.x;
    if flags > 7 {
        return Err(Errno::EINVAL);
    }
    let length = length.min(i32::MAX as u64);
    let mut done = 0;
    while done < length {
        let bytes = crate::clock::random();
        let count = (length - done).min(bytes.len() as u64);
        match user::write(to.wrapping_add(done), &bytes[..count as usize]) {
            Ok(()) => done += count,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if task::interrupted() && done >= 256 {
            break;
        }
    }
    Ok(done)
}
