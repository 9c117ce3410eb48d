//! Priority inheritance.

use super::rig::Rig;
use crate::{CpuSet, Error, LockKey, Policy, Priority, TaskId, TaskState};

const A: LockKey = LockKey(0x1000);
const B: LockKey = LockKey(0x2000);

/// The task that runs on CPU 0 waits.
fn wait(rig: &mut Rig, task: TaskId, key: LockKey, owner: TaskId) {
    assert_eq!(rig.current(0), Some(task));
    rig.s.lock_wait(task, key, owner, rig.now).unwrap();
    rig.settle();
}

fn priorities<const N: usize>(rig: &Rig, tasks: [TaskId; N]) -> [Priority; N] {
    tasks.map(|task| rig.s.priority(task).unwrap())
}

#[test]
fn the_owner_runs_before_what_would_keep_it_from_releasing() {
    let mut rig = Rig::new(1);
    let low = rig.go(Policy::Fair(0));
    let high = rig.go(Policy::Fifo(50));
    let middle = rig.start(Policy::Fifo(20));
    wait(&mut rig, high, A, low);
    assert_eq!(rig.current(0), Some(low));
    assert_eq!(rig.s.priority(low), Ok(Priority::RealTime(50)));
    assert_eq!(rig.s.state(high), Ok(TaskState::WaitsForLock(A)));
    assert_eq!(rig.s.lock_owner(A), Some(low));
    assert_eq!(rig.s.lock_release(low, A, 0), Ok(Some((high, false))));
    rig.settle();
    assert_eq!((rig.current(0), rig.s.lock_owner(A)), (Some(high), None));
    assert_eq!(priorities(&rig, [low, middle]), [Priority::Fair(0), Priority::RealTime(20)]);
    rig.block(0);
    assert_eq!(rig.current(0), Some(middle));
}

#[test]
fn waiters_get_the_lock_by_priority_and_inherit_from_those_left() {
    let mut rig = Rig::new(1);
    let owner = rig.go(Policy::Fair(0));
    let waiters = [10, 30, 20, 30].map(|level| {
        let task = rig.s.spawn(Policy::Fifo(level), CpuSet::ALL, None).unwrap();
        rig.s.lock_wait(task, A, owner, 0).unwrap();
        task
    });
    rig.settle();
    let order = [1, 3, 2, 0].map(|index| waiters[index]);
    let mut from = owner;
    for (index, to) in order.into_iter().enumerate() {
        assert_eq!(rig.s.contended_lock(from), Some(A));
        assert_eq!(rig.s.lock_release(from, A, 0), Ok(Some((to, index < 3))));
        from = to;
    }
    assert_eq!(rig.s.lock_release(from, A, 0), Ok(None));
    assert_eq!(rig.s.contended_lock(from), None);
    assert_eq!(rig.s.priority(owner), Ok(Priority::Fair(0)));
}

#[test]
fn the_new_owner_inherits() {
    let mut rig = Rig::new(1);
    let owner = rig.go(Policy::Fair(0));
    let [first, second] = [10, 5].map(|level| rig.s.spawn(Policy::Fifo(level), CpuSet::ALL, None).unwrap());
    rig.s.lock_wait(first, A, owner, 0).unwrap();
    rig.s.lock_wait(second, A, owner, 0).unwrap();
    rig.s.lock_release(owner, A, 0).unwrap();
    rig.s.set_policy(first, Policy::Idle).unwrap();
    assert_eq!(rig.s.priority(first), Ok(Priority::RealTime(5)));
}

#[test]
fn boosts_go_along_the_chain_and_end_with_the_wait() {
    let mut rig = Rig::new(1);
    let [end, middle] = [Policy::Idle, Policy::Fair(5)].map(|policy| rig.go(policy));
    rig.s.set_policy(middle, Policy::Fifo(1)).unwrap();
    rig.settle();
    wait(&mut rig, middle, A, end);
    rig.s.set_policy(middle, Policy::Fair(5)).unwrap();
    assert_eq!(priorities(&rig, [end, middle]), [Priority::Fair(5); 2]);
    let high = rig.go(Policy::Fifo(40));
    wait(&mut rig, high, B, middle);
    assert_eq!(priorities(&rig, [end, middle]), [Priority::RealTime(40); 2]);
    rig.s.set_policy(high, Policy::Rr(60)).unwrap();
    assert_eq!(priorities(&rig, [end, middle]), [Priority::RealTime(60); 2]);
    assert_eq!(rig.s.lock_cancel(high, 0), Ok(true));
    assert_eq!(rig.s.lock_cancel(high, 0), Ok(false));
    assert_eq!(priorities(&rig, [end, middle]), [Priority::Fair(5); 2]);
    rig.settle();
    assert_eq!((rig.current(0), rig.s.lock_owner(B)), (Some(high), None));
}

