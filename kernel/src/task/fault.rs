//! Exceptions of programs that are no system calls, and faults of the kernel on user memory.

use super::delivery::deliver;
use super::end::exit_process;
use super::process::Status;
use super::trace::state::Stops;
use super::{Task, cpu};
use crate::exception::{El0Frame, Frame, frame::ec};
use crate::policy::BEHAVIOURS;
use crate::space::{TOP, Unrepaired};
use linux_raw_sys::general as raw;
use maps::Access;
use signals::{Info, Signal};

/// What an abort says of the access, and whether it is of a kind that [`crate::space::Space::fault`] can repair: a missing entry, or
/// one that permits too little (DDI 0487, ISS encoding for an exception from a Data Abort).
fn access_of(frame: &Frame) -> Option<Access> {
    let repairable = matches!(frame.esr & 0x3f, 0x04..=0x0f);
    let write = frame.esr >> 6 & 1 != 0;
    let maintenance = frame.esr >> 8 & 1 != 0;
    repairable.then_some(match frame.class() {
        ec::INSTRUCTION_ABORT_LOWER => Access::Execute,
        // Cache maintenance is reported as a write, and only needs a page that can be read.
        _ if write && !maintenance => Access::Write,
        _ => Access::Read,
    })
}

/// The handler of a fault that the kernel makes on user memory. Returns true if the access succeeds now. The masks are those of the
/// code that has faulted.
pub fn of_kernel(frame: &Frame) -> bool {
    let Some(task) = super::current() else { return false };
    let (Some(access), true) = (access_of(frame), frame.far & !(0xff << 56) < TOP) else { return false };
    let address = frame.far & !(0xff << 56);
    task.space().is_some_and(|space| space.fault(address, access, &task.process.limits()).is_ok())
}

/// DFSC of an access that is not aligned as it must be.
const ALIGNMENT: u64 = 0x21;

/// The handler of a program's BRK: SIGTRAP. Thread context; may sleep. Not inlined into the entry, where no probe can be (H6).
#[inline(never)]
pub fn brk(task: &Task, frame: &mut Frame) {
    let esr = frame.esr;
    let info = Info::fault(Signal::SIGTRAP, raw::TRAP_BRKPT, frame.pc);
    // FAR_EL1 is UNKNOWN after a BRK (DDI 0487 D24.2.41).
    deliver(BEHAVIOURS.brk, || task.force(frame, &info, Some((0, esr)), Stops::AtOnce));
}

/// The handler of all synchronous exceptions of programs but system calls and BRKs. Thread context. Not inlined into the entry, where no probe
/// can be (H6).
#[inline(never)]
pub fn exception(frame: &mut El0Frame) {
    let task = super::of(frame);
    if cpu::emulate(frame) {
        return;
    }
    let Some(info) = signal_of(task, frame) else { return };
    let fault = (fault_address(frame), frame.esr);
    task.force(frame, &info, Some(fault), Stops::AtOnce);
}

/// The address that an exception reports: FAR_EL1 where the exception sets it (DDI 0487 D24.2.41), else 0. For other classes the register
/// holds what an earlier exception has left there, perhaps another program's.
fn fault_address(frame: &Frame) -> u64 {
    match frame.class() {
        ec::INSTRUCTION_ABORT_LOWER | ec::DATA_ABORT_LOWER | ec::PC_ALIGNMENT => frame.far,
        _ => 0,
    }
}

/// The signal that an exception means; None if the program goes on.
fn signal_of(task: &Task, frame: &Frame) -> Option<Info> {
    let address = frame.far & !(0xff << 56);
    Some(match frame.class() {
        ec::INSTRUCTION_ABORT_LOWER | ec::DATA_ABORT_LOWER => {
            if frame.esr & 0x3f == ALIGNMENT {
                return Some(Info::fault(Signal::SIGBUS, raw::BUS_ADRALN, frame.far));
            }
            let repaired = match (access_of(frame), task.space()) {
                (Some(access), Some(space)) if address < TOP => {
                    space.fault(address, access, &task.process.limits())
                }
                _ => Err(Unrepaired::Segv(maps::Fault::NotMapped)),
            };
            match repaired {
                Ok(()) => return None,
                Err(Unrepaired::Segv(fault)) => {
                    Info::fault(Signal::SIGSEGV, fault.si_code().cast_unsigned(), frame.far)
                }
                Err(Unrepaired::BehindEnd) => Info::fault(Signal::SIGBUS, raw::BUS_ADRERR, frame.far),
                Err(Unrepaired::NoMemory) => {
                    crate::println!("[{}]: killed, no memory at {:#x}", task.tid(), frame.pc);
                    exit_process(Status::Killed(Signal::SIGKILL.number() as u8))
                }
            }
        }
        ec::PC_ALIGNMENT => Info::fault(Signal::SIGBUS, raw::BUS_ADRALN, frame.far),
        ec::SP_ALIGNMENT => Info::fault(Signal::SIGBUS, raw::BUS_ADRALN, frame.sp),
        _ => Info::fault(Signal::SIGILL, raw::ILL_ILLOPC, frame.pc),
    })
}
