//! Deferred work: queued by handlers, run on the way out of the interrupt with interrupts on (M8).
//!
//! A step that the interrupt set aside stays on the stash meanwhile, so further interrupts do not step into it either.

use crate::arch::daif::{self, AllMasked};
use crate::debug::{self, CpuDebug};
use crate::percpu::PerCpu;
use core::cell::Cell;

/// What can be deferred.
pub type Work = fn();

/// Pieces of work that can wait on a CPU.
const ROOM: usize = 32;

/// A ring. Touched by its CPU, all exceptions masked.
struct Ring {
    work: [Cell<Option<Work>>; ROOM],
    head: Cell<usize>,
    len: Cell<usize>,
}

static RINGS: PerCpu<Ring> =
    crate::per_cpu!(Ring { work: [const { Cell::new(None) }; ROOM], head: Cell::new(0), len: Cell::new(0) });

/// Queues work for the way out of this interrupt. Interrupt context; from elsewhere it waits for the next interrupt. False if
/// there is no room: the caller keeps what it has.
#[must_use]
pub fn defer(work: Work) -> bool {
    let _masked = AllMasked::new();
    let ring = RINGS.this();
    let len = ring.len.get();
    if len == ROOM {
        return false;
    }
    ring.work[(ring.head.get() + len) % ROOM].set(Some(work));
    ring.len.set(len + 1);
    debug::this().want_deferred();
    true
}

fn next() -> Option<Work> {
    let _masked = AllMasked::new();
    let ring = RINGS.this();
    let len = ring.len.get().checked_sub(1)?;
    let head = ring.head.get();
    ring.len.set(len);
    ring.head.set((head + 1) % ROOM);
    ring.work[head].take()
}

/// Runs what waits, with interrupts on. The end of an interrupt's handler, I masked, D open.
pub fn run(cpu: &CpuDebug) {
    while cpu.begin_deferred() {
        daif::clear::<{ daif::IF }>();
        while let Some(work) = next() {
            work();
        }
        daif::set::<{ daif::IF }>();
        cpu.end_deferred();
    }
}
