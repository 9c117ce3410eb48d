//! How a handler of a signal begins, and how the program goes on after it.

use super::table::table;
use super::trace::state::Stops;
use super::user::FrameMemory;
use super::{Task, user, vdso};
use crate::debug;
use crate::errno::Errno;
use crate::exception::Frame;
use linux_raw_sys::general::SEGV_MAPERR;
use signals::frame::{self, Fpsimd, Interrupted, Place, Registers};
use signals::{AltStack, Entry, Info, SigSet, Signal};
use zerocopy::FromBytes;

/// AArch64's MINSIGSTKSZ, in bytes.
pub(crate) const STACK_MIN: u64 = 5120;

/// How a handler starts, and what its frame saves. The task has the mask and the alternate stack of the handler already.
pub(super) struct Start {
    pub entry: Entry,
    /// FAR_EL1 and ESR_EL1, if the signal is that of a fault.
    pub fault: Option<(u64, u64)>,
    /// The mask that the handler's end puts back.
    pub saves: SigSet,
    /// The mask before, and what [`Task::set_blocked_for_call`] had set aside.
    pub blocked: (SigSet, Option<SigSet>),
    pub alternate: AltStack,
}

/// The registers of a frame as programs know them.
pub(super) fn registers_of(frame: &mut Frame) -> &mut Registers {
    match Registers::mut_from_prefix(zerocopy::IntoBytes::as_mut_bytes(frame)) {
        Ok((registers, _)) => registers,
        Err(_) => unreachable!("a frame begins with the registers, and is aligned as they are"),
    }
}

/// The registers of a frame as programs know them.
pub(super) fn registers_in(frame: &Frame) -> &Registers {
    match Registers::ref_from_prefix(zerocopy::IntoBytes::as_bytes(frame)) {
        Ok((registers, _)) => registers,
        Err(_) => unreachable!("a frame begins with the registers, and is aligned as they are"),
    }
}

/// As [`begin`], for callers that come here seldom.
#[inline(never)]
pub(super) fn begin_later(task: &Task, frame: &mut Frame, info: &Info, start: &Start) {
    begin(task, frame, info, start);
}

/// Writes the frame of a handler, and has the task go on in the handler. If the frame cannot be written the task gets SIGSEGV. The caller
/// holds the process's lock of delivery.
#[inline(always)]
pub(super) fn begin(task: &Task, frame: &mut Frame, info: &Info, start: &Start) {
    if task.debug.is_active() {
        task.debug.handler_begins(frame);
    }
    let registers = registers_of(frame);
    let fp = task.saved_fp();
    let interrupted = Interrupted {
        registers,
        v: &fp.v,
        fpsr: fp.fpsr as u32,
        fpcr: fp.fpcr as u32,
        fault: start.fault,
        blocked: start.saves,
        alternate: start.alternate,
    };
    let place = Place::below(start.entry.top).filter(|place| {
        let memory = FrameMemory::new(place.frame, (frame::FRAME_SIZE + frame::RECORD_SIZE) as usize);
        memory.is_ok_and(|mut memory| frame::write(place, &start.entry, info, &interrupted, &mut memory))
    });
    match place {
        Some(place) => {
            frame::enter_handler(registers, info.signal, &start.entry, &place, vdso::sigreturn());
            frame.move_to(frame.pc);
        }
        None => cannot_begin(task, info.signal, start),
    }
}

/// The frame of a handler could not be written.
#[cold]
#[inline(never)]
fn cannot_begin(task: &Task, signal: Signal, start: &Start) {
    let mut table = table();
    let Some((entry, at)) = table.own(task) else { return };
    let member = &mut entry.members[at];
    (member.blocked, member.saved) = start.blocked;
    member.alternate = start.alternate;
    entry.actions.force_after_failed_frame(signal, &mut member.blocked);
    let _ = member.pending.push(Info::kernel(Signal::SIGSEGV), usize::MAX);
    entry.refresh(at);
}

/// rt_sigreturn: the program goes on where a handler has interrupted it. Returns X0. Thread context; may sleep.
///
/// # Errors
/// None: a frame that cannot be taken over ends in SIGSEGV.
#[inline(never)]
pub fn sigreturn(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    task.take_restart();
    let at = frame.sp;
    let load = |fpsimd: &Fpsimd| super::load_fp(&fpsimd.v, fpsimd.fpsr, fpsimd.fpcr);
    let restored = FrameMemory::new(at, frame::FRAME_SIZE as usize)
        .ok()
        .and_then(|mut memory| frame::restore(at, registers_of(frame), &mut memory, load).ok());
    let Some(masks) = restored else {
        // As on Linux, the mask is taken over before the rest is looked at: so SIGSEGV is not blocked if its own handler returns wrongly.
        if let Ok(mask) = user::get(at.wrapping_add(frame::MASK_AT)) {
            task.set_blocked(SigSet(mask));
        }
        task.force(frame, &Info::fault(Signal::SIGSEGV, SEGV_MAPERR, at), None, Stops::Later);
        return Ok(frame.x[0]);
    };
    frame.move_to(frame.pc);
    if task.debug.is_active() {
        debug::task::handler_returns();
    }
    if let Some((entry, at)) = table().own(task) {
        let member = &mut entry.members[at];
        member.blocked = masks.blocked;
        if masks.alternate != member.alternate.saved() {
            let _ = member.alternate.set(masks.alternate, frame.sp, STACK_MIN);
        }
        // Only signals that wait can be unblocked.
        if !(member.pending.signals() | entry.pending.signals()).is_empty() {
            entry.refresh(at);
        }
    }
    Ok(frame.x[0])
}
