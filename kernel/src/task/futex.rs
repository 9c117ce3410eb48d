//! Futexes: threads that wait at a word of user memory until somebody wakes them.
//!
//! A waiter compares the word and enters the queue under one lock, which a waker takes too. The word is loaded by one instruction; a page
//! that is not there is brought in without the lock, and the comparison is made again.

use super::wake_op::WakeOp;
use super::word::{Key, key, own_space};
use super::{Restart, Task, interrupted, pi, user};
use crate::clock;
use crate::errno::Errno;
use crate::sched::{self, Alarm, Deadline, TaskId};
use crate::sync::IrqMutex;
use alloc::collections::VecDeque;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Relaxed},
};
use linux_raw_sys::general as raw;

struct Waiter {
    key: Key,
    bits: u32,
    thread: TaskId,
    /// No other waiter ever has this number.
    number: u64,
}

static WAITERS: IrqMutex<VecDeque<Waiter>> = IrqMutex::new(VecDeque::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A wait: what `restart_syscall` needs of it, too.
#[derive(Clone, Copy, Debug)]
pub struct Futex {
    /// The word's address.
    pub address: u64,
    /// Only threads of this address space use the word.
    pub private: bool,
    /// What the word must have when the wait begins.
    pub value: u32,
    /// Which wakers wake this waiter.
    pub bits: u32,
    /// When the wait ends.
    pub until: Option<Deadline>,
}

/// FUTEX_WAIT and FUTEX_WAIT_BITSET. Thread context; may sleep.
///
/// # Errors
/// EAGAIN, ETIMEDOUT, EFAULT, EINVAL, ERESTARTSYS and its kin.
pub(crate) fn wait(task: &Task, wanted: &Futex) -> Result<u64, Errno> {
    if wanted.bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(&own_space(task)?, wanted.address, wanted.private)?;
    let number = NUMBER.fetch_add(1, Relaxed);
    let waiter = Waiter { key, bits: wanted.bits, thread: task.thread(), number };
    enqueue(wanted, waiter)?;
    let mut alarm = wanted.until.map(Alarm::until);
    let is_queued = || WAITERS.lock().iter().any(|waiter| waiter.number == number);
    let ended = loop {
        sched::prepare_to_sleep();
        if !is_queued() {
            break Ok(0);
        }
        alarm.iter_mut().for_each(Alarm::renew);
        if wanted.until.is_some_and(Deadline::is_over) {
            break Err(Errno::ETIMEDOUT);
        }
        if interrupted() {
            break Err(if wanted.until.is_some() {
                Errno::ERESTART_RESTARTBLOCK
            } else {
                Errno::ERESTARTSYS
            });
        }
        sched::sleep();
    };
    drop(alarm);
    let mut waiters = WAITERS.lock();
    let at = waiters.iter().position(|waiter| waiter.number == number);
    match at {
        // Somebody has woken this waiter, even if something else has ended the sleep.
        None => Ok(0),
        Some(at) => {
            waiters.remove(at);
            drop(waiters);
            if ended == Err(Errno::ERESTART_RESTARTBLOCK) {
                task.restart_with(Restart::Futex(*wanted));
            }
            ended
        }
    }
}

fn enqueue(wanted: &Futex, waiter: Waiter) -> Result<(), Errno> {
    loop {
        {
            let mut waiters = WAITERS.lock();
            match user::load_word(wanted.address) {
                Ok(value) if value == wanted.value => {
                    waiters.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    waiters.push_back(waiter);
                    return Ok(());
                }
                Ok(_) => return Err(Errno::EAGAIN),
                Err(_) => {}
            }
        }
        user::load_word(wanted.address)?;
    }
}

/// Wakes up to `most` waiters. Returns how many. Thread context; may sleep.
pub(super) fn wake(task: &Task, address: u64, most: u32, bits: u32, private: bool) -> u64 {
    own_space(task).and_then(|space| key(&space, address, private)).map_or(0, |key| wake_key(key, most, bits))
}

fn wake_key(key: Key, most: u32, bits: u32) -> u64 {
    wake_in(&mut WAITERS.lock(), key, most, bits)
}

fn wake_in(waiters: &mut VecDeque<Waiter>, key: Key, most: u32, bits: u32) -> u64 {
    let mut woken = 0;
    while woken < u64::from(most) {
        let at = waiters.iter().position(|waiter| waiter.key == key && waiter.bits & bits != 0);
        let Some(waiter) = at.and_then(|at| waiters.remove(at)) else { break };
        sched::wake(waiter.thread);
        woken += 1;
    }
    woken
}

/// FUTEX_WAKE_OP: the word at `other` is changed under the lock that a waiter takes to compare its word.
fn wake_op(
    task: &Task,
    (address, most): (u64, u32),
    (other, most_others): (u64, u32),
    operation: u32,
    private: bool,
) -> Result<u64, Errno> {
    let operation = WakeOp::decode(operation)?;
    let space = own_space(task)?;
    let (key, other_key) = (key(&space, address, private)?, key(&space, other, private)?);
    let word = pi::Word::at(&space, other)?;
    let mut waiters = WAITERS.lock();
    let changed = word.atomic().fetch_update(AcqRel, Relaxed, |old| Some(operation.apply(old)));
    let (Ok(old) | Err(old)) = changed;
    let mut woken = wake_in(&mut waiters, key, most, raw::FUTEX_BITSET_MATCH_ANY);
    if operation.holds(old) {
        woken += wake_in(&mut waiters, other_key, most_others, raw::FUTEX_BITSET_MATCH_ANY);
    }
    Ok(woken)
}

/// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes some waiters of one word, and has others wait at another one.
fn requeue(
    task: &Task,
    from: u64,
    to: u64,
    counts: (u32, u32),
    expected: Option<u32>,
    private: bool,
) -> Result<u64, Errno> {
    let space = own_space(task)?;
    let (old, new) = (key(&space, from, private)?, key(&space, to, private)?);
    loop {
        {
            let mut waiters = WAITERS.lock();
            match expected.map(|expected| user::load_word(from).map(|value| value == expected)) {
                Some(Ok(false)) => return Err(Errno::EAGAIN),
                Some(Err(_)) => {}
                Some(Ok(true)) | None => {
                    let moved = (0..counts.0).map_while(|_| {
                        let at = waiters.iter().position(|waiter| waiter.key == old)?;
                        waiters.remove(at).map(|waiter| sched::wake(waiter.thread))
                    });
                    let woken = moved.count();
                    let rest = waiters.iter_mut().filter(|waiter| waiter.key == old).take(counts.1 as usize);
                    let moved = rest.map(|waiter| waiter.key = new).count();
                    return Ok((woken + moved) as u64);
                }
            }
        }
        user::load_word(from)?;
    }
}

/// futex. Thread context; may sleep.
///
/// # Errors
/// As futex(2); ENOSYS for operations that the kernel does not have.
pub fn futex(task: &Task, arguments: [u64; 6]) -> Result<u64, Errno> {
    let [address, operation, value, timeout, other, last] = arguments;
    let (operation, value) = (operation as u32, value as u32);
    let private = operation & raw::FUTEX_PRIVATE_FLAG != 0;
    let realtime = operation & raw::FUTEX_CLOCK_REALTIME != 0;
    let command = operation & !(raw::FUTEX_PRIVATE_FLAG | raw::FUTEX_CLOCK_REALTIME);
    let any = raw::FUTEX_BITSET_MATCH_ANY;
    match command {
        raw::FUTEX_WAIT | raw::FUTEX_WAIT_BITSET => {
            let relative = command == raw::FUTEX_WAIT;
            let until = match timeout {
                0 => None,
                at => {
                    let time = time_of(user::get::<[u64; 2]>(at)?)?;
                    Some(match (relative, realtime) {
                        (true, _) => Deadline::Monotonic(clock::nanoseconds().saturating_add(time)),
                        (false, true) => Deadline::Realtime(time),
                        (false, false) => Deadline::Monotonic(time),
                    })
                }
            };
            let bits = if relative { any } else { last as u32 };
            wait(task, &Futex { address, private, value, bits, until })
        }
        raw::FUTEX_WAKE | raw::FUTEX_WAKE_BITSET => {
            let bits = if command == raw::FUTEX_WAKE { any } else { last as u32 };
            if bits == 0 {
                return Err(Errno::EINVAL);
            }
            Ok(wake_key(key(&own_space(task)?, address, private)?, value, bits))
        }
        raw::FUTEX_REQUEUE | raw::FUTEX_CMP_REQUEUE => {
            let expected = (command == raw::FUTEX_CMP_REQUEUE).then_some(last as u32);
            if (value as i32) < 0 || (timeout as i32) < 0 {
                return Err(Errno::EINVAL);
            }
            requeue(task, address, other, (value, timeout as u32), expected, private)
        }
        raw::FUTEX_WAKE_OP => wake_op(task, (address, value), (other, timeout as u32), last as u32, private),
        raw::FUTEX_LOCK_PI | raw::FUTEX_LOCK_PI2 | raw::FUTEX_TRYLOCK_PI => {
            let only_try = command == raw::FUTEX_TRYLOCK_PI;
            let realtime = realtime || command == raw::FUTEX_LOCK_PI;
            let until = match timeout {
                at if at != 0 && !only_try => {
                    let time = time_of(user::get::<[u64; 2]>(at)?)?;
                    Some(if realtime { clock::instant_of_realtime(time) } else { time })
                }
                _ => None,
            };
            pi::lock(task, address, private, until, only_try)
        }
        raw::FUTEX_UNLOCK_PI => pi::unlock(task, address, private),
        _ => Err(Errno::ENOSYS),
    }
}

/// The nanoseconds of a `struct timespec`. Times behind the end of the clock are its end.
///
/// # Errors
/// EINVAL for a negative time, or more than 999999999 nanoseconds.
pub(crate) fn time_of([seconds, nanoseconds]: [u64; 2]) -> Result<u64, Errno> {
    if seconds.cast_signed() < 0 || nanoseconds > 999_999_999 {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
}
