//! Random operations on 1 to 4 CPUs.

use proptest::prelude::*;

use super::invariants::check;
use crate::{CpuSet, LockKey, Policy, Scheduler, TaskId, TaskState, task::State};

#[derive(Clone, Debug)]
enum Op {
    Spawn(Policy, u64),
    Wake(usize),
    WakeBeforeWait(usize, usize),
    Block(usize),
    Wait(usize),
    HandOver(usize, usize),
    LockWait(usize, usize, usize),
    LockWaitBlocked(usize, usize, usize),
    LockRelease(usize),
    LockCancel(usize),
    Tick(usize),
    Pick(usize),
    Switched(usize),
    Yield(usize),
    SetPolicy(usize, Policy),
    SetAffinity(usize, u64),
    Pin(usize),
    Unpin(usize),
    Exit(usize),
    Discard(usize),
    Online(usize),
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        (1_u8..6).prop_map(Policy::Fifo),
        (1_u8..6).prop_map(Policy::Rr),
        prop_oneof![Just(0), -20_i8..=19].prop_map(Policy::Fair),
        Just(Policy::Idle),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let (task, cpu, key) = (0_usize..12, 0_usize..4, 0_usize..4);
    prop_oneof![
        3 => (policy(), prop_oneof![Just(15), 1_u64..16]).prop_map(|(policy, cpus)| Op::Spawn(policy, cpus)),
        6 => task.clone().prop_map(Op::Wake),
        3 => (cpu.clone(), task.clone()).prop_map(|(cpu, task)| Op::WakeBeforeWait(cpu, task)),
        3 => cpu.clone().prop_map(Op::Block),
        6 => cpu.clone().prop_map(Op::Wait),
        6 => (cpu.clone(), task.clone()).prop_map(|(cpu, task)| Op::HandOver(cpu, task)),
        4 => (cpu.clone(), key.clone(), task.clone()).prop_map(|(cpu, key, owner)| Op::LockWait(cpu, key, owner)),
        1 => (task.clone(), key.clone(), task.clone()).prop_map(|(task, key, owner)| Op::LockWaitBlocked(task, key, owner)),
        3 => key.prop_map(Op::LockRelease),
        1 => task.clone().prop_map(Op::LockCancel),
        4 => cpu.clone().prop_map(Op::Tick),
        10 => cpu.clone().prop_map(Op::Pick),
        8 => cpu.clone().prop_map(Op::Switched),
        1 => cpu.clone().prop_map(Op::Yield),
        2 => (task.clone(), policy()).prop_map(|(task, policy)| Op::SetPolicy(task, policy)),
        2 => (task.clone(), 1_u64..16).prop_map(|(task, cpus)| Op::SetAffinity(task, cpus)),
        1 => task.clone().prop_map(Op::Pin),
        2 => task.clone().prop_map(Op::Unpin),
        1 => cpu.clone().prop_map(Op::Exit),
        1 => task.prop_map(Op::Discard),
        1 => cpu.prop_map(Op::Online),
    ]
}

struct Model {
    s: Scheduler,
    cpus: usize,
    alive: Vec<TaskId>,
    now: u64,
}

impl Model {
    fn new(cpus: usize) -> Self {
        let mut s = Scheduler::new(cpus).unwrap();
        s.online(0).unwrap();
        Self { s, cpus, alive: Vec::new(), now: 0 }
    }

    fn task(&self, index: usize) -> Option<TaskId> {
        self.alive.get(index % self.alive.len().max(1)).copied()
    }

    fn pick(&mut self, cpu: usize) {
        let leaving = self.s.cpus.get(cpu).is_some_and(|cpu| cpu.leaving.is_some());
        let picked = self.s.pick(cpu, self.now);
        assert_eq!(picked, self.s.current(cpu));
        if !leaving && self.s.online_cpus().contains(cpu) {
            self.takes_the_best(cpu);
        }
    }

    /// Waits, after `to` was woken, if there is one.
    fn wait(&mut self, cpu: usize, to: Option<TaskId>) {
        let before = self.s.current(cpu);
        // As in the kernel: the caller runs, and its CPU has switched to it.
        let of = self.s.cpus.get(cpu);
        if of.is_none_or(|cpu| cpu.leaving.is_some() || cpu.running(&self.s.tasks).is_none()) {
            return;
        }
        let waited = match to {
            Some(to) => self.s.hand_over(cpu, to, self.now),
            None => self.s.wait(cpu, self.now),
        };
        match waited {
            Some(next) => {
                assert_eq!(next, self.s.current(cpu));
                assert_ne!((next, to), (before, None), "a task that waits goes on");
                self.takes_the_best(cpu);
            }
            None => assert_eq!(self.s.current(cpu), before),
        }
        if let Some(to) = to {
            let slot = self.s.tasks.find(to).unwrap();
            let is_woken = self.s.tasks[slot].wake_pending || self.s.tasks[slot].state != State::Blocked;
            assert!(is_woken || (Some(to) == before && waited.is_none()), "a wake-up is lost");
        }
    }

    fn takes_the_best(&self, cpu: usize) {
        let level = self.s.cpus[cpu].level(&self.s.tasks);
        for queue in &self.s.cpus {
            for task in queue.real_time.above(0, &self.s.tasks).chain(queue.fair.rather_late_first()) {
                let better = Some(self.s.tasks[task].level()) > level;
                assert!(!better || !self.s.allowed(task).contains(cpu), "{cpu} did not take the best");
            }
        }
    }

