//! Rule I5: what a CPU's debug state must be where it switches to another task.

use crate::arch::daif::{self, AllMasked};
use crate::arch::mdscr;
use crate::kprobe;
use rules::switch::SwitchState;

/// This CPU's state, as rule I5 looks at it. Any context. No probe may be on what reads it: while its instruction runs, a step
/// of the context is set aside (M12), and would not be seen.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn switch_state() -> SwitchState {
    let (masks, ss) = (daif::read(), mdscr::read() & mdscr::SS != 0);
    let _masked = AllMasked::new();
    let cpu = super::this();
    SwitchState {
        masks,
        ss,
        debug_depth: cpu.depth.get() as usize,
        active_probes: kprobe::depth(),
        stash: cpu.stash_len.get(),
        el1_slot_suspended: super::slots::any_suspended(),
    }
}

/// For a scheduler, right before it switches, when it has taken the outgoing thread's debug state off the CPU
/// ([`step::save`](super::step::save)). In checked builds a violation of rule I5 is the end, since it would be a hole in what
/// debug exceptions cover.
///
/// # Panics
/// In checked builds, where the CPU may not switch.
#[inline]
pub fn check_switchable() {
    #[cfg(debug_assertions)]
    if let Err(fault) = switch_state().may_switch() {
        panic!("rule I5 violated: switching tasks {fault}");
    }
}
