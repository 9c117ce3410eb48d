//! All other CPUs held still, masked, in no-probe text, while one changes what they might be executing (rule K3).

use crate::arch::barrier;
use crate::arch::daif::AllMasked;
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::sync::SpinLock;
use protocols::Rendezvous;

/// Serialises those who ask. Taken with interrupts on: whoever waits for it still takes part in others' rendezvous.
static ONE_AT_A_TIME: SpinLock<()> = SpinLock::new(());

#[unsafe(link_section = ".noprobe.data")]
static RENDEZVOUS: Rendezvous = Rendezvous::new();

/// For as long as what this returns lives nobody holds the CPUs still: a CPU may join them. Thread context, interrupts on.
pub(super) fn exclude() -> impl Sized {
    ONE_AT_A_TIME.lock()
}

/// Runs `change` while every other online CPU stands still; each executes an ISB before it goes on. `change` makes the ISB of this CPU, if
/// it owes one (`mm::patch` does).
///
/// Thread context with interrupts on; never a debug context, never an interrupt handler.
///
/// # Panics
/// In a context that it is not for: it would wait for ever.
pub fn rendezvous<R>(change: impl FnOnce() -> R) -> R {
    assert!(
        crate::debug::this().depth.get() == 0
            && (super::cpus::online_count() <= 1 || crate::irq::off::enabled()),
        "rule K3: a rendezvous is not for debug context, nor with interrupts off"
    );
    let _one = ONE_AT_A_TIME.lock();
    // None joins them while the lock is held.
    let others = super::cpus::online_count().saturating_sub(1);
    let _masked = AllMasked::new();
    let tell = || gic::send_sgi(sgi::RENDEZVOUS, Target::AllOthers);
    RENDEZVOUS.hold(others, tell, wait_a_little, change)
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
    RENDEZVOUS.take_part(wait_a_little, barrier::isb);
}

/// A CPU that stands still applies changes of slots all the same: whoever waits for that may be the one that is waited for.
#[inline(always)]
fn wait_a_little() {
    crate::debug::slots::sync_local();
    crate::arch::barrier::relax();
}
