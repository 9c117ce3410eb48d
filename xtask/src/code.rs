//! An image's machine code: instruction words and functions by address, and what the checks of images need to know about A64.

use crate::symbols::{Kind, Symbol};
use std::ops::Range;

/// The image's text.
pub struct Text<'a> {
    pub address: u64,
    pub bytes: &'a [u8],
}

impl Text<'_> {
    /// The instruction word at an address. None outside of the text.
    pub fn word(&self, at: u64) -> Option<u32> {
        let offset = usize::try_from(at.checked_sub(self.address)?).ok()?;
        let bytes = self.bytes.get(offset..offset + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// All instruction words of a part of the text, with their addresses.
    pub fn words(&self, part: Range<u64>) -> impl Iterator<Item = (u64, u32)> {
        part.step_by(4).filter_map(|at| Some((at, self.word(at)?)))
    }

    /// The addresses of the whole text.
    pub fn all(&self) -> Range<u64> {
        self.address..self.address + self.bytes.len() as u64
    }
}

/// The image's functions.
pub struct Functions<'a> {
    /// The address that the symbols' offsets count from.
    pub start: u64,
    /// The symbols, sorted by offset.
    pub symbols: &'a [Symbol],
}

impl Functions<'_> {
    /// The name of the function at an address; `?` for an address in front of the first function.
    pub fn name(&self, address: u64) -> &str {
        self.at(address).map_or("?", |symbol| symbol.name.as_str())
    }

    /// The addresses of the function at an address. If its symbol has no size, the function ends at the next symbol.
    pub fn range(&self, address: u64) -> Range<u64> {
        let Some(symbol) = self.at(address) else { return address..address };
        let start = self.start + u64::from(symbol.offset);
        start..start + u64::from(symbol.size)
    }

    fn at(&self, address: u64) -> Option<&Symbol> {
        let offset = address.saturating_sub(self.start);
        let up_to = self.symbols.partition_point(|symbol| u64::from(symbol.offset) <= offset);
        self.symbols[..up_to].iter().rev().find(|symbol| symbol.kind == Kind::Text)
    }
}

/// The kind of a branch, which says where else than at the next instruction execution can go on (DDI 0487 C4.1, "Branches,
/// Exception Generating and System instructions").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// B to this address.
    Always(u64),
    /// BL to this address.
    Call(u64),
    /// B.cond, CBZ, CBNZ, TBZ or TBNZ to this address.
    Perhaps(u64),
    /// BR through the register with this number.
    Register(u32),
    /// BLR through a register.
    CallRegister,
    /// RET, through whichever register.
    Return,
}

/// What the instruction `word` at `at` branches to, if it is a branch.
pub fn branch(at: u64, word: u32) -> Option<Branch> {
    // A signed field of `bits` bits that begins at bit `from` counts instructions.
    let target = |from: u32, bits: u32| {
        let field = (word << (32 - from - bits)) as i32 >> (32 - bits);
        at.wrapping_add_signed(i64::from(field) * 4)
    };
    match word {
        _ if word & 0xfc00_0000 == 0x1400_0000 => Some(Branch::Always(target(0, 26))),
        _ if word & 0xfc00_0000 == 0x9400_0000 => Some(Branch::Call(target(0, 26))),
        _ if word & 0xff00_0000 == 0x5400_0000 => Some(Branch::Perhaps(target(5, 19))),
        _ if word & 0x7e00_0000 == 0x3400_0000 => Some(Branch::Perhaps(target(5, 19))),
        _ if word & 0x7e00_0000 == 0x3600_0000 => Some(Branch::Perhaps(target(5, 14))),
        _ if word & 0xffff_fc1f == 0xd61f_0000 => Some(Branch::Register(word >> 5 & 31)),
        _ if word & 0xffff_fc1f == 0xd63f_0000 => Some(Branch::CallRegister),
        _ if word & 0xffff_fc1f == 0xd65f_0000 => Some(Branch::Return),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_are_told_with_their_targets() {
        let of = |word| branch(0x1000, word);
        assert_eq!(of(0x1400_0002), Some(Branch::Always(0x1008)));
        assert_eq!(of(0x97ff_ffff), Some(Branch::Call(0xffc)));
        assert_eq!(of(0x5400_0041), Some(Branch::Perhaps(0x1008)), "b.ne");
        assert_eq!(of(0xb4ff_ffe0), Some(Branch::Perhaps(0xffc)), "cbz x0");
        assert_eq!(of(0x3707_ffe3), Some(Branch::Perhaps(0xffc)), "tbnz w3, #0");
        assert_eq!(of(0xd61f_0120), Some(Branch::Register(9)));
        assert_eq!(of(0xd63f_0120), Some(Branch::CallRegister));
        assert_eq!(of(0xd65f_03c0), Some(Branch::Return));
        assert_eq!(of(0xd503_201f), None);
    }
}
