//! A registered probe, and the handlers that it calls.

use crate::exception::DebugFrame;
use crate::percpu::MAX_CPUS;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed},
};

/// A handler that is called before the probed instruction, in debug context (M12). A pre-handler may change the frame.
pub type PreHandler = fn(&Kprobe, &mut DebugFrame) -> Then;
/// A handler that is called after the probed instruction, in debug context. A post-handler may change the frame.
pub type PostHandler = fn(&Kprobe, &mut DebugFrame);

/// What a pre-handler wants to become of the probed instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Then {
    /// The instruction runs.
    Run = 0,
    /// The instruction is skipped: the context goes on at the PC that the handler leaves in the frame, and no post-handler is
    /// called.
    Skip = 1,
}

/// A registered probe. Probes are aligned as sites are, so that the heap has no holes between a probe and its site.
#[repr(C, align(64))]
pub struct Kprobe {
    /// The hits on each CPU. A CPU counts only its own hits, with all exceptions masked.
    pub(super) hits: [AtomicU64; MAX_CPUS],
    pub(super) missed: AtomicU64,
    /// The address of the probed instruction.
    pub address: u64,
    /// The probed instruction, which the BRK has replaced in the text.
    pub word: u32,
    pub(super) pre: Option<PreHandler>,
    pub(super) post: Option<PostHandler>,
    /// A word for the handlers, as [`Wanted::data`](super::Wanted::data) gave it.
    pub data: usize,
    pub(super) optimise: bool,
    pub(super) enabled: AtomicBool,
    pub(super) simulated: bool,
    pub(super) next: AtomicPtr<Kprobe>,
}

impl Kprobe {
    /// How many executions of the instruction have called the handlers.
    pub fn hits(&self) -> u64 {
        self.hits.iter().map(|hits| hits.load(Relaxed)).sum()
    }

    /// How many executions could not call the handlers (rule K5); the instruction ran all the same.
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// The next probe at the same address.
    #[inline(always)]
    pub(super) fn next(&self) -> Option<&'static Kprobe> {
        // SAFETY: a linked probe is alive: see `Site::probes`.
        unsafe { self.next.load(Acquire).as_ref() }
    }

    /// Whether the instruction is simulated (a branch, or an instruction that reads PC) as long as the probe is not optimised.
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Whether the probe counts its hits and calls its handlers.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }
}

/// The pre-handler of an optimised probe that has none of its own: a trampoline always calls one.
#[unsafe(link_section = ".noprobe.text")]
pub fn nothing(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Then::Run
}
