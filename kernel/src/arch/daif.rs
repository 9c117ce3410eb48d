//! PSTATE.D, A, I, F.
//!
//! The asm here is a compiler barrier on purpose (no `nomem`): stores between mask and unmask stay there.

use core::arch::asm;
use rules::pstate::Daif;

/// D and A, as `DAIFSet` and `DAIFClr` take them.
pub const DA: u64 = 0b1100;
/// I and F.
pub const IF: u64 = 0b0011;
/// D alone.
pub const D: u64 = 0b1000;
/// All four.
pub const ALL: u64 = 0b1111;

/// Masks the exceptions in `BITS`.
#[inline(always)]
pub fn set<const BITS: u64>() {
    // SAFETY: masking can break no memory; for how long is the caller's to decide.
    unsafe { asm!("msr daifset, #{}", const BITS, options(nostack, preserves_flags)) }
}

/// Opens the exceptions in `BITS`.
///
/// Opening what a caller further up has masked is what [`write`] is there to avoid: use it where the state is known only.
#[inline(always)]
pub fn clear<const BITS: u64>() {
    // SAFETY: the vectors are in place before anything is opened.
    unsafe { asm!("msr daifclr, #{}", const BITS, options(nostack, preserves_flags)) }
}

/// The masks now.
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

/// D, A, I, F masked for as long as this lives; then as before.
pub struct AllMasked(u64);

impl AllMasked {
    /// Masks. Any context.
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
