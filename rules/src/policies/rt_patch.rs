//! The patch with which the discussion of 2020 begins.

use super::behaviour::{Behaviours, Delivery, Opens};
use super::linux_2020::LINUX_2020;
use super::policy::Policy;

/// As in Linux of 2020, but preemption stays on.
const PREEMPTIBLE: Delivery = Delivery { preemptible: true, opens: Opens::Interrupts };

/// Linux 5.8 with Paul Gortmaker's patch, which only takes `preempt_disable` out of the entry.
pub const RT_PATCH: Policy = Policy {
    name: "rt-patch",
    title: "linux-2020 without its preempt_disable: debug exceptions of programs are delivered with preemption on, but D masked.",
    origin: "The patch of June 2020, \"don't preempt_disable in do_debug_exception\".",
    cells: LINUX_2020.cells,
    behaviours: Behaviours { brk: PREEMPTIBLE, step: PREEMPTIBLE, hit: PREEMPTIBLE, ..LINUX_2020.behaviours },
};
