//! Futexes with priority inheritance: the scheduler knows who waits for whom, and hands a lock to its most important waiter.
//!
//! A lock that somebody waits for has an entry in [`CONTENDED`], with a number by which the scheduler knows it. The word in user memory is
//! changed through the linear map, under the lock of its address space and under that of the list: what the program itself does with the word
//! meanwhile is a compare-and-swap, which fails once FUTEX_WAITERS is set.

use super::table::table;
use super::word::{Key, key, own_space};
use super::{Pid, Task, interrupted, user};
use crate::clock;
use crate::errno::Errno;
use crate::sched::{self, Alarm, LockKey, TaskId};
use crate::space::{Space, Steady};
use crate::sync::IrqMutex;
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use linux_raw_sys::general as raw;
use maps::Access;

/// A word of user memory. As long as the value exists, no mapping of its address space changes ([`Space::steady`]).
pub(super) struct Word<'a> {
    /// Has the page stay the program's own.
    _steady: Steady<'a>,
    place: *mut u32,
}

impl<'a> Word<'a> {
    /// The word at an address, which the program may write. Thread context; may sleep.
    ///
    /// # Errors
    /// EINVAL if the address is no multiple of 4; EFAULT if the program may not write there.
    pub(super) fn at(space: &'a Space, address: u64) -> Result<Self, Errno> {
        let address = address & !(0xff << 56);
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let mut steady = space.steady();
        let place = steady.place(address, Access::Write).map_err(|_| Errno::EFAULT)?.cast();
        Ok(Self { _steady: steady, place })
    }

    pub(super) fn atomic(&self) -> &AtomicU32 {
        // SAFETY: the place is valid as long as `_steady` is, its linear map is read-write, and it is a multiple of 4. Programs change the
        // word at any moment, which an atomic allows.
        unsafe { AtomicU32::from_ptr(self.place) }
    }

    fn exchange(&self, old: u32, new: u32) -> bool {
        self.atomic().compare_exchange(old, new, AcqRel, Relaxed).is_ok()
    }
}

/// A lock that somebody waits for.
struct Lock {
    key: Key,
    /// An odd number: the addresses of the kernel's own locks are even.
    number: LockKey,
    /// Where the waiters see the word.
    address: u64,
    waiters: Vec<(TaskId, Pid)>,
}

static CONTENDED: IrqMutex<Vec<Lock>> = IrqMutex::new(Vec::new());
static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// FUTEX_LOCK_PI, and FUTEX_TRYLOCK_PI if `only_try`. Thread context; may sleep.
///
/// # Errors
/// As futex(2).
pub(super) fn lock(
    task: &Task,
    address: u64,
    private: bool,
    until: Option<u64>,
    only_try: bool,
) -> Result<u64, Errno> {
    let space = own_space(task)?;
    let alarm = until.map(Alarm::at);
    loop {
        let key = key(&space, address, private)?;
        let word = Word::at(&space, address)?;
        if !sched::wait_for_lock(|wait| enter(task, key, word, address, only_try, wait))? {
            break;
        }
        if settle(task, key, address) {
            break;
        }
        if until.is_some_and(|until| clock::nanoseconds() >= until) {
            return Err(Errno::ETIMEDOUT);
        }
        if interrupted() {
            return Err(Errno::ERESTARTNOINTR);
        }
    }
    drop(alarm);
    Ok(0)
}

/// Takes the lock, or begins to wait for it: then the answer is true. Interrupts are masked.
fn enter(
    task: &Task,
    key: Key,
    word: Word<'_>,
    address: u64,
    only_try: bool,
    wait: &mut dyn FnMut(LockKey, TaskId) -> Result<(), sched::Error>,
) -> Result<bool, Errno> {
    let mut locks = CONTENDED.lock();
    loop {
        let value = word.atomic().load(Acquire);
        let owner = value & raw::FUTEX_TID_MASK;
        if owner == task.tid() {
            return Err(Errno::EDEADLK);
        }
        if owner == 0 {
            if word.exchange(value, task.tid() | value & raw::FUTEX_OWNER_DIED) {
                return Ok(false);
            }
            continue;
        }
        if only_try {
            return Err(Errno::EAGAIN);
        }
        if !word.exchange(value, value | raw::FUTEX_WAITERS) {
            continue;
        }
        // The word stays as it is from here on, because nobody else has the list. The lock of the address space must be free before the
        // wait begins: the owner of the futex may need it to go on, and that would be a circle of waits.
        drop(word);
        let owner = table().task(owner).map(|task| task.thread()).ok_or(Errno::ESRCH)?;
        let at = match locks.iter().position(|lock| lock.key == key) {
            Some(at) => at,
            None => {
                locks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let number = LockKey(NUMBER.fetch_add(2, Relaxed));
                locks.push(Lock { key, number, address, waiters: Vec::new() });
                locks.len() - 1
            }
        };
        let lock = &mut locks[at];
        let room = lock.waiters.try_reserve(1).map_err(|_| Errno::ENOMEM);
        let result = room.and_then(|()| Ok(wait(lock.number, owner)?));
        match result {
            Ok(()) => lock.waiters.push((task.thread(), task.tid())),
            Err(_) if lock.waiters.is_empty() => _ = locks.swap_remove(at),
            Err(_) => {}
        }
        return result.map(|()| true);
    }
}

