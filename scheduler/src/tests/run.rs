//! One CPU: who runs.

use super::rig::{MS, Rig};
use crate::{CpuSet, Error, Policy, TaskState};

#[test]
fn higher_priority_preempts_and_the_preempted_one_keeps_its_place() {
    let mut rig = Rig::new(1);
    let first = rig.go(Policy::Fifo(10));
    let second = rig.go(Policy::Fifo(10));
    let high = rig.go(Policy::Fifo(20));
    assert_eq!(rig.current(0), Some(high));
    rig.block(0);
    assert_eq!(rig.current(0), Some(first));
    assert_eq!(rig.s.state(second), Ok(TaskState::Ready));
    rig.s.yield_now(0);
    rig.settle();
    assert_eq!(rig.current(0), Some(second));
}
