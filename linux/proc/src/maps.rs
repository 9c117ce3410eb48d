//! `/proc/PID/maps`.

use crate::{Result, Text};
use core::fmt::Write;
use core::ops::Range;

/// The names of mappings begin at this column, the first of which is 0, unless the numbers before are longer (Linux: 25 + 6 *
/// sizeof(void *), `show_map_vma`).
const NAME_COLUMN: usize = 73;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapsLine<'a> {
    /// The addresses.
    pub range: Range<u64>,
    /// Such as `r-xp`.
    pub letters: [char; 4],
    /// Where in the file the mapping begins, in bytes; 0 without a file.
    pub offset: u64,
    /// Major and minor number of the file's device; 0 without a file.
    pub device: (u32, u32),
    /// The file's inode number; 0 without a file.
    pub inode: u64,
    /// The file's path, or a name in brackets; empty if there is none.
    pub name: &'a [u8],
}

impl MapsLine<'_> {
    /// Appends the line.
    ///
    /// # Errors
    /// No memory.
    pub fn write(&self, to: &mut Text) -> Result {
        let begin = to.len();
        write!(to, "{:08x}-{:08x} ", self.range.start, self.range.end)?;
        self.letters.iter().try_for_each(|letter| to.write_char(*letter))?;
        let (major, minor) = self.device;
        write!(to, " {:08x} {major:02x}:{minor:02x} {} ", self.offset, self.inode)?;
        if !self.name.is_empty() {
            to.pad(begin + NAME_COLUMN - 1)?;
            to.bytes(b" ")?;
            to.escaped(self.name, b"\n")?;
        }
        to.bytes(b"\n")
    }
}
