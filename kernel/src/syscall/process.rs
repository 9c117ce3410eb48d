//! Processes: how they begin, how they end, and what their parents learn.

use super::files;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, FileObject, Start};
use crate::task::{self, Clone, Status, Task, Wanted, Which, exit_process, exit_task, user};
use ::files::{Kind, LastLink};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;
use programs::start::{self, Strings};
use signals::{Fields, Info, Signal};

/// exit
pub fn exit(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let status = frame.x[0] as u8;
    task.is_ending(frame, Status::Exited(status));
    exit_task(task, status)
}

/// exit_group
pub fn exit_group(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let status = Status::Exited(frame.x[0] as u8);
    task.begin_end(status);
    task.is_ending(frame, status);
    exit_process(status)
}

/// clone
pub fn clone(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [flags, stack, parent_tid, tls, child_tid, ..] = frame.x;
    let signal = u64::from(raw::CSIGNAL);
    let flags = flags & 0xffff_ffff;
    let request =
        Clone { flags: flags & !signal, exit_signal: flags & signal, stack, parent_tid, child_tid, tls };
    task::clone(task, frame, &request)
}

/// clone3
pub fn clone3(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [from, size, ..] = frame.x;
    if size < raw::CLONE_ARGS_SIZE_VER0.into() {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    // struct clone_args, as far as its first version goes; what comes later must be 0.
    let [flags, _, child_tid, parent_tid, exit_signal, stack, stack_size, tls] = user::get::<[u64; 8]>(from)?;
    for at in (64..size & !7).step_by(8) {
        if user::get::<u64>(from + at)? != 0 {
            return Err(if at < raw::CLONE_ARGS_SIZE_VER2.into() { Errno::EINVAL } else { Errno::E2BIG });
        }
    }
    if (stack == 0) != (stack_size == 0)
        || exit_signal > signals::Signal::MAX.into()
        || flags & u64::from(raw::CSIGNAL) != 0
    {
        return Err(Errno::EINVAL);
    }
    let stack = stack.wrapping_add(stack_size);
    task::clone(task, frame, &Clone { flags, exit_signal, stack, parent_tid, child_tid, tls })
}

/// The longest string that Linux takes, in bytes (MAX_ARG_STRLEN).
const STRING_MAX: usize = 128 << 10;

/// The strings that a list of pointers names, up to a null pointer. No list is an empty one.
fn strings(task: &Task, list: u64) -> Result<Strings, Errno> {
    let stack = task.process.resources.soft(raw::RLIMIT_STACK);
    let mut strings = Strings::new(start::total_limit(stack));
    let mut string = Vec::new();
    let mut at = list;
    while at != 0 {
        let from = user::get::<u64>(at)?;
        if from == 0 {
            break;
        }
        let mut length = 256;
        loop {
            string.try_reserve(length).map_err(|_| Errno::ENOMEM)?;
            string.resize(length, 0);
            let found = user::string(from, &mut string)?;
            if found < length {
                string.truncate(found);
                break;
            }
            if length > STRING_MAX {
                return Err(Errno::E2BIG);
            }
            length *= 4;
        }
        strings.push(&string).map_err(|error| Errno::new(error.errno()))?;
        at = at.checked_add(8).ok_or(Errno::EFAULT)?;
    }
    Ok(strings)
}

/// execve
pub fn execve(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [path, arguments, environment, ..] = frame.x;
    let path = files::path(path)?;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    start_program(task, frame, &path, None, arguments, environment)
}

/// execveat. A program that a descriptor leads to is told a path below /dev/fd, as on Linux.
pub fn execveat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, path, arguments, environment, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !(raw::AT_EMPTY_PATH | raw::AT_SYMLINK_NOFOLLOW) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = files::path(path)?;
    if path.is_empty() && flags & raw::AT_EMPTY_PATH == 0 {
        return Err(Errno::ENOENT);
    }
    let descriptor = number as i32;
    let last = if flags & raw::AT_SYMLINK_NOFOLLOW == 0 { LastLink::Follow } else { LastLink::Keep };
    let file = files::inode(task, number, &path, last, true)?;
    if fs::tree().kind(file.inode())? == Kind::Symlink {
        return Err(Errno::ELOOP);
    }
    let shown = match path.as_slice() {
        b"" => format!("/dev/fd/{descriptor}").into_bytes(),
        _ if path.starts_with(b"/") || descriptor == raw::AT_FDCWD => path,
        _ => [format!("/dev/fd/{descriptor}/").as_bytes(), &path].concat(),
    };
    start_program(task, frame, &shown, Some(file), arguments, environment)
}

