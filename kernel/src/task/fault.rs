//! Exceptions of programs that are no system calls, and faults of the kernel on user memory.

use super::process::{Status, exit_process};
use crate::exception::{Frame, frame::ec};
use crate::space::{TOP, Unrepaired};
use maps::Access;
use signals::Signal;

/// What an abort says of the access, and whether it is of a kind that [`crate::space::Space::fault`] can repair: a missing entry, or
/// one that permits too little (DDI 0487, ISS encoding for an exception from a Data Abort).
fn access_of(frame: &Frame) -> Option<Access> {
    let repairable = matches!(frame.esr & 0x3f, 0x04..=0x07 | 0x08..=0x0b | 0x0c..=0x0f);
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
pub(super) fn of_kernel(frame: &Frame) -> bool {
    let Some(task) = super::current() else { return false };
    let (Some(access), true) = (access_of(frame), frame.far & !(0xff << 56) < TOP) else { return false };
    let address = frame.far & !(0xff << 56);
    task.space().is_some_and(|space| space.fault(address, access, &task.process.limits()).is_ok())
}

/// The handler of all synchronous exceptions of programs but system calls. Thread context. Not inlined into the entry, where no probe
/// can be (H6).
#[inline(never)]
pub(super) fn exception(frame: &mut Frame) {
    let Some(task) = super::current() else { return };
    let signal = match frame.class() {
        ec::INSTRUCTION_ABORT_LOWER | ec::DATA_ABORT_LOWER => {
            let address = frame.far & !(0xff << 56);
            let repaired = match (access_of(frame), task.space()) {
                (Some(access), Some(space)) if address < TOP => {
                    space.fault(address, access, &task.process.limits())
                }
                _ => Err(Unrepaired::Segv(maps::Fault::NotMapped)),
            };
            match repaired {
                Ok(()) => return,
                Err(Unrepaired::Segv(_)) => Signal::SIGSEGV,
                Err(Unrepaired::BehindEnd) => Signal::SIGBUS,
                Err(Unrepaired::NoMemory) => Signal::SIGKILL,
            }
        }
        ec::BRK64 => Signal::SIGTRAP,
        ec::PC_ALIGNMENT | ec::SP_ALIGNMENT => Signal::SIGBUS,
        _ => Signal::SIGILL,
    };
    let name = alloc::string::String::from_utf8_lossy(&task.process.name.lock()).into_owned();
    crate::println!(
        "{name}[{}]: {} at {:#x}, address {:#x}, ESR {:#x}",
        task.tid,
        signal,
        frame.pc,
        frame.far,
        frame.esr
    );
    exit_process(Status::Killed(signal.number() as u8));
}
