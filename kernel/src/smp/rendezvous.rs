//! All other CPUs held still, masked, in no-probe text, while one changes what they might be executing (rule K3).

use crate::arch::barrier;
use crate::arch::daif::AllMasked;
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::sync::SpinLock;
use core::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// Serialises those who ask. Taken with interrupts on: whoever waits for it still takes part in others' rendezvous.
static ONE_AT_A_TIME: SpinLock<()> = SpinLock::new(());

/// Which rendezvous is on; those who take part wait until it is over.
#[unsafe(link_section = ".noprobe.data")]
static ROUND: AtomicU64 = AtomicU64::new(0);
#[unsafe(link_section = ".noprobe.data")]
static OVER: AtomicU64 = AtomicU64::new(0);
#[unsafe(link_section = ".noprobe.data")]
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
#[unsafe(link_section = ".noprobe.data")]
static GONE: AtomicUsize = AtomicUsize::new(0);

/// For as long as what this returns lives nobody holds the CPUs still: a CPU may join them. Thread context, interrupts on.
pub(super) fn exclude() -> impl Sized {
    ONE_AT_A_TIME.lock()
}

/// Runs `change` while every other online CPU stands still; each executes an ISB before it goes on.
///
/// Thread context with interrupts on; never a debug context, never an interrupt handler.
///
/// # Panics
/// In a context that it is not for: it would wait for ever.
pub fn rendezvous<R>(change: impl FnOnce() -> R) -> R {
    assert!(
        crate::debug::this().depth.get() == 0 && (super::online_count() <= 1 || crate::irq::off::enabled()),
        "rule K3: a rendezvous is not for debug context, nor with interrupts off"
    );
    let _one = ONE_AT_A_TIME.lock();
    // None joins them while the lock is held.
    let others = super::online_count().saturating_sub(1);
    let _masked = AllMasked::new();
    ARRIVED.store(0, Relaxed);
    GONE.store(0, Relaxed);
    let round = ROUND.fetch_add(1, Release) + 1;
    if others > 0 {
        gic::send_sgi(sgi::RENDEZVOUS, Target::AllOthers);
        while ARRIVED.load(Acquire) < others {
            wait_a_little();
        }
    }
    let result = change();
    OVER.store(round, Release);
    while GONE.load(Acquire) < others {
        wait_a_little();
    }
    barrier::isb();
    result
}

/// [`sgi::RENDEZVOUS`].
#[unsafe(link_section = ".noprobe.text")]
pub fn take_part(_: &mut crate::exception::Frame) {
    stand_still();
}

/// Takes part in the rendezvous that is on, if one is: arrives, waits masked, synchronises. Any context but debug context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub(super) fn stand_still() {
    let _masked = AllMasked::new();
    let round = ROUND.load(Acquire);
    if OVER.load(Acquire) == round {
        return;
    }
    ARRIVED.fetch_add(1, Release);
    while OVER.load(Acquire) < round {
        wait_a_little();
    }
    barrier::isb();
    GONE.fetch_add(1, Release);
}

/// A CPU that stands still applies changes of slots all the same: whoever waits for that may be the one that is waited for.
#[inline(always)]
fn wait_a_little() {
    crate::debug::slots::sync_local();
    crate::arch::barrier::relax();
}
