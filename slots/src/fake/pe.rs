//! A model of the slot registers of a processing element with banks (FEAT_Debugv8p9), as software at EL1 sees them.
//!
//! Written from the architecture's text, not from how this crate uses the registers: DDI 0487, the accessibility of
//! `DBGBCR<n>_EL1` and its like, `EffectiveMDSELR_EL1_BANK()`, `SelfHostedExtendedBPWPEnabled()`, and "Synchronization
//! requirements for AArch64 System registers". The model leaves open what the architecture leaves open: while several
//! banks may be selected, an access goes to the bank that the test chooses ([`Stale`]), and is noted as a [`Fault`].

use std::boxed::Box;
use std::vec::Vec;

use super::{Hit, Level, breakpoint_matches, judge, unknown, watchpoint_matches};
use crate::{BankSelect, Counts, DebugRegs, Kind, ReadRegs};

const MDE: u64 = 1 << 15;
const KDE: u64 = 1 << 13;
const EMBWE: u64 = 1 << 32;

/// Which bank an access finds while several may be selected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stale {
    /// The bank that was selected at the last context synchronisation.
    Oldest,
    /// The bank that was selected last.
    Newest,
}

/// What software must not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An access to a register that is not there: an Undefined Instruction exception.
    Undefined(Kind, usize),
    /// An access to MDSELR_EL1 on a CPU that does not have this register: an Undefined Instruction exception.
    NoBanks,
    /// An access that depends on a selection which no context synchronisation has brought into force.
    Unsynchronised(Kind, u8),
    /// An access with a reserved value in MDSELR_EL1.BANK.
    Reserved(u64),
}

/// What happens at an injected debug exception.
pub type Handler = Box<dyn FnOnce(&mut Pe)>;

/// All registers of the model: value and control register of each slot, MDSCR_EL1, MDSELR_EL1.
#[derive(Clone, PartialEq, Eq, Debug)]
struct State {
    slots: [Vec<(u64, u32)>; 2],
    mdscr: u64,
    mdselr: u64,
}

/// One processing element.
pub struct Pe {
    counts: Counts,
    /// MDCR_EL2.EBWE and MDCR_EL3.EBWE: whether EL1 may have banks at all.
    extended: bool,
    /// The state at the last context synchronisation, then the state after each write since. Any of these states may be in effect;
    /// a read returns the last one.
    possible: Vec<State>,
    stale: Stale,
    debug_masked: bool,
    accesses: usize,
    faults: Vec<Fault>,
    injected: Option<(usize, Handler)>,
}

impl Pe {
    /// Out of reset: all registers UNKNOWN, here derived from `seed`, with every slot enabled; debug exceptions masked.
    pub fn out_of_reset(counts: Counts, seed: u64) -> Pe {
        let mut random = unknown(seed);
        let mut slots =
            |kind| (0..counts.of(kind)).map(|_| (random() & !7, random() as u32 & !0xe000 | 0x1ff)).collect();
        let slots = [slots(Kind::Breakpoint), slots(Kind::Watchpoint)];
        let (mdscr, mdselr) = (random() & (MDE | KDE | EMBWE), random() & 0x30);
        Pe {
            counts,
            extended: true,
            possible: [State { slots, mdscr, mdselr }].into(),
            stale: Stale::Oldest,
            debug_masked: true,
            accesses: 0,
            faults: Vec::new(),
            injected: None,
        }
    }

    /// Brought up by hand: every slot zero, bank 0 selected, MDSCR_EL1.MDE, KDE and EMBWE set, debug exceptions open.
    pub fn brought_up(counts: Counts, stale: Stale) -> Pe {
        let mut pe = Pe::out_of_reset(counts, 1);
        let slots =
            [Kind::Breakpoint, Kind::Watchpoint].map(|kind| std::vec![(0, 0); counts.of(kind).into()]);
        pe.possible = [State { slots, mdscr: MDE | KDE | EMBWE, mdselr: 0 }].into();
        pe.stale = stale;
        pe.debug_masked = false;
        pe
    }

    /// Clears MDCR_EL2.EBWE or MDCR_EL3.EBWE, as software at EL2 or EL3 does that denies the banks to EL1.
    pub fn deny_banks(&mut self) {
        self.extended = false;
    }

    /// Writes MDSCR_EL1.
    pub fn write_mdscr(&mut self, value: u64) {
        self.before_access();
        self.change(|state| state.mdscr = value);
    }

    /// Has a debug exception taken before access number `at`, counted from now, or, if debug exceptions are masked there, as soon
    /// as they are unmasked.
    pub fn inject(&mut self, at: usize, handler: Handler) {
        self.injected = Some((self.accesses + at, handler));
    }

    /// Whether an injected exception has not been taken yet.
    pub fn pending(&self) -> bool {
        self.injected.is_some()
    }

    /// Runs `section` with debug exceptions masked.
    pub fn masked<T>(&mut self, section: impl FnOnce(&mut Pe) -> T) -> T {
        let before = core::mem::replace(&mut self.debug_masked, true);
        let result = section(self);
        self.debug_masked = before;
        self.take_pending();
        result
    }

