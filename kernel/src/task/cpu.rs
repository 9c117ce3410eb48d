//! What programs are told of the CPU (the crate `programs` decides): AT_HWCAP, and the identification registers that they read by MRS.

use super::user;
use crate::exception::{Frame, frame::ec};
use crate::read_sysreg;
use programs::cpu::{Mrs, Registers};
use spin::Once;

/// ESR_EL1.EC of a trapped MSR, MRS or system instruction: with FEAT_IDST also of an MRS of an identification register at EL0.
const SYSTEM_REGISTER: u64 = 0x18;

/// PSTATE.BTYPE, which each instruction that is no branch clears.
const BTYPE: u64 = 0b11 << 10;

/// The registers of the CPU that has started the first program. They stand for all CPUs: a machine whose CPUs have different features
/// would show programs more than some of its CPUs have.
static REGISTERS: Once<Registers> = Once::new();

/// The registers. Thread context.
pub(super) fn registers() -> &'static Registers {
    // By encoding where assemblers know the name only if the architecture is recent.
    REGISTERS.call_once(|| Registers {
        midr: read_sysreg!("midr_el1"),
        pfr0: read_sysreg!("id_aa64pfr0_el1"),
        pfr1: read_sysreg!("id_aa64pfr1_el1"),
        isar0: read_sysreg!("id_aa64isar0_el1"),
        isar1: read_sysreg!("id_aa64isar1_el1"),
        isar2: read_sysreg!("s3_0_c0_c6_2"),
        mmfr0: read_sysreg!("id_aa64mmfr0_el1"),
        mmfr1: read_sysreg!("id_aa64mmfr1_el1"),
        mmfr2: read_sysreg!("s3_0_c0_c7_2"),
    })
}

/// Executes the instruction of an exception in software, if it is an MRS that programs may use. Returns false if the exception means
/// something else. Thread context; may sleep.
pub(super) fn emulate(frame: &mut Frame) -> bool {
    if !matches!(frame.class(), ec::UNKNOWN | SYSTEM_REGISTER) {
        return false;
    }
    let Some(mrs) = user::get(frame.pc).ok().and_then(Mrs::decode) else { return false };
    let Some(value) = registers().read(mrs) else { return false };
    if let Some(to) = frame.x.get_mut(usize::from(mrs.to)) {
        *to = value;
    }
    frame.pstate &= !BTYPE;
    frame.move_to(frame.pc + 4);
    true
}
