//! Tasks, and the slab that holds them.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use crate::{CpuSet, Error, LockKey, Policy, Priority};

/// Names a task for good: the number of a task that ended is never valid again (until 2^31 others had the same slot).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TaskId {
    index: u32,
    generation: u32,
}

impl TaskId {
    const GENERATIONS: u32 = (1 << 31) - 1;

    pub(crate) const fn new(index: Slot, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The task's slot: small, and unique among the tasks that exist. For tables beside the scheduler.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// As a number for a lock word. Never 0, and bit 63 is clear, so that "free" and "contended" have room in the same word.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Back from [`TaskId::to_bits`]. Any number is allowed: one that names no task fails with [`Error::NoSuchTask`] where it is used.
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskState {
    /// It is its CPU's current task.
    Running,
    /// It waits for a CPU.
    Ready,
    /// It waits for [`wake`](crate::Scheduler::wake). New tasks begin like this.
    Blocked,
    /// It waits for a lock.
    WaitsForLock(LockKey),
    /// It has ended, and is still on its CPU's stack.
    Exited,
}

/// The place of a task in the slab: all links between tasks are such numbers.
pub(crate) type Slot = u32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Free,
    Blocked,
    /// Waits for the lock at this place in the table of locks.
    Waiting(u32),
    Ready,
    Running,
    Exited,
}

/// Where a task goes that became ready, or stayed ready, while its CPU switched away from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Requeue {
    /// It was preempted: it is still the first among its equals.
    Head,
    /// It yielded, or its quantum is over.
    Tail,
    /// It had blocked, and was woken before the switch was over: it goes where a woken task goes.
    Woken,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) generation: u32,
    pub(crate) state: State,
    pub(crate) policy: Policy,
    /// What the policy gives.
    pub(crate) own: Priority,
    /// With what waiters of its locks add.
    pub(crate) effective: Priority,
    pub(crate) affinity: CpuSet,
    /// Where the task runs, is queued, or ran last.
    pub(crate) cpu: usize,
    /// The task's registers and stack are in use by `cpu`: it is the current task, or the CPU is still switching away from it.
    pub(crate) on_cpu: bool,
    pub(crate) pinned: u32,
    /// Somebody woke the task while there was nothing to wake.
    pub(crate) wake_pending: bool,
    pub(crate) requeue: Requeue,
    /// In the time of `cpu`: only differences to that CPU's `min_vruntime` mean something.
    pub(crate) vruntime: u64,
    pub(crate) run_time: u64,
    /// CPU time since the fair task was picked, or since the quantum of the SCHED_RR task began.
    pub(crate) slice: u64,
    /// Links of the list the task is in: its level of a real-time queue, the waiters of a lock, or (`next` only) the free slots.
    pub(crate) previous: Option<Slot>,
    pub(crate) next: Option<Slot>,
    /// In a fair queue: the place in the heap.
    pub(crate) heap_position: Option<usize>,
    /// In a real-time queue: the level.
    pub(crate) queued_level: Option<u8>,
    /// The first of the contended locks that the task owns.
    pub(crate) held: Option<u32>,
}

impl Task {
    pub(crate) fn is_queued(&self) -> bool {
        self.heap_position.is_some() || self.queued_level.is_some()
    }

    /// The CPUs out of `online` where the task may run. Never empty for a task in use.
    pub(crate) fn allowed(&self, online: CpuSet) -> CpuSet {
        if self.pinned > 0 { CpuSet::of(self.cpu) } else { self.affinity & online }
    }

    pub(crate) fn level(&self) -> u8 {
        self.effective.level()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    slots: Vec<Task>,
    free: Option<Slot>,
}

impl Tasks {
    /// Makes sure that [`Tasks::add`] needs no memory. Answers how many slots there will be.
    pub(crate) fn reserve(&mut self) -> Result<usize, Error> {
        if self.free.is_some() {
            return Ok(self.slots.len());
        }
        if self.slots.len() >= Slot::MAX as usize {
            return Err(Error::NoMemory);
        }
        self.slots.try_reserve(1).map_err(|_| Error::NoMemory)?;
        Ok(self.slots.len() + 1)
    }

    /// After [`Tasks::reserve`]. The slot keeps its generation if it had one.
    pub(crate) fn add(&mut self, mut task: Task) -> Slot {
        match self.free {
            Some(slot) => {
                self.free = self[slot].next;
                task.generation = self[slot].generation;
                self[slot] = task;
                slot
            }
            None => {
                self.slots.push(task);
                (self.slots.len() - 1) as Slot
            }
        }
    }

    pub(crate) fn free(&mut self, slot: Slot) {
        let free = self.free.replace(slot);
        let task = &mut self[slot];
        task.state = State::Free;
        task.next = free;
        task.generation = task.generation % TaskId::GENERATIONS + 1;
    }

    pub(crate) fn id(&self, slot: Slot) -> TaskId {
        TaskId::new(slot, self[slot].generation)
    }

    /// The slot of a task that exists.
    pub(crate) fn find(&self, id: TaskId) -> Result<Slot, Error> {
        match self.slots.get(id.index()) {
            Some(task) if task.generation == id.generation && task.state != State::Free => Ok(id.index),
            _ => Err(Error::NoSuchTask),
        }
    }
}

impl Tasks {
    /// Two tasks; `None` if they are one.
    #[inline(always)]
    pub(crate) fn two(&mut self, one: Slot, other: Slot) -> Option<[&mut Task; 2]> {
        self.slots.get_disjoint_mut([one as usize, other as usize]).ok()
    }
}

impl Index<Slot> for Tasks {
    type Output = Task;

    fn index(&self, slot: Slot) -> &Task {
        &self.slots[slot as usize]
    }
}

impl IndexMut<Slot> for Tasks {
    fn index_mut(&mut self, slot: Slot) -> &mut Task {
        &mut self.slots[slot as usize]
    }
}
