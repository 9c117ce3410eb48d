//! A task that wakes another one and waits.

use super::rig::{MS, Rig};
use crate::{CpuSet, Policy, TaskId, TaskState};

/// Two fair tasks on CPU 0: one that runs, and one that waits.
fn pair(rig: &mut Rig) -> (TaskId, TaskId) {
    let waits = rig.start_on(Policy::Fair(0), CpuSet::of(0));
    rig.settle();
    rig.block(0);
    let runs = rig.start_on(Policy::Fair(0), CpuSet::of(0));
    rig.settle();
    (runs, waits)
}

#[test]
fn the_woken_task_has_the_cpu_at_once_and_nobody_is_told() {
    let mut rig = Rig::new(2);
    let (runs, waits) = pair(&mut rig);
    rig.s.set_affinity(waits, CpuSet::ALL).unwrap();
    assert_eq!(rig.s.hand_over(0, waits, rig.now), Some(Some(waits)));
    assert_eq!((rig.current(0), rig.s.state(runs)), (Some(waits), Ok(TaskState::Blocked)));
    assert!(rig.s.take_kicks().is_empty() && rig.s.is_off_cpu(runs) && !rig.s.is_off_cpu(waits));
    // And back again, although the other task ran on another CPU last.
    rig.s.set_affinity(runs, CpuSet::of(1)).unwrap();
    rig.s.set_affinity(runs, CpuSet::ALL).unwrap();
    assert_eq!(rig.s.hand_over(0, runs, rig.now), Some(Some(runs)));
    assert_eq!(rig.s.cpu(runs), Ok(0));
}

#[test]
fn the_time_of_both_is_accounted_for() {
    let mut rig = Rig::new(1);
    let (runs, waits) = pair(&mut rig);
    rig.now += MS;
    assert_eq!(rig.s.hand_over(0, waits, rig.now), Some(Some(waits)));
    rig.now += 2 * MS;
    assert_eq!(rig.s.hand_over(0, runs, rig.now), Some(Some(runs)));
    assert_eq!((rig.s.run_time(runs), rig.s.run_time(waits)), (Ok(MS), Ok(2 * MS)));
}

#[test]
fn a_ready_task_that_is_behind_goes_first() {
    let mut rig = Rig::new(1);
    let (runs, waits) = pair(&mut rig);
    let third = rig.start_on(Policy::Fair(0), CpuSet::of(0));
    // Two that wake each other do not keep others from the CPU: sooner or later the third one is behind both.
    let (mut from, mut to) = (runs, waits);
    for _ in 0..100 {
        rig.now += MS;
        match rig.s.hand_over(0, to, rig.now) {
            Some(Some(next)) if next == to => (from, to) = (to, from),
            next => return assert_eq!(next, Some(Some(third))),
        }
    }
    panic!("the third task never runs");
}

#[test]
fn a_real_time_task_goes_first_and_the_woken_task_is_ready() {
    let mut rig = Rig::new(1);
    let (_, waits) = pair(&mut rig);
    let urgent = rig.start_on(Policy::Fifo(1), CpuSet::of(0));
    assert_eq!(rig.s.hand_over(0, waits, rig.now), Some(Some(urgent)));
    assert_eq!(rig.s.state(waits), Ok(TaskState::Ready));
}

#[test]
fn a_task_that_may_not_have_the_cpu_is_woken_elsewhere() {
    let mut rig = Rig::new(2);
    let (_, waits) = pair(&mut rig);
    rig.s.set_affinity(waits, CpuSet::of(1)).unwrap();
    assert_eq!(rig.s.hand_over(0, waits, rig.now), Some(None));
    assert_eq!((rig.s.state(waits), rig.s.cpu(waits)), (Ok(TaskState::Ready), Ok(1)));
    assert!(rig.s.take_kicks().contains(1));
}

#[test]
fn who_was_woken_meanwhile_does_not_wait_and_the_other_is_ready() {
    let mut rig = Rig::new(1);
    let (runs, waits) = pair(&mut rig);
    rig.s.prepare_to_wait(0);
    rig.s.wake(runs, rig.now).unwrap();
    assert_eq!(rig.s.hand_over(0, waits, rig.now), None);
    assert_eq!((rig.current(0), rig.s.state(waits)), (Some(runs), Ok(TaskState::Ready)));
}

#[test]
fn a_cpu_is_told_of_the_woken_task_also_if_the_other_does_not_wait() {
    let mut rig = Rig::new(2);
    let (runs, waits) = pair(&mut rig);
    rig.s.set_affinity(waits, CpuSet::of(1)).unwrap();
    rig.s.prepare_to_wait(0);
    rig.s.wake(runs, rig.now).unwrap();
    assert_eq!(rig.s.hand_over(0, waits, rig.now), None);
    assert!(rig.s.take_kicks().contains(1));
}

#[test]
fn a_task_that_has_ended_is_not_woken() {
    let mut rig = Rig::new(1);
    let (_, waits) = pair(&mut rig);
    rig.s.discard(waits).unwrap();
    assert_eq!(rig.s.hand_over(0, waits, rig.now), Some(None));
}

#[test]
fn who_wakes_and_then_waits_is_not_preempted_in_between() {
    let mut rig = Rig::new(1);
    let (runs, waits) = pair(&mut rig);
    rig.now += 10 * MS;
    rig.s.wake_before_wait(0, waits, rig.now).unwrap();
    assert!(rig.s.take_kicks().is_empty() && !rig.s.wants_reschedule(0));
    assert_eq!(rig.s.wait(0, rig.now), Some(Some(waits)));
    // Without the promise to wait, the same wake-up does preempt.
    rig.now += 10 * MS;
    rig.s.wake(runs, rig.now).unwrap();
    assert!(rig.s.take_kicks().contains(0));
}

#[test]
fn who_does_not_wait_after_all_loses_the_cpu_when_the_turn_is_over() {
    let mut rig = Rig::new(1);
    let (_, waits) = pair(&mut rig);
    rig.now += 10 * MS;
    rig.s.wake_before_wait(0, waits, rig.now).unwrap();
    assert!(rig.s.tick(0, rig.now));
    assert_eq!(rig.schedule(0), Some(waits));
}

#[test]
fn a_wake_up_before_a_wait_preempts_all_but_equals_on_the_wakers_cpu() {
    let mut rig = Rig::new(2);
    let (_, waits) = pair(&mut rig);
    let elsewhere = rig.start_on(Policy::Fair(0), CpuSet::of(1));
    rig.settle();
    rig.block(1);
    let busy = rig.start_on(Policy::Fair(0), CpuSet::of(1));
    rig.settle();
    rig.now += 10 * MS;
    rig.s.wake_before_wait(0, elsewhere, rig.now).unwrap();
    assert!(rig.s.take_kicks() == CpuSet::of(1), "{busy:?} runs on another CPU and waits for nothing");
    rig.s.set_policy(waits, Policy::Fifo(1)).unwrap();
    rig.s.wake_before_wait(0, waits, rig.now).unwrap();
    assert!(rig.s.take_kicks().contains(0));
}

#[test]
fn a_waker_of_the_idle_policy_is_preempted_all_the_same() {
    for cpus in [CpuSet::of(0), CpuSet::ALL] {
        let mut rig = Rig::new(1);
        let (runs, waits) = pair(&mut rig);
        rig.s.set_affinity(waits, cpus).unwrap();
        rig.s.set_policy(runs, Policy::Idle).unwrap();
        let _ = rig.s.take_kicks();
        rig.s.wake_before_wait(0, waits, rig.now).unwrap();
        assert!(rig.s.take_kicks().contains(0));
    }
}