    /// Accesses so far: writes, reads, and context synchronisations.
    pub fn accesses(&self) -> usize {
        self.accesses
    }

    /// All that software has done so far and must not do.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Value and control register of each slot of a kind, whatever the bank selected.
    pub fn contents(&self, kind: Kind) -> &[(u64, u32)] {
        &self.now().slots[kind as usize]
    }

    /// The value of MDSELR_EL1 that was written last.
    pub fn mdselr(&self) -> u64 {
        self.now().mdselr
    }

    /// Whether slot `n` hits an instruction at `address`, or a write of the byte there.
    pub fn hits(&self, kind: Kind, n: u8, address: u64, level: Level) -> Hit {
        judge(&self.possible, |state| self.matches(state, kind, n, address, level))
    }

    /// Whether any slot of the kind hits, as for [`hits`](Self::hits).
    pub fn any_hits(&self, kind: Kind, address: u64, level: Level) -> Hit {
        judge(&self.possible, |state| {
            (0..self.counts.of(kind)).any(|n| self.matches(state, kind, n, address, level))
        })
    }

    fn matches(&self, state: &State, kind: Kind, n: u8, address: u64, level: Level) -> bool {
        let enabled = state.mdscr & MDE != 0 && (level == Level::El0 || state.mdscr & KDE != 0);
        let reached = n < 16 || self.extended && state.mdscr & EMBWE != 0;
        let slot = state.slots[kind as usize][usize::from(n)];
        enabled
            && reached
            && match kind {
                Kind::Breakpoint => breakpoint_matches(slot, address, level),
                Kind::Watchpoint => watchpoint_matches(slot, address, true, level),
            }
    }

    fn now(&self) -> &State {
        self.possible.last().expect("there is always a state")
    }

    /// `EffectiveMDSELR_EL1_BANK()` at EL1.
    fn bank(&self, state: &State) -> u64 {
        if !self.counts.banked() || !self.extended || state.mdscr & EMBWE == 0 {
            0
        } else {
            state.mdselr >> 4 & 3
        }
    }

    /// The slot that encoding `m` stands for, if there is one.
    fn addressed(&mut self, kind: Kind, m: u8) -> Option<usize> {
        assert!(m < 16, "{kind} {m}: there is no such encoding");
        let banks: Vec<u64> = self.possible.iter().map(|state| self.bank(state)).collect();
        let (oldest, newest) = (banks[0], banks[banks.len() - 1]);
        if banks.iter().any(|&bank| bank != newest) {
            self.faults.push(Fault::Unsynchronised(kind, m));
        }
        let bank = if self.stale == Stale::Oldest { oldest } else { newest };
        let most = self.counts.of(Kind::Breakpoint).max(self.counts.of(Kind::Watchpoint));
        if bank * 16 >= u64::from(most) {
            self.faults.push(Fault::Reserved(bank));
            return None;
        }
        let n = bank as usize * 16 + usize::from(m);
        if n >= usize::from(self.counts.of(kind)) {
            self.faults.push(Fault::Undefined(kind, n));
            return None;
        }
        Some(n)
    }

    fn change(&mut self, change: impl FnOnce(&mut State)) {
        let mut next = self.now().clone();
        change(&mut next);
        self.possible.push(next);
    }

    fn synchronise(&mut self) {
        self.possible.drain(..self.possible.len() - 1);
    }

    fn before_access(&mut self) {
        self.take_pending();
        self.accesses += 1;
    }

    fn take_pending(&mut self) {
        if self.debug_masked || self.injected.as_ref().is_none_or(|(at, _)| *at > self.accesses) {
            return;
        }
        let Some((_, handler)) = self.injected.take() else { return };
        // Exception entry and return synchronise (SCTLR_EL1.EIS, EOS), and entry masks debug exceptions.
        self.synchronise();
        self.debug_masked = true;
        handler(self);
        self.debug_masked = false;
        self.synchronise();
    }
}

impl DebugRegs for Pe {
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        self.before_access();
        if let Some(n) = self.addressed(kind, n) {
            self.change(|state| state.slots[kind as usize][n].0 = value);
        }
    }

    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        self.before_access();
        if let Some(n) = self.addressed(kind, n) {
            self.change(|state| state.slots[kind as usize][n].1 = control);
        }
    }

    fn isb(&mut self) {
        self.before_access();
        self.synchronise();
    }
}

impl ReadRegs for Pe {
    fn read_value(&mut self, kind: Kind, n: u8) -> u64 {
        self.before_access();
        self.addressed(kind, n).map_or(0, |n| self.now().slots[kind as usize][n].0)
    }

    fn read_control(&mut self, kind: Kind, n: u8) -> u32 {
        self.before_access();
        self.addressed(kind, n).map_or(0, |n| self.now().slots[kind as usize][n].1)
    }
}

impl BankSelect for Pe {
    fn write_mdselr(&mut self, value: u64) {
        self.before_access();
        if self.counts.banked() {
            self.change(|state| state.mdselr = value);
        } else {
            self.faults.push(Fault::NoBanks);
        }
    }
}
