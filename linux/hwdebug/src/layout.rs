//! The bytes of `struct user_hwdebug_state`.

use crate::{Invalid, Point};

/// How many slots the structure has.
pub const MOST: usize = 16;
/// The size of `dbg_info` and its padding.
const HEADER: usize = 8;
/// The size of one element of `dbg_regs`.
const SLOT: usize = 16;
/// The size of the structure in bytes.
pub const SIZE: usize = HEADER + MOST * SLOT;
/// The unit of a regset's size: `user_regset.size`.
const UNIT: usize = 4;

/// A word that a tracer has given for one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// `addr`.
    Address(u64),
    /// `ctrl`.
    Control(u32),
}

/// `dbg_info` of a CPU with `slots` slots and this version of the debug architecture (`ID_AA64DFR0_EL1.DebugVer`).
pub const fn info(slots: u8, version: u8) -> u32 {
    slots as u32 | (version as u32) << 8
}

/// The structure as a tracer reads it. `points` has the slots in their order, None for one that was never set; slots that it does not
/// have are never set either.
pub fn encode(info: u32, points: &[Option<Point>]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..4].copy_from_slice(&info.to_le_bytes());
    let (slots, _) = bytes[HEADER..].as_chunks_mut::<SLOT>();
    for (slot, point) in slots.iter_mut().zip(points) {
        if let Some(point) = point {
            slot[..8].copy_from_slice(&point.address().to_le_bytes());
            slot[8..12].copy_from_slice(&point.control().to_le_bytes());
        }
    }
    bytes
}

/// The words that a tracer gives, in their order, each with the number of its slot. `bytes` begins with `dbg_info`, which is ignored. Bytes
/// behind [`SIZE`] are ignored too.
///
/// An item is an error where the bytes end in the middle of an address: Linux takes over the words before it, and then says EINVAL.
///
/// # Errors
/// The number of bytes is no multiple of 4. Nothing is to be taken over then.
pub fn changes(bytes: &[u8]) -> Result<impl Iterator<Item = Result<(usize, Change), Invalid>> + '_, Invalid> {
    if !bytes.len().is_multiple_of(UNIT) {
        return Err(Invalid);
    }
    let bytes = &bytes[..bytes.len().min(SIZE)];
    let slots = bytes.get(HEADER..).unwrap_or(&[]).chunks(SLOT).enumerate();
    Ok(slots.flat_map(|(nth, slot)| {
        let address = match slot.first_chunk() {
            Some(address) => Ok((nth, Change::Address(u64::from_le_bytes(*address)))),
            None => Err(Invalid),
        };
        let control = slot.get(8..).and_then(<[u8]>::first_chunk);
        let control = control.map(|control| Ok((nth, Change::Control(u32::from_le_bytes(*control)))));
        [Some(address), control].into_iter().flatten()
    }))
}
