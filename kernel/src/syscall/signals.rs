//! Signals.

use crate::clock;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::sched::{self, Alarm};
use crate::task::{self, Receiver, Task, send, time_of, user};
use signals::{Action, Info, SigSet, Signal, Stack};
use zerocopy::{FromZeros, IntoBytes};

fn signal(number: u64) -> Result<Signal, Errno> {
    Signal::new(number as u32).ok_or(Errno::EINVAL)
}

/// The signal of `kill` and its kin; None for 0, which only asks whether there is a receiver.
fn signal_or_none(number: u64) -> Result<Option<Signal>, Errno> {
    if number as u32 == 0 { Ok(None) } else { signal(number).map(Some) }
}

fn check_size(size: u64) -> Result<(), Errno> {
    if size == 8 { Ok(()) } else { Err(Errno::EINVAL) }
}

/// rt_sigaction
pub fn rt_sigaction(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, new, old, size, ..] = frame.x;
    check_size(size)?;
    let signal = signal(number)?;
    let new = if new == 0 { None } else { Some(Action::from_words(user::get::<[u64; 4]>(new)?)) };
    let before = task.action(signal, new)?;
    if old != 0 {
        user::put(old, before.to_words())?;
    }
    Ok(0)
}

/// rt_sigprocmask
pub fn rt_sigprocmask(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [how, new, old, size, ..] = frame.x;
    check_size(size)?;
    let before = task.blocked();
    if new != 0 {
        let set = SigSet(user::get::<u64>(new)?);
        task.set_blocked(before.changed(how as u32, set)?);
    }
    if old != 0 {
        user::put(old, before.0)?;
    }
    Ok(0)
}

/// rt_sigpending
pub fn rt_sigpending(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, size, ..] = frame.x;
    if size > 8 {
        return Err(Errno::EINVAL);
    }
    let set = task.pending() & task.blocked();
    user::write(to, &set.0.to_le_bytes()[..size as usize])?;
    Ok(0)
}

/// rt_sigsuspend
pub fn rt_sigsuspend(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [from, size, ..] = frame.x;
    check_size(size)?;
    task.set_blocked_for_call(SigSet(user::get::<u64>(from)?));
    loop {
        sched::prepare_to_sleep();
        if task::interrupted() {
            return Err(Errno::ERESTARTNOHAND);
        }
        sched::sleep();
    }
}

/// rt_sigtimedwait
pub fn rt_sigtimedwait(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [from, to, timeout, size, ..] = frame.x;
    check_size(size)?;
    let set = SigSet(user::get::<u64>(from)?);
    let until = match timeout {
        0 => None,
        at => Some(clock::nanoseconds().saturating_add(time_of(user::get::<[u64; 2]>(at)?)?)),
    };
    let alarm = until.map(Alarm::at);
    let info = loop {
        sched::prepare_to_sleep();
        if let Some(info) = task.take_waited(set) {
            break info;
        }
        if until.is_some_and(|until| clock::nanoseconds() >= until) {
            return Err(Errno::EAGAIN);
        }
        if task::interrupted() {
            return Err(Errno::EINTR);
        }
        sched::sleep();
    };
    drop(alarm);
    if to != 0 {
        user::write(to, &info.encode())?;
    }
    Ok(info.signal.number().into())
}

/// kill
pub fn kill(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let own = task.process.pid;
    let info = signal_or_none(frame.x[1])?.map(|signal| Info::kill(signal, own.cast_signed(), 0));
    let receiver = match frame.x[0] as i32 {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Receiver::All(own),
        0 => Receiver::Group(task.group()),
        number @ 1.. => Receiver::Process(number.cast_unsigned()),
        number => Receiver::Group(number.unsigned_abs()),
    };
    send(receiver, info.as_ref())?;
    Ok(0)
}

/// tkill
pub fn tkill(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [tid, number, ..] = frame.x;
    to_thread(task, None, tid, number)
}

/// tgkill
pub fn tgkill(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [pid, tid, number, ..] = frame.x;
    if pid as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    to_thread(task, Some(pid as u32), tid, number)
}

fn to_thread(task: &Task, pid: Option<u32>, tid: u64, number: u64) -> Result<u64, Errno> {
    if tid as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let sender = task.process.pid.cast_signed();
    let info = signal_or_none(number)?.map(|signal| Info::tkill(signal, sender, 0));
    send(Receiver::Task(tid as u32, pid), info.as_ref())?;
    Ok(0)
}

/// The siginfo that a program passes.
fn info_at(task: &Task, pid: u32, number: u64, from: u64) -> Result<Option<Info>, Errno> {
    let mut bytes = [0; Info::SIZE];
    user::read(from, &mut bytes)?;
    let signal = signal_or_none(number)?;
    Ok(signal.map(|signal| Info::from_user(signal, &bytes, pid == task.process.pid)).transpose()?)
}

/// rt_sigqueueinfo
pub fn rt_sigqueueinfo(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [pid, number, from, ..] = frame.x;
    let info = info_at(task, pid as u32, number, from)?;
    send(Receiver::Process(pid as u32), info.as_ref())?;
    Ok(0)
}

/// rt_tgsigqueueinfo
pub fn rt_tgsigqueueinfo(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [pid, tid, number, from, ..] = frame.x;
    let info = info_at(task, pid as u32, number, from)?;
    send(Receiver::Task(tid as u32, Some(pid as u32)), info.as_ref())?;
    Ok(0)
}

/// sigaltstack
pub fn sigaltstack(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [new, old, ..] = frame.x;
    let wanted = if new == 0 {
        None
    } else {
        let mut stack = Stack::new_zeroed();
        user::read(new, stack.as_mut_bytes())?;
        Some(stack)
    };
    let before = task.alternate_stack(wanted, frame.sp)?;
    if old != 0 {
        user::write(old, before.as_bytes())?;
    }
    Ok(0)
}
