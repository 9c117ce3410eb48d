//! The fair queue of one CPU: a binary heap ordered by virtual run time. Each task knows its place, so that it can be taken out
//! of the middle.

use alloc::vec::Vec;

use crate::{
    Error,
    task::{Slot, Task, Tasks},
    weight::weight,
};

#[derive(Debug, Default)]
pub(crate) struct FairQueue {
    heap: Vec<Slot>,
    /// The weights of all tasks in the heap.
    load: u64,
}

/// Virtual times wrap around; two of one CPU are always less than half the range apart.
pub(crate) fn before(a: u64, b: u64) -> bool {
    lag(a, b) < 0
}

/// How far `a` is ahead of `b`.
pub(crate) fn lag(a: u64, b: u64) -> i64 {
    a.wrapping_sub(b).cast_signed()
}

impl FairQueue {
    /// Makes room for `len` tasks in all, so that [`FairQueue::insert`] needs no memory up to there.
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), Error> {
        self.heap.try_reserve(len.saturating_sub(self.heap.len())).map_err(|_| Error::NoMemory)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn load(&self) -> u64 {
        self.load
    }

    pub(crate) fn first(&self) -> Option<Slot> {
        self.heap.first().copied()
    }

    /// The virtual run time of the task that is farthest ahead. Looks at all tasks.
    pub(crate) fn latest(&self, tasks: &Tasks) -> Option<u64> {
        let times = self.heap.iter().map(|&task| tasks[task].vruntime);
        times.reduce(|latest, time| if before(latest, time) { time } else { latest })
    }

    /// All tasks, those with the most virtual run time rather early, in no exact order.
    pub(crate) fn rather_late_first(&self) -> impl Iterator<Item = Slot> {
        self.heap.iter().rev().copied()
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, tasks: &mut Tasks, task: Slot) {
        let position = self.heap.len();
        let added = &mut tasks[task];
        added.heap_position = Some(position);
        self.load += weight(added.effective);
        self.heap.push(task);
        if position > 0 {
            self.sift_up(tasks, position);
        }
    }

    #[inline(always)]
    pub(crate) fn remove(&mut self, tasks: &mut Tasks, task: Slot) {
        let removed = &mut tasks[task];
        let Some(position) = removed.heap_position.take() else { return };
        self.load -= weight(removed.effective);
        if position + 1 == self.heap.len() {
            self.heap.pop();
        } else {
            self.remove_inner(tasks, position);
        }
    }

    /// Removes a task that is in the queue, if it is the only one. Returns false, and has done nothing, if it is not.
    #[inline(always)]
    pub(crate) fn remove_only(&mut self, task: &mut Task) -> bool {
        let is_only = self.heap.len() == 1;
        if is_only {
            self.heap.clear();
            self.load = 0;
            task.heap_position = None;
        }
        is_only
    }

    #[inline(never)]
    fn remove_inner(&mut self, tasks: &mut Tasks, position: usize) {
        self.heap.swap_remove(position);
        if position < self.heap.len() {
            // The last one is here now. Only one of the two moves it.
            self.sift_up(tasks, position);
            self.sift_down(tasks, position);
        }
    }

    #[inline(never)]
    fn sift_up(&mut self, tasks: &mut Tasks, mut position: usize) {
        let task = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / 2;
            if !before(tasks[task].vruntime, tasks[self.heap[parent]].vruntime) {
                break;
            }
            self.put(tasks, position, self.heap[parent]);
            position = parent;
        }
        self.put(tasks, position, task);
    }

    fn sift_down(&mut self, tasks: &mut Tasks, mut position: usize) {
        let task = self.heap[position];
        loop {
            let mut child = 2 * position + 1;
            if child >= self.heap.len() {
                break;
            }
            let right = child + 1;
            if right < self.heap.len()
                && before(tasks[self.heap[right]].vruntime, tasks[self.heap[child]].vruntime)
            {
                child = right;
            }
            if !before(tasks[self.heap[child]].vruntime, tasks[task].vruntime) {
                break;
            }
            self.put(tasks, position, self.heap[child]);
            position = child;
        }
        self.put(tasks, position, task);
    }

    fn put(&mut self, tasks: &mut Tasks, position: usize, task: Slot) {
        self.heap[position] = task;
        tasks[task].heap_position = Some(position);
    }
}
