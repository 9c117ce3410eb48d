//! Users and groups: every program is root.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::task::{Task, user};
use linux_raw_sys::general as raw;

/// getuid, geteuid, getgid, getegid, and calls that set what root has anyway.
pub fn root(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(0)
}

/// getresuid and getresgid
pub fn three(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [one, two, three, ..] = frame.x;
    for to in [one, two, three] {
        user::put(to, 0_u32)?;
    }
    Ok(0)
}

/// The capabilities that Linux has, CAP_CHOWN to CAP_CHECKPOINT_RESTORE, in two words.
const CAPABILITIES: [u32; 2] = [u32::MAX, 0x1ff];

/// capget: root has all capabilities that Linux has.
pub fn capget(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [header, to, ..] = frame.x;
    let [version, pid] = user::get::<[u32; 2]>(header)?;
    let words = match version {
        raw::_LINUX_CAPABILITY_VERSION_1 => raw::_LINUX_CAPABILITY_U32S_1,
        raw::_LINUX_CAPABILITY_VERSION_2 | raw::_LINUX_CAPABILITY_VERSION_3 => raw::_LINUX_CAPABILITY_U32S_3,
        _ => {
            // The version that the kernel prefers is the answer to the question for it.
            user::put(header, raw::_LINUX_CAPABILITY_VERSION_3)?;
            return if to == 0 { Ok(0) } else { Err(Errno::EINVAL) };
        }
    };
    if (pid as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    if pid != 0 {
        task.group_and_session_of(pid)?;
    }
    if to == 0 {
        return Ok(0);
    }
    for (at, all) in CAPABILITIES.into_iter().enumerate().take(words as usize) {
        // Effective, permitted, inheritable.
        user::put(to.wrapping_add(12 * at as u64), [all, all, 0])?;
    }
    Ok(0)
}

/// getgroups: the list is empty.
pub fn getgroups(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(0)
}
