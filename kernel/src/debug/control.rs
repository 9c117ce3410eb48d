//! MDSCR_EL1 and the debt: what a CPU owes its debug registers before D opens or the context is left.
//!
//! Two things may be out of date while D is masked. MDSCR_EL1 may differ from what the armed slots and the owners of
//! the running context ask for (H8, M13). And slot registers may have been written with no context synchronization
//! event since (H2: until such an event, DDI 0487 D2, "Synchronization and debug exceptions", lets an access hit or miss the slot). Both are one *debt*.
//! [`CpuDebug::mdscr`], the *shadow* of MDSCR_EL1, is the value that this CPU wrote to MDSCR_EL1 last. The shadow also
//! records the second part of the debt: each write of a slot register sets the shadow to [`STALE`], which is no value
//! that MDSCR_EL1 can hold. So one comparison of the shadow with the wanted value finds either debt, and [`sync`] pays
//! it by a write of MDSCR_EL1 and an ISB.
//!
//! D opens in three places, and each pays first: the entry of a handler (`exception::apply::open`), the exception return
//! (`exception::apply::resume`, and the same in `kprobe/hit.S`), and the end of a section that changes debug state ([`Masked`]).

use super::cpu::{self, MaskedCpu};
use crate::arch::{barrier, daif, mdscr};
use rules::step::{Owners, mdscr_ss};

/// In the shadow of MDSCR_EL1: a slot register was written, and an ISB is owed.
const STALE: u64 = u64::MAX;

impl MaskedCpu {
    /// Changes who owns the running context's step. D is masked.
    #[inline(always)]
    pub fn set_owners(&self, owners: Owners) {
        self.owners.set(owners);
        self.step_bits.set(if mdscr_ss(owners) { mdscr::SS | mdscr::KDE } else { 0 });
    }

    /// As [`set_owners`](Self::set_owners), for a program that is returned to or goes on: a step at EL0 needs no KDE (H8).
    #[inline(always)]
    pub fn set_owners_at_el0(&self, owners: Owners) {
        self.owners.set(owners);
        self.step_bits.set(if mdscr_ss(owners) { mdscr::SS } else { 0 });
    }

    /// Changes what the armed slots need of MDSCR_EL1. D is masked.
    #[inline(always)]
    pub fn set_armed_bits(&self, bits: u64) {
        self.armed_bits.set(bits | self.standing_bits.get());
    }

    /// Adds to what the armed slots need of MDSCR_EL1. D is masked.
    #[inline(always)]
    pub fn add_armed_bits(&self, bits: u64) {
        self.armed_bits.set(self.armed_bits.get() | bits);
    }

    /// Sets the bits that MDSCR_EL1 always has on this CPU. Called when the CPU is brought up and no slot is armed.
    pub fn set_standing_bits(&self, bits: u64) {
        self.standing_bits.set(bits);
        self.set_armed_bits(0);
    }

    /// Records that a slot register was written: an ISB is owed before D opens (H2). D is masked.
    #[inline(always)]
    pub fn owe_isb(&self) {
        self.mdscr.set(STALE);
    }

    /// The value that MDSCR_EL1 is to hold: MDE and KDE if slots are armed, SS and KDE if the running context's step
    /// has an owner (H8, M13). Any context of this CPU.
    #[inline(always)]
    pub fn wanted(&self) -> u64 {
        self.armed_bits.get() | self.step_bits.get()
    }

    /// Whether this value, which was read from MDSCR_EL1, is what this CPU wrote there last. D is masked.
    #[cfg(debug_assertions)]
    pub fn is_in_mdscr(&self, read: u64) -> bool {
        // While an ISB is owed, the shadow is STALE, and does not tell what MDSCR_EL1 holds.
        self.mdscr.get() == STALE || self.mdscr.get() == read
    }

    /// Whether something is owed before D opens. D is masked.
    #[inline(always)]
    fn owes(&self) -> bool {
        self.wanted() != self.mdscr.get()
    }
}

/// Pays the debt: afterwards MDSCR_EL1 holds the wanted value, and all earlier writes of debug registers are in force.
/// D is masked.
#[inline(always)]
pub fn sync(cpu: &MaskedCpu) {
    if cpu.owes() {
        force(cpu, cpu.wanted());
    }
}

/// As [`sync`], right before an exception return, in text that no probe can be in.
///
/// The return itself is a context synchronization event (SCTLR_EL1.EOS is set). This event is enough for slot
/// registers, but perhaps not for MDSCR_EL1.SS: ERET copies SPSR_EL1.SS into PSTATE.SS only if software step is enabled
/// for the target (DDI 0487 D2.12.4), and nothing says that this decision comes after the synchronization. So an ISB is
/// executed here.
#[inline(always)]
pub fn sync_for_return(cpu: &MaskedCpu) {
    pay(cpu);
}

/// Does the same as [`sync`], but without a function call.
#[inline(always)]
pub fn pay(cpu: &MaskedCpu) {
    if cpu.owes() {
        pay_all(cpu);
    }
}

/// As [`pay`], if something is owed.
#[inline(always)]
pub fn pay_all(cpu: &MaskedCpu) {
    let wanted = cpu.wanted();
    cpu.mdscr.set(wanted);
    mdscr::write(wanted);
    // MDSCR_EL1 and the slot registers are in force from here on (DDI 0487 D2, "Synchronization and debug exceptions"; before an
    // ERET: D2.12.4, see `sync_for_return`).
    barrier::isb();
}

/// Writes MDSCR_EL1 and its shadow, whatever the shadow holds. D is masked. The function is never inlined into text that can be
/// probed: a probe between the two writes would see MDSCR_EL1 and the shadow differ.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn force(cpu: &MaskedCpu, value: u64) {
    cpu.mdscr.set(value);
    mdscr::write(value);
    // As in `pay_all`.
    barrier::isb();
}

/// Clears MDSCR_EL1.SS, whether the running context has owners of a step or not. D is masked.
#[inline(always)]
pub fn clear_ss(cpu: &MaskedCpu) {
    let wanted = cpu.wanted() & !mdscr::SS;
    if wanted != cpu.mdscr.get() {
        force(cpu, wanted);
    }
}

/// A section that changes this CPU's debug state: D, A, I, F are masked for as long as the value lives. The end of the
/// section pays the debt before it puts the masks back, so no caller has to do so.
pub struct Masked {
    before: rules::pstate::Daif,
    cpu: &'static MaskedCpu,
}

impl Masked {
    /// Begins a section. Any context.
    #[inline(always)]
    pub fn new() -> Self {
        let before = daif::read();
        daif::set::<{ daif::ALL }>();
        // The CPU is looked up after masking: from here on the context cannot move to another CPU.
        // SAFETY: D is masked until this section is dropped, and the references that `cpu` hands out do not outlive the
        // section.
        Self { before, cpu: unsafe { cpu::masked() } }
    }

    /// The debug state of the CPU that the section runs on.
    #[inline(always)]
    pub fn cpu(&self) -> &MaskedCpu {
        self.cpu
    }
}

impl Default for Masked {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Masked {
    #[inline(always)]
    fn drop(&mut self) {
        sync(self.cpu);
        daif::write(self.before);
    }
}
