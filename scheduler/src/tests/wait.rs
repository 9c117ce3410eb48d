//! The wait protocol in every order of steps: the waiter, a waker on another CPU, an interrupt that preempts the waiter, and the two
//! halves of the context switch.

use super::rig::Rig;
use crate::{CpuSet, Policy, TaskId, TaskState};

/// How many steps are tried in every order, before all go on in turn.
const STEPS: u32 = 8;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Prepare,
    Check,
    Block,
    Done,
}

struct Run {
    rig: Rig,
    waiter: TaskId,
    intruder: TaskId,
    next: Step,
    condition: bool,
    /// How many of its two steps the waker has done.
    waker: usize,
    wakes_first: bool,
    intrusions: usize,
}

impl Run {
    fn new(wakes_first: bool) -> Self {
        let mut rig = Rig::new(1);
        let waiter = rig.go(Policy::Fair(0));
        let intruder = rig.s.spawn(Policy::Fifo(1), CpuSet::ALL, None).unwrap();
        Self {
            rig,
            waiter,
            intruder,
            next: Step::Prepare,
            condition: false,
            waker: 0,
            wakes_first,
            intrusions: 0,
        }
    }

    /// One step of the waiter, if it runs and its CPU is not between `pick` and `switched`.
    fn waiter(&mut self) {
        let s = &mut self.rig.s;
        if s.state(self.waiter) != Ok(TaskState::Running) || s.cpus[0].leaving.is_some() {
            return;
        }
        self.next = match self.next {
            Step::Prepare => {
                s.prepare_to_wait(0);
                Step::Check
            }
            Step::Check if self.condition => Step::Done,
            Step::Check => Step::Block,
            Step::Block => {
                s.block(0, 0);
                Step::Prepare
            }
            Step::Done => Step::Done,
        };
    }

    fn waker(&mut self) {
        match (self.waker, self.wakes_first) {
            (0, false) | (1, true) => self.condition = true,
            (0, true) | (1, false) => self.rig.s.wake(self.waiter, 0).unwrap(),
            _ => {}
        }
        self.waker += 1;
    }

    fn switch(&mut self) {
        let s = &mut self.rig.s;
        if s.cpus[0].leaving.is_some() {
            s.switched(0);
        } else if s.wants_reschedule(0) {
            s.pick(0, 0);
        } else if s.current(0) == Some(self.intruder) {
            s.block(0, 0);
        }
    }

    fn intrude(&mut self) {
        if self.intrusions < 2 {
            self.intrusions += 1;
            self.rig.s.wake(self.intruder, 0).unwrap();
        }
    }

    /// Whether the waiter gets to its end after the steps in `order`, two bits for each.
    fn ends(mut self, order: u32) -> bool {
        for step in 0..STEPS {
            match order >> (2 * step) & 3 {
                0 => self.waiter(),
                1 => self.waker(),
                2 => self.switch(),
                _ => self.intrude(),
            }
        }
        for _ in 0..20 {
            self.waiter();
            self.waker();
            self.switch();
            self.switch();
            self.switch();
        }
        self.next == Step::Done
    }
}

#[test]
fn no_order_loses_the_wake_up() {
    for order in 0..1 << (2 * STEPS) {
        assert!(Run::new(false).ends(order), "{order:#x}");
    }
}

#[test]
fn some_order_loses_it_if_the_waker_wakes_too_early() {
    assert!((0..1_u32 << (2 * STEPS)).any(|order| !Run::new(true).ends(order)));
}

#[test]
fn older_wake_ups_do_not_count() {
    let mut rig = Rig::new(1);
    let task = rig.go(Policy::Fair(0));
    rig.wake(task);
    rig.s.prepare_to_wait(0);
    assert!(rig.s.block(0, 0));
    rig.s.wake(task, 0).unwrap();
    assert_eq!(rig.s.state(task), Ok(TaskState::Running));
    assert_eq!(rig.schedule(0), Some(task));
}
