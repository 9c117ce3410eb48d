//! What must hold after every operation.

use std::collections::BTreeMap;

use crate::{
    Priority, Scheduler, TaskId,
    fair::before,
    task::{Slot, State},
    weight::weight,
};

#[derive(Debug, PartialEq)]
enum Place {
    Current(usize),
    Leaving(usize),
    RealTime(usize),
    Fair(usize),
    Waiter(u32),
}

fn places(s: &Scheduler, alive: &[TaskId]) -> BTreeMap<Slot, Vec<Place>> {
    let mut places: BTreeMap<Slot, Vec<Place>> =
        alive.iter().map(|id| (s.tasks.find(*id).unwrap(), Vec::new())).collect();
    let mut add = |task: Slot, place| places.get_mut(&task).expect("a dead task has a place").push(place);
    for (number, cpu) in s.cpus.iter().enumerate() {
        cpu.current.into_iter().for_each(|task| add(task, Place::Current(number)));
        cpu.leaving.into_iter().for_each(|task| add(task, Place::Leaving(number)));
        cpu.real_time.above(0, &s.tasks).for_each(|task| add(task, Place::RealTime(number)));
        cpu.fair.rather_late_first().for_each(|task| add(task, Place::Fair(number)));
    }
    // The table of locks is reached through the waiters' states.
    let mut locks: Vec<u32> =
        alive.iter().filter_map(|id| waits_for(s, s.tasks.find(*id).unwrap())).collect();
    locks.sort_unstable();
    locks.dedup();
    for lock in locks {
        s.locks[lock].waiters.iter(&s.tasks).for_each(|task| add(task, Place::Waiter(lock)));
    }
    places
}

fn waits_for(s: &Scheduler, task: Slot) -> Option<u32> {
    match s.tasks[task].state {
        State::Waiting(lock) => Some(lock),
        _ => None,
    }
}

fn check_places(s: &Scheduler, alive: &[TaskId]) {
    for (task, places) in places(s, alive) {
        let t = &s.tasks[task];
        let queue = if t.level() > 0 { Place::RealTime(t.cpu) } else { Place::Fair(t.cpu) };
        let (current, leaving) = (Place::Current(t.cpu), Place::Leaving(t.cpu));
        let on_cpu = places.contains(&current) || places.contains(&leaving);
        assert_eq!(t.on_cpu, on_cpu, "{t:?} {places:?}");
        let count = places.len();
        let right = match t.state {
            State::Running => places == [current],
            State::Ready => places == [leaving] || places == [queue],
            State::Blocked | State::Exited => count == usize::from(on_cpu),
            State::Waiting(lock) => places.contains(&Place::Waiter(lock)) && count == 1 + usize::from(on_cpu),
            State::Free => false,
        };
        assert!(right, "{t:?} {places:?}");
        if t.is_queued() {
            assert!(s.allowed(task).contains(t.cpu), "{t:?}");
        }
    }
}

fn check_queues(s: &Scheduler) {
    for (number, cpu) in s.cpus.iter().enumerate() {
        let fair: Vec<Slot> = cpu.fair.rather_late_first().collect();
        assert_eq!(cpu.fair.load(), fair.iter().map(|&task| weight(s.tasks[task].effective)).sum());
        for task in fair {
            let first = cpu.fair.first().unwrap();
            assert!(!before(s.tasks[task].vruntime, s.tasks[first].vruntime));
        }
        let real_time: Vec<u8> = cpu.real_time.above(0, &s.tasks).map(|task| s.tasks[task].level()).collect();
        assert!(real_time.is_sorted_by(|a, b| a >= b));
        assert_eq!((cpu.real_time.len(), cpu.real_time.top()), (real_time.len(), real_time.first().copied()));
        assert_eq!(s.real_time_ready.contains(number), !real_time.is_empty());
    }
    assert!((s.kicks & !s.reschedule).is_empty());
}

/// What a task's own policy and all that wait for its locks give, looked up without any list of the scheduler.
fn naive_priority(s: &Scheduler, alive: &[TaskId], task: Slot) -> Priority {
    let waiters = alive.iter().map(|id| s.tasks.find(*id).unwrap());
    let waiters =
        waiters.filter(|&waiter| waits_for(s, waiter).is_some_and(|lock| s.locks[lock].owner == task));
    waiters
        .map(|waiter| naive_priority(s, alive, waiter))
        .fold(s.tasks[task].policy.priority().unwrap(), Ord::max)
}

fn check_inheritance(s: &Scheduler, alive: &[TaskId]) {
    for id in alive {
        let task = s.tasks.find(*id).unwrap();
        assert_eq!(s.tasks[task].effective, naive_priority(s, alive, task), "{:?}", s.tasks[task]);
        if let Some(lock) = waits_for(s, task) {
            let order: Vec<Priority> =
                s.locks[lock].waiters.iter(&s.tasks).map(|t| s.tasks[t].effective).collect();
            assert!(order.is_sorted_by(|a, b| a >= b));
            assert_eq!(s.locks.find(s.locks[lock].key), Some(lock));
        }
    }
}

/// Each ready task that is more important than what runs on a CPU of its own, idling included, has a kick outstanding.
fn check_kicks(s: &Scheduler) {
    for cpu in &s.cpus {
        for task in cpu.real_time.above(0, &s.tasks).chain(cpu.fair.rather_late_first()) {
            let allowed = s.allowed(task);
            let level = Some(s.tasks[task].level());
            let lower = allowed.iter().any(|cpu| s.cpus[cpu].level(&s.tasks) < level);
            assert!(!lower || !(allowed & s.reschedule).is_empty(), "nobody comes for {:?}", s.tasks[task]);
        }
    }
}

pub(super) fn check(s: &Scheduler, alive: &[TaskId]) {
    check_places(s, alive);
    check_queues(s);
    check_inheritance(s, alive);
    check_kicks(s);
}
