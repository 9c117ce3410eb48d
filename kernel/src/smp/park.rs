//! Stops the other CPUs, so that the frames of their contexts can be looked at, and lets them go on later.
//!
//! To debug the whole machine, all other CPUs have to stand still for as long as a person thinks, and then to go on as
//! if they had never stopped. [`stop`] asks for that by an interrupt, and waits for no CPU, because `stop` may be
//! called from a debug context (M10). Each CPU stops when it takes the interrupt: it publishes the frame of the
//! interrupted context, and waits in [`park`], in no-probe text with all exceptions masked. A stopped CPU still does
//! what other CPUs may wait for: it applies changes of slots (H5), takes part in rendezvous (K3), and answers when the
//! kernel ends. Before a CPU goes on it executes an ISB, because text may have been changed meanwhile.
//!
//! A *round* is one stop: its number is odd while the CPUs shall stand, and even between two stops. A CPU says for which round it
//! stands, so the frame of an earlier round is never taken for one of the current round.

use super::{cpus, end, rendezvous};
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
    AtomicPtr, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// The round, and in the low byte its owner, the CPU that has stopped the others. Both are in one word, because the
/// interrupt of an earlier round may come late, to the owner of the new round: if that CPU saw the new round with the
/// old owner, it would stop for itself.
#[unsafe(link_section = ".noprobe.data")]
static ROUND: AtomicU64 = AtomicU64::new(0);
const OWNER: u64 = 0xff;
/// Set while the CPUs shall stand.
const ODD: u64 = OWNER + 1;
const _: () = assert!(MAX_CPUS as u64 <= OWNER);

const fn owner(round: u64) -> usize {
    (round & OWNER) as usize
}

/// The round for which each CPU stands, or has stood last. A CPU writes its entry here after its entry in [`FRAMES`].
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
    let before = ROUND.load(Acquire);
    if before & ODD != 0 {
        return Err(Busy { owner: owner(before) });
    }
    let round = (before & !OWNER) + ODD + percpu::index() as u64;
    if let Err(now) = ROUND.compare_exchange(before, round, AcqRel, Relaxed) {
        return Err(Busy { owner: owner(now) });
    }
    if cpus::online_count() > 1 {
        gic::send_sgi(sgi::STOP, Target::AllOthers);
    }
    Ok(Stopped { round, local: PhantomData })
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
        // SAFETY: the CPU has published its frame before its entry in `PARKED` became this round. The CPU does not use
        // the frame until the round is over, and the round is over when `self` is dropped.
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
        ROUND.store(self.round + ODD, Release);
    }
}

/// Handles [`sgi::STOP`]: publishes `frame` and stands still, as long as another CPU wants that. Returns at once if no
/// CPU wants it.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn park(frame: &mut Frame) {
    let _masked = Masked::new();
    let me = percpu::index();
    let round = ROUND.load(Acquire);
    // The owner is not stopped by an interrupt that was meant for an earlier round.
    if round & ODD != 0 && owner(round) != me {
        FRAMES[me].store(frame, Relaxed);
        PARKED[me].store(round, Release);
        while ROUND.load(Acquire) == round {
            debug::slots::sync_local();
            // In a debug context this CPU may still use a probe, so it must not take part in a rendezvous that removes
            // the probe (K4).
            if debug::this().depth.get() == 0 {
                rendezvous::stand_still();
            }
            end::end_if_asked(me);
            barrier::relax();
        }
        // The owner may have changed text (DDI 0487 B2, "Synchronization and coherency issues between data and instruction accesses").
        barrier::isb();
    }
    end::end_if_asked(me);
}
