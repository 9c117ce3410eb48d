//! A CPU's debug state, and the offsets at which `kprobe/hit.S` finds parts of this state.

use super::client::Stepped;
use super::stepping::{Session, Stepping};
use crate::exception::DebugFrame;
use crate::kprobe;
use crate::mm::layout::PAGE;
use crate::percpu::{self, PerCpu};
use ::slots::{CpuHits, CpuSlots, SlotMask};
use core::arch::asm;
use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
};
use rules::step::Owners;

/// How deep interrupts that set a step aside can nest on a CPU.
pub const STASH_DEPTH: usize = 8;

/// Slots of each kind that a CPU can have (16 without banked registers).
pub const MAX_SLOTS: usize = 64;

/// The counters of [`stats`](super::stats).
pub(super) const COUNTERS: usize = 15;

/// A cell that every crate may read, and only this crate may change.
#[repr(transparent)]
pub struct Seen<T>(Cell<T>);

impl<T: Copy> Seen<T> {
    const fn new(value: T) -> Self {
        Self(Cell::new(value))
    }

    /// The value now. Any context of this CPU.
    #[inline(always)]
    pub fn get(&self) -> T {
        self.0.get()
    }

    /// Changes the value. D is masked.
    #[inline(always)]
    pub(crate) fn set(&self, value: T) {
        self.0.set(value);
    }
}

/// A CPU's debug state. Its cells are touched by this CPU only, with D masked.
///
/// `kprobe/hit.S` finds a CPU's state by a shift of the CPU's index, because the size equals the alignment, a power of
/// two. `kprobe/hit.S` also uses the first fields.
#[repr(C, align(16384))]
pub struct CpuDebug {
    /// How many debug contexts this CPU is in, one inside the other.
    pub depth: Seen<u32>,
    /// How many entries of `levels` are in use.
    pub levels_len: Seen<u8>,
    /// Owners of the running context's step, changed by [`control`](super::control) only; inside a debug context the owners of the
    /// context that it interrupted.
    pub owners: Seen<Owners>,
    /// Always 0. Pads `depth`, `levels_len` and `owners` to 8 bytes: `kprobe/hit.S` tests all three with one load.
    zero: [u8; 2],
    /// The probes that this CPU is dealing with, one inside the other.
    pub levels: [kprobe::Level; kprobe::LEVELS],
    /// MDSCR_EL1 as the armed slots need it (rule H8).
    pub(super) armed_bits: Cell<u64>,
    /// MDSCR_EL1 as the running context's step needs it (M13): see [`control`](super::control).
    pub(super) step_bits: Cell<u64>,
    /// The shadow of MDSCR_EL1, or the mark that an ISB is owed: see [`control`](super::control).
    pub mdscr: Seen<u64>,
    /// The bits that MDSCR_EL1 always has on this CPU, whatever is armed.
    pub(super) standing_bits: Cell<u64>,
    /// What a debugger does with the steps of the running context. The sessions of interrupted contexts are on the stash.
    pub(super) session: Cell<Option<Session>>,
    /// How the debugger's last step of the running context came about (see [`session::last`](super::session::last)).
    pub(super) stepped: Cell<Stepped>,
    /// The PC at which the running context's free run began (see [`exclusive`](super::exclusive)).
    pub(super) free_from: Cell<u64>,
    /// How many entries of `stash` are in use.
    pub stash_len: Seen<usize>,
    /// Flags of what is to be done on the way out of an interrupt: see [`pending`](super::pending).
    pub(super) pending: AtomicU32,
    /// The counters, which [`stats`](super::stats) names.
    pub(super) counters: [AtomicU64; COUNTERS],
    /// The debug states of interrupted contexts, the innermost last (M8).
    pub(super) stash: UnsafeCell<[Stepping; STASH_DEPTH]>,
    /// What is armed and suspended on this CPU.
    pub(super) slots: UnsafeCell<CpuSlots>,
    /// Hits of this CPU's slots.
    pub(super) hits: CpuHits,
    /// The store-only watchpoints of this CPU that match loads too for a while.
    pub(super) widened: UnsafeCell<Widened>,
    /// The debug state of the task that runs on this CPU ([`task`](super::task)), if the task was ever debugged; else null.
    pub(super) task: AtomicPtr<()>,
    /// The slots of that task which are armed.
    pub(super) task_slots: UnsafeCell<TaskSlots>,
    /// The PC of the last hit at EL0, and how many hits there were close to each other, one after the other; [`IN_SEQUENCE`] if the last one is
    /// known to be in an exclusive sequence.
    pub(super) repeated: Cell<(u64, u32)>,
    /// The PC of an exclusive sequence, and how many attempts there have ended with `End::Doubtful` (see
    /// [`exclusive`](super::exclusive)).
    pub(super) doubt: Cell<(u64, u32)>,
}

/// The store-only watchpoints that match loads too on this CPU, until the exclusive sequence whose store they caught has been made
/// (see [`exclusive`](super::exclusive)). The generation tells such a slot from its index's next user.
pub(super) struct Widened {
    pub(super) mask: SlotMask,
    pub(super) generations: [u32; MAX_SLOTS],
}

/// See [`CpuDebug::repeated`].
pub(super) const IN_SEQUENCE: u32 = u32::MAX;

/// The slots of a task that a CPU has armed: by kind their numbers, and for each number the use ([`task::Use`](super::task::Use)) as a
/// word, 0 if the slot is not the task's.
pub(super) struct TaskSlots {
    pub(super) masks: [SlotMask; 2],
    pub(super) uses: [[u64; 16]; 2],
}

