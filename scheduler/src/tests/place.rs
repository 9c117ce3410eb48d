//! Several CPUs: where tasks run, and who may move them.

use super::rig::Rig;
use crate::{CpuSet, Error, Policy, TaskState};

const FAIR: Policy = Policy::Fair(0);

#[test]
fn woken_tasks_use_idle_cpus_first() {
    let mut rig = Rig::new(3);
    let tasks = [FAIR; 3].map(|policy| rig.go(policy));
    let mut cpus = tasks.map(|task| rig.s.cpu(task).unwrap());
    cpus.sort_unstable();
    assert_eq!(cpus, [0, 1, 2]);
    let last = rig.s.cpu(tasks[1]).unwrap();
    rig.block(last);
    rig.block(rig.s.cpu(tasks[2]).unwrap());
    rig.wake(tasks[1]);
    assert_eq!(rig.s.cpu(tasks[1]), Ok(last));
}

#[test]
fn a_woken_task_kicks_only_the_cpu_that_shall_run_it() {
    let mut rig = Rig::new(2);
    let task = rig.s.spawn(FAIR, CpuSet::ALL, Some(1)).unwrap();
    rig.s.wake(task, 0).unwrap();
    assert_eq!(rig.s.take_kicks(), CpuSet::of(1));
    assert_eq!(rig.s.take_kicks(), CpuSet::EMPTY);
    assert!(rig.s.wants_reschedule(1) && !rig.s.wants_reschedule(0));
    assert_eq!(rig.schedule(1), Some(task));
    assert!(!rig.s.wants_reschedule(1));
}

#[test]
fn real_time_tasks_go_where_the_least_important_one_runs() {
    let mut rig = Rig::new(3);
    for (cpu, level) in [(0, 30), (1, 10), (2, 20)] {
        rig.start_on(Policy::Fifo(level), CpuSet::of(cpu));
    }
    rig.settle();
    let task = rig.s.spawn(Policy::Fifo(25), CpuSet::ALL, Some(0)).unwrap();
    rig.wake(task);
    assert_eq!(rig.current(1), Some(task));
    let next = rig.s.spawn(Policy::Fifo(25), CpuSet::ALL, Some(0)).unwrap();
    rig.wake(next);
    assert_eq!(rig.current(2), Some(next));
    let last = rig.s.spawn(Policy::Fifo(25), CpuSet::ALL, Some(1)).unwrap();
    rig.wake(last);
    assert_eq!((rig.s.cpu(last), rig.s.state(last)), (Ok(1), Ok(TaskState::Ready)));
}

#[test]
fn two_kicked_tasks_do_not_share_one_cpu() {
    let mut rig = Rig::new(3);
    for cpu in 0..3 {
        rig.start_on(FAIR, CpuSet::of(cpu));
    }
    rig.settle();
    let tasks = [10, 20, 30].map(|level| rig.start(Policy::Fifo(level)));
    rig.settle();
    for task in tasks {
        assert_eq!(rig.s.state(task), Ok(TaskState::Running));
    }
}

#[test]
fn a_preempted_real_time_task_runs_on_elsewhere() {
    let mut rig = Rig::new(2);
    rig.start_on(Policy::Fifo(5), CpuSet::of(1));
    let task = rig.start_on(Policy::Fifo(10), CpuSet::of(0));
    rig.settle();
    rig.s.set_affinity(task, CpuSet::ALL).unwrap();
    rig.start_on(Policy::Fifo(20), CpuSet::of(0));
    rig.settle();
    assert_eq!(rig.current(1), Some(task));
}

#[test]
fn a_cpu_that_gets_idle_steals_what_it_may() {
    let mut rig = Rig::new(2);
    let other = rig.start_on(FAIR, CpuSet::of(1));
    rig.settle();
    let here =
        [CpuSet::of(0), CpuSet::of(0), CpuSet::ALL, CpuSet::of(0)].map(|cpus| rig.start_on(FAIR, cpus));
    rig.settle();
    let pinned = rig.current(0).unwrap();
    assert_eq!(pinned, here[0]);
    assert_eq!(rig.current(1), Some(other));
    rig.block(1);
    assert_eq!(rig.current(1), Some(here[2]));
    rig.block(1);
    assert_eq!(rig.current(1), None);
    assert_eq!(rig.s.ready(0), 2);
}

