//! The alternate stack of a thread (`sigaltstack`).

use linux_raw_sys::general::{SS_AUTODISARM, SS_DISABLE, SS_ONSTACK};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{ActionFlags, Error};

/// Linux's `stack_t` of 64-bit programs, byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stack {
    /// The lowest address.
    pub sp: u64,
    /// SS_*.
    pub flags: u32,
    /// Padding; written as 0, not looked at when read.
    pub padding: u32,
    /// In bytes.
    pub size: u64,
}

/// The alternate stack of a thread. fork copies it; exec, and clone with CLONE_VM but without CLONE_VFORK, start with
/// [`AltStack::DISABLED`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    base: u64,
    /// 0 means that there is none.
    size: u64,
    /// The flags as the program gave them.
    flags: u32,
}

impl AltStack {
    /// No alternate stack.
    pub const DISABLED: Self = Self { base: 0, size: 0, flags: SS_DISABLE };

    /// Whether a thread whose stack pointer is `sp` runs on the alternate stack. Never true with SS_AUTODISARM: there the stack is
    /// disabled while a handler runs, so a handler may leave it by `swapcontext` and others may use it.
    pub fn holds(&self, sp: u64) -> bool {
        self.flags & SS_AUTODISARM == 0 && sp > self.base && sp - self.base <= self.size
    }

    /// What `sigaltstack` gives back as the old stack of a thread whose stack pointer is `sp`.
    pub fn describe(&self, sp: u64) -> Stack {
        Stack { flags: self.state(sp) | (self.flags & SS_AUTODISARM), ..self.saved() }
    }

    /// What a signal frame saves (`uc_stack`): the flags are those that the program gave.
    pub fn saved(&self) -> Stack {
        Stack { sp: self.base, flags: self.flags, padding: 0, size: self.size }
    }

    fn state(&self, sp: u64) -> u32 {
        match self.size {
            0 => SS_DISABLE,
            _ if self.holds(sp) => SS_ONSTACK,
            _ => 0,
        }
    }

    /// Sets the stack of a thread whose stack pointer is `sp`. `minimum` is the smallest size allowed in bytes (AArch64's
    /// MINSIGSTKSZ is 5120). `rt_sigreturn` calls this too, with the `uc_stack` of the frame, and ignores the error.
    ///
    /// # Errors
    /// [`Error::Permission`] if the thread runs on the alternate stack, [`Error::Invalid`] for unknown flags,
    /// [`Error::NoMemory`] if the stack is too small. Nothing has changed then.
    pub fn set(&mut self, new: Stack, sp: u64, minimum: u64) -> Result<(), Error> {
        if self.holds(sp) {
            return Err(Error::Permission);
        }
        let (base, size) = match new.flags & !SS_AUTODISARM {
            SS_DISABLE => (0, 0),
            SS_ONSTACK | 0 => (new.sp, new.size),
            _ => return Err(Error::Invalid),
        };
        let wanted = Self { base, size, flags: new.flags };
        // Linux refuses a small stack only if it differs from the present one.
        if *self != wanted && new.flags & SS_DISABLE == 0 && size < minimum {
            return Err(Error::NoMemory);
        }
        *self = wanted;
        Ok(())
    }

    /// The stack pointer below which the frame of a handler with `flags` goes, in a thread whose stack pointer is `sp`. A handler
    /// that interrupts another one on the alternate stack stays there.
    pub(crate) fn frame_top(&self, flags: ActionFlags, sp: u64) -> u64 {
        if flags.contains(ActionFlags::ONSTACK) && self.state(sp) == 0 {
            self.base.wrapping_add(self.size)
        } else {
            sp
        }
    }

    /// The stack once a handler has started: with SS_AUTODISARM there is none until `rt_sigreturn`.
    #[must_use]
    pub(crate) fn after_delivery(self) -> Self {
        if self.flags & SS_AUTODISARM == 0 { self } else { Self::DISABLED }
    }
}

impl Default for AltStack {
    fn default() -> Self {
        Self::DISABLED
    }
}
