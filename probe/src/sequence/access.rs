//! The ordinary loads and stores of general-purpose registers: what may stand between a load-exclusive and its store-exclusive
//! besides data processing (DDI 0487 C4.1, "Loads and Stores").
//!
//! The architecture promises no progress for a sequence with such an access in it (DDI 0487 B2, "Load-Exclusive and Store-Exclusive
//! instruction usage restrictions"), but permits it, and CPUs run it. Left out are unprivileged accesses, loads of SIMD&FP
//! registers, prefetches, and forms that DDI 0487 calls CONSTRAINED UNPREDICTABLE.

use super::{Memory, Registers, Shape};
use crate::bits::{bit, bits, reg, word_offset};

/// One access of an instruction: one element, or two of equal size next to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ordinary {
    /// The address of the first element.
    pub address: u64,
    /// How many bytes an element has: 1, 2, 4 or 8.
    pub size: u8,
    /// How many elements are accessed: 1 or 2.
    pub count: u8,
    /// True for a store, false for a load.
    pub write: bool,
    /// The registers of the elements; 31 is XZR.
    rt: [u8; 2],
    /// Whether a loaded value is zero-extended, or sign-extended to 64 or to 32 bits.
    extend: Extend,
    /// If the instruction writes its base register back: the register's number (31 is SP) and its new value.
    write_back: Option<(u8, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Extend {
    Zero,
    SignTo32,
    SignTo64,
}

impl Ordinary {
    /// How many bytes the instruction accesses in all.
    pub const fn bytes(&self) -> u64 {
        self.size as u64 * self.count as u64
    }

    /// What `word` at `regs.pc` accesses. None if it is no load or store that is known here.
    pub fn decode(word: u32, regs: &Registers) -> Option<Self> {
        // Load/store group: op0 is x1x0 in bits 28 to 25; V, bit 26, is SIMD&FP.
        if bits(word, 27, 1) != 1 || bit(word, 25) || bit(word, 26) {
            return None;
        }
        match bits(word, 28, 2) {
            0b01 => Self::literal(word, regs),
            0b10 => Self::pair(word, regs),
            0b11 => Self::register(word, regs),
            _ => None,
        }
    }

    /// The values that a store stores.
    pub fn data(&self, regs: &Registers) -> [u64; 2] {
        let mask = u64::MAX >> (64 - 8 * u32::from(self.size));
        self.rt.map(|n| regs.or_zero(n) & mask)
    }

    /// Does what the instruction does to the registers, but for PC: `loaded` are the zero-extended elements.
    pub fn retire(&self, regs: &mut Registers, loaded: [u64; 2]) {
        if let Some((base, address)) = self.write_back {
            if base == 31 {
                regs.sp = address;
            } else {
                regs.set(base, address);
            }
        }
        if self.write {
            return;
        }
        for (n, value) in self.rt.into_iter().zip(loaded).take(usize::from(self.count)) {
            let unused = 64 - 8 * u32::from(self.size);
            let signed = ((value << unused) as i64 >> unused) as u64;
            regs.set(
                n,
                match self.extend {
                    Extend::Zero => value,
                    Extend::SignTo32 => signed & 0xffff_ffff,
                    Extend::SignTo64 => signed,
                },
            );
        }
    }

    /// The addresses of the elements.
    pub fn elements(&self) -> impl Iterator<Item = u64> + use<> {
        let (address, size) = (self.address, u64::from(self.size));
        (0..u64::from(self.count)).map(move |n| address.wrapping_add(n * size))
    }

    /// Whether every element lies at a multiple of its size.
    pub const fn is_aligned(&self) -> bool {
        self.address.is_multiple_of(self.size as u64)
    }

    /// Makes the access, and does to the registers what the instruction does, except for PC. Returns false, and has changed no
    /// register, if the access is misaligned or faults. Of two stores the first may have been made then: an instruction that faults
    /// may do so too (DDI 0487 D1.3.3).
    pub fn perform(&self, regs: &mut Registers, memory: &mut impl Memory) -> bool {
        if !self.is_aligned() {
            return false;
        }
        let mut values = self.data(regs);
        for (address, value) in self.elements().zip(&mut values) {
            if self.write {
                if memory.store(address, self.size, *value).is_err() {
                    return false;
                }
            } else {
                match memory.load(address, Shape { size: self.size, pair: false }) {
                    Ok([loaded, _]) => *value = loaded,
                    Err(_) => return false,
                }
            }
        }
        self.retire(regs, values);
        true
    }

    fn literal(word: u32, regs: &Registers) -> Option<Self> {
        // LDR (literal), LDRSW (literal): opc 011 V 00. PRFM is opc 11.
        if bits(word, 24, 2) != 0b00 {
            return None;
        }
        let (size, extend) = match bits(word, 30, 2) {
            0b00 => (4, Extend::Zero),
            0b01 => (8, Extend::Zero),
            0b10 => (4, Extend::SignTo64),
            _ => return None,
        };
        let address = regs.pc.wrapping_add_signed(i64::from(word_offset(word, 5, 19)));
        Some(Self { address, size, count: 1, write: false, rt: [reg(word, 0), 31], extend, write_back: None })
    }

    fn pair(word: u32, regs: &Registers) -> Option<Self> {
        let (load, rn, rt, rt2) = (bit(word, 22), reg(word, 5), reg(word, 0), reg(word, 10));
        let (size, extend) = match (bits(word, 30, 2), load) {
            (0b00, _) => (4, Extend::Zero),
            (0b01, true) => (4, Extend::SignTo64),
            (0b10, _) => (8, Extend::Zero),
            // STGP, and encodings that are unallocated.
            _ => return None,
        };
        let imm7 = i64::from((word << 10) as i32 >> 25) * i64::from(size);
        let base = regs.or_sp(rn);
        let (address, write_back) = match bits(word, 23, 2) {
            // STNP and LDNP: their hint only relaxes the order of accesses, and code must not depend on that order for shared data.
            0b00 if bits(word, 30, 2) != 0b01 => (base.wrapping_add_signed(imm7), None),
            0b01 => (base, Some(base.wrapping_add_signed(imm7))),
            0b10 => (base.wrapping_add_signed(imm7), None),
            0b11 => (base.wrapping_add_signed(imm7), Some(base.wrapping_add_signed(imm7))),
            _ => return None,
        };
        if load && rt == rt2 || write_back.is_some() && rn != 31 && (rt == rn || rt2 == rn) {
            return None;
        }
        let write_back = write_back.map(|address| (rn, address));
        Some(Self { address, size, count: 2, write: !load, rt: [rt, rt2], extend, write_back })
    }

    fn register(word: u32, regs: &Registers) -> Option<Self> {
        let (rn, rt) = (reg(word, 5), reg(word, 0));
        let scale = bits(word, 30, 2);
        let size = 1 << scale;
        let (write, extend) = match (bits(word, 22, 2), scale) {
            (0b00, _) => (true, Extend::Zero),
            (0b01, _) => (false, Extend::Zero),
            (0b10, 0..=2) => (false, Extend::SignTo64),
            (0b11, 0..=1) => (false, Extend::SignTo32),
            // PRFM, and encodings that are unallocated.
            _ => return None,
        };
        let base = regs.or_sp(rn);
        let (address, write_back) = if bit(word, 24) {
            (base.wrapping_add(u64::from(bits(word, 10, 12)) << scale), None)
        } else {
            let imm9 = i64::from((word << 11) as i32 >> 23);
            match (bit(word, 21), bits(word, 10, 2)) {
                (false, 0b00) => (base.wrapping_add_signed(imm9), None),
                (false, 0b01) => (base, Some(base.wrapping_add_signed(imm9))),
                (false, 0b11) => (base.wrapping_add_signed(imm9), Some(base.wrapping_add_signed(imm9))),
                (true, 0b10) => (base.wrapping_add(offset(word, regs, scale)?), None),
                // Unprivileged accesses, atomics, authenticated loads.
                _ => return None,
            }
        };
        if write_back.is_some() && rn != 31 && rt == rn {
            return None;
        }
        let write_back = write_back.map(|address| (rn, address));
        Some(Self { address, size, count: 1, write, rt: [rt, 31], extend, write_back })
    }
}

/// The offset register of a register-offset form, extended and shifted.
fn offset(word: u32, regs: &Registers, scale: u32) -> Option<u64> {
    let value = regs.or_zero(reg(word, 16));
    let extended = match bits(word, 13, 3) {
        0b010 => u64::from(value as u32),
        0b110 => value as i32 as u64,
        0b011 | 0b111 => value,
        _ => return None,
    };
    Some(if bit(word, 12) { extended << scale } else { extended })
}
