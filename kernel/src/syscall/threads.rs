//! Threads, and how the scheduler treats them.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::percpu;
use crate::sched::{self, CpuSet, Policy, TaskId};
use crate::task::{self, Task, user};
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;

impl From<sched::Error> for Errno {
    fn from(error: sched::Error) -> Self {
        match error {
            sched::Error::NoSuchTask => Self::ESRCH,
            sched::Error::NoMemory => Self::ENOMEM,
            sched::Error::Deadlock => Self::EDEADLK,
            _ => Self::EINVAL,
        }
    }
}

/// gettid
pub fn gettid(task: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(task.tid().into())
}

/// set_tid_address
pub fn set_tid_address(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    task.clear_child_tid.store(frame.x[0], Relaxed);
    Ok(task.tid().into())
}

/// set_robust_list
pub fn set_robust_list(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    // The size of struct robust_list_head.
    if frame.x[1] != 24 {
        return Err(Errno::EINVAL);
    }
    task.robust_list.store(frame.x[0], Relaxed);
    Ok(0)
}

/// futex
pub fn futex(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [a, b, c, d, e, f, ..] = frame.x;
    task::futex(task, [a, b, c, d, e, f])
}

/// A call that programs do without.
pub fn none(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Err(Errno::ENOSYS)
}

/// prctl
pub fn prctl(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [option, argument, ..] = frame.x;
    match option as u32 {
        linux_raw_sys::prctl::PR_SET_NAME => {
            let mut name = [0; 16];
            let length = user::string(argument, &mut name[..15])?;
            name[length..].fill(0);
            *task.name.lock() = name;
            Ok(0)
        }
        linux_raw_sys::prctl::PR_GET_NAME => {
            let name = *task.name.lock();
            user::write(argument, &name)?;
            Ok(0)
        }
        linux_raw_sys::prctl::PR_GET_DUMPABLE => Ok(1),
        linux_raw_sys::prctl::PR_SET_DUMPABLE | linux_raw_sys::prctl::PR_SET_PDEATHSIG => Ok(0),
        linux_raw_sys::prctl::PR_GET_NO_NEW_PRIVS => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_yield
pub fn sched_yield(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    sched::yield_now();
    Ok(0)
}

/// The thread with this number; 0 is the caller.
fn thread(task: &Task, number: u64) -> Result<TaskId, Errno> {
    match number as u32 {
        0 => Ok(task.thread()),
        tid => task::thread_of(tid),
    }
}

/// sched_setaffinity
pub fn sched_setaffinity(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, length, from, ..] = frame.x;
    let mut bytes = [0; 8];
    let count = length.min(8) as usize;
    user::read(from, &mut bytes[..count])?;
    sched::set_affinity(thread(task, number)?, CpuSet(u64::from_le_bytes(bytes)))?;
    // If the caller must not run here any more, it leaves the CPU at once.
    sched::yield_now();
    Ok(0)
}

/// sched_getaffinity
pub fn sched_getaffinity(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, length, to, ..] = frame.x;
    if length < 8 || length % 8 != 0 {
        return Err(Errno::EINVAL);
    }
    user::put(to, sched::affinity(thread(task, number)?)?.0)?;
    Ok(8)
}

fn policy_of(policy: u32, priority: u32, nice: i8) -> Result<Policy, Errno> {
    let level = |priority: u32| {
        u8::try_from(priority).ok().filter(|level| (1..=99).contains(level)).ok_or(Errno::EINVAL)
    };
    match policy & !raw::SCHED_RESET_ON_FORK {
        raw::SCHED_FIFO => Ok(Policy::Fifo(level(priority)?)),
        raw::SCHED_RR => Ok(Policy::Rr(level(priority)?)),
        _ if priority != 0 => Err(Errno::EINVAL),
        raw::SCHED_NORMAL | raw::SCHED_BATCH => Ok(Policy::Fair(nice)),
        raw::SCHED_IDLE => Ok(Policy::Idle),
        _ => Err(Errno::EINVAL),
    }
}

fn nice_of(policy: Policy) -> i8 {
    match policy {
        Policy::Fair(nice) => nice,
        _ => 0,
    }
}