    fn switched(&mut self, cpu: usize) {
        if let Some(dead) = self.s.switched(cpu) {
            let index = self.alive.iter().position(|&id| id == dead).unwrap();
            self.alive.swap_remove(index);
        }
    }

    fn lock_wait(&mut self, task: Option<TaskId>, key: usize, owner: usize) {
        let key = LockKey(key);
        let owner = self.s.lock_owner(key).or(self.task(owner));
        if let (Some(task), Some(owner)) = (task, owner) {
            let _ = self.s.lock_wait(task, key, owner, self.now);
        }
    }

    fn exit(&mut self, cpu: usize) {
        if let Some(task) = self.s.current(cpu) {
            while self.s.state(task) == Ok(TaskState::Running)
                && let Some(key) = self.s.contended_lock(task)
            {
                assert!(self.s.lock_release(task, key, self.now).unwrap().is_some());
            }
        }
        let _ = self.s.exit(cpu, self.now);
    }

    fn discard(&mut self, task: TaskId) {
        if self.s.discard(task).is_ok() {
            self.alive.retain(|&id| id != task);
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Spawn(policy, cpus) if self.alive.len() < 12 => {
                self.alive.extend(self.s.spawn(policy, CpuSet(cpus), None));
            }
            Op::Spawn(..) => {}
            Op::WakeBeforeWait(cpu, task) => {
                if let Some(task) = self.task(task) {
                    self.s.wake_before_wait(cpu, task, self.now).unwrap();
                }
            }
            Op::Block(cpu) => drop(self.s.block(cpu, self.now)),
            Op::Wait(cpu) => self.wait(cpu, None),
            Op::HandOver(cpu, to) => self.wait(cpu, self.task(to)),
            Op::LockWait(cpu, key, owner) => self.lock_wait(self.s.current(cpu), key, owner),
            Op::LockWaitBlocked(task, key, owner) => self.lock_wait(self.task(task), key, owner),
            Op::LockRelease(key) => {
                let key = LockKey(key);
                if let Some(owner) = self.s.lock_owner(key) {
                    assert!(self.s.lock_release(owner, key, self.now).unwrap().is_some());
                }
            }
            Op::Tick(cpu) => drop(self.s.tick(cpu, self.now)),
            Op::Pick(cpu) => self.pick(cpu),
            Op::Switched(cpu) => self.switched(cpu),
            Op::Yield(cpu) => self.s.yield_now(cpu),
            Op::Exit(cpu) => self.exit(cpu),
            Op::Online(cpu) => drop(self.s.online(cpu)),
            Op::Wake(task)
            | Op::LockCancel(task)
            | Op::SetPolicy(task, _)
            | Op::SetAffinity(task, _)
            | Op::Pin(task)
            | Op::Unpin(task)
            | Op::Discard(task) => {
                if let Some(task) = self.task(task) {
                    self.apply_to(task, op);
                }
            }
        }
    }

    fn apply_to(&mut self, task: TaskId, op: &Op) {
        match *op {
            Op::Wake(_) => self.s.wake(task, self.now).unwrap(),
            Op::LockCancel(_) => drop(self.s.lock_cancel(task, self.now)),
            Op::SetPolicy(_, policy) => self.s.set_policy(task, policy).unwrap(),
            Op::SetAffinity(_, cpus) => drop(self.s.set_affinity(task, CpuSet(cpus))),
            Op::Pin(_) => self.s.pin(task).unwrap(),
            Op::Unpin(_) => drop(self.s.unpin(task)),
            _ => self.discard(task),
        }
    }

    /// Who must stay where: tasks that are pinned, and tasks whose registers are in use.
    fn fixed(&self) -> Vec<(TaskId, usize, bool)> {
        let tasks = self.alive.iter().map(|&id| (id, &self.s.tasks[self.s.tasks.find(id).unwrap()]));
        tasks.filter(|(_, t)| t.pinned > 0 || t.on_cpu).map(|(id, t)| (id, t.cpu, t.pinned > 0)).collect()
    }

    fn check_fixed(&self, fixed: &[(TaskId, usize, bool)], op: &Op) {
        for &(id, cpu, pinned) in fixed {
            let Ok(slot) = self.s.tasks.find(id) else { continue };
            let task = &self.s.tasks[slot];
            let free = match op {
                Op::Switched(_) => !pinned,
                Op::Unpin(_) => task.pinned == 0 && !task.on_cpu,
                _ => false,
            };
            assert!(free || task.cpu == cpu, "{op:?} moved {task:?} from {cpu}");
        }
    }

    /// Every CPU does what it was asked; then nothing is left to ask for.
    fn settle(&mut self) {
        for _ in 0..200 {
            (0..self.cpus).for_each(|cpu| self.switched(cpu));
            let _ = self.s.take_kicks();
            let Some(cpu) = (0..self.cpus).find(|&cpu| self.s.wants_reschedule(cpu)) else { return };
            self.pick(cpu);
        }
        panic!("the CPUs never stop rescheduling");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_operation_keeps_the_rules(cpus in 1_usize..=4, ops in prop::collection::vec((op(), 0_u64..8), 1..150)) {
        let mut model = Model::new(cpus);
        for (op, milliseconds) in &ops {
            model.now += milliseconds * 1_000_000;
            let fixed = model.fixed();
            model.apply(op);
            check(&model.s, &model.alive);
            model.check_fixed(&fixed, op);
        }
        model.settle();
        check(&model.s, &model.alive);
        // Ended tasks are gone, and others can still be removed: nothing leaks.
        for id in &model.alive {
            prop_assert_ne!(model.s.state(*id), Ok(TaskState::Exited));
        }
    }
}
