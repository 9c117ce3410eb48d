//! What a CPU does that has nothing to do: waits, and runs what it is given.

use crate::arch::barrier;
use crate::drivers::gic::{self, Target};
use crate::irq::{off, sgi};
use crate::percpu::{self, PerCpu};
use crate::smp;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

/// What an idle CPU can be given.
pub type Work = fn();

static WORK: PerCpu<AtomicPtr<()>> = crate::per_cpu!(AtomicPtr::new(core::ptr::null_mut()));

/// Gives an idle CPU something to do; it does it within a tick. False if it has something already. Thread context.
pub fn give(cpu: usize, work: Work) -> bool {
    WORK.of(cpu).compare_exchange(core::ptr::null_mut(), work as *mut (), Release, Acquire).is_ok()
}

/// Whether a CPU has done what it was given.
pub fn is_idle(cpu: usize) -> bool {
    WORK.of(cpu).load(Acquire).is_null()
}

/// Has every CPU do the same, this one too, and waits for all, whether they have a tick or not. Returns their number. Thread
/// context with interrupts on.
pub fn on_all(work: Work) -> usize {
    let me = percpu::index();
    let others = || smp::online().filter(move |&cpu| cpu != me);
    for cpu in others() {
        while !give(cpu, work) {
            barrier::relax();
        }
        gic::send_sgi(sgi::RESCHEDULE, Target::OneCpu(cpu));
    }
    work();
    for cpu in others() {
        while !is_idle(cpu) {
            barrier::relax();
        }
    }
    others().count() + 1
}

/// Waits for work, for ever. A function of its own in every build: where a CPU that comes up begins to do as it likes.
#[inline(never)]
pub fn run() -> ! {
    loop {
        let mine = WORK.this();
        let work = mine.load(Acquire);
        if work.is_null() {
            off::wait();
            continue;
        }
        // SAFETY: only `give` stores here, and what it stores is a `Work`.
        let work: Work = unsafe { core::mem::transmute(work) };
        work();
        mine.store(core::ptr::null_mut(), Release);
    }
}
