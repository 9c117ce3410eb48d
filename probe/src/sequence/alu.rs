//! The general-purpose data-processing instructions, in software: what may stand between a load-exclusive and its
//! store-exclusive (DDI 0487 C4.1, "Data Processing -- Immediate" and "Data Processing -- Register").
//!
//! Instructions of later extensions are left out (tags, FEAT_CSSC, FEAT_FlagM, CRC32, pointer authentication).

use super::Registers;
use crate::bits::{bit, bits, reg};
use crate::sim::Cond;

const N: u64 = 1 << 31;
const Z: u64 = 1 << 30;
const C: u64 = 1 << 29;
const V: u64 = 1 << 28;
const NZCV: u64 = N | Z | C | V;

/// Does to the registers and flags what the instruction `word` does, and leaves PC alone. Returns false, and has changed nothing,
/// if this module does not know the instruction.
pub fn execute(word: u32, regs: &mut Registers) -> bool {
    let result = match bits(word, 25, 4) {
        0b1000 | 0b1001 => immediate(word, regs),
        0b0101 | 0b1101 => register(word, regs),
        _ => None,
    };
    let Some(Effect { destination, value, flags }) = result else { return false };
    let value = if bit(word, 31) { value } else { value & 0xffff_ffff };
    match destination {
        Destination::Register(31) | Destination::Nowhere => {}
        Destination::Register(n) => regs.x[n as usize % 31] = value,
        Destination::RegisterOrSp(31) => regs.sp = value,
        Destination::RegisterOrSp(n) => regs.x[n as usize % 31] = value,
    }
    if let Some(flags) = flags {
        regs.pstate = regs.pstate & !NZCV | flags;
    }
    true
}

enum Destination {
    /// The number of a register, where 31 is XZR.
    Register(u8),
    /// The number of a register, where 31 is SP.
    RegisterOrSp(u8),
    Nowhere,
}

/// What an instruction does. The upper half of a 32-bit result does not count.
struct Effect {
    destination: Destination,
    value: u64,
    flags: Option<u64>,
}

impl Effect {
    fn to(destination: u8, value: u64) -> Option<Self> {
        Some(Self { destination: Destination::Register(destination), value, flags: None })
    }
}

fn width(word: u32) -> u32 {
    if bit(word, 31) { 64 } else { 32 }
}

/// The value cut to the instruction's width.
fn cut(value: u64, width: u32) -> u64 {
    if width == 64 { value } else { value & 0xffff_ffff }
}

fn immediate(word: u32, regs: &Registers) -> Option<Effect> {
    let (rn, rd) = (reg(word, 5), reg(word, 0));
    let width = width(word);
    match bits(word, 23, 3) {
        0b010 => {
            let operand = u64::from(bits(word, 10, 12)) << if bit(word, 22) { 12 } else { 0 };
            add_or_subtract(word, regs.or_sp(rn), operand, true)
        }
        0b100 => {
            let operand = bitmask(bit(word, 22), bits(word, 10, 6), bits(word, 16, 6), width)?.0;
            logical(word, regs.or_zero(rn), operand, true)
        }
        0b101 => {
            let shift = bits(word, 21, 2) * 16;
            if shift >= width {
                return None;
            }
            let value = u64::from(bits(word, 5, 16)) << shift;
            let value = match bits(word, 29, 2) {
                0b00 => !value,
                0b10 => value,
                0b11 => regs.or_zero(rd) & !(0xffff << shift) | value,
                _ => return None,
            };
            Effect::to(rd, value)
        }
        0b110 => {
            let (immr, imms) = (bits(word, 16, 6), bits(word, 10, 6));
            if bit(word, 22) != (width == 64) || immr >= width || imms >= width {
                return None;
            }
            let (wmask, tmask) = bitmask_both(bit(word, 22), imms, immr, false, width)?;
            let source = cut(regs.or_zero(rn), width);
            let (extend, insert) = match bits(word, 29, 2) {
                0b00 => (true, false),
                0b01 => (false, true),
                0b10 => (false, false),
                _ => return None,
            };
            let base = if insert { regs.or_zero(rd) } else { 0 };
            let bottom = base & !wmask | rotate(source, immr, width) & wmask;
            let top = match (extend, insert) {
                (true, _) if source >> imms & 1 == 1 => u64::MAX,
                (_, true) => base,
                _ => 0,
            };
            Effect::to(rd, top & !tmask | bottom & tmask)
        }
        0b111 => {
            let lsb = bits(word, 10, 6);
            if bits(word, 29, 2) != 0 || bit(word, 22) != (width == 64) || bit(word, 21) || lsb >= width {
                return None;
            }
            let (high, low) = (regs.or_zero(rn), cut(regs.or_zero(reg(word, 16)), width));
            let value = if lsb == 0 { low } else { low >> lsb | high << (width - lsb) };
            Effect::to(rd, value)
        }
        _ => None,
    }
}

