//! The sets of registers that PTRACE_GETREGSET and PTRACE_SETREGSET know, in Linux's layouts.

use super::state::Trace;
use crate::errno::Errno;
use alloc::vec::Vec;
use core::mem::size_of;
use linux_raw_sys::elf_uapi as raw;
use rules::pstate::SPSR_SS;
use signals::frame::{Registers, check_pstate};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A set of registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegisterSet {
    /// NT_PRSTATUS: X0 to X30, SP, PC, PSTATE.
    General,
    /// NT_PRFPREG: V0 to V31, FPSR, FPCR.
    Fpsimd,
    /// NT_ARM_TLS: TPIDR_EL0, and TPIDR2_EL0, which no CPU here has.
    Tls,
    /// NT_ARM_SYSTEM_CALL: the number of the system call; -1 if the task is in none.
    SystemCall,
    /// NT_ARM_HW_BREAK, NT_ARM_HW_WATCH: hardware slots.
    Slots(hwdebug::Kind),
}

/// `struct user_fpsimd_state`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct UserFpsimd {
    v: [u128; 32],
    fpsr: u32,
    fpcr: u32,
    reserved: [u32; 2],
}

impl RegisterSet {
    /// The set that a number names (NT_*); None for one that this kernel does not have.
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match u32::try_from(number).ok()? {
            raw::NT_PRSTATUS => Self::General,
            raw::NT_PRFPREG => Self::Fpsimd,
            raw::NT_ARM_TLS => Self::Tls,
            raw::NT_ARM_SYSTEM_CALL => Self::SystemCall,
            raw::NT_ARM_HW_BREAK => Self::Slots(hwdebug::Kind::Break),
            raw::NT_ARM_HW_WATCH => Self::Slots(hwdebug::Kind::Watch),
            _ => return None,
        })
    }

    /// How many bytes the largest set has.
    pub const MOST: usize = size_of::<UserFpsimd>();

    /// How many bytes it has at most.
    pub const fn size(self) -> usize {
        match self {
            Self::General => size_of::<Registers>(),
            Self::Fpsimd => size_of::<UserFpsimd>(),
            Self::Tls => 16,
            Self::SystemCall => 4,
            Self::Slots(_) => hwdebug::SIZE,
        }
    }

    /// The size of its parts: a transfer has a whole number of them.
    pub const fn part(self) -> usize {
        match self {
            Self::General | Self::Tls => 8,
            Self::Fpsimd | Self::SystemCall | Self::Slots(_) => 4,
        }
    }
}

const _: () = assert!(size_of::<Registers>() <= RegisterSet::MOST && hwdebug::SIZE <= RegisterSet::MOST);

fn fpsimd_of(trace: &Trace) -> UserFpsimd {
    UserFpsimd { v: trace.fp.v, fpsr: trace.fp.fpsr as u32, fpcr: trace.fp.fpcr as u32, reserved: [0; 2] }
}

/// The registers of a task that has stopped, as bytes. Hardware slots are not among the registers that a stop saves: none.
pub(super) fn get(trace: &mut Trace, set: RegisterSet) -> Vec<u8> {
    match set {
        RegisterSet::Slots(_) => Vec::new(),
        RegisterSet::General => {
            let registers = *trace.registers();
            Registers { pstate: registers.pstate & !SPSR_SS, ..registers }.as_bytes().to_vec()
        }
        RegisterSet::Fpsimd => fpsimd_of(trace).as_bytes().to_vec(),
        RegisterSet::Tls => [trace.tls, 0].as_bytes().to_vec(),
        RegisterSet::SystemCall => trace.call.as_bytes().to_vec(),
    }
}

/// `old` with its first bytes replaced.
fn replaced<T: FromBytes + IntoBytes + Immutable>(mut old: T, bytes: &[u8]) -> T {
    old.as_mut_bytes().iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    old
}

/// Replaces the first bytes of a set of registers of a task that has stopped.
///
/// # Errors
/// EINVAL if the task could not go on with these registers at EL0 (T7).
pub(super) fn set(trace: &mut Trace, set: RegisterSet, bytes: &[u8]) -> Result<(), Errno> {
    match set {
        RegisterSet::General => {
            let mut new = replaced(*trace.registers(), bytes);
            new.pstate = check_pstate(new.pstate).map_err(|_| Errno::EINVAL)?;
            trace.registers = new;
            trace.registers_changed = true;
        }
        RegisterSet::Fpsimd => {
            let new = replaced(fpsimd_of(trace), bytes);
            (trace.fp.v, trace.fp.fpsr, trace.fp.fpcr) = (new.v, new.fpsr.into(), new.fpcr.into());
            trace.fp_changed = true;
        }
        RegisterSet::Tls => {
            [trace.tls, _] = replaced([trace.tls, 0], bytes);
            trace.tls_changed = true;
        }
        RegisterSet::SystemCall => trace.call = replaced(trace.call, bytes),
        RegisterSet::Slots(_) => return Err(Errno::EINVAL),
    }
    Ok(())
}
