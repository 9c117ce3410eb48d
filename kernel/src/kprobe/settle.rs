//! No interrupt leaves a context in a copy or in a trampoline (rule K4).

use super::{copies, optimised};
use crate::exception::Frame;
use crate::mm::layout;
use probe::ool::Copies;

/// Moves an interrupted context out of a copy or a trampoline: behind the probed instruction if that has been executed, else back to
/// it with nothing done. So interrupt handlers see the probed function only, and a thread that is switched away needs no copy to stay.
/// All exceptions are masked.
#[inline(always)]
pub fn settle(frame: &mut Frame) {
    if layout::may_be_copy(frame.pc) {
        settle_copy(frame);
    }
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn settle_copy(frame: &mut Frame) {
    // In a copy an interrupt can come only at the branch back, which opens I and F. A context that stands there has executed it.
    if let Some((site, offset)) = copies::site_of(frame.pc)
        && Copies::settled(offset)
    {
        frame.pc = site.address + 4;
    } else {
        optimised::settle(frame);
    }
}
