//! From "what to watch" to the contents of a value and a control register.
//!
//! Control register fields (DDI 0487, `DBGBCR<n>_EL1` and `DBGWCR<n>_EL1`): E[0]; PMC, for watchpoints PAC, [2:1];
//! LSC[4:3] (watchpoints); BAS[8:5], for watchpoints [12:5]; HMC[13]; SSC[15:14]; MASK[28:24] (watchpoints).

use crate::va::is_upper;
use crate::{Kind, Pieces, SlotError, VaSize};

const E: u32 = 1;
const PMC_SHIFT: u32 = 1;
const LSC_SHIFT: u32 = 3;
const BAS_SHIFT: u32 = 5;
const MASK_SHIFT: u32 = 24;
const LONGEST: u64 = 1 << 31;

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
    const fn field(self) -> u32 {
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
    const fn field(self) -> u32 {
        self as u32
    }
}

/// What to watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Stop before the A64 instruction at `address` is executed.
    Breakpoint {
        /// Virtual address of the instruction, a multiple of 4.
        address: u64,
        /// At which exception levels.
        privilege: Privilege,
    },
    /// Stop before `length` bytes from `address` are accessed.
    Watchpoint {
        /// Virtual address of the first byte.
        address: u64,
        /// Bytes: 1 to 8 within one doubleword, or a power of two up to 2 GiB with the address aligned to it. Other
        /// lengths may fit two slots: see [`Request::split`].
        length: u64,
        /// By which accesses.
        access: Access,
        /// From which exception levels.
        privilege: Privilege,
    },
}

impl Request {
    /// A breakpoint on the A64 instruction at `address`.
    pub const fn breakpoint(address: u64, privilege: Privilege) -> Request {
        Request::Breakpoint { address, privilege }
    }

    /// A watchpoint on `length` bytes from `address`.
    pub const fn watchpoint(address: u64, length: u64, access: Access, privilege: Privilege) -> Request {
        Request::Watchpoint { address, length, access, privilege }
    }

    /// The kind of slot that is asked for.
    pub const fn kind(&self) -> Kind {
        match self {
            Request::Breakpoint { .. } => Kind::Breakpoint,
            Request::Watchpoint { .. } => Kind::Watchpoint,
        }
    }

    /// The first address.
    pub const fn address(&self) -> u64 {
        match *self {
            Request::Breakpoint { address, .. } | Request::Watchpoint { address, .. } => address,
        }
    }

    /// The length in bytes; 4 for a breakpoint.
    pub const fn length(&self) -> u64 {
        match *self {
            Request::Breakpoint { .. } => 4,
            Request::Watchpoint { length, .. } => length,
        }
    }

    /// The exception levels asked for.
    pub const fn privilege(&self) -> Privilege {
        match *self {
            Request::Breakpoint { privilege, .. } | Request::Watchpoint { privilege, .. } => privilege,
        }
    }

    /// The register contents for this request in one slot, on a CPU with addresses of 48 bits.
    ///
    /// # Errors
    /// As [`Request::encode_for`].
    pub fn encode(&self) -> Result<Encoding, SlotError> {
        self.encode_for(VaSize::Bits48)
    }

    /// The register contents for this request in one slot.
    ///
    /// # Errors
    /// Says why one slot cannot hold it. [`SlotError::CrossesDoubleword`], [`SlotError::RangeNotPowerOfTwo`] and
    /// [`SlotError::Misaligned`] of a watchpoint may be cured by [`Request::split`].
    pub fn encode_for(&self, va: VaSize) -> Result<Encoding, SlotError> {
        let encoding = self.encode_doubleword(va).or_else(|| self.encode_masked(va));
        encoding.ok_or_else(|| self.why_refused(va))
    }

    /// The register contents for a breakpoint, or for a watchpoint on 1 to 8 bytes of one doubleword; `None` for every other
    /// request. A range inside one doubleword lies where its first byte does, so only the first address is checked.
    #[inline(always)]
    pub(crate) fn encode_doubleword(&self, va: VaSize) -> Option<Encoding> {
        let address = self.address();
        if !self.is_address_of_the_levels(va) {
            return None;
        }
        let privilege = self.privilege().field() << PMC_SHIFT;
        match *self {
            Request::Breakpoint { .. } => (address & 3 == 0)
                .then_some(Encoding { value: address, control: privilege | 0xf << BAS_SHIFT }),
            Request::Watchpoint { length, access, .. } => {
                let offset = address & 7;
                // A length of 0 wraps around, and so is too long as well.
                if length.wrapping_sub(1) >= 8 - offset {
                    return None;
                }
                // BAS counts bytes from the doubleword that the value register names: bit 2 of the value set is deprecated,
                // and reaches four bytes only (DDI 0487, "Programming a watchpoint with eight bytes or fewer").
                let bas = ((1u32 << length) - 1) << offset;
                let control = privilege | access.field() << LSC_SHIFT | bas << BAS_SHIFT;
                Some(Encoding { value: address - offset, control })
            }
        }
    }

