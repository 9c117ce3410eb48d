//! Timers that send signals.

use crate::clock;
use crate::clock::data::{Clock, SECOND};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::task::{self, Interval, Task, time_of, user};
use linux_raw_sys::general as raw;
use signals::{Notify, Setting, Signal};

const MICROSECOND: u64 = 1000;

fn which_of(number: u64) -> Result<Interval, Errno> {
    Ok(match number as u32 {
        raw::ITIMER_REAL => Interval::Real,
        raw::ITIMER_VIRTUAL => Interval::Virtual,
        raw::ITIMER_PROF => Interval::Profiling,
        _ => return Err(Errno::EINVAL),
    })
}

/// A `struct itimerval`: the interval, then what is left.
fn put_timer(to: u64, (left, interval): (u64, u64)) -> Result<(), Errno> {
    // What is left is not told as 0 while the timer runs.
    let left = left.div_ceil(MICROSECOND);
    let interval = interval / MICROSECOND;
    user::put(to, [interval / 1_000_000, interval % 1_000_000, left / 1_000_000, left % 1_000_000])
}

/// getitimer
pub fn getitimer(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let which = which_of(frame.x[0])?;
    put_timer(frame.x[1], task::timer(task, which))?;
    Ok(0)
}

/// setitimer
pub fn setitimer(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [which, new, old, ..] = frame.x;
    let which = which_of(which)?;
    let [interval, interval_us, first, first_us] =
        if new == 0 { [0; 4] } else { user::get::<[u64; 4]>(new)? };
    let time = |seconds: u64, microseconds: u64| {
        if microseconds >= 1_000_000 {
            return Err(Errno::EINVAL);
        }
        time_of([seconds, microseconds * MICROSECOND])
    };
    let before = task::set_timer(task, which, time(first, first_us)?, time(interval, interval_us)?)?;
    if old != 0 {
        put_timer(old, before)?;
    }
    Ok(0)
}

/// A `struct sigevent`: who is notified how, and the value that a signal carries. No structure is SIGALRM with the timer's number.
fn notify_of(from: u64) -> Result<(Notify, Option<u64>), Errno> {
    if from == 0 {
        return Ok((Notify::Process(Signal::SIGALRM), None));
    }
    let [value, numbers, thread] = user::get::<[u64; 3]>(from)?;
    let (number, how, thread) = (numbers as u32, (numbers >> 32) as u32, thread as u32);
    let signal = || Signal::new(number).ok_or(Errno::EINVAL);
    let notify = match how {
        // SIGEV_THREAD is for the C library; to the kernel it is a signal to the process.
        raw::SIGEV_SIGNAL | raw::SIGEV_THREAD => Notify::Process(signal()?),
        raw::SIGEV_NONE => Notify::Nothing,
        raw::SIGEV_THREAD_ID => Notify::Thread(signal()?, thread),
        _ => return Err(Errno::EINVAL),
    };
    Ok((notify, Some(value)))
}

/// timer_create
pub fn timer_create(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, event, to, ..] = frame.x;
    match number as u32 {
        raw::CLOCK_REALTIME
        | raw::CLOCK_MONOTONIC
        | raw::CLOCK_BOOTTIME
        | raw::CLOCK_REALTIME_ALARM
        | raw::CLOCK_BOOTTIME_ALARM
        | raw::CLOCK_TAI => {}
        raw::CLOCK_PROCESS_CPUTIME_ID
        | raw::CLOCK_THREAD_CPUTIME_ID
        | raw::CLOCK_MONOTONIC_RAW
        | raw::CLOCK_REALTIME_COARSE
        | raw::CLOCK_MONOTONIC_COARSE => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    }
    let (notify, value) = notify_of(event)?;
    let id = task::create_timer(task, number as u32, notify, value)?;
    user::put(to, id).inspect_err(|_| _ = task::delete_timer(task, id))?;
    Ok(0)
}

/// A `struct itimerspec`: the interval, then what is left.
fn put_setting(to: u64, Setting { first, interval }: Setting) -> Result<(), Errno> {
    user::put(to, [interval / SECOND, interval % SECOND, first / SECOND, first % SECOND])
}

/// timer_settime
pub fn timer_settime(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [id, flags, new, old, ..] = frame.x;
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let [interval, interval_ns, first, first_ns] = user::get::<[u64; 4]>(new)?;
    let interval = time_of([interval, interval_ns])?;
    let realtime = Clock::of(task::clock_of_timer(task, id as i32)?) == Some(Clock::Realtime);
    let absolute = flags as u32 & raw::TIMER_ABSTIME != 0;
    let first = match time_of([first, first_ns])? {
        0 => 0,
        time if !absolute => clock::nanoseconds().saturating_add(time),
        // 0 would stop the timer: an instant of the past is the first one that there is.
        time if realtime => clock::instant_of_realtime(time).max(1),
        time => time,
    };
    let before = task::set_posix_timer(task, id as i32, Setting { first, interval }, absolute && realtime)?;
    if old != 0 {
        put_setting(old, before)?;
    }
    Ok(0)
}

/// timer_gettime
pub fn timer_gettime(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [id, to, ..] = frame.x;
    put_setting(to, task::posix_timer(task, id as i32)?)?;
    Ok(0)
}

/// timer_getoverrun
pub fn timer_getoverrun(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    Ok(task::overrun(task, frame.x[0] as i32)?.cast_unsigned().into())
}

/// timer_delete
pub fn timer_delete(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    task::delete_timer(task, frame.x[0] as i32)?;
    Ok(0)
}
