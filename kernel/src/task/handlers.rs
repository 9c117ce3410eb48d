//! How a handler of a signal begins, and how the program goes on after it.

use super::table::table;
use super::{Task, user, vdso};
use crate::arch::fp;
use crate::debug;
use crate::errno::Errno;
use crate::exception::Frame;
use linux_raw_sys::general::SEGV_MAPERR;
use signals::frame::{self, Fpsimd, Interrupted, Place, Registers};
use signals::{AltStack, Entry, Info, SigSet, Signal};

/// AArch64's MINSIGSTKSZ, in bytes.
pub(crate) const STACK_MIN: u64 = 5120;

/// How a handler starts, and what its frame saves.
pub(super) struct Start {
    pub entry: Entry,
    /// FAR_EL1 and ESR_EL1, if the signal is that of a fault.
    pub fault: Option<(u64, u64)>,
    pub blocked: SigSet,
    pub alternate: AltStack,
}

fn registers_of(frame: &Frame) -> Registers {
    Registers { x: frame.x, sp: frame.sp, pc: frame.pc, pstate: frame.pstate }
}

fn set_registers(frame: &mut Frame, registers: &Registers) {
    (frame.x, frame.sp, frame.pstate) = (registers.x, registers.sp, registers.pstate);
    frame.move_to(registers.pc);
}

/// Writes the frame of a handler, and has the task go on in the handler. If the frame cannot be written the task gets SIGSEGV.
pub(super) fn begin(task: &Task, frame: &mut Frame, start: &Start) {
    task.debug.handler_begins(frame);
    let registers = registers_of(frame);
    let fpsimd = task.change_fp(|fp| Fpsimd { v: fp.v, fpsr: fp.fpsr as u32, fpcr: fp.fpcr as u32 });
    let interrupted = Interrupted {
        registers: &registers,
        fpsimd: &fpsimd,
        fault: start.fault,
        blocked: start.blocked,
        alternate: start.alternate,
    };
    let place =
        Place::below(start.entry.top).filter(|place| write(place, &start.entry, &interrupted).is_ok());
    let mut table = table();
    let Some((entry, at)) = table.own(task) else { return };
    let member = &mut entry.members[at];
    if let Some(place) = place {
        member.saved = None;
        member.blocked = start.entry.blocked;
        member.alternate = start.entry.alternate;
        set_registers(frame, &frame::enter_handler(&start.entry, &registers, place, vdso::sigreturn()));
    } else {
        entry.actions.force_after_failed_frame(start.entry.info.signal, &mut member.blocked);
        let _ = member.pending.push(Info::kernel(Signal::SIGSEGV), usize::MAX);
    }
    entry.refresh(at);
}

fn write(place: &Place, entry: &Entry, interrupted: &Interrupted<'_>) -> Result<(), Errno> {
    let whole = frame::Frame::new(entry, interrupted);
    user::write(place.record, &frame::Frame::record(interrupted.registers))?;
    user::write(place.frame, whole.bytes())
}

/// rt_sigreturn: the program goes on where a handler has interrupted it. Returns X0. Thread context; may sleep.
pub fn sigreturn(task: &Task, frame: &mut Frame) -> u64 {
    *task.restart.lock() = None;
    let at = frame.sp;
    let Ok(restored) = frame::restore(at, |from, to| user::read(from, to).is_ok()) else {
        task.force(&Info::fault(Signal::SIGSEGV, SEGV_MAPERR, at), None);
        return frame.x[0];
    };
    set_registers(frame, &restored.registers);
    debug::task::handler_returns();
    let Fpsimd { v, fpsr, fpcr } = restored.fpsimd;
    task.change_fp(|fp| *fp = fp::Fpsimd { v, fpsr: fpsr.into(), fpcr: fpcr.into() });
    if let Some((entry, at)) = table().own(task) {
        let member = &mut entry.members[at];
        member.blocked = restored.blocked;
        let _ = member.alternate.set(restored.alternate, frame.sp, STACK_MIN);
        entry.refresh(at);
    }
    frame.x[0]
}
