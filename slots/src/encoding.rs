//! The contents of a slot's value register and control register.
//!
//! Fields of the control register (DDI 0487, `DBGBCR<n>_EL1` and `DBGWCR<n>_EL1`):
//!
//! | bits | `DBGBCR<n>_EL1` | `DBGWCR<n>_EL1` | what the field decides |
//! |---|---|---|---|
//! | 0 | E | E | whether the slot is enabled |
//! | 2 to 1 | PMC | PAC | with HMC and SSC: the exception levels that match, see [`Privilege`] |
//! | 4 to 3 | | LSC | loads, stores or both, see [`Access`] |
//! | 8 to 5, watchpoints 12 to 5 | BAS | BAS | the bytes that match; always all of them (0xf) for an A64 instruction |
//! | 13 | HMC | HMC | always 0 here |
//! | 15 to 14 | SSC | SSC | always 0 here |
//! | 28 to 24 | | MASK | how many low address bits a watchpoint on more than 8 bytes ignores; 0 for up to 8 bytes |

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
    /// Accesses at EL1 only. A watchpoint does not match LDTR and STTR, although they are executed at EL1.
    El1 = 0b01,
    /// Accesses at EL0 only. A watchpoint also matches LDTR and STTR executed at EL1.
    El0 = 0b10,
    /// Accesses at EL1 and at EL0.
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
    /// All accesses that `Read` or `Write` matches.
    ReadWrite = 0b11,
}

impl Access {
    pub(crate) const fn field(self) -> u32 {
        self as u32
    }
}

/// The contents of a slot's two registers. The enable bit E in `control` is clear, so that nobody arms a slot by mistake:
/// [`Encoding::enabled`] sets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// The contents of `DBGBVR<n>_EL1` or `DBGWVR<n>_EL1`: a virtual address.
    pub value: u64,
    /// The contents of `DBGBCR<n>_EL1` or `DBGWCR<n>_EL1`, with E clear.
    pub control: u32,
}

impl Encoding {
    /// The control register's contents with E set.
    #[inline]
    pub const fn enabled(&self) -> u32 {
        self.control | E
    }

    /// As [`Encoding::enabled`], for a caller that has only the contents of the control register.
    #[inline(always)]
    pub(crate) const fn enabled_control(control: u32) -> u32 {
        control | E
    }

    /// Whether a watchpoint with this encoding watches more than a doubleword, which it does by MASK instead of BAS.
    #[inline]
    pub(crate) const fn is_wide(&self) -> bool {
        self.control >> MASK_SHIFT & 0x1f != 0
    }

    /// Whether a watchpoint with this encoding watches the byte at `address`.
    #[inline]
    pub(crate) const fn holds(&self, address: u64) -> bool {
        self.touches(address, address)
    }

    /// Whether a watchpoint with this encoding watches at least one of the bytes from `from` to `to`, both included.
    #[inline]
    pub(crate) const fn touches(&self, from: u64, to: u64) -> bool {
        let (first, last) = self.watched();
        first <= to && from <= last
    }

    /// Whether a watchpoint on up to 8 bytes matches the byte at `far` and the direction of the access. `control` is the contents
    /// of the watchpoint's control register. The caller has compared the doubleword already; only bits 2 to 0 of `far` are used.
    ///
    /// `iss` is `ESR_EL1.ISS`. Its bit 6 is WnR: 0 for a load, 1 for a store. Bit 0 of LSC is for loads and bit 1 for stores, so
    /// WnR is the number of the bit in LSC.
    #[inline(always)]
    pub(crate) const fn matches_byte(control: u32, iss: u32, far: u64) -> bool {
        let byte = control >> (BAS_SHIFT + (far as u32 & 7));
        let access = control >> (LSC_SHIFT + (iss >> 6 & 1));
        byte & access & 1 != 0
    }

    /// The addresses of the first and of the last byte that a watchpoint with this encoding watches. Means nothing for a
    /// breakpoint.
    #[inline]
    pub const fn watched(&self) -> (u64, u64) {
        let mask = self.control >> MASK_SHIFT & 0x1f;
        if mask != 0 {
            return (self.value, self.value | ((1 << mask) - 1));
        }
        let bas = self.control >> BAS_SHIFT & 0xff;
        // No request makes a BAS of 0. `| 0x80` and `| 1` keep `first` and `last` in range even then.
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
