//! More than 16 slots of a kind: the banks of FEAT_Debugv8p9 (rule H4).
//!
//! The names `DBGBVR<n>_EL1` and the like have 16 encodings each. MDSELR_EL1.BANK says which 16 of up to 64 registers these
//! encodings stand for. It takes effect at EL1 only while MDSCR_EL1.EMBWE is set (DDI 0487, `EffectiveMDSELR_EL1_BANK()`;
//! MDCR_EL2.EBWE and MDCR_EL3.EBWE must be set too). While one of these three bits is clear, every access goes to bank 0, and
//! slots above 15 do not match.
//!
//! This crate selects another bank only for the access to one slot, and then selects bank 0 again at once. So the slots 0 to 15
//! are reached as on a CPU without banks, at the same cost, and code that knows of no banks finds the registers that it expects.

use crate::{DebugRegs, Kind, ReadRegs};

/// MDSCR_EL1.EMBWE. The caller sets it, and executes an ISB, before a bank is selected; it stays set as long as slots above 15 are
/// armed.
pub const EMBWE: u64 = 1 << 32;

/// How many slots of a kind one bank has.
const BANK: u8 = 16;
const BANK_SHIFT: u32 = 4;

/// How many slots of each kind a CPU has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    breakpoints: u8,
    watchpoints: u8,
}

impl Counts {
    /// From `ID_AA64DFR0_EL1` and `ID_AA64DFR1_EL1`: 1 to 64 of each kind.
    ///
    /// The count is the field BRPs or WRPs *plus one*. Under FEAT_Debugv8p9 a field of 15 means "16 or more", and the field of the
    /// same name in `ID_AA64DFR1_EL1` holds the count less one, or 0 for a count of 16.
    pub const fn from_ids(id_aa64dfr0: u64, id_aa64dfr1: u64) -> Counts {
        Counts {
            breakpoints: count(id_aa64dfr0, id_aa64dfr0 >> 12, id_aa64dfr1 >> 8),
            watchpoints: count(id_aa64dfr0, id_aa64dfr0 >> 20, id_aa64dfr1 >> 16),
        }
    }

    /// The number of slots of a kind.
    #[inline]
    pub const fn of(self, kind: Kind) -> u8 {
        match kind {
            Kind::Breakpoint => self.breakpoints,
            Kind::Watchpoint => self.watchpoints,
        }
    }

    /// Whether there are slots that only a [`Banked`] back end reaches.
    pub const fn banked(self) -> bool {
        self.breakpoints > BANK || self.watchpoints > BANK
    }

    /// How many of these slots a back end without banks reaches: at most 16 of each kind.
    #[must_use]
    pub const fn first_bank(self) -> Counts {
        self.least(Counts { breakpoints: BANK, watchpoints: BANK })
    }

    /// How many slots both CPUs have: of each kind the smaller number.
    #[must_use]
    pub const fn least(self, other: Counts) -> Counts {
        const fn min(a: u8, b: u8) -> u8 {
            if a < b { a } else { b }
        }
        Counts {
            breakpoints: min(self.breakpoints, other.breakpoints),
            watchpoints: min(self.watchpoints, other.watchpoints),
        }
    }
}

const fn count(id_aa64dfr0: u64, field: u64, extended: u64) -> u8 {
    const DEBUG_V8P9: u64 = 0b1011;
    let (field, extended) = (field & 0xf, extended & 0xff);
    if field == 0xf && id_aa64dfr0 & 0xf >= DEBUG_V8P9 && extended > 0xf {
        if extended > 63 { 64 } else { extended as u8 + 1 }
    } else {
        field as u8 + 1
    }
}

/// Write access to the register that selects the bank.
pub trait BankSelect {
    /// Writes MDSELR_EL1 (`S2_0_C0_C4_2`). The selection is in force after the next ISB.
    fn write_mdselr(&mut self, value: u64);
}

/// A back end for banked registers, made from a back end for the 16 registers of a bank.
///
/// Each access to a slot above 15 selects the slot's bank, accesses the register, and selects bank 0 again. The caller keeps debug
/// exceptions masked throughout (rule H4), as for every back end. Otherwise a debug exception handler could run in between. The
/// handler relies on bank 0 but would find another bank. And if the handler selects a bank itself, the interrupted access would go
/// to the wrong bank.
#[derive(Debug)]
pub struct Banked<R>(pub R);

