//! One level of a CPU's debug state: a site that the CPU deals with.
//!
//! A handler can run into further probes, so a CPU deals with sites one inside the other (rule K5). The functions on
//! levels are in `levels`.

use super::probe::Kprobe;
use super::site::Site;
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr;
use rules::step::Owners;

/// How many levels a CPU has. Hits deeper than [`HANDLER_DEPTH`](super::levels::HANDLER_DEPTH) call no handlers, but each of them
/// needs a level too while its instruction runs.
pub const LEVELS: usize = 8;

/// A site that a CPU deals with. Only that CPU touches it, with all exceptions masked.
#[repr(C)]
pub struct Level {
    pub(super) site: Cell<*const Site>,
    /// I and F of the probed context, and the flag [`LONGER`], while the instruction runs in the copy that ends in a
    /// BRK.
    pub masks: Cell<u64>,
    /// Owners of the probed context's step while the instruction runs in that copy.
    pub parked: Cell<Owners>,
    /// Whether the hit is too deep, or inside another one of the same site, so that no handler is called (rule K5).
    pub missed: Cell<bool>,
}

/// A flag in [`Level::masks`]: the engine has to deal with the end of the copy, not `hit.S`, whose `tbnz` tests this bit.
pub const LONGER: u64 = 1 << 63;

const _: () = assert!(offset_of!(Level, site) == 0 && offset_of!(Kprobe, hits) == 0);

impl Level {
    /// A level that is not in use. `hit.S` relies on `parked` and `missed` having these values in every such level.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "for arrays of levels, each with cells of its own"
    )]
    pub const UNUSED: Self = Self {
        site: Cell::new(ptr::null()),
        masks: Cell::new(0),
        parked: Cell::new(Owners::empty()),
        missed: Cell::new(false),
    };
}
