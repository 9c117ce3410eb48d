//! Handles a fault at EL1 (M6), by the function that a test has named for that, or by the table of
//! `exception::extable`.

use crate::debug::stats;
use crate::exception::frame::ec;
use crate::exception::{Frame, extable};
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

/// Looks at the frame of a fault. Returns true if it has dealt with the fault, by changing the frame.
pub type Catcher = fn(&mut Frame) -> bool;

static CATCHER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Names the function that is called first for every fault of every CPU, or none. For tests of code that must fault.
/// Any context.
pub fn catch(catcher: Option<Catcher>) {
    let pointer = catcher.map_or(core::ptr::null_mut(), |catcher| catcher as *mut ());
    CATCHER.store(pointer, Release);
}

/// Looks at a fault on user memory. Returns true if the access succeeds now.
pub type User = fn(&Frame) -> bool;

static USER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Names the function that brings user memory in. Called at boot.
pub fn set_user(user: User) {
    USER.store(user as *mut (), Release);
}

/// Whether a fault is a data abort at an address of programs: bit 55 selects TTBR0_EL1, whatever the tag (DDI 0487 D8, "Address tagging").
fn is_of_user(frame: &Frame) -> bool {
    frame.class() == ec::DATA_ABORT_SAME && frame.far >> 55 & 1 == 0
}

/// Whether a fault was one on user memory that is repaired now. Only code that may sleep, and that has a fix-up, is helped: all other code must
/// not touch user memory, and finds an error there.
fn repaired(frame: &Frame) -> bool {
    let user = USER.load(Acquire);
    if user.is_null() || !is_of_user(frame) || !crate::sched::may_sleep() {
        return false;
    }
    // SAFETY: `set_user` stored a function of this type.
    let user: User = unsafe { core::mem::transmute(user) };
    user(frame)
}

/// Deals with a fault. Returns false if nothing can be done about it. Runs with the masks and at the debug depth of the
/// context that has faulted, which may be a debug context, so this function never waits. Probes can be placed on it.
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
    // `power::exit` executes HLT, which is UNDEFINED if there is no semihosting: it has a fix-up too.
    if !matches!(frame.class(), ec::DATA_ABORT_SAME | ec::UNKNOWN) {
        return false;
    }
    let Some(pc) = extable::fixup(frame.pc) else { return false };
    if repaired(frame) {
        return true;
    }
    frame.move_to(pc);
    if is_of_user(frame) {
        stats::USER_FIXUPS.count_shared()
    } else {
        stats::FIXUPS.count_shared()
    }
    true
}
