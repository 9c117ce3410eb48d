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
//! Linux writes only what is used of the 4096 bytes for records, and so does [`Frame::bytes`].
//!
//! A handler and any other code of the program may change the frame. [`restore`] therefore believes nothing that it reads; what
//! it cannot accept ends in SIGSEGV ([`BadFrame`]).

mod encode;
mod pstate;
mod read;

pub use encode::{Frame, Interrupted, Place, enter_handler};
pub use pstate::{PstateRefused, check_pstate};
pub use read::{BadFrame, Restored, restore};

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

/// The FP and SIMD registers of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fpsimd {
    /// v0 to v31.
    pub v: [u128; 32],
    /// FPSR.
    pub fpsr: u32,
    /// FPCR.
    pub fpcr: u32,
}

/// The size of the frame without the frame record. `rt_sigreturn` refuses a frame that does not lie in user memory in this size.
pub const FRAME_SIZE: u64 = (RECORDS_AT + RECORDS_SIZE) as u64;

const RECORDS_AT: usize = size_of::<Head>();
const RECORDS_SIZE: usize = 4096;

const FPSIMD_MAGIC: u32 = 0x4650_8001;
const ESR_MAGIC: u32 = 0x4553_5201;
const EXTRA_MAGIC: u32 = 0x4558_5401;

/// Everything in front of the records.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    info: [u8; Info::SIZE],
    flags: u64,
    link: u64,
    stack: Stack,
    mask: u64,
    /// Room that `ucontext_t` keeps for 1024 signals, and the alignment of `mcontext_t` to 16 bytes.
    mask_room: [u64; 16],
    fault_address: u64,
    registers: Registers,
    /// Aligns the records to 16 bytes.
    padding: u64,
}

/// What each record begins with.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct RecordHead {
    magic: u32,
    /// In bytes, with this head.
    size: u32,
}

#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct FpsimdRecord {
    head: RecordHead,
    fpsr: u32,
    fpcr: u32,
    v: [u128; 32],
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
    assert!(core::mem::offset_of!(Head, mask) == 168);
    assert!(core::mem::offset_of!(Head, fault_address) == 304);
    assert!(RECORDS_AT == 592);
    assert!(size_of::<FpsimdRecord>() == 528);
    assert!(size_of::<EsrRecord>() == 16);
    assert!(size_of::<ExtraRecord>() == 32);
    assert!(FRAME_SIZE == 128 + 4560 && FRAME_SIZE.is_multiple_of(16));
};
