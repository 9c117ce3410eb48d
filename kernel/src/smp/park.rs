//! Stops the other CPUs, each with its frame for others to see, and lets them go on later; or stops them for good.
//!
//! Whoever debugs the whole machine needs all other CPUs to stand still for as long as a person thinks, and then to go on as if
//! nothing had been. [`stop`] asks for that by interrupt and waits for nobody, since it may be called from a debug context (M10);
//! each CPU stops where it takes the interrupt. It stands in [`park`], in no-probe text with everything masked, has the frame of
//! the context that it was in published, and still does what other CPUs may wait for: it applies changes of slots (H5), takes part
//! in rendezvous (K3), and answers when the kernel ends. Before it goes on it executes an ISB, so text that was changed meanwhile
//! is what it executes.
//!
//! A *round* is one stop: `ROUND` is odd while the CPUs shall stand, and even between two stops. A CPU says for which round it
//! stands, so the frame of an earlier round is never taken for one of the current round.

use super::{cpus, rendezvous};
use crate::arch::barrier;
use crate::debug;
use crate::debug::control::Masked;
use crate::drivers::gic::{self, Target};
use crate::exception::Frame;
use crate::irq::sgi;
use crate::percpu::{self, MAX_CPUS};
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
};

#[unsafe(link_section = ".noprobe.data")]
static ROUND: AtomicU64 = AtomicU64::new(0);
/// The CPU that has stopped the others. Valid while `ROUND` is odd.
#[unsafe(link_section = ".noprobe.data")]
static OWNER: AtomicUsize = AtomicUsize::new(0);
/// Whether the kernel ends, so that a CPU that stops never goes on.
#[unsafe(link_section = ".noprobe.data")]
static FOR_GOOD: AtomicBool = AtomicBool::new(false);
/// The CPUs that have stopped for good, a bit each.
#[unsafe(link_section = ".noprobe.data")]
static ENDED: AtomicU64 = AtomicU64::new(0);

/// The round for which each CPU stands, or has stood last. It is written after the CPU's entry in [`FRAMES`].
#[unsafe(link_section = ".noprobe.data")]
static PARKED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
#[unsafe(link_section = ".noprobe.data")]
static FRAMES: [AtomicPtr<Frame>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Another CPU, or another context of this one, has stopped the others already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The CPU that has stopped the others.
    pub owner: usize,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu{} has stopped the other CPUs already: it has to let them go first", self.owner)
    }
}

/// The other CPUs are stopped, or are about to stop, while this value lives.
#[derive(Debug)]
pub struct Stopped {
    round: u64,
    /// Makes the value neither `Send` nor `Sync`, because it stays on its CPU.
    local: PhantomData<*const ()>,
}

/// Asks all other CPUs to stop, and does not wait until they have. A CPU with interrupts off stops when it switches them on.
///
/// Any context that stays on its CPU while the [`Stopped`] lives: with interrupts off, or masked. A stopped CPU may hold any lock:
/// until the CPUs are let go, the caller may only take locks by `try_lock`.
///
/// # Errors
/// [`Busy`] if another CPU or context has stopped them. A caller that cannot be interrupted should then call [`park`] with its own
/// frame.
pub fn stop() -> Result<Stopped, Busy> {
    let round = ROUND.load(Acquire);
    let even = round & !1;
    if round != even || ROUND.compare_exchange(even, even + 1, AcqRel, Relaxed).is_err() {
        return Err(Busy { owner: OWNER.load(Relaxed) });
    }
    OWNER.store(percpu::index(), Relaxed);
    if cpus::online_count() > 1 {
        gic::send_sgi(sgi::STOP, Target::AllOthers);
    }
    Ok(Stopped { round: even + 1, local: PhantomData })
}

impl Stopped {
    /// Whether a CPU has stopped. Any context.
    pub fn has_stopped(&self, cpu: usize) -> bool {
        PARKED.get(cpu).is_some_and(|parked| parked.load(Acquire) == self.round)
    }

    /// Whether all other online CPUs have stopped. Any context.
    pub fn all_have_stopped(&self) -> bool {
        cpus::online().all(|cpu| cpu == percpu::index() || self.has_stopped(cpu))
    }

    /// The frame of the context that a CPU has stopped in; None if the CPU has not stopped. Any context.
    pub fn frame(&self, cpu: usize) -> Option<&Frame> {
        // SAFETY: the CPU has published its frame before it said that it stands for this round. It leaves the frame alone until the
        // round is over, which is not before `self` is dropped.
        self.has_stopped(cpu).then(|| unsafe { &*FRAMES[cpu].load(Relaxed) })
    }

    /// The context that a CPU stands in, if it has stopped, to be changed: the CPU goes on with the changed context. Any context.
    pub fn frame_mut(&mut self, cpu: usize) -> Option<&mut Frame> {
        // SAFETY: as in `frame`; `self` is borrowed mutably while the reference lives, so there is no other reference.
        self.has_stopped(cpu).then(|| unsafe { &mut *FRAMES[cpu].load(Relaxed) })
    }
}

impl Drop for Stopped {
    /// Lets the other CPUs go on.
    fn drop(&mut self) {
        ROUND.store(self.round + 1, Release);
    }
}

/// Handles [`sgi::STOP`]: stands still, in the context of `frame`, while another CPU wants that. Returns at once if none does.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn park(frame: &mut Frame) {
    let _masked = Masked::new();
    let me = percpu::index();
    let round = ROUND.load(Acquire);
    // The owner is not stopped by an interrupt that was meant for an earlier round.
    if round & 1 == 1 && OWNER.load(Relaxed) != me {
        FRAMES[me].store(frame, Relaxed);
        PARKED[me].store(round, Release);
        while ROUND.load(Acquire) == round {
            debug::slots::sync_local();
            rendezvous::stand_still();
            end_if_asked(me);
            barrier::relax();
        }
        barrier::isb();
    }
    end_if_asked(me);
}

/// Stops this CPU for good, masked, if the kernel ends.
#[inline(always)]
fn end_if_asked(me: usize) {
    if FOR_GOOD.load(Relaxed) {
        ENDED.fetch_or(1 << me, SeqCst);
        loop {
            barrier::wfi();
        }
    }
}

/// Stops all other CPUs for good. Returns the CPUs that did not answer, one bit for each; they have interrupts off. Any context.
pub fn stop_others() -> u64 {
    let others = cpus::online_mask() & !(1 << percpu::index());
    if others == 0 {
        return 0;
    }
    FOR_GOOD.store(true, SeqCst);
    gic::send_sgi(sgi::STOP, Target::AllOthers);
    let patience = crate::drivers::timer::frequency() / 10;
    let start = crate::drivers::timer::now();
    while others & !ENDED.load(SeqCst) != 0 && crate::drivers::timer::now() - start < patience {
        barrier::relax();
    }
    others & !ENDED.load(SeqCst)
}
