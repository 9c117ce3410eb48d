//! What an idle CPU does: it waits, and runs the work that other CPUs give it.

use crate::arch::barrier;
use crate::percpu::{self, PerCpu};
use crate::sched;
use crate::smp;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

/// Work for an idle CPU.
pub type Work = fn();

static WORK: PerCpu<AtomicPtr<()>> = crate::per_cpu!(AtomicPtr::new(core::ptr::null_mut()));

/// Gives an idle CPU work, and wakes the CPU. Returns false if the CPU has work already. Thread context.
pub fn give(cpu: usize, work: Work) -> bool {
    let given =
        WORK.of(cpu).compare_exchange(core::ptr::null_mut(), work as *mut (), Release, Acquire).is_ok();
    if given {
        sched::wake_first(cpu);
    }
    given
}

/// Whether a CPU has finished the work that it was given.
pub fn is_idle(cpu: usize) -> bool {
    WORK.of(cpu).load(Acquire).is_null()
}

/// Runs `work` on every online CPU, this one included, and waits until all have finished. Returns the number of CPUs. Thread context with interrupts on.
pub fn on_all(work: Work) -> usize {
    let me = percpu::index();
    let others = || smp::online().filter(move |&cpu| cpu != me);
    for cpu in others() {
        while !give(cpu, work) {
            barrier::relax();
        }
    }
    work();
    for cpu in others() {
        while !is_idle(cpu) {
            barrier::relax();
        }
    }
    others().count() + 1
}

/// Waits for work, for ever. Not inlined in any build, because tests probe this function: it is the first function that
/// a CPU runs after the CPU has come up.
#[inline(never)]
pub fn run() -> ! {
    loop {
        let mine = WORK.this();
        let work = mine.load(Acquire);
        if work.is_null() {
            // The tick may be stopped. Then the interrupt that announces work is the only one.
            sched::wait_in_idle(|| !mine.load(Acquire).is_null());
            continue;
        }
        // SAFETY: only `give` stores pointers other than null, and each of them is a `Work`.
        let work: Work = unsafe { core::mem::transmute(work) };
        work();
        mine.store(core::ptr::null_mut(), Release);
    }
}