#[test]
fn a_task_on_its_way_out_is_not_stolen_before_the_switch() {
    let mut rig = Rig::new(2);
    let low = rig.go(Policy::Fifo(1));
    let cpu = rig.s.cpu(low).unwrap();
    let other = 1 - cpu;
    let high = rig.start_on(Policy::Fifo(2), CpuSet::of(cpu));
    assert_eq!(rig.s.pick(cpu, 0), Some(high));
    assert_eq!(rig.s.pick(other, 0), None);
    assert!(!rig.s.wants_reschedule(other));
    rig.s.switched(cpu);
    assert_eq!(rig.s.take_kicks(), CpuSet::of(other));
    assert_eq!(rig.s.pick(other, 0), Some(low));
}

#[test]
fn a_task_woken_on_its_way_out_is_placed_after_the_switch() {
    let mut rig = Rig::new(2);
    let task = rig.go(FAIR);
    let cpu = rig.s.cpu(task).unwrap();
    assert!(rig.s.block(cpu, 0));
    assert_eq!(rig.s.pick(cpu, 0), None);
    rig.s.wake(task, 0).unwrap();
    assert_eq!((rig.s.state(task), rig.s.take_kicks()), (Ok(TaskState::Ready), CpuSet::EMPTY));
    assert_eq!(rig.s.pick(1 - cpu, 0), None);
    rig.s.switched(cpu);
    assert!(rig.s.wants_reschedule(cpu));
    assert_eq!(rig.s.pick(cpu, 0), Some(task));
}

#[test]
fn affinity_moves_tasks_in_every_state() {
    let mut rig = Rig::new(2);
    let running = rig.start_on(FAIR, CpuSet::of(0));
    let ready = rig.start_on(FAIR, CpuSet::of(0));
    let blocked = rig.s.spawn(FAIR, CpuSet::of(0), None).unwrap();
    rig.settle();
    assert_eq!(rig.s.set_affinity(ready, CpuSet(0b100)), Err(Error::Invalid));
    rig.s.set_affinity(ready, CpuSet::of(1)).unwrap();
    assert_eq!(rig.s.take_kicks(), CpuSet::of(1));
    rig.settle();
    assert_eq!(rig.current(1), Some(ready));
    rig.s.set_affinity(running, CpuSet::of(1)).unwrap();
    assert_eq!((rig.s.take_kicks(), rig.s.cpu(running)), (CpuSet::of(0), Ok(0)));
    rig.settle();
    assert_eq!((rig.current(0), rig.s.cpu(running)), (None, Ok(1)));
    rig.s.set_affinity(blocked, CpuSet::of(1)).unwrap();
    rig.wake(blocked);
    assert_eq!(rig.s.cpu(blocked), Ok(1));
}

#[test]
fn a_pinned_task_stays_until_it_is_unpinned() {
    let mut rig = Rig::new(2);
    let task = rig.start_on(FAIR, CpuSet::of(0));
    rig.settle();
    rig.s.pin(task).unwrap();
    rig.s.pin(task).unwrap();
    rig.s.set_affinity(task, CpuSet::of(1)).unwrap();
    rig.settle();
    assert_eq!(rig.current(0), Some(task));
    rig.start_on(Policy::Fifo(1), CpuSet::of(0));
    rig.settle();
    assert_eq!((rig.s.state(task), rig.current(1)), (Ok(TaskState::Ready), None));
    rig.block(0);
    rig.block(0);
    rig.wake(task);
    assert_eq!(rig.current(0), Some(task));
    rig.s.unpin(task).unwrap();
    rig.settle();
    assert_eq!(rig.current(0), Some(task));
    rig.s.unpin(task).unwrap();
    rig.settle();
    assert_eq!(rig.current(1), Some(task));
    assert_eq!(rig.s.unpin(task), Err(Error::Invalid));
}

#[test]
fn a_cpu_that_comes_online_takes_work() {
    let mut rig = Rig::new(2);
    let mut s = crate::Scheduler::new(2).unwrap();
    s.online(0).unwrap();
    std::mem::swap(&mut rig.s, &mut s);
    let tasks = [FAIR; 2].map(|policy| rig.go(policy));
    assert_eq!(rig.s.ready(0), 1);
    rig.s.online(1).unwrap();
    assert_eq!(rig.s.take_kicks(), CpuSet::of(1));
    rig.settle();
    assert!(tasks.iter().all(|&task| rig.s.state(task) == Ok(TaskState::Running)));
}
