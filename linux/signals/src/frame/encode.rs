//! Writing a frame, and the registers with which the handler starts.

use zerocopy::{FromZeros, Immutable, IntoBytes, KnownLayout};

use super::{
    ESR_MAGIC, EsrRecord, FPSIMD_MAGIC, FRAME_SIZE, Fpsimd, FpsimdRecord, Head, RecordHead, Registers, pstate,
};
use crate::{ActionFlags, AltStack, Entry, SigSet};

/// What the frame saves: the state of the thread before the handler.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted<'a> {
    /// The registers at the interrupted instruction, after [`crate::Cut::resume`] has decided about a system call.
    pub registers: &'a Registers,
    /// The FP and SIMD registers.
    pub fpsimd: &'a Fpsimd,
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

/// The used part of a signal frame.
#[derive(Clone, IntoBytes, Immutable, KnownLayout, FromZeros)]
#[repr(C)]
pub struct Frame {
    head: Head,
    fpsimd: FpsimdRecord,
    /// For faults; the end record otherwise.
    esr: EsrRecord,
    /// Zeros: the end record, if there is an ESR record.
    end: [u64; 2],
}

impl Frame {
    /// The frame for a handler that starts as `entry` says.
    pub fn new(entry: &Entry, interrupted: &Interrupted<'_>) -> Self {
        let mut frame = Self::new_zeroed();
        let head = &mut frame.head;
        head.info = entry.info.encode();
        head.stack = interrupted.alternate.saved();
        head.mask = interrupted.blocked.0;
        head.registers = *interrupted.registers;
        let Fpsimd { v, fpsr, fpcr } = *interrupted.fpsimd;
        frame.fpsimd = FpsimdRecord { head: RecordHead { magic: FPSIMD_MAGIC, size: 528 }, fpsr, fpcr, v };
        if let Some((address, esr)) = interrupted.fault {
            head.fault_address = address;
            frame.esr = EsrRecord { head: RecordHead { magic: ESR_MAGIC, size: 16 }, esr };
        }
        frame
    }

    /// What to write at [`Place::frame`]: the frame up to and with the end record.
    pub fn bytes(&self) -> &[u8] {
        let whole = self.as_bytes();
        let unused = if self.esr.head.magic == 0 { size_of_val(&self.end) } else { 0 };
        &whole[..whole.len() - unused]
    }

    /// What to write at [`Place::record`]: x29 and x30 of the interrupted code.
    pub fn record(registers: &Registers) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&registers.x[29].to_le_bytes());
        bytes[8..].copy_from_slice(&registers.x[30].to_le_bytes());
        bytes
    }
}

/// The registers with which the handler starts, once the frame is written. `trampoline` is the address of the vDSO's code for
/// the return from a handler. The registers that Linux does not set keep the values of the interrupted code.
pub fn enter_handler(entry: &Entry, interrupted: &Registers, place: Place, trampoline: u64) -> Registers {
    let mut registers = *interrupted;
    registers.x[0] = entry.info.signal.number().into();
    if entry.flags.contains(ActionFlags::SIGINFO) {
        registers.x[1] = place.frame;
        registers.x[2] = place.frame.wrapping_add(core::mem::offset_of!(Head, flags) as u64);
    }
    registers.x[29] = place.record;
    registers.x[30] = entry.restorer.unwrap_or(trampoline);
    registers.sp = place.frame;
    registers.pc = entry.handler;
    registers.pstate = pstate::for_handler(interrupted.pstate);
    registers
}
