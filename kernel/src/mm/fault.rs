//! What becomes of a fault at EL1 (M6).

use crate::debug::stats;
use crate::exception::frame::ec;
use crate::exception::{Frame, extable};

/// Deals with a fault; false if nothing can be done about it. In the masks of the context that faulted, at its debug depth: in
/// a debug context too, so nothing here waits. Can be probed.
#[inline(never)]
pub fn handle(frame: &mut Frame) -> bool {
    // HLT where there is no semihosting is UNDEFINED.
    if !matches!(frame.class(), ec::DATA_ABORT_SAME | ec::UNKNOWN) {
        return false;
    }
    let Some(pc) = extable::fixup(frame.pc) else { return false };
    frame.move_to(pc);
    stats::FIXUPS.count_shared();
    true
}
