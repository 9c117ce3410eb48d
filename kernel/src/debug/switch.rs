//! Rule I5: what a CPU's debug state must be where it switches to another task.

use crate::arch::daif::{self, AllMasked};
use crate::arch::mdscr;
use crate::kprobe;
use rules::switch::SwitchState;

/// This CPU's state, as far as rule I5 asks for it. Any context. This function is no-probe text: while a probed
/// instruction runs, a step of the context is set aside (M12), so the function would not see the step.
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

/// Checks rule I5. A scheduler calls this right before it switches, when it has taken the outgoing thread's debug state
/// off the CPU ([`step::save`](super::step::save)). Where rule I5 is broken, breakpoints, watchpoints or steps would be
/// missed. Release builds check nothing.
///
/// # Panics
/// In checked builds, if the CPU may not switch.
#[inline]
pub fn check_switchable() {
    #[cfg(debug_assertions)]
    if let Err(fault) = switch_state().may_switch() {
        panic!("rule I5 violated: switching tasks {fault}");
    }
}
