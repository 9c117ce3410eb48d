//! What a CPU does that has nothing to do: waits, and runs what it is given.

use crate::irq::off;
use crate::percpu::PerCpu;
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

/// Waits for work, for ever.
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
