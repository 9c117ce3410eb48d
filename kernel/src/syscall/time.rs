//! Clocks and sleeps.

use crate::clock;
use crate::clock::data::{Clock, RESOLUTION, SECOND};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::sched::{self, Alarm, Deadline};
use crate::task::{self, Restart, Task, time_of, user};
use linux_raw_sys::general as raw;

const MICROSECOND: u64 = 1000;
/// USER_HZ: nanoseconds of a tick of `times`.
const TICK: u64 = 10_000_000;

/// What a clock says, in nanoseconds.
fn clock(task: &Task, number: u64) -> Result<u64, Errno> {
    match number as u32 {
        raw::CLOCK_PROCESS_CPUTIME_ID => Ok(task.run_times().0),
        raw::CLOCK_THREAD_CPUTIME_ID => Ok(sched::run_time(task.thread())),
        number if (number as i32) < 0 => cpu_time(task, number),
        number => match Clock::of(number).ok_or(Errno::EINVAL)? {
            Clock::Monotonic => Ok(clock::nanoseconds()),
            Clock::Realtime => Ok(clock::realtime()),
        },
    }
}

/// The CPU time of a process or of a thread, which a negative number names: its complement in bits 31 to 3, a thread's if bit 2 is set, and
/// what is counted in the bits below (`linux/posix-timers.h`). User time alone is not counted.
fn cpu_time(task: &Task, number: u32) -> Result<u64, Errno> {
    const SCHED: u32 = 2;
    let (id, thread) = (!(number.cast_signed() >> 3).cast_unsigned(), number & 4 != 0);
    if number & 3 != SCHED {
        return Err(Errno::EINVAL);
    }
    match (thread, id) {
        (true, 0) => Ok(sched::run_time(task.thread())),
        (true, tid) => task::run_time_of_thread(task, tid),
        (false, 0) => Ok(task.run_times().0),
        (false, pid) => task::run_time_of_process(pid),
    }
}

/// clock_gettime
pub fn clock_gettime(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, ..] = frame.x;
    let now = clock(task, number)?;
    user::put(to, [now / SECOND, now % SECOND])?;
    Ok(0)
}

/// clock_getres
pub fn clock_getres(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, ..] = frame.x;
    clock(task, number)?;
    if to != 0 {
        user::put(to, [0, RESOLUTION])?;
    }
    Ok(0)
}

/// The latest time that CLOCK_REALTIME can be set to, in seconds: thirty years before the end of what 63 bits of nanoseconds count.
const LATEST: u64 = i64::MAX as u64 / SECOND - 30 * 365 * 24 * 3600;

/// Sets CLOCK_REALTIME, which may not be before CLOCK_MONOTONIC. Sleeps and timers until an instant of this clock move with it.
fn set_realtime(time: u64) -> Result<u64, Errno> {
    let offset = time.checked_sub(clock::nanoseconds()).filter(|_| time / SECOND < LATEST);
    task::set_realtime_offset(offset.ok_or(Errno::EINVAL)?);
    sched::realtime_was_set();
    Ok(0)
}

/// clock_settime
pub fn clock_settime(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, from, ..] = frame.x;
    if number as u32 != raw::CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    set_realtime(time_of(user::get::<[u64; 2]>(from)?)?)
}

/// settimeofday. The time zone means nothing here, as on any Linux whose clock of the machine counts in UTC.
pub fn settimeofday(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [from, zone, ..] = frame.x;
    if zone != 0 {
        let [west, _] = user::get::<[i32; 2]>(zone)?;
        if !(-15 * 60..=15 * 60).contains(&west) {
            return Err(Errno::EINVAL);
        }
    }
    if from == 0 {
        return Ok(0);
    }
    let [seconds, microseconds] = user::get::<[u64; 2]>(from)?;
    set_realtime(time_of([seconds, microseconds.saturating_mul(MICROSECOND)])?)
}

/// gettimeofday
pub fn gettimeofday(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, zone, ..] = frame.x;
    let now = clock::realtime();
    if to != 0 {
        user::put(to, [now / SECOND, now % SECOND / MICROSECOND])?;
    }
    if zone != 0 {
        user::put(zone, [0_u32; 2])?;
    }
    Ok(0)
}

/// times
pub fn times(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let (own, children) = task.run_times();
    if frame.x[0] != 0 {
        user::put(frame.x[0], [own / TICK, 0, children / TICK, 0])?;
    }
    Ok(clock::nanoseconds() / TICK)
}

/// Sleeps. `left` is where what is left is written if a signal ends the sleep; 0 if nowhere.
fn sleep_until(task: &Task, until: Deadline, left: u64, relative: bool) -> Result<u64, Errno> {
    let mut alarm = Alarm::until(until);
    let slept = loop {
        sched::prepare_to_sleep();
        alarm.renew();
        if until.is_over() {
            break true;
        }
        if task::interrupted() {
            break false;
        }
        sched::sleep();
    };
    drop(alarm);
    if slept {
        return Ok(0);
    }
    if !relative {
        return Err(Errno::ERESTARTNOHAND);
    }
    if left != 0 {
        let rest = until.instant().saturating_sub(clock::nanoseconds());
        user::put(left, [rest / SECOND, rest % SECOND])?;
    }
    task.restart_with(Restart::Sleep { until: until.instant(), left });
    Err(Errno::ERESTART_RESTARTBLOCK)
}

/// nanosleep
pub fn nanosleep(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [from, left, ..] = frame.x;
    let length = time_of(user::get::<[u64; 2]>(from)?)?;
    sleep_until(task, after(length), left, true)
}

/// So many nanoseconds from now on.
fn after(length: u64) -> Deadline {
    Deadline::Monotonic(clock::nanoseconds().saturating_add(length))
}

/// clock_nanosleep
pub fn clock_nanosleep(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, flags, from, left, ..] = frame.x;
    if number as u32 == raw::CLOCK_THREAD_CPUTIME_ID || number as u32 == raw::CLOCK_PROCESS_CPUTIME_ID {
        return Err(Errno::EINVAL);
    }
    clock(task, number)?;
    let when = time_of(user::get::<[u64; 2]>(from)?)?;
    if flags as u32 & raw::TIMER_ABSTIME != 0 {
        let realtime = Clock::of(number as u32) == Some(Clock::Realtime);
        let until = if realtime { Deadline::Realtime(when) } else { Deadline::Monotonic(when) };
        sleep_until(task, until, 0, false)
    } else {
        sleep_until(task, after(when), left, true)
    }
}

/// restart_syscall: goes on with a call that a signal without a handler has cut short.
pub fn restart_syscall(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    let restart = task.take_restart();
    match restart {
        Some(Restart::Sleep { until, left }) => sleep_until(task, Deadline::Monotonic(until), left, true),
        Some(Restart::Futex(futex)) => task::futex_wait(task, &futex),
        None => Err(Errno::EINTR),
    }
}
