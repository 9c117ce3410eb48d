//! Which storm runs, and what each CPU does in it.

use super::Storm;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};
use kernel::percpu::PerCpu;
use kernel::smp;

static STORM: AtomicPtr<Storm> = AtomicPtr::new(ptr::null_mut());

/// What one CPU does.
pub struct Place {
    /// Whether the CPU storms now. Its interrupts and its background thread do nothing otherwise.
    pub open: AtomicBool,
    /// Whether the CPU's background thread is in the middle of something.
    pub busy: AtomicBool,
    /// What the CPU's thread does, to be shown where a storm hangs: the number of an action, or [`MEETING`].
    pub doing: AtomicUsize,
    /// How often the CPU's thread has begun to do something.
    pub begun: AtomicU64,
    /// The number of the round.
    pub round: AtomicU64,
}

/// In [`Place::doing`]: the CPU waits until all have come to the same point.
pub const MEETING: usize = usize::MAX;

pub static PLACES: PerCpu<Place> = kernel::per_cpu!(Place {
    open: AtomicBool::new(false),
    busy: AtomicBool::new(false),
    doing: AtomicUsize::new(MEETING),
    begun: AtomicU64::new(0),
    round: AtomicU64::new(0),
});

/// Notes which storm runs. Called before any other part of the storm runs.
pub fn begin(storm: &'static Storm) {
    STORM.store(ptr::from_ref(storm).cast_mut(), Relaxed);
}

/// The storm that runs.
pub fn storm() -> &'static Storm {
    // SAFETY: `begin` stores a storm before any other part of the storm runs.
    unsafe { &*STORM.load(Relaxed) }
}

/// Whether this CPU storms now. Any context.
pub fn is_open() -> bool {
    PLACES.this().open.load(Relaxed)
}

/// How often CPUs have begun to do something. Any context.
pub fn begun() -> u64 {
    PLACES.iter().map(|place| place.begun.load(Relaxed)).sum()
}

/// What each CPU does now, to be shown where a storm hangs.
pub fn whereabouts() -> impl fmt::Display {
    fmt::from_fn(|f| {
        for cpu in smp::online() {
            let doing = PLACES.of(cpu).doing.load(Relaxed);
            let name = storm().actions.get(doing).map_or("waits for the others", |action| action.name);
            write!(f, "{}cpu{cpu}: {name}", if cpu == 0 { "" } else { ", " })?;
        }
        Ok(())
    })
}
