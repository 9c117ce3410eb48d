//! Whether the kernel traces: a branch that is patched in at boot, so that one that does not trace executes a NOP in its place.

use crate::mm::patch::Patch;
use core::arch::asm;

/// A place at which a kernel that traces goes another way, as the assembly of [`is_on`] and of `kprobe/hit.S` writes it.
#[repr(C)]
struct Site {
    /// The address of the instruction that a kernel that does not trace executes: the NOP of [`is_on`], or the first one of `kprobe/hit.S`.
    off: usize,
    /// Where a kernel that traces goes on.
    on: usize,
}

unsafe extern "C" {
    static __trace_sites_start: Site;
    static __trace_sites_end: Site;
}

/// Whether the kernel traces. Any context.
#[inline(always)]
pub fn is_on() -> bool {
    // SAFETY: a NOP, or in its place a branch to the label; neither changes anything. The table's addresses are those of the two.
    unsafe {
        asm!(
            "77: nop",
            ".pushsection .trace_sites, \"a\"",
            ".balign 8",
            ".quad 77b, {}",
            ".popsection",
            label { return true },
            options(nostack, preserves_flags, nomem),
        );
    }
    false
}

fn sites() -> &'static [Site] {
    let (start, end) = (&raw const __trace_sites_start, &raw const __trace_sites_end);
    // SAFETY: the linker script puts both symbols around the entries that `is_on` and `kprobe/hit.S` write: two aligned words each.
    unsafe { core::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<Site>()) }
}

/// Puts a branch at each place. Called once, at boot, as long as this is the only CPU and nothing can be probed yet; interrupts are
/// off.
pub fn switch_on() {
    let mut patch = Patch::on_this_cpu();
    for site in sites() {
        patch.write(site.off, &[branch(site.off, site.on)]);
    }
}

/// The instruction B from one address to another. The kernel's text is not as long as a branch reaches.
fn branch(from: usize, to: usize) -> u32 {
    0x1400_0000 | (to.wrapping_sub(from) >> 2) as u32 & 0x03ff_ffff
}
