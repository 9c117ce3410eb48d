//! A kernel that switches contexts, for tests.

use crate::{CpuSet, Policy, Scheduler, TaskId};

/// One millisecond.
pub(super) const MS: u64 = 1_000_000;

pub(super) struct Rig {
    pub(super) s: Scheduler,
    pub(super) now: u64,
}

impl Rig {
    pub(super) fn new(cpus: usize) -> Self {
        let mut s = Scheduler::new(cpus).unwrap();
        (0..cpus).for_each(|cpu| s.online(cpu).unwrap());
        let mut rig = Self { s, now: 0 };
        rig.settle();
        rig
    }

    /// A task that is ready, on any CPU.
    pub(super) fn start(&mut self, policy: Policy) -> TaskId {
        self.start_on(policy, CpuSet::ALL)
    }

    pub(super) fn start_on(&mut self, policy: Policy, cpus: CpuSet) -> TaskId {
        let task = self.s.spawn(policy, cpus, None).unwrap();
        self.s.wake(task, self.now).unwrap();
        task
    }

    /// Calls `pick` and `switched` on `cpu`.
    pub(super) fn schedule(&mut self, cpu: usize) -> Option<TaskId> {
        let next = self.s.pick(cpu, self.now);
        self.s.switched(cpu);
        next
    }

    /// Lets every CPU schedule that wants to, until none does.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            let _ = self.s.take_kicks();
            let Some(cpu) = (0..64).find(|&cpu| self.s.wants_reschedule(cpu)) else { return };
            self.schedule(cpu);
        }
        panic!("the CPUs never stop rescheduling");
    }

    /// Starts a task, and lets everybody schedule.
    pub(super) fn go(&mut self, policy: Policy) -> TaskId {
        let task = self.start(policy);
        self.settle();
        task
    }

    pub(super) fn block(&mut self, cpu: usize) {
        self.s.prepare_to_wait(cpu);
        assert!(self.s.block(cpu, self.now));
        self.settle();
    }

    pub(super) fn wake(&mut self, task: TaskId) {
        self.s.wake(task, self.now).unwrap();
        self.settle();
    }

    /// Lets time pass with ticks of a millisecond on all CPUs.
    pub(super) fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now += MS;
            for cpu in self.s.online_cpus().iter() {
                self.s.tick(cpu, self.now);
            }
            self.settle();
        }
    }

    pub(super) fn current(&self, cpu: usize) -> Option<TaskId> {
        self.s.current(cpu)
    }
}
