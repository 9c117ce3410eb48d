//! Backtraces, by the frame records on the stack.

use super::symbols::Shown;
use crate::arch::uaccess;
use crate::kprobe;
use crate::mm::layout::{self, STACKS};
use core::fmt;

/// The deepest backtrace that is shown.
const LIMIT: usize = 48;

/// A backtrace from a PC and a frame pointer, one line for each frame: `  [<address>] symbol+offset/size`.
pub struct Backtrace {
    /// The innermost PC.
    pub pc: u64,
    /// x29 at that PC.
    pub fp: u64,
}

impl Backtrace {
    /// The backtrace of the calling function.
    #[inline(always)]
    pub fn here() -> Self {
        let (pc, fp): (u64, u64);
        // SAFETY: reads two registers.
        unsafe {
            core::arch::asm!("adr {}, .", "mov {}, x29", out(reg) pc, out(reg) fp, options(nomem, nostack, preserves_flags));
        }
        Self { pc, fp }
    }
}

fn word(address: u64) -> Option<u64> {
    let low = uaccess::read_u32(address).ok()? as u64;
    Some(low | (uaccess::read_u32(address + 4).ok()? as u64) << 32)
}

fn on_a_stack(fp: u64) -> bool {
    let fp = fp as usize;
    fp.is_multiple_of(8)
        && ((STACKS..layout::PATCH).contains(&fp)
            || (layout::rodata_end()..layout::image_end()).contains(&fp))
}

/// The return addresses in the frame records, from the innermost call on. Any context.
pub struct Callers {
    fp: u64,
}

impl Callers {
    /// The return addresses of the code whose x29 is `fp`.
    pub const fn of(fp: u64) -> Self {
        Self { fp }
    }
}

impl Iterator for Callers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if !on_a_stack(self.fp) {
            return None;
        }
        let (next, lr) = (word(self.fp)?, word(self.fp + 8)?);
        self.fp = next;
        // A return probe may have replaced the return address: `kprobe::caller` finds the real one.
        (lr != 0).then(|| kprobe::caller(lr))
    }
}

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = core::iter::once(self.pc).chain(Callers::of(self.fp));
        for (depth, pc) in places.enumerate() {
            if depth == LIMIT {
                return writeln!(f, "  ... more than {LIMIT} frames");
            }
            // Where a call does not return, its return address may be the first byte of the next function: show the call itself.
            let inside = if depth == 0 { pc } else { pc.saturating_sub(4) };
            writeln!(f, "  [<{inside:016x}>] {}", Shown(inside))?;
        }
        Ok(())
    }
}
