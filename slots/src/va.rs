//! How many bits a virtual address has.

/// How many bits the virtual addresses of a CPU have. The bits above these are all 0 or all 1, in addresses and in the value
/// registers (there they are the field RESS; DDI 0487, `DBGBVR<n>_EL1` and `DBGWVR<n>_EL1`).
///
/// An address here has no tag (TBI, MTE) and no authentication code (PAC): a slot compares the address without them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum VaSize {
    /// Bits 63 to 48 are alike. Every CPU has at least this size.
    #[default]
    Bits48,
    /// Bits 63 to 52 are alike (FEAT_LVA). If a slot is set on such an address on a CPU without FEAT_LVA, it matches a different
    /// address, or no address.
    Bits52,
    /// Bits 63 to 56 are alike (FEAT_LVA3).
    Bits56,
}

impl VaSize {
    /// The size that a CPU has: the field VARange of its `ID_AA64MMFR2_EL1`. A value that is reserved today is read as 48 bits.
    pub const fn from_id(id_aa64mmfr2: u64) -> VaSize {
        match id_aa64mmfr2 >> 16 & 0xf {
            1 => VaSize::Bits52,
            2 => VaSize::Bits56,
            _ => VaSize::Bits48,
        }
    }

    /// The number of bits of a virtual address.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        match self {
            VaSize::Bits48 => 48,
            VaSize::Bits52 => 52,
            VaSize::Bits56 => 56,
        }
    }

    /// Whether this is a virtual address of this size: the bits above the size are alike.
    #[inline(always)]
    pub const fn contains(self, address: u64) -> bool {
        let shift = 63 - self.bits();
        ((address << shift) as i64 >> shift) as u64 == address
    }

    /// The last address of the half of the address space that a virtual address is in.
    pub(crate) const fn last_of_half(self, address: u64) -> u64 {
        if is_upper(address) { u64::MAX } else { (1 << self.bits()) - 1 }
    }
}

/// Whether a virtual address is one of the upper half, where EL0 has nothing.
#[inline(always)]
pub(crate) const fn is_upper(address: u64) -> bool {
    address >> 63 != 0
}