fn start_program(
    task: &Task,
    frame: &mut Frame,
    path: &[u8],
    file: Option<Arc<FileObject>>,
    arguments: u64,
    environment: u64,
) -> Result<u64, Errno> {
    let mut arguments = strings(task, arguments)?;
    let environment = strings(task, environment)?;
    if arguments.count() == 0 {
        // As Linux: a program always has a name.
        arguments.push(b"").map_err(|error| Errno::new(error.errno()))?;
    }
    let start = Start::of(&task.process.place.lock());
    task::execve(task, frame, &start, path, file, &arguments, &environment)?;
    Ok(0)
}

/// The children that a number means in `wait4`.
fn which(task: &Task, number: i32) -> Result<Which, Errno> {
    Ok(match number {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => Which::Group(task.group()),
        1.. => Which::Process(number.cast_unsigned()),
        _ => Which::Group(number.unsigned_abs()),
    })
}

/// A `struct rusage` with the time that a child has run.
pub(super) fn put_usage(to: u64, run_time: u64) -> Result<(), Errno> {
    if to == 0 {
        return Ok(());
    }
    let mut usage = [0_u64; 18];
    (usage[0], usage[1]) = (run_time / 1_000_000_000, run_time % 1_000_000_000 / 1000);
    user::put(to, usage)
}

/// wait4
pub fn wait4(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, status, options, usage, ..] = frame.x;
    let options = options as u32;
    let known =
        raw::WNOHANG | raw::WUNTRACED | raw::WCONTINUED | raw::__WNOTHREAD | raw::__WCLONE | raw::__WALL;
    if options & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let which = which(task, number as i32)?;
    let wanted = Wanted { which, options: options | raw::WEXITED, times: usage != 0 };
    let Some(event) = task::wait(task, &wanted)? else { return Ok(0) };
    if status != 0 {
        user::store_word(status, event.wait_status())?;
    }
    put_usage(usage, event.run_time)?;
    Ok(event.pid.into())
}

/// waitid
pub fn waitid(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [kind, number, to, options, usage, ..] = frame.x;
    let options = options as u32;
    let events = raw::WEXITED | raw::WSTOPPED | raw::WCONTINUED;
    let known = events | raw::WNOHANG | raw::WNOWAIT | raw::__WNOTHREAD | raw::__WCLONE | raw::__WALL;
    if options & !known != 0 || options & events == 0 {
        return Err(Errno::EINVAL);
    }
    let number = number as i32;
    let which = match kind as u32 {
        raw::P_ALL => Which::Any,
        raw::P_PID if number > 0 => Which::Process(number.cast_unsigned()),
        raw::P_PGID if number >= 0 => which(task, -number)?,
        _ => return Err(Errno::EINVAL),
    };
    let event = task::wait(task, &Wanted { which, options, times: usage != 0 })?;
    let mut bytes = [0; Info::SIZE];
    if let Some(event) = event {
        let pid = event.pid.cast_signed();
        let fields = Fields::Child { pid, uid: 0, status: event.status, utime: 0, stime: 0 };
        bytes = Info { signal: Signal::SIGCHLD, errno: 0, code: event.code as i32, fields }.encode();
        put_usage(usage, event.run_time)?;
    }
    if to != 0 {
        user::write(to, &bytes)?;
    }
    Ok(0)
}

/// getpid
pub fn getpid(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(task.process.pid.into())
}

/// getppid
pub fn getppid(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(task.parent().into())
}

/// getpgid
pub fn getpgid(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    task.group_and_session_of(frame.x[0] as u32).map(|(group, _)| group.into())
}

/// getsid
pub fn getsid(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    task.group_and_session_of(frame.x[0] as u32).map(|(_, session)| session.into())
}

/// setpgid
pub fn setpgid(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let (pid, group) = (frame.x[0] as i32, frame.x[1] as i32);
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    task.set_group(pid.cast_unsigned(), group.cast_unsigned())?;
    Ok(0)
}

/// setsid
pub fn setsid(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    task.begin_session().map(u64::from)
}