fn register(word: u32, regs: &Registers) -> Option<Effect> {
    let (rn, rm, rd) = (reg(word, 5), reg(word, 16), reg(word, 0));
    let width = width(word);
    let (n, m) = (regs.or_zero(rn), regs.or_zero(rm));
    match bits(word, 24, 5) {
        0b01010 => {
            let amount = bits(word, 10, 6);
            if amount >= width {
                return None;
            }
            let operand = shift(m, bits(word, 22, 2), amount, width);
            logical(word, n, if bit(word, 21) { !operand } else { operand }, false)
        }
        0b01011 if bit(word, 21) => {
            let amount = bits(word, 10, 3);
            if bits(word, 22, 2) != 0 || amount > 4 {
                return None;
            }
            add_or_subtract(word, regs.or_sp(rn), extend(m, bits(word, 13, 3)) << amount, true)
        }
        0b01011 => {
            let (kind, amount) = (bits(word, 22, 2), bits(word, 10, 6));
            if kind == 0b11 || amount >= width {
                return None;
            }
            add_or_subtract(word, n, shift(m, kind, amount, width), false)
        }
        0b11010 => match bits(word, 21, 3) {
            0b000 if bits(word, 10, 6) == 0 => {
                let operand = if bit(word, 30) { !m } else { m };
                let (value, flags) = add_with_carry(n, operand, regs.pstate & C != 0, width);
                Some(Effect {
                    destination: Destination::Register(rd),
                    value,
                    flags: bit(word, 29).then_some(flags),
                })
            }
            0b010 if bit(word, 29) && !bit(word, 10) && !bit(word, 4) => {
                let operand = if bit(word, 11) { u64::from(rm) } else { m };
                let flags = if Cond::new(bits(word, 12, 4) as u8).holds(regs.pstate) {
                    let subtract = bit(word, 30);
                    add_with_carry(n, if subtract { !operand } else { operand }, subtract, width).1
                } else {
                    u64::from(bits(word, 0, 4)) << 28
                };
                Some(Effect { destination: Destination::Nowhere, value: 0, flags: Some(flags) })
            }
            0b100 if !bit(word, 29) && !bit(word, 11) => {
                let value = match (Cond::new(bits(word, 12, 4) as u8).holds(regs.pstate), bit(word, 30)) {
                    (true, _) => n,
                    (false, false) => m.wrapping_add(u64::from(bit(word, 10))),
                    (false, true) => (!m).wrapping_add(u64::from(bit(word, 10))),
                };
                Effect::to(rd, value)
            }
            0b110 if !bit(word, 29) && !bit(word, 30) => {
                Effect::to(rd, two_sources(bits(word, 10, 6), n, m, width)?)
            }
            0b110 if !bit(word, 29) && rm == 0 => Effect::to(rd, one_source(bits(word, 10, 6), n, width)?),
            _ => None,
        },
        0b11011 if bits(word, 29, 2) == 0 => {
            let a = regs.or_zero(reg(word, 10));
            let (subtract, wide) = (bit(word, 15), width == 64);
            // SMULH and UMULH have no addend: the field should be 31.
            let no_addend = !subtract && bits(word, 10, 5) == 31;
            let combine =
                |product: u64| if subtract { a.wrapping_sub(product) } else { a.wrapping_add(product) };
            let signed = |value: u64| i64::from(value as i32);
            let value = match bits(word, 21, 3) {
                0b000 => combine(n.wrapping_mul(m)),
                0b001 if wide => combine(signed(n).wrapping_mul(signed(m)) as u64),
                0b101 if wide => combine((n & 0xffff_ffff).wrapping_mul(m & 0xffff_ffff)),
                0b010 if wide && no_addend => ((i128::from(n as i64) * i128::from(m as i64)) >> 64) as u64,
                0b110 if wide && no_addend => ((u128::from(n) * u128::from(m)) >> 64) as u64,
                _ => return None,
            };
            Effect::to(rd, value)
        }
        _ => None,
    }
}

/// ADD, SUB, ADDS, SUBS. With `sp`, destination register 31 of ADD and SUB is SP.
fn add_or_subtract(word: u32, n: u64, operand: u64, sp: bool) -> Option<Effect> {
    let (subtract, sets) = (bit(word, 30), bit(word, 29));
    let (value, flags) = add_with_carry(n, if subtract { !operand } else { operand }, subtract, width(word));
    let rd = reg(word, 0);
    let destination = if sp && !sets { Destination::RegisterOrSp(rd) } else { Destination::Register(rd) };
    Some(Effect { destination, value, flags: sets.then_some(flags) })
}

/// AND, ORR, EOR, ANDS. With `sp`, destination register 31 of all but ANDS is SP.
fn logical(word: u32, n: u64, operand: u64, sp: bool) -> Option<Effect> {
    let opc = bits(word, 29, 2);
    let value = match opc {
        0b01 => n | operand,
        0b10 => n ^ operand,
        _ => n & operand,
    };
    let rd = reg(word, 0);
    let destination =
        if sp && opc != 0b11 { Destination::RegisterOrSp(rd) } else { Destination::Register(rd) };
    Some(Effect { destination, value, flags: (opc == 0b11).then(|| sign_and_zero(value, width(word))) })
}

