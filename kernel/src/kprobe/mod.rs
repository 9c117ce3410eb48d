//! Kprobes: a BRK in place of an instruction, handlers before and after it, the instruction itself simulated or run out of
//! line.
//!
//! - `table`: the registered probes, found by address without a lock.
//! - `register`: registration and removal (rules K2, K3, K4).
//! - `engine`: what happens at a hit (rules K5 to K8).

mod engine;
mod ool;
mod register;
mod table;

pub use engine::{depth, fault_in_copy, hit, out_of_line_end};
pub use register::{ProbeError, register, unregister};
pub use table::{list, original};

use crate::exception::Frame;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};
use probe::Sim;

/// Runs before the probed instruction, in debug context (M12). It may change the frame.
pub type PreHandler = fn(&Kprobe, &mut Frame) -> Then;
/// Runs after it, in debug context. It may change the frame.
pub type PostHandler = fn(&Kprobe, &mut Frame);

/// What becomes of the probed instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It runs.
    Run,
    /// It is skipped: the frame's PC, as the handler leaves it, is where the context goes on. No post-handler.
    Skip,
}

/// How the displaced instruction runs.
#[derive(Clone, Copy, Debug)]
enum How {
    Simulated(Sim),
    /// In the copy at this address.
    OutOfLine(u64),
}

/// A registered probe.
pub struct Kprobe {
    /// Where it is.
    pub address: u64,
    /// The instruction that the BRK stands for.
    pub word: u32,
    how: How,
    pre: Option<PreHandler>,
    post: Option<PostHandler>,
    hits: AtomicU64,
    missed: AtomicU64,
    next: AtomicPtr<Kprobe>,
}

impl Kprobe {
    /// Executions whose handlers ran.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Executions whose handlers could not run (rule K5); the instruction ran all the same.
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// How the displaced instruction runs, for listings.
    pub fn how(&self) -> &'static str {
        match self.how {
            How::Simulated(_) => "simulated",
            How::OutOfLine(_) => "out of line",
        }
    }
}
