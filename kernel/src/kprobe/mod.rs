//! Kprobes: a BRK in place of an instruction, handlers before and after it, the instruction itself simulated or run out of
//! line.
//!
//! - `table`: the probed addresses, found without a lock; `site`: what is known of one.
//! - `register`: registration and removal (rules K2, K3, K4); `copies`: the pages that instructions are run in.
//! - `shown`: what slots' handlers and debuggers see of a displaced instruction.
//! - `returns`: return probes. `optimised`: probes that take no exception.
//! - `hit.S`: what happens at a hit mostly; `engine`: the rest (rules K6 to K8); `levels`: which probes a CPU deals with (K5).

mod copies;
mod engine;
mod level;
mod levels;
mod machine;
mod optimised;
mod register;
mod returns;
mod shown;
mod simd;
mod site;
mod table;

pub use copies::settle;
pub use engine::{fault_in_copy, hit, out_of_line_end, rest_of_hit};
pub use levels::{LEVELS, Level, depth, is_behind};
pub use optimised::{Rest, rest, stand_in, unsettle};
pub use register::{
    ProbeError, Wanted, count, disable, enable, register, register_all, register_possible, register_with,
    remove, remove_all, unregister,
};
pub use returns::{
    DEFAULT as DEFAULT_INSTANCES, EntryHandler, Instance, ReturnHandler, ReturnProbe, WantedReturn, caller,
    end_of_stack, register_return, remove_return, returned,
};
pub use shown::{Displaced, Origin, may_be_shown, show};
pub use table::{list, original};

use crate::exception::Frame;
use crate::percpu::MAX_CPUS;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed},
};

/// Runs before the probed instruction, in debug context (M12). It may change the frame.
pub type PreHandler = fn(&Kprobe, &mut Frame) -> Then;
/// Runs after it, in debug context. It may change the frame.
pub type PostHandler = fn(&Kprobe, &mut Frame);

/// What becomes of the probed instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Then {
    /// It runs.
    Run = 0,
    /// It is skipped: the frame's PC, as the handler leaves it, is where the context goes on. No post-handler.
    Skip = 1,
}

/// A registered probe. Aligned as a site is, so that the heap has no holes between the two.
#[repr(C, align(64))]
pub struct Kprobe {
    /// Counted by each CPU for itself, masked.
    hits: [AtomicU64; MAX_CPUS],
    missed: AtomicU64,
    /// Where it is.
    pub address: u64,
    /// The instruction that the BRK stands for.
    pub word: u32,
    pre: Option<PreHandler>,
    post: Option<PostHandler>,
    /// What whoever registered it left for its handlers.
    pub data: usize,
    optimise: bool,
    enabled: AtomicBool,
    simulated: bool,
    next: AtomicPtr<Kprobe>,
}

impl Kprobe {
    /// Executions whose handlers ran.
    pub fn hits(&self) -> u64 {
        self.hits.iter().map(|hits| hits.load(Relaxed)).sum()
    }

    /// Executions whose handlers could not run (rule K5); the instruction ran all the same.
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// The next one at its address.
    #[inline(always)]
    fn next(&self) -> Option<&'static Kprobe> {
        // SAFETY: a linked probe is alive: see `Site::probes`.
        unsafe { self.next.load(Acquire).as_ref() }
    }

    /// How the displaced instruction runs, for listings.
    pub fn how(&self) -> &'static str {
        if self.optimise && table::find(self.address).is_some_and(site::Site::is_optimised) {
            return "optimised";
        }
        if self.simulated { "simulated" } else { "out of line" }
    }

    /// Whether its instruction is one that is simulated where the probe is not optimised: a branch, or one that reads PC.
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Whether its handlers run and it counts.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed)
    }
}
