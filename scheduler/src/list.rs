//! Doubly linked lists of tasks. A task is in one list at most, so the links are in the task.

use crate::task::{Slot, Tasks};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct List {
    head: Option<Slot>,
    tail: Option<Slot>,
}

impl List {
    pub(crate) fn first(&self) -> Option<Slot> {
        self.head
    }

    pub(crate) fn push_front(&mut self, tasks: &mut Tasks, task: Slot) {
        self.insert_after(tasks, None, task);
    }

    pub(crate) fn push_back(&mut self, tasks: &mut Tasks, task: Slot) {
        self.insert_after(tasks, self.tail, task);
    }

    /// Behind all waiters that are at least as important.
    pub(crate) fn insert_by_priority(&mut self, tasks: &mut Tasks, task: Slot) {
        let mut after = self.tail;
        while let Some(other) = after
            && tasks[other].effective < tasks[task].effective
        {
            after = tasks[other].previous;
        }
        self.insert_after(tasks, after, task);
    }

    fn insert_after(&mut self, tasks: &mut Tasks, previous: Option<Slot>, task: Slot) {
        let next = match previous {
            Some(previous) => tasks[previous].next.replace(task),
            None => self.head.replace(task),
        };
        match next {
            Some(next) => tasks[next].previous = Some(task),
            None => self.tail = Some(task),
        }
        (tasks[task].previous, tasks[task].next) = (previous, next);
    }

    pub(crate) fn remove(&mut self, tasks: &mut Tasks, task: Slot) {
        let (previous, next) = (tasks[task].previous.take(), tasks[task].next.take());
        match previous {
            Some(previous) => tasks[previous].next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => tasks[next].previous = previous,
            None => self.tail = previous,
        }
    }

    pub(crate) fn iter<'a>(&self, tasks: &'a Tasks) -> impl Iterator<Item = Slot> + use<'a> {
        core::iter::successors(self.head, |&task| tasks[task].next)
    }
}
