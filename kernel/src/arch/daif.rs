//! PSTATE.D, A, I, F.
//!
//! The asm is a compiler barrier on purpose (no `nomem`): stores between masking and opening stay between them.

use core::arch::asm;
use rules::pstate::Daif;

/// D and A, in the format of `DAIFSet` and `DAIFClr`.
pub const DA: u64 = 0b1100;
/// I and F, in the format of `DAIFSet` and `DAIFClr`.
pub const IF: u64 = 0b0011;
/// D alone, in the format of `DAIFSet` and `DAIFClr`.
pub const D: u64 = 0b1000;
/// D, A, I and F, in the format of `DAIFSet` and `DAIFClr`.
pub const ALL: u64 = 0b1111;

/// Masks the exceptions in `BITS`.
#[inline(always)]
pub fn set<const BITS: u64>() {
    // SAFETY: masking cannot break memory safety; the caller decides for how long.
    unsafe { asm!("msr daifset, #{}", const BITS, options(nostack, preserves_flags)) }
}

/// Opens the exceptions in `BITS`.
///
/// Only for code that knows which exceptions its callers have masked; other code saves the masks and restores them by [`write`].
#[inline(always)]
pub fn clear<const BITS: u64>() {
    // SAFETY: the vectors are set up before any exception is opened.
    unsafe { asm!("msr daifclr, #{}", const BITS, options(nostack, preserves_flags)) }
}

/// The current masks.
#[inline(always)]
pub fn read() -> Daif {
    Daif::of(read_bits())
}

#[inline(always)]
fn read_bits() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, daif", out(reg) value, options(nostack, preserves_flags)) }
    value
}

/// Sets the masks to `masks`.
#[inline(always)]
pub fn write(masks: Daif) {
    write_bits(masks.bits());
}

#[inline(always)]
fn write_bits(bits: u64) {
    // SAFETY: as `clear`.
    unsafe { asm!("msr daif, {}", in(reg) bits, options(nostack, preserves_flags)) }
}

/// D, A, I, F are masked while this value lives; dropping it restores the masks from before.
pub struct AllMasked(u64);

impl AllMasked {
    /// Masks D, A, I and F. Any context.
    #[inline(always)]
    pub fn new() -> Self {
        let before = read_bits();
        set::<ALL>();
        Self(before)
    }
}

impl Default for AllMasked {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for AllMasked {
    #[inline(always)]
    fn drop(&mut self) {
        write_bits(self.0);
    }
}
