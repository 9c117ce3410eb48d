//! The debug exceptions' engine: owners of steps, hardware slots, the stash, WARN and BUG.
//!
//! What is here runs in debug context or with D masked; nothing in it waits, allocates or takes a lock.

pub mod bug;
pub mod control;
pub mod debugger;
pub mod exclusive;
pub mod hit;
pub mod pending;
pub mod runs;
pub mod session;
pub mod slots;
pub mod stats;
pub mod step;
pub mod stepping;
mod switch;

pub use switch::{check_switchable, switch_state};

use crate::kprobe;
use crate::percpu::PerCpu;
use ::slots::{CpuHits, CpuSlots};
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU32, AtomicU64};
use rules::step::Owners;
use stepping::Stepping;

/// How deep interrupts that set a step aside can nest on a CPU.
pub const STASH_DEPTH: usize = 8;

/// The kernel's slot tables hold this many of each kind: what a CPU can have (16 without banked registers).
pub const MAX_SLOTS: usize = 64;

/// A CPU's debug state. Cells: touched by this CPU only, with D masked.
///
/// Aligned so that the index of a CPU becomes its address by a shift. `kprobe/hit.S` knows the first fields.
#[repr(C, align(16384))]
pub struct CpuDebug {
    /// Debug contexts this CPU is in, one inside the other.
    pub depth: Cell<u32>,
    /// Entries of `levels` in use.
    pub levels_len: Cell<u8>,
    /// Owners of the running context's step, changed by [`control`] only; inside a debug context those of the context that it interrupted.
    pub owners: Cell<Owners>,
    /// Always 0. Pads `depth`, `levels_len` and `owners` to 8 bytes: `kprobe/hit.S` tests all three with one load.
    zero: [u8; 2],
    /// Probes that are being dealt with, one inside the other.
    pub levels: [kprobe::Level; kprobe::LEVELS],
    /// MDSCR_EL1 as the armed slots need it (rule H8).
    armed_bits: Cell<u64>,
    /// MDSCR_EL1 as the running context's step needs it (M13): see [`control`].
    step_bits: Cell<u64>,
    /// What is in MDSCR_EL1, or that something is owed: see [`control`].
    pub mdscr: Cell<u64>,
    /// MDSCR_EL1 as this CPU needs it always.
    standing_bits: Cell<u64>,
    /// What a debugger does with the running context's steps. Whoever is interrupted has its own, on the stash.
    session: Cell<Option<session::Session>>,
    /// How the debugger's step came about (see [`step::last`]).
    stepped: Cell<step::Stepped>,
    /// Where a free run began (see [`exclusive`]).
    free_from: Cell<u64>,
    /// Entries of `stash` in use.
    pub stash_len: Cell<usize>,
    /// What is to be done on the way out of an interrupt: see [`CpuDebug::want_reschedule`] and `irq::deferred`.
    pending: AtomicU32,
    counters: stats::Counters,
    stash: UnsafeCell<[Stepping; STASH_DEPTH]>,
    slots: UnsafeCell<CpuSlots>,
    hits: CpuHits,
    widened: UnsafeCell<exclusive::Widened>,
    doubt: Cell<exclusive::Doubt>,
}
/// Offset of depth, levels and owners, with the first level's site next.
pub const CONTEXT: usize = core::mem::offset_of!(CpuDebug, depth);
/// Offset of what armed slots and steps need of MDSCR_EL1, next to each other.
pub const ARMED_BITS: usize = core::mem::offset_of!(CpuDebug, armed_bits);
/// What is at [`CONTEXT`] in one debug context that deals with one probe, without an owner.
pub const ONE_LEVEL: u64 = 1 << 32 | 1;
/// Offset of the levels.
pub const LEVELS: usize = core::mem::offset_of!(CpuDebug, levels);
/// Offset of what is in MDSCR_EL1.
pub const MDSCR: usize = core::mem::offset_of!(CpuDebug, mdscr);
const _: () = assert!(
    core::mem::offset_of!(CpuDebug, levels_len) == CONTEXT + 4
        && core::mem::offset_of!(CpuDebug, owners) == CONTEXT + 5
        && core::mem::offset_of!(CpuDebug, zero) == CONTEXT + 6
        && core::mem::offset_of!(CpuDebug, levels) == CONTEXT + 8
        && core::mem::offset_of!(CpuDebug, step_bits) == ARMED_BITS + 8
);
const _: () = assert!(size_of::<CpuDebug>() == 16384, "the index of a CPU becomes its address by a shift");

impl CpuDebug {
    const fn new() -> Self {
        Self {
            depth: Cell::new(0),
            levels_len: Cell::new(0),
            owners: Cell::new(Owners::empty()),
            zero: [0; 2],
            levels: [kprobe::Level::UNUSED; kprobe::LEVELS],
            armed_bits: Cell::new(0),
            step_bits: Cell::new(0),
            mdscr: Cell::new(0),
            standing_bits: Cell::new(0),
            session: Cell::new(None),
            stepped: Cell::new(step::Stepped::Instruction),
            free_from: Cell::new(0),
            stash_len: Cell::new(0),
            pending: AtomicU32::new(0),
            counters: [const { AtomicU64::new(0) }; stats::ALL.len()],
            stash: UnsafeCell::new([Stepping::NONE; STASH_DEPTH]),
            slots: UnsafeCell::new(CpuSlots::new()),
            hits: CpuHits::new(),
            widened: UnsafeCell::new(exclusive::Widened::NONE),
            doubt: Cell::new(exclusive::Doubt::NONE),
        }
    }
}

impl CpuDebug {
    /// Whether a debugger steps the running context. Any context of this CPU.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    pub fn is_stepped(&self) -> bool {
        self.session.get().is_some()
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
static CPU_DEBUG: PerCpu<CpuDebug> = crate::per_cpu!(CpuDebug::new());

/// This CPU's debug state. Any context; see the fields for what may be touched where.
#[inline(always)]
pub fn this() -> &'static CpuDebug {
    CPU_DEBUG.this()
}