#[test]
fn an_owner_falls_back_to_what_its_other_locks_demand() {
    let mut rig = Rig::new(1);
    let owner = rig.go(Policy::Fair(0));
    for (key, level) in [(A, 10), (B, 30)] {
        let task = rig.s.spawn(Policy::Fifo(level), CpuSet::ALL, None).unwrap();
        rig.s.lock_wait(task, key, owner, 0).unwrap();
    }
    assert_eq!(rig.s.priority(owner), Ok(Priority::RealTime(30)));
    rig.s.lock_release(owner, B, 0).unwrap();
    assert_eq!(rig.s.priority(owner), Ok(Priority::RealTime(10)));
    rig.s.lock_release(owner, A, 0).unwrap();
    assert_eq!(rig.s.priority(owner), Ok(Priority::Fair(0)));
}

#[test]
fn cycles_are_refused() {
    let mut rig = Rig::new(1);
    let tasks = [1, 2, 3].map(|level| rig.s.spawn(Policy::Fifo(level), CpuSet::ALL, None).unwrap());
    rig.s.lock_wait(tasks[0], LockKey(1), tasks[1], 0).unwrap();
    rig.s.lock_wait(tasks[1], LockKey(2), tasks[2], 0).unwrap();
    assert_eq!(rig.s.lock_wait(tasks[2], LockKey(0), tasks[0], 0), Err(Error::Deadlock));
    assert_eq!(rig.s.lock_wait(tasks[2], LockKey(3), tasks[2], 0), Err(Error::Deadlock));
    assert_eq!(rig.s.lock_owner(LockKey(0)), None);
    assert_eq!(rig.s.state(tasks[2]), Ok(TaskState::Blocked));
}

#[test]
fn chains_are_bounded() {
    let mut rig = Rig::new(1);
    let mut last = rig.s.spawn(Policy::Fair(0), CpuSet::ALL, None).unwrap();
    let first = last;
    let mut refused = None;
    for key in 0..1100 {
        let next = rig.s.spawn(Policy::Fair(0), CpuSet::ALL, None).unwrap();
        if let Err(error) = rig.s.lock_wait(next, LockKey(key), last, 0) {
            refused = Some((key, error));
            break;
        }
        last = next;
    }
    assert_eq!(refused, Some((crate::MAX_CHAIN, Error::Deadlock)));
    rig.s.set_policy(last, Policy::Fifo(7)).unwrap();
    assert_eq!(rig.s.priority(first), Ok(Priority::RealTime(7)));
}

#[test]
fn an_owner_with_waiters_hands_over_before_it_ends() {
    let mut rig = Rig::new(1);
    let owner = rig.go(Policy::Fair(0));
    let waiter = rig.s.spawn(Policy::Fair(0), CpuSet::ALL, None).unwrap();
    rig.s.lock_wait(waiter, A, owner, 0).unwrap();
    assert_eq!(rig.s.exit(0, 0), Err(Error::HoldsLock));
    assert_eq!(rig.s.lock_release(waiter, A, 0), Err(Error::NotOwner));
    while let Some(key) = rig.s.contended_lock(owner) {
        rig.s.lock_release(owner, key, 0).unwrap();
    }
    assert_eq!(rig.s.exit(0, 0), Ok(()));
    assert_eq!(rig.s.lock_wait(waiter, A, owner, 0), Err(Error::Invalid));
    let other = rig.s.spawn(Policy::Fair(0), CpuSet::ALL, None).unwrap();
    assert_eq!(rig.s.lock_wait(other, A, owner, 0), Err(Error::NoSuchTask));
}

#[test]
fn a_lock_that_comes_before_the_waiter_has_left_is_not_lost() {
    let mut rig = Rig::new(2);
    let owner = rig.start_on(Policy::Fair(0), CpuSet::of(1));
    let waiter = rig.start_on(Policy::Fair(0), CpuSet::of(0));
    rig.settle();
    rig.s.lock_wait(waiter, A, owner, 0).unwrap();
    assert_eq!(rig.s.lock_release(owner, A, 0), Ok(Some((waiter, false))));
    assert_eq!(rig.schedule(0), Some(waiter));
    rig.s.lock_wait(waiter, A, owner, 0).unwrap();
    assert_eq!(rig.s.pick(0, 0), None);
    assert_eq!(rig.s.lock_release(owner, A, 0), Ok(Some((waiter, false))));
    rig.s.switched(0);
    rig.settle();
    assert_eq!(rig.current(0), Some(waiter));
}

#[test]
fn waking_a_lock_waiter_counts_for_its_next_wait_only() {
    let mut rig = Rig::new(1);
    let owner = rig.go(Policy::Fair(0));
    let waiter = rig.go(Policy::Fifo(1));
    wait(&mut rig, waiter, A, owner);
    rig.wake(waiter);
    assert_eq!(rig.s.state(waiter), Ok(TaskState::WaitsForLock(A)));
    rig.s.lock_release(owner, A, 0).unwrap();
    rig.settle();
    assert!(!rig.s.block(0, 0));
    assert!(rig.s.block(0, 0));
}
