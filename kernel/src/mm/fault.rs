//! What becomes of a fault at EL1 (M6).

use crate::debug::stats;
use crate::exception::frame::ec;
use crate::exception::{Frame, extable};
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

/// Sees a fault, with all that the context it belongs to may know of it; true if it has dealt with it, by changing the frame.
pub type Catcher = fn(&mut Frame) -> bool;

static CATCHER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Has every fault of every CPU shown to `catcher` first, or to nobody: for tests of code that must fault. Any context.
pub fn catch(catcher: Option<Catcher>) {
    let pointer = catcher.map_or(core::ptr::null_mut(), |catcher| catcher as *mut ());
    CATCHER.store(pointer, Release);
}

/// Deals with a fault; false if nothing can be done about it. In the masks of the context that faulted, at its debug depth: in
/// a debug context too, so nothing here waits. Can be probed.
#[inline(never)]
pub fn handle(frame: &mut Frame) -> bool {
    let catcher = CATCHER.load(Acquire);
    if !catcher.is_null() {
        // SAFETY: `catch` stored a function of this type.
        let catcher: Catcher = unsafe { core::mem::transmute(catcher) };
        if catcher(frame) {
            return true;
        }
    }
    // HLT where there is no semihosting is UNDEFINED.
    if !matches!(frame.class(), ec::DATA_ABORT_SAME | ec::UNKNOWN) {
        return false;
    }
    let Some(pc) = extable::fixup(frame.pc) else { return false };
    frame.move_to(pc);
    stats::FIXUPS.count_shared();
    true
}
