//! The slot registers of this CPU, with and without banks of registers (rules H4 and H8).

use crate::arch::{barrier, mdscr, sysreg};
use crate::debug::{MaskedCpu, control};
use ::slots::{BankSelect, Banked, Counts, DebugRegs, EMBWE, Kind, ReadRegs, banks_answer, reset_all};

/// The registers with names of their own, such as DBGBVR0_EL1 to DBGBVR15_EL1. A CPU without banks has no others. After
/// each write the CPU owes an ISB ([`MaskedCpu::owe_isb`]).
pub struct Registers<'a>(&'a MaskedCpu);

/// The registers of all slots of the CPU, above 15 through banks. D stays masked for as long as the returned value is
/// used (H4).
///
/// [`Banked`] serves CPUs without banks as well: it reaches slots up to 15 as if there were no banks, at the same cost,
/// and slots above 15 are handed out only where [`bring_up`] has found banks.
#[inline(always)]
pub fn all(cpu: &MaskedCpu) -> Banked<Registers<'_>> {
    Banked(Registers(cpu))
}

impl DebugRegs for Registers<'_> {
    #[inline(always)]
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        match kind {
            Kind::Breakpoint => sysreg::write_dbgbvr(n, value),
            Kind::Watchpoint => sysreg::write_dbgwvr(n, value),
        }
        self.0.owe_isb();
    }

    #[inline(always)]
    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        match kind {
            Kind::Breakpoint => sysreg::write_dbgbcr(n, control),
            Kind::Watchpoint => sysreg::write_dbgwcr(n, control),
        }
        self.0.owe_isb();
    }

    #[inline(always)]
    fn write_both(&mut self, kind: Kind, n: u8, value: u64, control: u32) {
        match kind {
            Kind::Breakpoint => sysreg::write_dbgb(n, value, control),
            Kind::Watchpoint => sysreg::write_dbgw(n, value, control),
        }
        self.0.owe_isb();
    }

    #[inline(always)]
    fn isb(&mut self) {
        barrier::isb();
    }

    /// No ISB: while D is masked no slot is hit. Each write has recorded the ISB as owed, and [`control`] executes one ISB for all writes
    /// before D opens, and before another CPU is told that a change is applied (H5).
    #[inline(always)]
    fn commit(&mut self) {}
}

impl ReadRegs for Registers<'_> {
    fn read_value(&mut self, kind: Kind, n: u8) -> u64 {
        match kind {
            Kind::Breakpoint => sysreg::read_dbgbvr(n),
            Kind::Watchpoint => sysreg::read_dbgwvr(n),
        }
    }

    fn read_control(&mut self, kind: Kind, n: u8) -> u32 {
        match kind {
            Kind::Breakpoint => sysreg::read_dbgbcr(n),
            Kind::Watchpoint => sysreg::read_dbgwcr(n),
        }
    }
}

impl BankSelect for Registers<'_> {
    /// Only for CPUs whose ID registers announce slots above 15: MDSELR_EL1 is UNDEFINED without FEAT_Debugv8p9.
    fn write_mdselr(&mut self, value: u64) {
        sysreg::write_mdselr(value);
    }
}

/// Puts MDSCR_EL1 and every slot of every bank into a known state, and returns how many slots the CPU has. Called when
/// the CPU is brought up, with D, A, I and F masked.
///
/// Slots above 15 count only if the ID registers announce them and they can be reached, because a hypervisor may deny
/// them to EL1.
pub fn bring_up(cpu: &MaskedCpu) -> Counts {
    let announced =
        Counts::from_ids(crate::read_sysreg!("id_aa64dfr0_el1"), crate::read_sysreg!("id_aa64dfr1_el1"));
    let banked = announced.banked() && {
        control::force(cpu, EMBWE);
        banks_answer(&mut all(cpu), announced)
    };
    let (counts, banks) = if banked { (announced, EMBWE) } else { (announced.first_bank(), 0) };
    let standing = banks | mdscr::TDCC;
    cpu.set_standing_bits(standing);
    control::force(cpu, standing);
    if banked {
        reset_all(&mut all(cpu), counts);
    } else {
        reset_all(&mut Registers(cpu), counts);
    }
    counts
}
