//! The registers, and the order in which they are written (rules H1 and H8).
//!
//! Every function here must be called with debug exceptions masked on this CPU (PSTATE.D = 1): between a register
//! write and the next context synchronisation event an access may or may not hit, and the two registers of a slot may
//! take effect in either order (DDI 0487, "Synchronization and debug exceptions").

use crate::{Encoding, Kind};

/// Write access to one CPU's slot registers: a back end.
///
/// A back end for real registers writes them with `msr`. Its `asm!` blocks must not be `nomem`, because the compiler must not move
/// a memory access across a change of what the slots watch. On a CPU with up to 16 slots of a kind this back end is all that is
/// needed. For slots above 15, [`Banked`](crate::Banked) makes another back end from it.
pub trait DebugRegs {
    /// Writes `DBGBVR<n>_EL1` or `DBGWVR<n>_EL1`.
    fn write_value(&mut self, kind: Kind, n: u8, value: u64);
    /// Writes `DBGBCR<n>_EL1` or `DBGWCR<n>_EL1`.
    fn write_control(&mut self, kind: Kind, n: u8, control: u32);
    /// Writes the value register, then the control register.
    #[inline(always)]
    fn write_both(&mut self, kind: Kind, n: u8, value: u64, control: u32) {
        self.write_value(kind, n, value);
        self.write_control(kind, n, control);
    }
    /// Executes an ISB: what was written to the registers before is in effect for the instructions after it.
    fn isb(&mut self);
    /// Ends a change of slots: what was written before has to be in effect before debug exceptions are unmasked, and before another
    /// CPU is told of the change (DDI 0487 D2, "Synchronization and debug exceptions"). Executes an ISB, unless the back end sees to
    /// it that one follows in time.
    #[inline(always)]
    fn commit(&mut self) {
        self.isb();
    }
    /// Selects bank 0. Which bank is selected is UNKNOWN out of reset, but the writes rely on bank 0. A back end without banks does
    /// nothing here.
    #[inline]
    fn settle(&mut self) {}
}

/// Read access to the same registers.
pub trait ReadRegs {
    /// Reads `DBGBVR<n>_EL1` or `DBGWVR<n>_EL1`.
    fn read_value(&mut self, kind: Kind, n: u8) -> u64;
    /// Reads `DBGBCR<n>_EL1` or `DBGWCR<n>_EL1`.
    fn read_control(&mut self, kind: Kind, n: u8) -> u32;
}

impl<R: DebugRegs> DebugRegs for &mut R {
    #[inline]
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        (**self).write_value(kind, n, value);
    }

    #[inline]
    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        (**self).write_control(kind, n, control);
    }

    #[inline]
    fn write_both(&mut self, kind: Kind, n: u8, value: u64, control: u32) {
        (**self).write_both(kind, n, value, control);
    }

    #[inline]
    fn isb(&mut self) {
        (**self).isb();
    }

    #[inline]
    fn commit(&mut self) {
        (**self).commit();
    }

    #[inline]
    fn settle(&mut self) {
        (**self).settle();
    }
}

impl<R: ReadRegs> ReadRegs for &mut R {
    #[inline]
    fn read_value(&mut self, kind: Kind, n: u8) -> u64 {
        (**self).read_value(kind, n)
    }

    #[inline]
    fn read_control(&mut self, kind: Kind, n: u8) -> u32 {
        (**self).read_control(kind, n)
    }
}

/// Arms slot `n`: value, control with enable, ISB (rule H1). The record must be published before.
#[inline(always)]
pub fn arm(regs: &mut impl DebugRegs, kind: Kind, n: u8, encoding: Encoding) {
    regs.write_both(kind, n, encoding.value, encoding.enabled());
    regs.commit();
}

/// Disarms slot `n`: control to zero (rule H1), in force with [`commit`](DebugRegs::commit). The record may be freed only after every CPU has done this.
#[inline]
pub fn disarm(regs: &mut impl DebugRegs, kind: Kind, n: u8) {
    regs.write_control(kind, n, 0);
    regs.commit();
}