/// After a wait: whether the task has got the lock. If not, it waits no more.
fn settle(task: &Task, key: Key, address: u64) -> bool {
    let mut locks = CONTENDED.lock();
    let me = task.thread();
    if let Some(at) = locks.iter().position(|lock| lock.key == key) {
        locks[at].waiters.retain(|(waiter, _)| *waiter != me);
        if locks[at].waiters.is_empty() {
            locks.swap_remove(at);
        }
    }
    drop(locks);
    // A word that has the task's number keeps it until the task unlocks.
    user::load_word(address).is_ok_and(|value| value & raw::FUTEX_TID_MASK == task.tid())
}

/// FUTEX_UNLOCK_PI. Thread context; may sleep.
///
/// # Errors
/// EPERM if the task does not have the lock; EFAULT, EINVAL.
pub(super) fn unlock(task: &Task, address: u64, private: bool) -> Result<u64, Errno> {
    let space = own_space(task)?;
    let key = key(&space, address, private)?;
    let word = Word::at(&space, address)?;
    let mut locks = CONTENDED.lock();
    if word.atomic().load(Acquire) & raw::FUTEX_TID_MASK != task.tid() {
        return Err(Errno::EPERM);
    }
    match locks.iter().position(|lock| lock.key == key) {
        Some(at) => hand_over(task, &mut locks, at, &word, 0),
        None => word.atomic().store(0, Release),
    }
    Ok(0)
}

/// Gives a lock to its most important waiter.
fn hand_over(task: &Task, locks: &mut Vec<Lock>, at: usize, word: &Word<'_>, died: u32) {
    let lock = &mut locks[at];
    let next = sched::lock_release(task.thread(), lock.number);
    let value = next.and_then(|(next, more)| {
        let position = lock.waiters.iter().position(|(waiter, _)| *waiter == next)?;
        let (_, tid) = lock.waiters.remove(position);
        Some(tid | if more { raw::FUTEX_WAITERS } else { 0 })
    });
    word.atomic().store(value.unwrap_or(0) | died, Release);
    if lock.waiters.is_empty() {
        locks.swap_remove(at);
    }
}

/// Gives away the locks that others wait for, because the task ends or leaves its address space. Thread context; may sleep.
pub(super) fn leave(task: &Task) {
    while let Some(number) = sched::contended_lock(task.thread()) {
        let address = CONTENDED.lock().iter().find(|lock| lock.number == number).map(|lock| lock.address);
        let space = task.space();
        let word = address.zip(space.as_ref()).and_then(|(address, space)| Word::at(space, address).ok());
        let mut locks = CONTENDED.lock();
        match (locks.iter().position(|lock| lock.number == number), &word) {
            (Some(at), Some(word)) => hand_over(task, &mut locks, at, word, raw::FUTEX_OWNER_DIED),
            (Some(at), None) => turn_away(&locks.swap_remove(at)),
            // The waiters have gone meanwhile.
            (None, _) => _ = sched::lock_release(task.thread(), number),
        }
    }
}

/// Ends the waits for the locks that name the task as their owner but were not given away by [`leave`]: others have begun to wait since. The
/// task is in the table no more, so nobody begins a wait from here on: `enter` looks it up and waits under the lock of the list. Thread
/// context.
pub(super) fn turn_away_late(task: &Task) {
    let mut locks = CONTENDED.lock();
    while let Some(number) = sched::contended_lock(task.thread()) {
        match locks.iter().position(|lock| lock.number == number) {
            Some(at) => turn_away(&locks.swap_remove(at)),
            None => _ = sched::lock_release(task.thread(), number),
        }
    }
}

/// Ends the waits for a lock whose word cannot be written any more. Each waiter looks at the word again, and finds that its owner is gone.
fn turn_away(lock: &Lock) {
    lock.waiters.iter().for_each(|&(waiter, _)| sched::end_wait(waiter));
}
