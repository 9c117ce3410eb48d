//! What FreeBSD's kernel debugger does about interrupts.

use super::behaviour::Behaviours;
use super::policy::Policy;

/// The product's rules, but interrupts are masked while an instruction is stepped.
pub const FREEBSD_MASK: Policy = Policy {
    name: "freebsd-mask",
    title: "A, I and F are masked while an instruction of the kernel is stepped, and put back behind it.",
    origin: "FreeBSD's kdb_cpu_set_singlestep, by reading. Its own comment says that an instruction which reads DAIF reads a wrong value.",
    cells: &[],
    behaviours: Behaviours { masks_interrupts_in_steps: true, ..Behaviours::PRODUCT },
};
