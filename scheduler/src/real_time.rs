//! The real-time queue of one CPU: a list for each level, and a bitmap of the levels that have tasks.

use crate::{
    list::List,
    task::{Slot, Tasks},
};

const LEVELS: usize = 100;

#[derive(Debug)]
pub(crate) struct RealTimeQueue {
    /// Bit `n`: level `n` is not empty.
    levels: u128,
    lists: [List; LEVELS],
    len: usize,
}

impl RealTimeQueue {
    pub(crate) fn new() -> Self {
        Self { levels: 0, lists: [List::default(); LEVELS], len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The highest level that has a task.
    pub(crate) fn top(&self) -> Option<u8> {
        self.levels.checked_ilog2().map(|level| level as u8)
    }

    pub(crate) fn first(&self) -> Option<Slot> {
        self.lists[usize::from(self.top()?)].first()
    }

    /// At the head or the tail of the task's level.
    pub(crate) fn insert(&mut self, tasks: &mut Tasks, task: Slot, head: bool) {
        let level = tasks[task].level();
        let list = &mut self.lists[usize::from(level)];
        if head {
            list.push_front(tasks, task)
        } else {
            list.push_back(tasks, task)
        }
        tasks[task].queued_level = Some(level);
        self.levels |= 1 << level;
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, tasks: &mut Tasks, task: Slot) {
        let Some(level) = tasks[task].queued_level.take() else { return };
        let list = &mut self.lists[usize::from(level)];
        list.remove(tasks, task);
        if list.first().is_none() {
            self.levels &= !(1 << level);
        }
        self.len -= 1;
    }

    /// The tasks above `level`, the most important first.
    pub(crate) fn above<'a>(&'a self, level: u8, tasks: &'a Tasks) -> impl Iterator<Item = Slot> {
        // Two steps: a shift by level + 1 at once is one too far for level 127.
        let mut rest = self.levels & (u128::MAX << level << 1);
        let levels = core::iter::from_fn(move || {
            let level = rest.checked_ilog2()?;
            rest &= !(1 << level);
            Some(level as usize)
        });
        levels.flat_map(|level| self.lists[level].iter(tasks))
    }
}