/// sched_setscheduler
pub fn sched_setscheduler(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, policy, parameters, ..] = frame.x;
    let priority = user::get::<u32>(parameters)?;
    let thread = thread(task, number)?;
    let nice = nice_of(sched::policy(thread)?);
    sched::set_policy(thread, policy_of(policy as u32, priority, nice)?)?;
    let reset = policy as u32 & raw::SCHED_RESET_ON_FORK != 0;
    task::task_of(task, number as u32)?.reset_on_fork.store(reset, Relaxed);
    Ok(0)
}

/// sched_setparam
pub fn sched_setparam(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, parameters, ..] = frame.x;
    let priority = user::get::<u32>(parameters)?;
    let thread = thread(task, number)?;
    let old = sched::policy(thread)?;
    sched::set_policy(thread, policy_of(number_of(old).0, priority, nice_of(old))?)?;
    Ok(0)
}

/// SCHED_* and the priority of a policy.
fn number_of(policy: Policy) -> (u32, u32) {
    match policy {
        Policy::Fifo(level) => (raw::SCHED_FIFO, level.into()),
        Policy::Rr(level) => (raw::SCHED_RR, level.into()),
        Policy::Fair(_) => (raw::SCHED_NORMAL, 0),
        Policy::Idle => (raw::SCHED_IDLE, 0),
    }
}

/// sched_getscheduler
pub fn sched_getscheduler(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let policy = number_of(sched::policy(thread(task, frame.x[0])?)?).0;
    let reset = task::task_of(task, frame.x[0] as u32)?.reset_on_fork.load(Relaxed);
    Ok((policy | if reset { raw::SCHED_RESET_ON_FORK } else { 0 }).into())
}

/// sched_getparam
pub fn sched_getparam(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, ..] = frame.x;
    user::put(to, number_of(sched::policy(thread(task, number)?)?).1)?;
    Ok(0)
}

/// sched_get_priority_max and sched_get_priority_min
pub fn sched_get_priority_max(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    limit(frame.x[0], 99)
}

/// sched_get_priority_min
pub fn sched_get_priority_min(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    limit(frame.x[0], 1)
}

/// sched_rr_get_interval: how long a turn lasts.
pub fn sched_rr_get_interval(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, ..] = frame.x;
    if (number as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let turn = match sched::policy(thread(task, number)?)? {
        Policy::Rr(_) => sched::RR_QUANTUM,
        Policy::Fifo(_) => 0,
        Policy::Fair(_) | Policy::Idle => sched::MIN_GRANULARITY,
    };
    user::put(to, [turn / 1_000_000_000, turn % 1_000_000_000])?;
    Ok(0)
}

fn limit(policy: u64, level: u64) -> Result<u64, Errno> {
    match policy as u32 {
        raw::SCHED_FIFO | raw::SCHED_RR => Ok(level),
        raw::SCHED_NORMAL | raw::SCHED_BATCH | raw::SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// setpriority, for one thread
pub fn setpriority(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [which, number, nice, ..] = frame.x;
    if which as u32 != raw::PRIO_PROCESS {
        return Err(Errno::EINVAL);
    }
    let thread = thread(task, number)?;
    let nice = (nice as i32).clamp(-20, 19) as i8;
    if matches!(sched::policy(thread)?, Policy::Fair(_)) {
        sched::set_policy(thread, Policy::Fair(nice))?;
    }
    Ok(0)
}

/// getpriority, for one thread: 20 less the nice value
pub fn getpriority(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [which, number, ..] = frame.x;
    if which as u32 != raw::PRIO_PROCESS {
        return Err(Errno::EINVAL);
    }
    let nice = nice_of(sched::policy(thread(task, number)?)?);
    Ok((20 - i64::from(nice)).cast_unsigned())
}

/// getcpu
pub fn getcpu(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [cpu, node, ..] = frame.x;
    if cpu != 0 {
        user::put(cpu, percpu::index() as u32)?;
    }
    if node != 0 {
        user::put(node, 0_u32)?;
    }
    Ok(0)
}