fn sign_and_zero(value: u64, width: u32) -> u64 {
    let value = cut(value, width);
    let n = if value >> (width - 1) & 1 == 1 { N } else { 0 };
    n | if value == 0 { Z } else { 0 }
}

/// `AddWithCarry` of the shared pseudocode: the sum and its flags.
fn add_with_carry(n: u64, m: u64, carry: bool, width: u32) -> (u64, u64) {
    let (n, m) = (cut(n, width), cut(m, width));
    let wide = u128::from(n) + u128::from(m) + u128::from(carry);
    let sum = cut(wide as u64, width);
    let c = if wide >> width != 0 { C } else { 0 };
    // Overflow: both operands have the same sign, and the sum has the other sign.
    let v = if (n ^ sum) & (m ^ sum) & 1 << (width - 1) != 0 { V } else { 0 };
    (sum, sign_and_zero(sum, width) | c | v)
}

fn rotate(value: u64, amount: u32, width: u32) -> u64 {
    if width == 64 { value.rotate_right(amount) } else { u64::from((value as u32).rotate_right(amount)) }
}

/// LSL, LSR, ASR, ROR by less than the width.
fn shift(value: u64, kind: u32, amount: u32, width: u32) -> u64 {
    let value = cut(value, width);
    match kind {
        0b00 => value << amount,
        0b01 => value >> amount,
        0b10 if width == 64 => (value as i64 >> amount) as u64,
        0b10 => (value as i32 >> amount) as u64,
        _ => rotate(value, amount, width),
    }
}

/// UXTB to SXTX.
fn extend(value: u64, option: u32) -> u64 {
    match option {
        0b000 => value & 0xff,
        0b001 => value & 0xffff,
        0b010 => value & 0xffff_ffff,
        0b100 => value as i8 as u64,
        0b101 => value as i16 as u64,
        0b110 => value as i32 as u64,
        _ => value,
    }
}

fn two_sources(opcode: u32, n: u64, m: u64, width: u32) -> Option<u64> {
    let (n, m) = (cut(n, width), cut(m, width));
    Some(match opcode {
        0b000010 => n.checked_div(m).unwrap_or(0),
        0b000011 if width == 64 => match m {
            0 => 0,
            _ => (n as i64).wrapping_div(m as i64) as u64,
        },
        0b000011 => match m {
            0 => 0,
            _ => (n as i32).wrapping_div(m as i32) as u64,
        },
        0b001000..=0b001011 => shift(n, opcode & 3, m as u32 % width, width),
        _ => return None,
    })
}

fn one_source(opcode: u32, n: u64, width: u32) -> Option<u64> {
    let n = cut(n, width);
    let swap = |size: u32| {
        let mask = |step: u32| u64::MAX / ((1 << step) + 1);
        let mut value = n;
        for step in [8, 16, 32].into_iter().filter(|step| step < &size) {
            value = value >> step & mask(step) | (value & mask(step)) << step;
        }
        value
    };
    Some(match (opcode, width) {
        (0b000000, _) => n.reverse_bits() >> (64 - width),
        (0b000001, _) => swap(16),
        (0b000010, _) => swap(32),
        (0b000011, 64) => swap(64),
        (0b000100, _) => u64::from(n.leading_zeros() - (64 - width)),
        (0b000101, 64) => u64::from(((n as i64 >> 1) as u64 ^ n).leading_zeros() - 1),
        (0b000101, _) => u64::from(((n as i32 >> 1) as u32 ^ n as u32).leading_zeros() - 1),
        _ => return None,
    })
}

fn bitmask(n: bool, imms: u32, immr: u32, width: u32) -> Option<(u64, u64)> {
    if n && width == 32 {
        return None;
    }
    bitmask_both(n, imms, immr, true, width)
}

/// `DecodeBitMasks` of the shared pseudocode: `wmask` and `tmask`.
fn bitmask_both(n: bool, imms: u32, immr: u32, immediate: bool, width: u32) -> Option<(u64, u64)> {
    let selector = u32::from(n) << 6 | !imms & 0x3f;
    let len = selector.checked_ilog2().filter(|len| *len >= 1)?;
    let (size, levels) = (1u32 << len, (1u32 << len) - 1);
    if immediate && imms & levels == levels {
        return None;
    }
    let (s, r) = (imms & levels, immr & levels);
    let ones = |count: u32| if count == 64 { u64::MAX } else { (1 << count) - 1 };
    let element = ones(s + 1);
    let within = ones(size);
    let rotated = if r == 0 { element } else { (element >> r | element << (size - r)) & within };
    let diff = s.wrapping_sub(r) & levels;
    let replicate = |element: u64| (0..64 / size).fold(0, |mask, copy| mask | element << (copy * size));
    Some((cut(replicate(rotated), width), cut(replicate(ones(diff + 1)), width)))
}
