//! The symbol table that `xtask` appends to the image. `xtask/src/symbols.rs` describes its layout.

use super::{Kind, Symbol};
use crate::mm::layout;

const MAGIC: &[u8; 8] = b"STEPSYM2";
/// Bytes of an entry of the table.
const ENTRY: usize = 32;

/// The table's entries, sorted by address, and the bytes of all names.
pub struct Table {
    entries: &'static [[u8; ENTRY]],
    strings: &'static [u8],
}

/// The length of the image and the table behind it, from the image's own header.
pub fn image_size() -> usize {
    // SAFETY: the header is the image's first 64 bytes, and nobody writes it.
    unsafe { ((layout::image_start() + 16) as *const u64).read_volatile() as usize }
}

impl Table {
    /// The table of the running image; None if the image was started without one. Any context.
    pub fn get() -> Option<Self> {
        let room = image_size().checked_sub(layout::image_end() - layout::image_start())?;
        // SAFETY: the size in the header includes the table, and `mm::build` maps it read-only.
        let blob = unsafe { core::slice::from_raw_parts(layout::image_end() as *const u8, room) };
        let (magic, rest) = blob.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (strings, rest) = rest.split_first_chunk::<4>()?;
        let entries = (magic == MAGIC).then(|| rest.get(..u32::from_le_bytes(*count) as usize * ENTRY))??;
        let strings = rest.get(entries.len()..)?.get(..u32::from_le_bytes(*strings) as usize)?;
        Some(Self { entries: entries.as_chunks::<ENTRY>().0, strings })
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The symbol number `index`, in the order of addresses.
    pub fn symbol(&self, index: usize) -> Option<Symbol> {
        let entry = self.entries.get(index)?;
        let start = word(entry, 8) as usize;
        let name = self.strings.get(start..start + (word(entry, 12) & 0xffff) as usize)?;
        let doubleword = |at| u64::from(word(entry, at)) | u64::from(word(entry, at + 4)) << 32;
        Some(Symbol {
            name: core::str::from_utf8(name).ok()?,
            address: layout::image_start() as u64 + u64::from(word(entry, 0)),
            size: word(entry, 4).into(),
            kind: if word(entry, 12) >> 16 == 0 { Kind::Text } else { Kind::Data },
            hash: doubleword(16),
            mangled: doubleword(24),
        })
    }

    /// The address and the length of the symbol number `index`.
    pub fn extent(&self, index: usize) -> Option<(u64, u64)> {
        let entry = self.entries.get(index)?;
        Some((layout::image_start() as u64 + u64::from(word(entry, 0)), word(entry, 4).into()))
    }

    /// How many symbols begin at or before `offset` bytes from the image's start.
    pub fn up_to(&self, offset: u64) -> usize {
        self.entries.partition_point(|entry| u64::from(word(entry, 0)) <= offset)
    }
}

fn word(entry: &[u8; ENTRY], at: usize) -> u32 {
    u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
}
