//! Holds all other CPUs still, masked, in no-probe text, while one CPU changes text that they might be executing (rule K3).

use crate::arch::barrier;
use crate::arch::daif::AllMasked;
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::sync::SpinLock;
use protocols::Rendezvous;

/// The lock of the CPU that holds the others. It is taken with interrupts on, because a CPU that waits for this lock
/// has to take part in the rendezvous of the lock's holder.
static ONE_AT_A_TIME: SpinLock<()> = SpinLock::new(());

#[unsafe(link_section = ".noprobe.data")]
static RENDEZVOUS: Rendezvous = Rendezvous::new();

/// Excludes rendezvous for as long as the returned value lives, so that a CPU may come online. Thread context with interrupts on.
pub(super) fn exclude() -> impl Sized {
    ONE_AT_A_TIME.lock()
}

/// Runs `change` while every other online CPU stands still; each executes an ISB before it goes on. `change` makes the ISB of this
/// CPU, if it owes one (`mm::patch` does).
///
/// Thread context with interrupts on; never a debug context, never an interrupt handler.
///
/// # Panics
/// In any other context, since the rendezvous would wait for ever there.
pub fn rendezvous<R>(change: impl FnOnce() -> R) -> R {
    assert!(
        crate::debug::this().depth.get() == 0
            && (super::cpus::online_count() <= 1 || crate::irq::off::enabled()),
        "rule K3: a rendezvous is not for debug context, nor with interrupts off"
    );
    let _one = ONE_AT_A_TIME.lock();
    // No CPU comes online while the lock is held.
    let others = super::cpus::online_count().saturating_sub(1);
    let _masked = AllMasked::new();
    let tell = || gic::send_sgi(sgi::RENDEZVOUS, Target::AllOthers);
    RENDEZVOUS.hold(others, tell, wait_a_little, change)
}

/// The handler of [`sgi::RENDEZVOUS`]: takes part in the rendezvous.
#[unsafe(link_section = ".noprobe.text")]
pub fn take_part(_: &mut crate::exception::Frame) {
    stand_still();
}

/// Takes part in a rendezvous, if one is under way: arrives, waits with all exceptions masked, and executes an ISB, because text may have
/// changed meanwhile (DDI 0487 B2, "Synchronization and coherency issues between data and instruction accesses"). Any context but debug
/// context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub(super) fn stand_still() {
    let _masked = AllMasked::new();
    RENDEZVOUS.take_part(wait_a_little, barrier::isb);
}

/// Applies changes of slots while a CPU waits. Another CPU may wait for exactly that, and the rendezvous may wait for that other
/// CPU.
#[inline(always)]
fn wait_a_little() {
    crate::debug::slots::sync_local();
    // The CPU that this one waits for may be ending the kernel, and the interrupt that stops this CPU is masked here.
    super::end::end_if_asked(crate::percpu::index());
    crate::arch::barrier::relax();
}