    /// The register contents for a watchpoint on a power of two of more than 8 bytes; `None` for every other request. The range
    /// is aligned to its length, so it neither wraps around nor leaves the half of its first byte.
    #[inline]
    fn encode_masked(&self, va: VaSize) -> Option<Encoding> {
        let Request::Watchpoint { address, length, access, privilege } = *self else { return None };
        let fits = (9..=LONGEST).contains(&length)
            && length.is_power_of_two()
            && address & (length - 1) == 0
            && self.is_address_of_the_levels(va);
        // With MASK in use BAS must be all ones, and the masked bits of the value zero (both CONSTRAINED UNPREDICTABLE
        // else).
        let range = 0xff << BAS_SHIFT | length.trailing_zeros() << MASK_SHIFT;
        let control = privilege.field() << PMC_SHIFT | access.field() << LSC_SHIFT | range;
        fits.then_some(Encoding { value: address, control })
    }

    /// Whether the first address is a virtual address, and one that the exception levels asked for can reach.
    #[inline(always)]
    fn is_address_of_the_levels(&self, va: VaSize) -> bool {
        let address = self.address();
        va.contains(address) && !(self.privilege() == Privilege::El0 && is_upper(address))
    }

    /// Why neither [`Request::encode_doubleword`] nor [`Request::encode_masked`] holds this request.
    #[cold]
    fn why_refused(&self, va: VaSize) -> SlotError {
        let address = self.address();
        let length = self.length();
        if length == 0 || length > LONGEST {
            return SlotError::BadLength { length };
        }
        if !va.contains(address) {
            return SlotError::NotCanonical { address, va };
        }
        let last = va.last_beside(address);
        if length - 1 > last - address {
            return SlotError::PastTheEnd { address, length, last };
        }
        if self.privilege() == Privilege::El0 && is_upper(address) {
            return SlotError::WrongAddressSpace { address };
        }
        match self {
            Request::Breakpoint { .. } => SlotError::Misaligned { address, alignment: 4 },
            Request::Watchpoint { .. } if length <= 8 => SlotError::CrossesDoubleword { address, length },
            Request::Watchpoint { .. } if !length.is_power_of_two() => {
                SlotError::RangeNotPowerOfTwo { length }
            }
            Request::Watchpoint { .. } => SlotError::Misaligned { address, alignment: length },
        }
    }

    /// The request as it is where one slot holds it, or else as two requests that together watch exactly the same
    /// bytes.
    ///
    /// An access that touches both halves is one exception, attributed to one of them. [`Snapshot::mate`](crate::Snapshot::mate)
    /// says which other slot to suspend with it, so that it stays one hit.
    ///
    /// On a CPU with addresses of 48 bits; see [`Request::split_for`].
    ///
    /// # Errors
    /// As [`Request::split_for`].
    pub fn split(&self) -> Result<Pieces, SlotError> {
        self.split_for(VaSize::Bits48)
    }

    /// As [`Request::split`], for addresses of any size.
    ///
    /// # Errors
    /// As [`Request::encode_for`] where splitting is no cure, [`SlotError::CannotSplit`] where two slots do not do either.
    pub fn split_for(&self, va: VaSize) -> Result<Pieces, SlotError> {
        let why = match self.encode_for(va) {
            Ok(_) => return Ok(Pieces::One(*self)),
            Err(why) => why,
        };
        let Request::Watchpoint { address, length, access, privilege } = *self else {
            return Err(why);
        };
        if !matches!(
            why,
            SlotError::CrossesDoubleword { .. }
                | SlotError::RangeNotPowerOfTwo { .. }
                | SlotError::Misaligned { .. }
        ) {
            return Err(why);
        }
        let piece = |address, length| Request::Watchpoint { address, length, access, privilege };
        // Every length that one slot can hold, longest first.
        let lengths = (3..=31).rev().map(|n| 1 << n).chain((1..=7).rev());
        for first in lengths.filter(|&first| first < length) {
            let pieces = (piece(address, first), piece(address + first, length - first));
            if pieces.0.encode_for(va).is_ok() && pieces.1.encode_for(va).is_ok() {
                return Ok(Pieces::Two(pieces.0, pieces.1));
            }
        }
        Err(SlotError::CannotSplit { address, length })
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
