//! Handlers record what they see, because a handler cannot end a test.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::arch::{daif, mdscr};
use kernel::debug;
use kernel::exception::Frame;

/// What a handler saw when it was called last, and how often it was called.
pub struct Seen([AtomicU64; 9]);

/// A handler's view of the machine and of the context that it interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// PSTATE.D, A, I, F while the handler ran, in the format of DAIF.
    pub daif: u64,
    /// MDSCR_EL1.SS while the handler ran.
    pub ss: u64,
    /// How many entries this CPU's stash had.
    pub stash: u64,
    /// The owners of the running context's step, as the bits of `Owners`.
    pub owners: u64,
    /// How many debug contexts were nested.
    pub depth: u64,
    /// PC of the interrupted context.
    pub pc: u64,
    /// The masks of the interrupted context, in the format of DAIF.
    pub interrupted: u64,
    /// SPSR.SS of the interrupted context.
    pub spsr_ss: u64,
}

impl Seen {
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 9])
    }

    /// Forgets everything that was noted.
    pub fn reset(&self) {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
    }

    /// Called by the handler with its frame: notes the [`View`]. Returns how often this was called before.
    pub fn note(&self, frame: &Frame) -> u64 {
        let cpu = debug::this();
        let now = [
            daif::read().bits(),
            mdscr::read() & mdscr::SS,
            cpu.stash_len.get() as u64,
            cpu.owners.get().bits().into(),
            cpu.depth.get().into(),
            frame.pc,
            frame.masks().bits(),
            frame.pstate >> 21 & 1,
        ];
        for (word, value) in self.0.iter().zip(now) {
            word.store(value, Relaxed);
        }
        self.0[8].fetch_add(1, Relaxed)
    }

    /// How often the handler was called.
    pub fn count(&self) -> u64 {
        self.0[8].load(Relaxed)
    }

    /// What the handler saw when it was called last.
    pub fn view(&self) -> View {
        let word = |n: usize| self.0[n].load(Relaxed);
        View {
            daif: word(0),
            ss: word(1),
            stash: word(2),
            owners: word(3),
            depth: word(4),
            pc: word(5),
            interrupted: word(6),
            spsr_ss: word(7),
        }
    }
}
