//! Locks with priority inheritance: an owner is as important as the most important task that waits for one of its locks.

use crate::{
    Error, LockKey, MAX_CHAIN, Priority, Scheduler, TaskId,
    task::{Slot, State},
};

impl Scheduler {
    /// `task` waits for the lock `key`, which `owner` has. The waiters are ordered by priority, and by time among equals; the owner, and
    /// whoever it waits for itself, become at least as important as the task.
    ///
    /// `task` is a current task, and the kernel calls [`pick`](Self::pick) afterwards; or a blocked task, which then waits for the
    /// lock instead of [`wake`](Self::wake) (a requeued futex).
    ///
    /// [`Error::Deadlock`] if the owner waits for `task`, or is `task`. [`Error::NotOwner`] if the lock is known to belong to somebody
    /// else. [`Error::Invalid`] if the task is in another state. [`Error::NoSuchTask`] also if the owner has ended.
    pub fn lock_wait(&mut self, task: TaskId, key: LockKey, owner: TaskId, now: u64) -> Result<(), Error> {
        let waiter = self.tasks.find(task)?;
        let owner = self.tasks.find(owner)?;
        if !matches!(self.tasks[waiter].state, State::Running | State::Blocked) {
            return Err(Error::Invalid);
        }
        if self.tasks[owner].state == State::Exited {
            return Err(Error::NoSuchTask);
        }
        if self.locks.find(key).is_some_and(|lock| self.locks[lock].owner != owner) {
            return Err(Error::NotOwner);
        }
        self.check_chain(waiter, owner)?;
        let known = self.locks.find(key).is_some();
        let lock = self.locks.add(key, owner);
        if !known {
            self.hold(owner, lock);
        }
        if self.tasks[waiter].state == State::Running {
            self.stop(waiter, State::Waiting(lock), now);
        } else {
            self.tasks[waiter].state = State::Waiting(lock);
        }
        self.locks[lock].waiters.insert_by_priority(&mut self.tasks, waiter);
        self.inherit(owner);
        Ok(())
    }

    fn check_chain(&self, waiter: Slot, owner: Slot) -> Result<(), Error> {
        let mut task = owner;
        for _ in 0..MAX_CHAIN {
            if task == waiter {
                return Err(Error::Deadlock);
            }
            match self.tasks[task].state {
                State::Waiting(lock) => task = self.locks[lock].owner,
                _ => return Ok(()),
            }
        }
        Err(Error::Deadlock)
    }

    /// `owner` gives the lock to its first waiter, which becomes ready: the answer is that task, and whether others still wait. The
    /// new owner inherits from those; the old one falls back to what its other locks demand. `None` if nobody waits: the
    /// kernel then frees the lock itself, under the same hold of the scheduler's lock.
    ///
    /// [`Error::NotOwner`] if the lock is known to belong to somebody else.
    pub fn lock_release(
        &mut self,
        owner: TaskId,
        key: LockKey,
        now: u64,
    ) -> Result<Option<(TaskId, bool)>, Error> {
        let owner = self.tasks.find(owner)?;
        let Some(lock) = self.locks.find(key) else { return Ok(None) };
        if self.locks[lock].owner != owner {
            return Err(Error::NotOwner);
        }
        let Some(next) = self.locks[lock].waiters.first() else { return Ok(None) };
        self.advance(now);
        self.locks[lock].waiters.remove(&mut self.tasks, next);
        self.tasks[next].state = State::Blocked;
        self.release(owner, lock);
        let more = self.locks[lock].waiters.first().is_some();
        if more {
            self.locks[lock].owner = next;
            self.hold(next, lock);
        } else {
            self.locks.remove(lock);
        }
        self.inherit(next);
        self.inherit(owner);
        self.make_ready(next, None);
        Ok(Some((self.tasks.id(next), more)))
    }

    /// Ends the task's wait for a lock without the lock, after a timeout or a signal: `true`, and the task becomes ready. `false` if it
    /// waits for none; it then may have got the lock meanwhile.
    pub fn lock_cancel(&mut self, task: TaskId, now: u64) -> Result<bool, Error> {
        let waiter = self.tasks.find(task)?;
        let State::Waiting(lock) = self.tasks[waiter].state else { return Ok(false) };
        self.advance(now);
        self.locks[lock].waiters.remove(&mut self.tasks, waiter);
        self.tasks[waiter].state = State::Blocked;
        let owner = self.locks[lock].owner;
        if self.locks[lock].waiters.first().is_none() {
            self.release(owner, lock);
            self.locks.remove(lock);
        }
        self.inherit(owner);
        self.make_ready(waiter, None);
        Ok(true)
    }

    /// Adds the lock to those that `owner` inherits from.
    fn hold(&mut self, owner: Slot, lock: u32) {
        self.locks[lock].next = self.tasks[owner].held.replace(lock);
    }

    fn release(&mut self, owner: Slot, lock: u32) {
        let next = self.locks[lock].next.take();
        if self.tasks[owner].held == Some(lock) {
            self.tasks[owner].held = next;
            return;
        }
        let mut held = self.tasks[owner].held;
        while let Some(other) = held {
            held = self.locks[other].next;
            if held == Some(lock) {
                self.locks[other].next = next;
                return;
            }
        }
    }

    /// Gives `task` the priority that its policy and its locks' waiters demand, and goes on with the owner of the lock that it waits for, as
    /// long as something changes. There is no cycle, so this ends.
    pub(crate) fn inherit(&mut self, task: Slot) {
        let mut task = task;
        loop {
            let demanded = self.demanded(task);
            if demanded == self.tasks[task].effective {
                return;
            }
            self.set_effective(task, demanded);
            let State::Waiting(lock) = self.tasks[task].state else { return };
            self.locks[lock].waiters.remove(&mut self.tasks, task);
            self.locks[lock].waiters.insert_by_priority(&mut self.tasks, task);
            task = self.locks[lock].owner;
        }
    }

    fn demanded(&self, task: Slot) -> Priority {
        let locks = core::iter::successors(self.tasks[task].held, |&lock| self.locks[lock].next);
        let waiters = locks.filter_map(|lock| self.locks[lock].waiters.first());
        waiters.map(|waiter| self.tasks[waiter].effective).fold(self.tasks[task].own, Ord::max)
    }

    fn set_effective(&mut self, task: Slot, priority: Priority) {
        let queued = self.tasks[task].is_queued();
        if queued {
            self.dequeue(task);
        }
        let before = core::mem::replace(&mut self.tasks[task].effective, priority);
        if before.level() > 0 && priority.level() == 0 {
            // Virtual time stood still meanwhile.
            self.limit_bonus(task);
        }
        if queued {
            // As on Linux: who is raised comes last among its new equals, who is lowered comes first.
            self.enqueue(task, priority < before);
            self.kick_for(task, false);
        } else if self.tasks[task].state == State::Running && priority.level() < before.level() {
            self.flag(self.tasks[task].cpu);
        }
    }
}
