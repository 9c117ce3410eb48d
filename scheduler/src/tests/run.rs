//! One CPU: which task runs, and how tasks come and go.

use super::rig::{MS, Rig};
use crate::{CpuSet, Error, Policy, RR_QUANTUM, Scheduler, TaskId, TaskState};

#[test]
fn a_preempted_task_stays_first_among_equals_and_a_yielding_one_goes_last() {
    let mut rig = Rig::new(1);
    let [first, second] = [rig.go(Policy::Fifo(10)), rig.go(Policy::Fifo(10))];
    let high = rig.go(Policy::Fifo(20));
    assert_eq!(rig.current(0), Some(high));
    rig.block(0);
    assert_eq!(rig.current(0), Some(first));
    assert_eq!(rig.s.state(second), Ok(TaskState::Ready));
    rig.s.yield_now(0);
    rig.settle();
    assert_eq!(rig.current(0), Some(second));
    rig.s.yield_now(0);
    rig.settle();
    assert_eq!(rig.current(0), Some(first));
}

#[test]
fn fifo_has_no_quantum_and_rr_has_one() {
    let mut rig = Rig::new(1);
    let fifo = [rig.go(Policy::Fifo(10)), rig.go(Policy::Fifo(10))];
    rig.run(500);
    assert_eq!(rig.s.run_time(fifo[1]), Ok(0));
    let rr = [rig.go(Policy::Rr(20)), rig.go(Policy::Rr(20))];
    rig.run(99);
    assert_eq!(rig.current(0), Some(rr[0]));
    rig.run(1);
    assert_eq!(rig.current(0), Some(rr[1]));
    rig.run(250);
    assert_eq!(rr.map(|task| rig.s.run_time(task).unwrap()), [200 * MS, 150 * MS]);
    assert_eq!(rig.s.run_time(fifo[0]), Ok(500 * MS));
}

#[test]
fn a_preempted_rr_task_keeps_the_rest_of_its_quantum() {
    let mut rig = Rig::new(1);
    let [first, second] = [rig.go(Policy::Rr(10)), rig.go(Policy::Rr(10))];
    rig.run(60);
    let high = rig.go(Policy::Fifo(20));
    rig.run(300);
    rig.block(0);
    assert_eq!(rig.current(0), Some(first));
    rig.run(40);
    assert_eq!(rig.current(0), Some(second));
    assert_eq!(rig.s.run_time(first), Ok(RR_QUANTUM));
    assert_eq!(rig.s.run_time(high), Ok(300 * MS));
}

#[test]
fn a_lone_rr_task_does_not_owe_its_turn_to_a_later_one() {
    let mut rig = Rig::new(1);
    let first = rig.go(Policy::Rr(10));
    rig.run(150);
    rig.go(Policy::Rr(10));
    rig.run(49);
    assert_eq!(rig.current(0), Some(first));
    rig.run(1);
    assert_ne!(rig.current(0), Some(first));
}

#[test]
fn real_time_runs_before_fair_and_fair_before_idle() {
    let mut rig = Rig::new(1);
    let idle = rig.go(Policy::Idle);
    let fair = rig.go(Policy::Fair(19));
    assert_eq!(rig.current(0), Some(fair));
    let low = rig.go(Policy::Fifo(1));
    assert_eq!(rig.current(0), Some(low));
    rig.go(Policy::Fair(-20));
    assert_eq!(rig.current(0), Some(low));
    assert_eq!(rig.s.state(idle), Ok(TaskState::Ready));
    assert_eq!(rig.s.ready(0), 3);
}

#[test]
fn a_changed_policy_counts_at_once() {
    let mut rig = Rig::new(1);
    let [first, second] = [rig.go(Policy::Fifo(10)), rig.go(Policy::Fifo(10))];
    rig.s.set_policy(second, Policy::Fifo(11)).unwrap();
    rig.settle();
    assert_eq!(rig.current(0), Some(second));
    rig.s.set_policy(second, Policy::Fair(0)).unwrap();
    rig.settle();
    assert_eq!(rig.current(0), Some(first));
    assert_eq!(rig.s.set_policy(first, Policy::Fifo(0)), Err(Error::Invalid));
    assert_eq!(rig.s.set_policy(first, Policy::Rr(100)), Err(Error::Invalid));
    assert_eq!(rig.s.set_policy(first, Policy::Fair(20)), Err(Error::Invalid));
    assert_eq!(rig.s.policy(first), Ok(Policy::Fifo(10)));
}

