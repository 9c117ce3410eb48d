//! An interrupt moves the context that it has interrupted out of copies and trampolines (rule K4).

use super::{copies, optimised};
use crate::exception::Frame;
use crate::mm::layout;
use probe::ool::Copies;

/// Moves an interrupted context out of a copy or a trampoline: behind the probed instruction if that has been executed,
/// else back to the instruction with nothing done. So interrupt handlers see only the probed function, and no thread
/// that was switched away stands in a copy: a removal need not wait for threads. All exceptions are masked.
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
    // In a copy an interrupt can come only at the branch back, because the copy opens I and F right in front of that. A
    // context at the branch back has executed the displaced instruction.
    if let Some((site, offset)) = copies::site_of(frame.pc)
        && Copies::settled(offset)
    {
        frame.pc = site.address + 4;
    } else {
        optimised::settle(frame);
    }
}
