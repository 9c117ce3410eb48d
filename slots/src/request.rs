//! From "what to watch" to the contents of a value and a control register.

use crate::encoding::{BAS_SHIFT, LSC_SHIFT, MASK_SHIFT, PMC_SHIFT};
use crate::va::is_upper;
use crate::{Access, Encoding, Kind, Privilege, SlotError, VaSize};

/// The longest range that one watchpoint can watch.
const LONGEST: u64 = 1 << 31;

/// What to watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Stop before the A64 instruction at `address` is executed.
    Breakpoint {
        /// Virtual address of the instruction, a multiple of 4.
        address: u64,
        /// The exception levels at which the slot matches.
        privilege: Privilege,
    },
    /// Stop before `length` bytes from `address` are accessed.
    Watchpoint {
        /// Virtual address of the first byte.
        address: u64,
        /// The length in bytes: 1 to 8 within one doubleword, or a power of two up to 2 GiB with the address aligned to it. Other
        /// ranges may fit two slots: see [`Request::split`].
        length: u64,
        /// The accesses that the slot matches.
        access: Access,
        /// The exception levels whose accesses the slot matches.
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

    /// The address of the instruction, or of the first byte watched.
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
    /// Says why one slot cannot hold the request. After [`SlotError::CrossesDoubleword`], [`SlotError::RangeNotPowerOfTwo`] and
    /// [`SlotError::Misaligned`] for a watchpoint, [`Request::split`] may find two slots that can.
    pub fn encode_for(&self, va: VaSize) -> Result<Encoding, SlotError> {
        let encoding = self.encode_doubleword(va).or_else(|| self.encode_masked(va));
        encoding.ok_or_else(|| self.why_refused(va))
    }

    /// The register contents for a breakpoint, or for a watchpoint on 1 to 8 bytes of one doubleword; `None` for every other
    /// request. A range inside one doubleword lies where its first byte does, so only the first address is checked.
    #[inline(always)]
    pub(crate) fn encode_doubleword(&self, va: VaSize) -> Option<Encoding> {
        let address = self.address();
        if !self.levels_reach_address(va) {
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
                // BAS counts bytes from the address in the value register. That address is a doubleword's: a value with bit 2 set
                // is deprecated, and reaches four bytes only (DDI 0487, "Programming a watchpoint with eight bytes or fewer").
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
            && self.levels_reach_address(va);
        // With MASK in use, BAS must be all ones and the masked bits of the value must be zero. Anything else is CONSTRAINED
        // UNPREDICTABLE.
        let range = 0xff << BAS_SHIFT | length.trailing_zeros() << MASK_SHIFT;
        let control = privilege.field() << PMC_SHIFT | access.field() << LSC_SHIFT | range;
        fits.then_some(Encoding { value: address, control })
    }

    /// Whether the first address is a virtual address, and one that the exception levels asked for can reach.
    #[inline(always)]
    fn levels_reach_address(&self, va: VaSize) -> bool {
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
        let last = va.last_of_half(address);
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
}
