//! Why a slot was not given out, and what to do about it.

use crate::{Kind, SlotId, VaSize};

/// Why a request for a slot was refused. `Display` says what to do instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SlotError {
    /// The length of the watched range, in bytes, is 0 or above 2 GiB.
    BadLength {
        /// The length asked for.
        length: u64,
    },
    /// The address is not aligned as the hardware needs it.
    Misaligned {
        /// The address asked for.
        address: u64,
        /// The alignment needed, in bytes.
        alignment: u64,
    },
    /// A range of up to 8 bytes that lies in two doublewords, which one watchpoint cannot hold.
    CrossesDoubleword {
        /// The first byte.
        address: u64,
        /// The length in bytes.
        length: u64,
    },
    /// A range of more than 8 bytes whose length is not a power of two, which one watchpoint cannot hold.
    RangeNotPowerOfTwo {
        /// The length in bytes.
        length: u64,
    },
    /// Neither one slot nor two can hold exactly this range.
    CannotSplit {
        /// The first byte.
        address: u64,
        /// The length in bytes.
        length: u64,
    },
    /// The bits of the address above the size of virtual addresses are not all alike.
    NotCanonical {
        /// The address asked for.
        address: u64,
        /// The size of virtual addresses.
        va: VaSize,
    },
    /// The range goes past the last address of the half of the address space that its first byte is in: at the top of the upper
    /// half it would wrap around to 0, at the top of the lower half it would reach addresses that are not canonical.
    PastTheEnd {
        /// The first byte.
        address: u64,
        /// The length in bytes.
        length: u64,
        /// The last address of the half of the address space that the first byte is in.
        last: u64,
    },
    /// An EL0-only slot on an address of the upper half, where EL0 has nothing.
    WrongAddressSpace {
        /// The address asked for.
        address: u64,
    },
    /// A breakpoint in text that the debugger itself runs ([`NoProbe::text`](crate::NoProbe::text), rule H6).
    NoProbeText {
        /// The address asked for.
        address: u64,
    },
    /// A watchpoint on data that the debugger itself uses ([`NoProbe::data`](crate::NoProbe::data), rule H6).
    NoProbeData {
        /// The first byte of the range asked for.
        address: u64,
    },
    /// A breakpoint inside a load-exclusive/store-exclusive sequence (rule H9). This crate never returns it, since it does not read
    /// text; a caller that decodes the text does.
    ExclusiveSequence {
        /// The address asked for.
        address: u64,
    },
    /// All slots of this kind are in use.
    NoFreeSlot {
        /// The kind asked for.
        kind: Kind,
        /// How many slots of this kind there are.
        total: u8,
    },
    /// The request needs two slots of this kind, but only one is free.
    NeedsTwo {
        /// The kind asked for.
        kind: Kind,
    },
    /// The set of CPUs that the slot is for is empty.
    NoCpu,
    /// No record has this id: the slot was removed, or the id was never given out.
    Gone {
        /// The id that the caller has given.
        id: SlotId,
    },
    /// The slot is still live. Retire it, and disarm it on every CPU, before you free it.
    NotRetired {
        /// The id that the caller has given.
        id: SlotId,
    },
}

impl core::error::Error for SlotError {}

impl core::fmt::Display for SlotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            SlotError::BadLength { length } => {
                write!(f, "cannot watch {length} bytes: give a length from 1 byte to 2 GiB (0x80000000)")
            }
            SlotError::Misaligned { address, alignment } => {
                write!(
                    f,
                    "{address:#x} is not aligned: use a multiple of {alignment:#x}, such as {:#x}",
                    address & !(alignment - 1)
                )
            }
            SlotError::CrossesDoubleword { address, length } => {
                write!(
                    f,
                    "{length} bytes at {address:#x} lie in two doublewords: watch them as two ranges, {} at {address:#x} and {} at {:#x}",
                    8 - (address & 7),
                    length - (8 - (address & 7)),
                    (address | 7).wrapping_add(1)
                )
            }
            SlotError::RangeNotPowerOfTwo { length } => {
                write!(
                    f,
                    "{length} bytes do not fit one watchpoint: give 1 to 8, or a power of two such as {}",
                    length.checked_next_power_of_two().unwrap_or(1 << 31).min(1 << 31)
                )
            }
            SlotError::CannotSplit { address, length } => {
                write!(
                    f,
                    "{length} bytes at {address:#x} fit neither one watchpoint nor two: give a power of two, aligned to itself"
                )
            }
            SlotError::NotCanonical { address, va } => {
                write!(
                    f,
                    "{address:#x} is no virtual address: bits 63 to {} must be all 0 or all 1",
                    va.bits()
                )
            }
            SlotError::PastTheEnd { address, length, last } => {
                let room = (last - address).saturating_add(1);
                let plural = if room == 1 { "" } else { "s" };
                write!(
                    f,
                    "{length} bytes at {address:#x} go past {last:#x}, the last address of its half of the address space: watch at most {room} byte{plural} there"
                )
            }
            SlotError::WrongAddressSpace { address } => {
                write!(
                    f,
                    "{address:#x} is a kernel address, never reached from EL0: ask for EL1, or give a user address"
                )
            }
            SlotError::NoProbeText { address } => {
                write!(
                    f,
                    "{address:#x} is in text that the debugger itself runs (no-probe text): choose another instruction"
                )
            }
            SlotError::NoProbeData { address } => {
                write!(
                    f,
                    "the range at {address:#x} touches data of the debugger itself (no-probe data): watch other data"
                )
            }
            SlotError::ExclusiveSequence { address } => {
                write!(
                    f,
                    "{address:#x} is between a load-exclusive and its store-exclusive, which would never succeed: choose an instruction before or after the loop"
                )
            }
            SlotError::NoFreeSlot { kind, total } => {
                write!(f, "all {total} hardware {kind}s are in use: remove one first")
            }
            SlotError::NeedsTwo { kind } => {
                write!(
                    f,
                    "the range takes two hardware {kind}s, and only one is free: remove one first, or watch a part that one can hold"
                )
            }
            SlotError::NoCpu => f.write_str("the set of CPUs is empty: name at least one CPU"),
            SlotError::Gone { id } => write!(f, "{} {} was removed already", id.kind, id.index),
            SlotError::NotRetired { id } => {
                write!(f, "{} {} is live: retire it and disarm it on every CPU first", id.kind, id.index)
            }
        }
    }
}
