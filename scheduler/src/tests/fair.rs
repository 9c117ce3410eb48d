//! The fair class: shares, sleepers, no starvation.

use proptest::prelude::*;

use super::rig::{MS, Rig};
use crate::{CpuSet, MIN_GRANULARITY, Policy, SLEEPER_BONUS, TaskId};

fn run_times(rig: &Rig, tasks: &[TaskId]) -> Vec<u64> {
    tasks.iter().map(|&task| rig.s.run_time(task).unwrap()).collect()
}

fn spread(times: &[u64]) -> u64 {
    times.iter().max().unwrap() - times.iter().min().unwrap()
}

#[test]
fn equal_tasks_stay_within_few_quanta() {
    let mut rig = Rig::new(1);
    let tasks = [0; 7].map(|nice| rig.go(Policy::Fair(nice)));
    for _ in 0..200 {
        rig.run(7);
        let times = run_times(&rig, &tasks);
        assert!(spread(&times) <= 2 * (MIN_GRANULARITY + MS), "{times:?}");
    }
}

#[test]
fn shares_follow_the_weights() {
    let mut rig = Rig::new(1);
    let [heavy, light] = [rig.go(Policy::Fair(-5)), rig.go(Policy::Fair(0))];
    rig.run(4000);
    let [heavy, light] = [heavy, light].map(|task| rig.s.run_time(task).unwrap() / MS);
    // 1.25^5 is 3.05.
    assert!((300..=310).contains(&(heavy * 100 / light)), "{heavy} {light}");
}

#[test]
fn idle_policy_gets_little_but_something() {
    let mut rig = Rig::new(1);
    let [idle, fair] = [rig.go(Policy::Idle), rig.go(Policy::Fair(0))];
    rig.run(20_000);
    let idle = rig.s.run_time(idle).unwrap();
    assert!((10 * MS..200 * MS).contains(&idle), "{idle}");
    assert!(rig.s.run_time(fair).unwrap() > 19_000 * MS);
}

#[test]
fn a_sleeper_preempts_but_is_not_paid_for_its_sleep() {
    let mut rig = Rig::new(1);
    let sleeper = rig.go(Policy::Fair(0));
    rig.block(0);
    let runner = rig.go(Policy::Fair(0));
    rig.run(10_000);
    rig.wake(sleeper);
    assert_eq!(rig.current(0), Some(sleeper));
    let before = run_times(&rig, &[runner])[0];
    rig.run(1000);
    let times = run_times(&rig, &[sleeper, runner]);
    assert!(
        spread(&[times[0], times[1] - before]) <= SLEEPER_BONUS + 2 * (MIN_GRANULARITY + MS),
        "{times:?}"
    );
}

#[test]
fn two_that_wake_each_other_do_not_preempt_without_end() {
    let mut rig = Rig::new(1);
    let tasks = [rig.go(Policy::Fair(0)), rig.go(Policy::Fair(0))];
    rig.now += MS / 2;
    let current = rig.current(0).unwrap();
    for _ in 0..5 {
        rig.schedule(0);
        assert_eq!(rig.current(0), Some(current));
    }
    rig.s.yield_now(0);
    rig.settle();
    assert_eq!(rig.current(0), tasks.into_iter().find(|&task| task != current));
}

#[test]
fn a_boosted_or_real_time_past_is_not_paid_back() {
    let mut rig = Rig::new(1);
    let past = rig.go(Policy::Fifo(1));
    let other = rig.go(Policy::Fair(0));
    rig.run(5000);
    rig.s.set_policy(past, Policy::Fair(0)).unwrap();
    rig.settle();
    let before = run_times(&rig, &[past])[0];
    rig.run(1000);
    let times = run_times(&rig, &[past, other]);
    assert!(
        spread(&[times[0] - before, times[1]]) <= SLEEPER_BONUS + 2 * (MIN_GRANULARITY + MS),
        "{times:?}"
    );
}

#[test]
fn loads_become_equal() {
    let mut rig = Rig::new(2);
    let tasks = [0; 4].map(|nice| rig.start_on(Policy::Fair(nice), CpuSet::of(0)));
    tasks.iter().for_each(|&task| rig.s.set_affinity(task, CpuSet::ALL).unwrap());
    rig.settle();
    rig.run(2000);
    let times = run_times(&rig, &tasks);
    assert!(spread(&times) <= 100 * MS, "{times:?}");
}

#[test]
fn fair_tasks_leave_a_cpu_that_real_time_keeps() {
    let mut rig = Rig::new(2);
    let fair = [0; 2].map(|nice| rig.start_on(Policy::Fair(nice), CpuSet::of(0)));
    rig.go(Policy::Fair(0));
    rig.start_on(Policy::Fifo(1), CpuSet::of(0));
    rig.settle();
    fair.iter().for_each(|&task| rig.s.set_affinity(task, CpuSet::ALL).unwrap());
    rig.run(1000);
    let times = run_times(&rig, &fair);
    assert!(times.iter().all(|&time| time > 250 * MS), "{times:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Fair tasks of any weight that sleep at random: those that want the CPU get their share.
    #[test]
    fn nobody_starves(cpus in 1_usize..=4, nices in prop::collection::vec(-20_i8..=19, 2..8), sleeps in prop::collection::vec((0_usize..4, 0_usize..8), 300)) {
        let mut rig = Rig::new(cpus);
        let hog = rig.go(Policy::Fair(0));
        let tasks: Vec<_> = nices.iter().map(|&nice| rig.go(Policy::Fair(nice))).collect();
        for (cpu, task) in sleeps {
            if rig.current(cpu).is_some_and(|current| current != hog) {
                rig.block(cpu);
            }
            if let Some(&task) = tasks.get(task) {
                rig.wake(task);
            }
            rig.run(10);
        }
        // Its share is at least 1024 of 1024 and all others' weights.
        let others: u64 = nices.iter().map(|&nice| crate::weight::weight(crate::Priority::Fair(nice))).sum();
        let share = 3000 * MS * 1024 / (1024 + others);
        prop_assert!(rig.s.run_time(hog).unwrap() > share / 3, "{} of {share}", rig.s.run_time(hog).unwrap());
        let total: u64 = run_times(&rig, &tasks).iter().sum::<u64>() + rig.s.run_time(hog).unwrap();
        prop_assert!(total <= 3000 * MS * cpus as u64);
        prop_assert!(total >= 3000 * MS);
    }

    #[test]
    fn equal_tasks_stay_close_on_one_cpu(count in 2_usize..10, ticks in prop::collection::vec(1_u64..6, 300)) {
        let mut rig = Rig::new(1);
        let tasks: Vec<_> = (0..count).map(|_| rig.go(Policy::Fair(3))).collect();
        for tick in ticks {
            rig.now += tick * MS;
            rig.s.tick(0, rig.now);
            rig.settle();
            let times = run_times(&rig, &tasks);
            prop_assert!(spread(&times) <= 2 * (MIN_GRANULARITY + 6 * MS), "{times:?}");
        }
    }
}
