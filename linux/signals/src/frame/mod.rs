//! The arm64 signal frame: what the kernel writes on a thread's stack before a handler runs, and reads again in `rt_sigreturn`.
//!
//! From the frame's address upwards, 16-byte aligned:
//!
//! | offset | what |
//! |---|---|
//! | 0 | `siginfo_t`, 128 bytes |
//! | 128 | `ucontext_t`: flags, link, alternate stack, at 168 the signal mask |
//! | 304 | `mcontext_t`: fault address, x0 to x30, SP, PC, PSTATE |
//! | 592 | records: magic (4 bytes), size (4 bytes), data; FPSIMD always, ESR for faults, an end of zeros |
//! | 4688 | the *frame record*: x29 and x30 of the interrupted code. x29 points here while the handler runs, so unwinders go on |
//!
//! Linux writes only what is used of the 4096 bytes for records, and so does [`write()`].
//!
//! A handler and any other code of the program may change the frame. [`restore`] therefore believes nothing that it reads; what
//! it cannot accept ends in SIGSEGV ([`BadFrame`]).

mod encode;
mod memory;
mod pstate;
mod read;

pub use encode::{Interrupted, Place, enter_handler, write};
pub use memory::Memory;
pub use pstate::{PstateRefused, check_pstate};
pub use read::{BadFrame, Masks, restore};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Info, Stack};

/// The general registers of a thread at EL0. The layout is Linux's `struct user_pt_regs` (272 bytes), which debuggers know as
/// NT_PRSTATUS.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Registers {
    /// x0 to x30.
    pub x: [u64; 31],
    /// SP_EL0.
    pub sp: u64,
    /// The address of the next instruction.
    pub pc: u64,
    /// As in SPSR_EL1.
    pub pstate: u64,
}

/// The FP and SIMD registers of a thread, as the FPSIMD record of the frame has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fpsimd {
    head: RecordHead,
    /// FPSR.
    pub fpsr: u32,
    /// FPCR.
    pub fpcr: u32,
    /// v0 to v31.
    pub v: [u128; 32],
}

impl Fpsimd {
    /// A record of these registers: V0 to V31, FPSR and FPCR.
    pub const fn new(v: [u128; 32], fpsr: u32, fpcr: u32) -> Self {
        Self { head: FPSIMD_HEAD, fpsr, fpcr, v }
    }
}

/// The size of the frame without the frame record. `rt_sigreturn` refuses a frame that does not lie in user memory in this size.
pub const FRAME_SIZE: u64 = (RECORDS_AT + RECORDS_SIZE) as u64;

/// The size of the frame record, which lies right above the frame.
pub const RECORD_SIZE: u64 = 16;

const RECORDS_AT: usize = 592;
const RECORDS_SIZE: usize = 4096;

const FPSIMD_MAGIC: u32 = 0x4650_8001;
/// The only head that an FPSIMD record can have.
const FPSIMD_HEAD: RecordHead = RecordHead { magic: FPSIMD_MAGIC, size: 528 };

const ESR_MAGIC: u32 = 0x4553_5201;
const EXTRA_MAGIC: u32 = 0x4558_5401;

/// Where [`Context`] is in the frame. Before it are `siginfo_t`, of which the rest is zeros, and the flags and the link of `ucontext_t`, which
/// are 0. Behind it is room for 1024 signals, which nobody writes.
const CONTEXT_AT: u64 = Info::SIZE as u64 + 16;

/// Where the mask of signals is in the frame, 8 bytes.
pub const MASK_AT: u64 = CONTEXT_AT + size_of::<Stack>() as u64;

/// The parts of `ucontext_t` that come back in `rt_sigreturn`, beside the registers.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Context {
    stack: Stack,
    mask: u64,
}

/// Where the address of a fault is in the frame.
const FAULT_ADDRESS_AT: u64 = 304;

/// Where [`Registers`] are in the frame.
const REGISTERS_AT: u64 = 312;

/// What each record begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct RecordHead {
    magic: u32,
    /// In bytes, with this head.
    size: u32,
}

#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct EsrRecord {
    head: RecordHead,
    esr: u64,
}

/// Says that more records follow right behind the end record, past the usual 4096 bytes.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ExtraRecord {
    head: RecordHead,
    address: u64,
    size: u32,
    reserved: [u32; 3],
}

/// The size of the end record with its alignment.
const END_SIZE: usize = 16;

const _: () = {
    assert!(CONTEXT_AT == 144 && CONTEXT_AT as usize + core::mem::offset_of!(Context, mask) == 168);
    assert!(FAULT_ADDRESS_AT == CONTEXT_AT + size_of::<Context>() as u64 + 128);
    assert!(REGISTERS_AT as usize + size_of::<Registers>() + size_of::<u64>() == RECORDS_AT);
    assert!(size_of::<Fpsimd>() == 528 && core::mem::offset_of!(Fpsimd, v) == 16);
    assert!(size_of::<EsrRecord>() == 16);
    assert!(size_of::<ExtraRecord>() == 32);
    assert!(FRAME_SIZE == 128 + 4560 && FRAME_SIZE.is_multiple_of(16));
};
