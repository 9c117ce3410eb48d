//! FUTEX_WAKE_OP: changes a word of user memory, wakes waiters of another word, and, if the old value of the changed word is so and so, of
//! this word too.

use crate::errno::Errno;
use linux_raw_sys::general as raw;

/// What is done to the word, and what is asked of its old value.
#[derive(Clone, Copy)]
pub(super) struct WakeOp {
    operation: u32,
    operand: u32,
    comparison: u32,
    compared: u32,
}

/// The 12 bits from `from` on, with their sign.
fn signed(word: u32, from: u32) -> u32 {
    (((word >> from) << 20).cast_signed() >> 20).cast_unsigned()
}

impl WakeOp {
    /// Decodes the call's last argument: operation in bits 31 to 28, comparison in 27 to 24, then the two operands.
    ///
    /// # Errors
    /// ENOSYS for operations and comparisons that Linux does not have.
    pub fn decode(word: u32) -> Result<Self, Errno> {
        let (operation, comparison) = (word >> 28 & 7, word >> 24 & 0xf);
        if operation > raw::FUTEX_OP_XOR || comparison > raw::FUTEX_OP_CMP_GE {
            return Err(Errno::ENOSYS);
        }
        let operand = signed(word, 12);
        let shifts = word >> 28 & raw::FUTEX_OP_OPARG_SHIFT != 0;
        let operand = if shifts { 1 << (operand & 31) } else { operand };
        Ok(Self { operation, operand, comparison, compared: signed(word, 0) })
    }

    /// The new value of the word.
    pub fn apply(&self, old: u32) -> u32 {
        match self.operation {
            raw::FUTEX_OP_SET => self.operand,
            raw::FUTEX_OP_ADD => old.wrapping_add(self.operand),
            raw::FUTEX_OP_OR => old | self.operand,
            raw::FUTEX_OP_ANDN => old & !self.operand,
            _ => old ^ self.operand,
        }
    }

    /// Whether the waiters of the word are woken as well.
    pub fn holds(&self, old: u32) -> bool {
        let (old, compared) = (old.cast_signed(), self.compared.cast_signed());
        match self.comparison {
            raw::FUTEX_OP_CMP_EQ => old == compared,
            raw::FUTEX_OP_CMP_NE => old != compared,
            raw::FUTEX_OP_CMP_LT => old < compared,
            raw::FUTEX_OP_CMP_LE => old <= compared,
            raw::FUTEX_OP_CMP_GT => old > compared,
            _ => old >= compared,
        }
    }
}