/// The offset of the doubleword that holds `depth`, `levels_len` and `owners`. The next doubleword is the first level's
/// site.
pub const CONTEXT: usize = offset_of!(CpuDebug, depth);
/// The offset of `armed_bits`. The next doubleword is `step_bits`.
pub const ARMED_BITS: usize = offset_of!(CpuDebug, armed_bits);
/// The value of the doubleword at [`CONTEXT`] when the CPU is in one debug context, deals with one probe, and the
/// context's step has no owner.
pub const ONE_LEVEL: u64 = 1 << 32 | 1;
/// The offset of the levels.
pub const LEVELS: usize = offset_of!(CpuDebug, levels);
/// The offset of `mdscr`, the shadow of MDSCR_EL1.
pub const MDSCR: usize = offset_of!(CpuDebug, mdscr);
const _: () = assert!(
    offset_of!(CpuDebug, levels_len) == CONTEXT + 4
        && offset_of!(CpuDebug, owners) == CONTEXT + 5
        && offset_of!(CpuDebug, zero) == CONTEXT + 6
        && offset_of!(CpuDebug, levels) == CONTEXT + 8
        && offset_of!(CpuDebug, step_bits) == ARMED_BITS + 8
);
const _: () = assert!(size_of::<CpuDebug>() == 16384, "the index of a CPU becomes its address by a shift");

impl CpuDebug {
    const fn new() -> Self {
        Self {
            depth: Seen::new(0),
            levels_len: Seen::new(0),
            owners: Seen::new(Owners::empty()),
            zero: [0; 2],
            levels: [kprobe::Level::UNUSED; kprobe::LEVELS],
            armed_bits: Cell::new(0),
            step_bits: Cell::new(0),
            mdscr: Seen::new(0),
            standing_bits: Cell::new(0),
            session: Cell::new(None),
            stepped: Cell::new(Stepped::Instruction),
            free_from: Cell::new(0),
            stash_len: Seen::new(0),
            pending: AtomicU32::new(0),
            counters: [const { AtomicU64::new(0) }; COUNTERS],
            stash: UnsafeCell::new([Stepping::NONE; STASH_DEPTH]),
            slots: UnsafeCell::new(CpuSlots::new()),
            hits: CpuHits::new(),
            widened: UnsafeCell::new(Widened { mask: SlotMask::EMPTY, generations: [0; MAX_SLOTS] }),
            task: AtomicPtr::new(ptr::null_mut()),
            task_slots: UnsafeCell::new(TaskSlots { masks: [SlotMask::EMPTY; 2], uses: [[0; 16]; 2] }),
            repeated: Cell::new((0, 0)),
            doubt: Cell::new((0, 0)),
        }
    }

    /// Whether the running task was ever debugged, so that it has a debug state ([`task`](super::task)). Any context.
    #[inline(always)]
    pub fn has_task(&self) -> bool {
        !self.task.load(Relaxed).is_null()
    }

    /// Whether a debugger steps the running context. Any context of this CPU.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    pub fn is_stepped(&self) -> bool {
        self.session.get().is_some()
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
pub(super) static CPU_DEBUG: PerCpu<CpuDebug> = crate::per_cpu!(CpuDebug::new());

/// This CPU's debug state, to read it. Any context. Where interrupts are on, the context may be on another CPU a moment
/// later.
#[inline(always)]
pub fn this() -> &'static CpuDebug {
    const {
        assert!(
            align_of::<CpuDebug>().is_multiple_of(PAGE),
            "one ADRP gives the address of the first CPU's state"
        )
    };
    let first: usize;
    // SAFETY: computes an address.
    unsafe {
        asm!("adrp {}, {}", out(reg) first, sym CPU_DEBUG, options(pure, nomem, nostack, preserves_flags));
    }
    let address = first + percpu::index() * size_of::<CpuDebug>();
    // SAFETY: `percpu::set_index` has checked the index of this CPU, so its state is one of the array.
    unsafe { &*ptr::with_exposed_provenance(address) }
}

/// The address of the debug state of the task that CPU number `cpu` runs; null if that task was never debugged. Any context.
pub(super) fn task_of(cpu: usize) -> *const () {
    // SAFETY: only the field `task` is used, which is atomic.
    unsafe { CPU_DEBUG.of_unchecked(cpu) }.task.load(Acquire)
}

/// This CPU's debug state while D is masked, to change it. A reference of this type is the proof that D is masked: a
/// function that takes one need not mask D, and cannot be called with D open. Sections
/// ([`Masked`](super::control::Masked)) and the entry of an exception ([`masked`]) give out such references.
#[repr(transparent)]
pub struct MaskedCpu(CpuDebug);

impl Deref for MaskedCpu {
    type Target = CpuDebug;

    #[inline(always)]
    fn deref(&self) -> &CpuDebug {
        &self.0
    }
}

/// This CPU's debug state, for the entry of an exception and for its way out.
///
/// # Safety
/// D is masked. The reference is not used while D is open. After D was open, it is used only if the context cannot have
/// moved to another CPU meanwhile (I10).
#[inline(always)]
pub unsafe fn masked() -> &'static MaskedCpu {
    // SAFETY: the layouts are the same, by `repr(transparent)`.
    unsafe { &*ptr::from_ref(this()).cast() }
}

impl DebugFrame {
    /// The state of the CPU that the debug context runs on.
    #[inline(always)]
    pub fn cpu(&self) -> &'static MaskedCpu {
        // SAFETY: only a debug context has such a frame, and D is masked until it ends.
        unsafe { masked() }
    }
}
