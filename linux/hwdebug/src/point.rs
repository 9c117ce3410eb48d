//! One slot of a tracer.

use crate::{Invalid, Kind};

/// Where the addresses of programs end: Linux's TASK_SIZE with addresses of 48 bits.
const TASK_SIZE: u64 = 1 << 48;

// Fields of the control word (DDI 0487, `DBGBCR<n>_EL1` and `DBGWCR<n>_EL1`).
const ENABLED: u32 = 1 << 0;
/// PMC and PAC: EL0 only. What a tracer writes there is ignored.
const EL0: u32 = 0b10 << 1;
const TYPE_SHIFT: u32 = 3;
const BAS_SHIFT: u32 = 5;

/// The accesses that a slot matches. The values are those of bits 4 to 3 of the control word (LSC).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as the names say")]
pub enum Access {
    Execute = 0,
    Read = 1,
    Write = 2,
    ReadWrite = 3,
}

impl Access {
    const fn is_execute(self) -> bool {
        matches!(self, Self::Execute)
    }

    const fn from_control(control: u32) -> Self {
        match control >> TYPE_SHIFT & 3 {
            0 => Self::Execute,
            1 => Self::Read,
            2 => Self::Write,
            _ => Self::ReadWrite,
        }
    }
}

/// What the hardware is to watch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    /// The address of the first byte.
    pub address: u64,
    /// How many bytes: 1 to 8 in one doubleword; 4 for an instruction.
    pub length: u64,
    /// The accesses.
    pub access: Access,
}

/// A slot that a tracer has set once: Linux's event behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// The first byte, not aligned (`bp_addr`).
    first: u64,
    /// 1 to 8 (`bp_len`).
    length: u8,
    access: Access,
    enabled: bool,
}

impl Point {
    /// A slot before the first word is written to it: disabled, 4 bytes at 0.
    pub const fn new(kind: Kind) -> Self {
        let access = match kind {
            Kind::Break => Access::Execute,
            Kind::Watch => Access::ReadWrite,
        };
        Self { first: 0, length: 4, access, enabled: false }
    }

    /// The slot after `addr` was written.
    ///
    /// # Errors
    /// The address is none of a program's, even if the slot is disabled. A tagged address is none either.
    pub const fn with_address(self, first: u64) -> Result<Self, Invalid> {
        // Linux compares the last byte as well, so that addresses whose last byte wraps around are left over; these it refuses later.
        if first >= TASK_SIZE { Err(Invalid) } else { Ok(Self { first, ..self }) }
    }

    /// The slot after `ctrl` was written. Only the bit "enabled" of a control word that disables is looked at.
    ///
    /// # Errors
    /// The slot would be enabled and its byte mask (BAS) is 0 or has a gap, or its accesses are not those of the kind of slots, or its first
    /// byte is none of a program's, or its last byte lies behind the end of the doubleword: no slot of the hardware reaches there.
    pub const fn with_control(self, control: u32) -> Result<Self, Invalid> {
        if control & ENABLED == 0 {
            return Ok(Self { enabled: false, ..self });
        }
        let access = Access::from_control(control);
        let bas = control >> BAS_SHIFT & 0xff;
        let is_right_kind = access.is_execute() == self.access.is_execute();
        if bas == 0 || !is_right_kind {
            return Err(Invalid);
        }
        let offset = bas.trailing_zeros();
        let bytes = bas >> offset;
        if bytes & (bytes + 1) != 0 {
            return Err(Invalid);
        }
        let length = bytes.count_ones() as u8;
        // The mask counts from the address, which need not be a doubleword's.
        match self.with_address(self.first + offset as u64) {
            Ok(moved) if access.is_execute() || moved.first % 8 + length as u64 <= 8 => {
                Ok(Self { length, access, enabled: true, ..moved })
            }
            _ => Err(Invalid),
        }
    }

    /// `addr` as it is read: the doubleword of a watchpoint, the word of a breakpoint.
    pub const fn address(&self) -> u64 {
        self.first - self.offset() as u64
    }

    /// `ctrl` as it is read. The slot is for EL0, whatever was written. A new address can leave bytes behind the end of the doubleword: they are
    /// not watched, and are not in the mask.
    pub const fn control(&self) -> u32 {
        let bytes = match self.access {
            Access::Execute => 0xf,
            _ => (1 << self.length) - 1,
        };
        let bas = bytes << self.offset() & 0xff;
        bas << BAS_SHIFT | (self.access as u32) << TYPE_SHIFT | EL0 | self.enabled as u32
    }

    const fn offset(&self) -> u32 {
        let alignment = match self.access {
            Access::Execute => 4,
            _ => 8,
        };
        (self.first % alignment) as u32
    }

    /// What the hardware is to watch; None if the slot is disabled. A breakpoint in the middle of an instruction is accepted, as on Linux, but
    /// no A64 instruction is there, so it watches nothing.
    pub fn watched(&self) -> Option<Watched> {
        let offset = u64::from(self.offset());
        let length = match self.access {
            Access::Execute if offset == 0 => 4,
            Access::Execute => return None,
            _ => u64::from(self.length).min(8 - offset),
        };
        self.enabled.then_some(Watched { address: self.first, length, access: self.access })
    }
}
