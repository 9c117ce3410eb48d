//! The contents of a slot's value and control registers.
//!
//! Control register fields (DDI 0487, `DBGBCR<n>_EL1` and `DBGWCR<n>_EL1`): E[0]; PMC, for watchpoints PAC, [2:1];
//! LSC[4:3] (watchpoints); BAS[8:5], for watchpoints [12:5]; HMC[13]; SSC[15:14]; MASK[28:24] (watchpoints).

const E: u32 = 1;
pub(crate) const PMC_SHIFT: u32 = 1;
pub(crate) const LSC_SHIFT: u32 = 3;
pub(crate) const BAS_SHIFT: u32 = 5;
pub(crate) const MASK_SHIFT: u32 = 24;

/// The exception levels whose accesses a slot matches.
///
/// DDI 0487, "Execution conditions for which a breakpoint (watchpoint) generates exceptions", the tables of HMC, SSC
/// and PMC (PAC): with HMC = 0 and SSC = 0b00, in any Security state, PMC 0b01 is EL1, 0b10 is EL0, 0b11 is both. For
/// a watchpoint "EL0" includes the unprivileged loads and stores (LDTR, STTR) executed at EL1, "EL1" excludes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Privilege {
    /// EL1 only.
    El1 = 0b01,
    /// EL0 only.
    El0 = 0b10,
    /// EL1 and EL0.
    Both = 0b11,
}

impl Privilege {
    pub(crate) const fn field(self) -> u32 {
        self as u32
    }
}

/// The accesses a watchpoint matches: `DBGWCR<n>_EL1.LSC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Loads, load-exclusives, the load part of atomics and swaps.
    Read = 0b01,
    /// Stores, store-exclusives, the store part of atomics and swaps, cache maintenance that writes.
    Write = 0b10,
    /// Both.
    ReadWrite = 0b11,
}

impl Access {
    pub(crate) const fn field(self) -> u32 {
        self as u32
    }
}

/// The contents of a slot's two registers. `control` has the enable bit E clear; see [`Encoding::enabled`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// `DBGBVR<n>_EL1` or `DBGWVR<n>_EL1`.
    pub value: u64,
    /// `DBGBCR<n>_EL1` or `DBGWCR<n>_EL1`, E clear.
    pub control: u32,
}

impl Encoding {
    /// The control register's contents with E set.
    #[inline]
    pub const fn enabled(&self) -> u32 {
        self.control | E
    }

    /// The same of a control register's contents alone.
    #[inline(always)]
    pub(crate) const fn enabled_control(control: u32) -> u32 {
        control | E
    }

    /// Whether a watchpoint with this encoding watches more than a doubleword.
    #[inline]
    pub(crate) const fn is_wide(&self) -> bool {
        self.control >> MASK_SHIFT & 0x1f != 0
    }

    /// Whether a watchpoint watches this byte.
    #[inline]
    pub(crate) const fn holds(&self, address: u64) -> bool {
        self.touches(address, address)
    }

    /// Whether a watchpoint watches a byte from `from` to `to`, both included.
    #[inline]
    pub(crate) const fn touches(&self, from: u64, to: u64) -> bool {
        let (first, last) = self.watched();
        first <= to && from <= last
    }

    /// Whether a watchpoint of a doubleword, by its control register, watches the byte at `far` in its doubleword, for the
    /// access that the syndrome tells of (WnR is bit 6 of ISS, LSC is load, then store).
    #[inline(always)]
    pub(crate) const fn matches_byte(control: u32, iss: u32, far: u64) -> bool {
        let byte = control >> (BAS_SHIFT + (far as u32 & 7));
        let access = control >> (LSC_SHIFT + (iss >> 6 & 1));
        byte & access & 1 != 0
    }

    /// First and last byte watched, read as a watchpoint's encoding.
    #[inline]
    pub const fn watched(&self) -> (u64, u64) {
        let mask = self.control >> MASK_SHIFT & 0x1f;
        if mask != 0 {
            return (self.value, self.value | ((1 << mask) - 1));
        }
        let bas = self.control >> BAS_SHIFT & 0xff;
        // `| 0x80` and `| 1` keep both in range for a BAS of zero, which no request makes.
        let first = (bas | 0x80).trailing_zeros() as u64;
        let last = 31 - (bas | 1).leading_zeros() as u64;
        (self.value + first, self.value + last)
    }

    /// Whether a watchpoint with this encoding matches writes (`write`), or reads (`!write`).
    #[inline]
    pub const fn matches_access(&self, write: bool) -> bool {
        let wanted = if write { Access::Write } else { Access::Read };
        self.control >> LSC_SHIFT & wanted.field() != 0
    }

    /// The accesses that a watchpoint with this encoding matches.
    pub const fn access(&self) -> Access {
        match (self.matches_access(false), self.matches_access(true)) {
            (true, false) => Access::Read,
            (false, _) => Access::Write,
            (true, true) => Access::ReadWrite,
        }
    }

    /// The exception levels that a slot with this encoding matches.
    #[inline]
    pub const fn privilege(&self) -> Privilege {
        match self.control >> PMC_SHIFT & 0b11 {
            0b10 => Privilege::El0,
            0b11 => Privilege::Both,
            _ => Privilege::El1,
        }
    }
}