#[test]
fn a_task_that_ended_is_known_until_its_stack_is_left() {
    let mut rig = Rig::new(1);
    let task = rig.go(Policy::Fair(0));
    rig.s.exit(0, rig.now).unwrap();
    assert_eq!(rig.s.current(0), Some(task));
    assert_eq!(rig.s.state(task), Ok(TaskState::Exited));
    assert_eq!(rig.s.pick(0, rig.now), None);
    assert_eq!(rig.s.state(task), Ok(TaskState::Exited));
    assert_eq!(rig.s.switched(0), Some(task));
    assert_eq!(rig.s.state(task), Err(Error::NoSuchTask));
    let next = rig.go(Policy::Fair(0));
    assert_eq!(next.index(), task.index());
    assert_ne!(next, task);
    assert_eq!(rig.s.wake(task, rig.now), Err(Error::NoSuchTask));
    assert_eq!(rig.s.exit(1, rig.now), Err(Error::Invalid));
}

#[test]
fn pick_repeats_its_answer_until_the_switch_is_over() {
    let mut rig = Rig::new(1);
    let low = rig.go(Policy::Fifo(1));
    let high = rig.start(Policy::Fifo(2));
    assert_eq!(rig.s.pick(0, 0), Some(high));
    rig.s.set_policy(low, Policy::Fifo(3)).unwrap();
    assert_eq!(rig.s.pick(0, 0), Some(high));
    assert_eq!(rig.s.ready(0), 0);
    rig.s.switched(0);
    assert!(rig.s.wants_reschedule(0));
    assert_eq!(rig.s.pick(0, 0), Some(low));
}

#[test]
fn only_a_blocked_task_is_discarded() {
    let mut rig = Rig::new(1);
    let new = rig.s.spawn(Policy::Fair(0), CpuSet::ALL, None).unwrap();
    assert_eq!(rig.s.state(new), Ok(TaskState::Blocked));
    assert_eq!(rig.s.discard(new), Ok(()));
    assert_eq!(rig.s.discard(new), Err(Error::NoSuchTask));
    let running = rig.go(Policy::Fair(0));
    assert_eq!(rig.s.discard(running), Err(Error::Invalid));
    assert!(rig.s.block(0, 0));
    assert_eq!(rig.s.discard(running), Err(Error::Invalid));
    rig.settle();
    assert_eq!(rig.s.discard(running), Ok(()));
}

#[test]
fn bad_arguments_are_errors() {
    assert_eq!(Scheduler::new(0).err(), Some(Error::Invalid));
    assert_eq!(Scheduler::new(65).err(), Some(Error::Invalid));
    let mut s = Scheduler::new(64).unwrap();
    assert_eq!(s.online(64), Err(Error::Invalid));
    assert_eq!(s.spawn(Policy::Fair(0), CpuSet::ALL, None), Err(Error::Invalid));
    s.online(63).unwrap();
    assert_eq!(s.spawn(Policy::Fair(0), CpuSet::of(1), None), Err(Error::Invalid));
    assert_eq!(s.spawn(Policy::Fair(0), CpuSet::ALL, Some(1)), Err(Error::Invalid));
    assert_eq!(s.spawn(Policy::Fair(-21), CpuSet::ALL, None), Err(Error::Invalid));
    let task = s.spawn(Policy::Fair(0), CpuSet::ALL, Some(63)).unwrap();
    assert_eq!(TaskId::from_bits(task.to_bits()), task);
    for bits in [0, u64::MAX, task.to_bits() | 1 << 63] {
        assert_eq!(s.wake(TaskId::from_bits(bits), 0), Err(Error::NoSuchTask));
    }
    for cpu in [0, 62, 64, usize::MAX] {
        assert_eq!(
            (s.pick(cpu, 0), s.switched(cpu), s.block(cpu, 0), s.tick(cpu, 0)),
            (None, None, false, false)
        );
        s.yield_now(cpu);
        s.prepare_to_wait(cpu);
    }
    s.wake(task, u64::MAX).unwrap();
    assert_eq!(s.pick(63, 0), Some(task));
}
