//! What can be changed about a task.

use crate::{
    CpuSet, Error, Policy, Scheduler, TaskId,
    task::{Slot, State},
};

impl Scheduler {
    /// Changes the policy, and what others inherit from the task. Any task can be meant, whatever it does.
    ///
    /// [`Error::Invalid`] for a bad policy.
    pub fn set_policy(&mut self, task: TaskId, policy: Policy) -> Result<(), Error> {
        let slot = self.tasks.find(task)?;
        let own = policy.priority()?;
        let task = &mut self.tasks[slot];
        if task.policy != policy {
            task.policy = policy;
            task.own = own;
            task.slice = 0;
        }
        self.inherit(slot);
        Ok(())
    }

    /// Changes where the task may run. A ready task moves at once, a running one at the next [`pick`](Self::pick) of its CPU, which is
    /// kicked; a pinned one stays until it is unpinned.
    ///
    /// [`Error::Invalid`] if no CPU of the set is online.
    pub fn set_affinity(&mut self, task: TaskId, affinity: CpuSet) -> Result<(), Error> {
        let slot = self.tasks.find(task)?;
        if (affinity & self.online).is_empty() {
            return Err(Error::Invalid);
        }
        self.tasks[slot].affinity = affinity;
        self.apply_affinity(slot);
        Ok(())
    }

    /// The task must stay on its CPU until [`unpin`](Self::unpin) has been called as often. Mostly called by a task for itself.
    ///
    /// [`Error::Invalid`] after 2^32 - 1 calls.
    pub fn pin(&mut self, task: TaskId) -> Result<(), Error> {
        let slot = self.tasks.find(task)?;
        let pinned = self.tasks[slot].pinned.checked_add(1).ok_or(Error::Invalid)?;
        self.tasks[slot].pinned = pinned;
        Ok(())
    }

    /// Takes back one [`pin`](Self::pin). If it was the last one and the affinity forbids the task's CPU, the CPU is kicked.
    ///
    /// [`Error::Invalid`] if the task is not pinned.
    pub fn unpin(&mut self, task: TaskId) -> Result<(), Error> {
        let slot = self.tasks.find(task)?;
        let pinned = self.tasks[slot].pinned.checked_sub(1).ok_or(Error::Invalid)?;
        self.tasks[slot].pinned = pinned;
        if pinned == 0 {
            self.apply_affinity(slot);
        }
        Ok(())
    }

    fn apply_affinity(&mut self, task: Slot) {
        let cpu = self.tasks[task].cpu;
        let stays = self.allowed(task).contains(cpu);
        match self.tasks[task].state {
            State::Running if !stays => self.flag(cpu),
            State::Ready if self.tasks[task].is_queued() => {
                if stays {
                    self.kick_for(task, false);
                } else {
                    self.dequeue(task);
                    self.place_woken(task, None);
                }
            }
            // A blocked task finds its CPU when it is woken, one that leaves its CPU when the switch is over.
            _ => {}
        }
    }
}
