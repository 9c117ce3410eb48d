//! Writing a frame, and the registers with which the handler starts.

use zerocopy::{Immutable, IntoBytes};

use super::{
    CONTEXT_AT, Context, ESR_MAGIC, EsrRecord, FAULT_ADDRESS_AT, FPSIMD_HEAD, FRAME_SIZE, Fpsimd, Memory,
    RECORDS_AT, REGISTERS_AT, RecordHead, Registers, pstate,
};
use crate::{ActionFlags, AltStack, Entry, Info, SigSet, Signal};

/// What the frame saves: the state of the thread before the handler.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted<'a> {
    /// The registers at the interrupted instruction, after [`crate::Cut::resume`] has decided about a system call.
    pub registers: &'a Registers,
    /// V0 to V31.
    pub v: &'a [u128; 32],
    /// FPSR.
    pub fpsr: u32,
    /// FPCR.
    pub fpcr: u32,
    /// FAR_EL1 and ESR_EL1 of the fault or debug exception that led to the signal.
    pub fault: Option<(u64, u64)>,
    /// The mask that `rt_sigreturn` puts back: in `rt_sigsuspend` and `ppoll` the mask that the call has set aside.
    pub blocked: SigSet,
    /// The alternate stack.
    pub alternate: AltStack,
}

/// Where a frame and its frame record go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The frame's address, and SP while the handler runs.
    pub frame: u64,
    /// The frame record's address, and x29 while the handler runs.
    pub record: u64,
}

impl Place {
    /// The place below `top` ([`Entry::top`]). `None` if there is no room above address 0.
    pub fn below(top: u64) -> Option<Self> {
        let record = top.checked_sub(16)? & !15;
        let frame = record.checked_sub(FRAME_SIZE)?;
        Some(Self { frame, record })
    }
}

/// Writes a frame and its frame record, for a handler that is told `info`. What is part of the frame but never used is not written.
/// Returns false as soon as something cannot be written.
#[inline(always)]
pub fn write(
    place: &Place,
    entry: &Entry,
    info: &Info,
    interrupted: &Interrupted<'_>,
    memory: &mut impl Memory,
) -> bool {
    let at = place.frame;
    let (address, esr) = interrupted.fault.unwrap_or_default();
    let context = Context { stack: interrupted.alternate.saved(), mask: interrupted.blocked.0 };
    let registers = interrupted.registers;
    let fpsimd = FpsimdStart {
        pstate: registers.pstate,
        padding: 0,
        head: FPSIMD_HEAD,
        fpsr: interrupted.fpsr,
        fpcr: interrupted.fpcr,
    };
    let esr = EsrRecord { head: RecordHead { magic: ESR_MAGIC, size: 16 }, esr };
    let end = [0u64; 2];
    let behind = at + (RECORDS_AT + size_of::<Fpsimd>()) as u64;
    let x = &registers.x;
    let mut write = |to, from: &[u8]| memory.write(to, from);
    write(at, info.encode_for(entry.flags).as_bytes())
        && write(at + CONTEXT_AT, context.as_bytes())
        && write(at + FAULT_ADDRESS_AT - 8, [0, address].as_bytes())
        && write(at + REGISTERS_AT, registers.as_bytes())
        && write(at + FPSIMD_START_AT, fpsimd.as_bytes())
        && write(at + FPSIMD_START_AT + size_of::<FpsimdStart>() as u64, interrupted.v.as_bytes())
        && match interrupted.fault {
            Some(_) => write(behind, Tail { esr, end }.as_bytes()),
            None => write(behind, end.as_bytes()),
        }
        && write(place.record, [x[29], x[30]].as_bytes())
        && memory.clear(at + Info::CARRIED as u64, CONTEXT_AT as usize - Info::CARRIED)
}

/// What is before V0 to V31. All parts of the frame that are written are multiples of 16 bytes, so this one has PSTATE once more.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct FpsimdStart {
    pstate: u64,
    /// Aligns the records to 16 bytes.
    padding: u64,
    head: RecordHead,
    fpsr: u32,
    fpcr: u32,
}

/// Where [`FpsimdStart`] is in the frame.
const FPSIMD_START_AT: u64 = REGISTERS_AT + size_of::<Registers>() as u64 - 8;

/// What follows the FPSIMD record of a fault.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Tail {
    esr: EsrRecord,
    end: [u64; 2],
}

/// Changes the registers of the interrupted code to those with which the handler starts, once the frame is written. `trampoline` is the
/// address of the vDSO's code for the return from a handler. The registers that Linux does not set keep their values.
#[inline(always)]
pub fn enter_handler(
    registers: &mut Registers,
    signal: Signal,
    entry: &Entry,
    place: &Place,
    trampoline: u64,
) {
    registers.x[0] = signal.number().into();
    if entry.flags.contains(ActionFlags::SIGINFO) {
        registers.x[1] = place.frame;
        registers.x[2] = place.frame.wrapping_add(Info::SIZE as u64);
    }
    registers.x[29] = place.record;
    registers.x[30] = entry.restorer.unwrap_or(trampoline);
    registers.sp = place.frame;
    registers.pc = entry.handler;
    registers.pstate = pstate::for_handler(registers.pstate);
}
