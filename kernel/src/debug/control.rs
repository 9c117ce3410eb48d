//! MDSCR_EL1: one place computes it (M13), one shadow tells what is in the register.

use super::CpuDebug;
use crate::arch::{barrier, mdscr};
use rules::step::{Owners, mdscr_ss};

impl CpuDebug {
    /// Changes who owns the running context's step. D is masked.
    #[inline(always)]
    pub fn set_owners(&self, owners: Owners) {
        self.owners.set(owners);
        self.step_bits.set(if mdscr_ss(owners) { mdscr::SS | mdscr::KDE } else { 0 });
    }

    /// Changes what the armed slots need of MDSCR_EL1. D is masked.
    #[inline(always)]
    pub fn set_armed_bits(&self, bits: u64) {
        self.armed_bits.set(bits | self.standing_bits.get());
    }

    /// The same where something more is needed. D is masked.
    #[inline(always)]
    pub fn add_armed_bits(&self, bits: u64) {
        self.armed_bits.set(self.armed_bits.get() | bits);
    }

    /// Says what MDSCR_EL1 holds always on this CPU; no slot is armed. Bring-up.
    pub fn set_standing_bits(&self, bits: u64) {
        self.standing_bits.set(bits);
        self.set_armed_bits(0);
    }

    /// What MDSCR_EL1 is to be: MDE and KDE for armed slots, SS and KDE for a context whose step somebody asked for (H8, M13).
    #[inline(always)]
    fn wanted(&self) -> u64 {
        self.armed_bits.get() | self.step_bits.get()
    }
}

/// Writes MDSCR_EL1 if it is not what it is to be. D is masked.
#[inline(always)]
pub fn sync(cpu: &CpuDebug) {
    if cpu.wanted() != cpu.mdscr.get() {
        force(cpu, cpu.wanted());
    }
}

/// As [`sync`], for who wrote other registers too: with an ISB in any case. D is masked.
#[inline(always)]
pub fn sync_all(cpu: &CpuDebug) {
    sync_for_return(cpu);
    barrier::isb();
}

/// As [`sync`], right before an exception return, which synchronises (SCTLR_EL1.EOS is set).
#[inline(always)]
pub fn sync_for_return(cpu: &CpuDebug) {
    let wanted = cpu.wanted();
    if wanted != cpu.mdscr.get() {
        cpu.mdscr.set(wanted);
        mdscr::write(wanted);
    }
}

/// Writes MDSCR_EL1. D is masked. Never in line: between the two lines no probe may be hit, which would see one without the other.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn force(cpu: &CpuDebug, value: u64) {
    cpu.mdscr.set(value);
    mdscr::write(value);
    barrier::isb();
}

/// Clears SS, whatever the owners. D is masked.
#[inline(always)]
pub fn clear_ss(cpu: &CpuDebug) {
    if cpu.mdscr.get() & mdscr::SS != 0 {
        force(cpu, cpu.mdscr.get() & !mdscr::SS);
    }
}