impl<R: DebugRegs + BankSelect> Banked<R> {
    /// Accesses a slot above 15. Out of line, because such slots are rare and the common ones must stay fast.
    #[cold]
    #[inline(never)]
    fn in_bank<T>(&mut self, n: u8, access: impl FnOnce(&mut R, u8) -> T) -> T {
        self.select(n / BANK);
        let result = access(&mut self.0, n % BANK);
        self.select(0);
        result
    }

    fn select(&mut self, bank: u8) {
        self.0.write_mdselr(u64::from(bank) << BANK_SHIFT);
        // The accesses that follow read MDSELR_EL1 indirectly (DDI 0487 D24.1.2.2).
        self.0.isb();
    }
}

impl<R: DebugRegs + BankSelect> DebugRegs for Banked<R> {
    #[inline(always)]
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        if n < BANK {
            self.0.write_value(kind, n, value);
        } else {
            self.in_bank(n, |regs, n| regs.write_value(kind, n, value));
        }
    }

    #[inline(always)]
    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        if n < BANK {
            self.0.write_control(kind, n, control);
        } else {
            self.in_bank(n, |regs, n| regs.write_control(kind, n, control));
        }
    }

    #[inline(always)]
    fn write_both(&mut self, kind: Kind, n: u8, value: u64, control: u32) {
        if n < BANK {
            self.0.write_both(kind, n, value, control);
        } else {
            self.in_bank(n, |regs, n| regs.write_both(kind, n, value, control));
        }
    }

    #[inline(always)]
    fn isb(&mut self) {
        self.0.isb();
    }

    #[inline(always)]
    fn commit(&mut self) {
        self.0.commit();
    }

    fn settle(&mut self) {
        self.select(0);
    }
}

impl<R: DebugRegs + BankSelect + ReadRegs> ReadRegs for Banked<R> {
    fn read_value(&mut self, kind: Kind, n: u8) -> u64 {
        if n < BANK {
            self.0.read_value(kind, n)
        } else {
            self.in_bank(n, |regs, n| regs.read_value(kind, n))
        }
    }

    fn read_control(&mut self, kind: Kind, n: u8) -> u32 {
        if n < BANK {
            self.0.read_control(kind, n)
        } else {
            self.in_bank(n, |regs, n| regs.read_control(kind, n))
        }
    }
}

impl<R: BankSelect> BankSelect for &mut R {
    fn write_mdselr(&mut self, value: u64) {
        (**self).write_mdselr(value);
    }
}

/// Puts every slot of a CPU that comes up into a known state, disarmed: all fields are UNKNOWN out of reset (rule H8).
pub fn reset_all(regs: &mut impl DebugRegs, counts: Counts) {
    regs.settle();
    for kind in [Kind::Breakpoint, Kind::Watchpoint] {
        for n in 0..counts.of(kind) {
            regs.write_control(kind, n, 0);
            regs.write_value(kind, n, 0);
        }
    }
    regs.commit();
}

/// Whether EL1 can reach the banks that the ID registers announce. Software at EL2 or EL3 may deny them to EL1; all accesses then
/// go to bank 0.
///
/// For bring-up, before [`reset_all`], with EMBWE set and an ISB executed. Overwrites value registers, so no slot may be in use.
pub fn banks_answer(regs: &mut Banked<impl DebugRegs + BankSelect + ReadRegs>, counts: Counts) -> bool {
    const MARK: u64 = 0x1000;
    regs.settle();
    [Kind::Breakpoint, Kind::Watchpoint].into_iter().all(|kind| {
        let firsts = || (0..counts.of(kind)).step_by(BANK.into());
        firsts().for_each(|n| regs.write_value(kind, n, MARK * (1 + u64::from(n))));
        // The reads go through other values of MDSELR_EL1 than the writes did (DDI 0487 D24.1.2.2).
        regs.isb();
        firsts().all(|n| regs.read_value(kind, n) == MARK * (1 + u64::from(n)))
    })
}
