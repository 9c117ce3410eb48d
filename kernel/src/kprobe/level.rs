//! One entry of a CPU's levels: see [`levels`](super::levels).

use super::site::Site;
use core::cell::Cell;
use core::mem::offset_of;
use rules::step::Owners;

/// Levels that a CPU has: a hit whose handlers do not run needs a level too, while its instruction runs.
pub const LEVELS: usize = 8;

/// One site that is being dealt with. Touched by its CPU only, masked.
#[repr(C)]
pub struct Level {
    pub(super) site: Cell<*const Site>,
    /// I and F of the probed context, while the copy that traps is run; with [`LONGER`].
    pub masks: Cell<u64>,
    /// Owners of the probed context's step, while that copy is run.
    pub parked: Cell<Owners>,
    /// Whether the handlers of the site do not run.
    pub missed: Cell<bool>,
}

/// In [`Level::masks`]: `hit.S` is not to deal with the end of the copy. Its `tbnz` knows the bit.
pub const LONGER: u64 = 1 << 63;

const _: () = assert!(offset_of!(Level, site) == 0, "`hit.S` stores the site there");

impl Level {
    /// A level that is not in use: all fields but `site` and `masks` have these values then, which `hit.S` relies on.
    #[allow(clippy::declare_interior_mutable_const, reason = "for arrays of them, each its own")]
    pub const UNUSED: Self = Self {
        site: Cell::new(core::ptr::null()),
        masks: Cell::new(0),
        parked: Cell::new(Owners::empty()),
        missed: Cell::new(false),
    };
}
