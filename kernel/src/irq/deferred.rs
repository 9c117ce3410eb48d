//! Deferred work: queued by handlers, run on the way out of the interrupt with interrupts on (M8).
//!
//! A step that the interrupt set aside stays on the stash meanwhile, so further interrupts do not step into it either.
//!
//! Each CPU has a ring. Who queues work takes a ticket, then stores the work in the ticket's place; who runs work empties the
//! place, then says that the ticket is done. A BRK's handler may queue work of its own in the middle of either, whatever is
//! masked (rule I8): it takes the next ticket.

use crate::arch::daif::{self, AllMasked};
use crate::debug;
use crate::percpu::PerCpu;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// What can be deferred.
pub type Work = fn();

/// Pieces of work that can wait on a CPU.
const ROOM: usize = 32;

/// A ring.
struct Ring {
    /// By ticket modulo [`ROOM`]; null where no work waits.
    work: [AtomicPtr<()>; ROOM],
    /// The next ticket.
    tickets: AtomicUsize,
    /// Tickets whose work has been taken out to be run.
    done: AtomicUsize,
}

static RINGS: PerCpu<Ring> = crate::per_cpu!(Ring {
    work: [const { AtomicPtr::new(core::ptr::null_mut()) }; ROOM],
    tickets: AtomicUsize::new(0),
    done: AtomicUsize::new(0),
});

/// Queues work for the way out of the interrupt that is being handled. Any context; from elsewhere than an interrupt's handler
/// the work waits for the next interrupt. False if there is no room: the caller keeps what it has.
#[must_use]
pub fn defer(work: Work) -> bool {
    // This CPU's ring stays this CPU's, and nothing is taken out of it meanwhile.
    let _masked = AllMasked::new();
    let ring = RINGS.this();
    let has_room = |ticket: usize| {
        (ticket.wrapping_sub(ring.done.load(Relaxed)) < ROOM).then_some(ticket.wrapping_add(1))
    };
    let Ok(ticket) = ring.tickets.fetch_update(Relaxed, Relaxed, has_room) else { return false };
    ring.work[ticket % ROOM].store(work as *mut (), Release);
    debug::this().want_deferred();
    true
}

/// Takes out what has waited longest. Only for who runs deferred work, of whom a CPU has one at a time.
fn next() -> Option<Work> {
    let ring = RINGS.this();
    let ticket = ring.done.load(Relaxed);
    let place = &ring.work[ticket % ROOM];
    let work = place.load(Acquire);
    if work.is_null() {
        return None;
    }
    place.store(core::ptr::null_mut(), Relaxed);
    // Whoever is given the place from here on finds it empty.
    ring.done.store(ticket.wrapping_add(1), Release);
    // SAFETY: only `defer` stores anything but null there, and what it stores is a `Work`.
    Some(unsafe { core::mem::transmute::<*mut (), Work>(work) })
}

/// Runs what waits, with interrupts on. The end of an interrupt's handler, I masked, D open.
pub fn run() {
    // Work runs with interrupts on: what belongs to the CPU is looked up again behind it (rule I10).
    while debug::this().begin_deferred() {
        daif::clear::<{ daif::IF }>();
        while let Some(work) = next() {
            work();
        }
        daif::set::<{ daif::IF }>();
        debug::this().end_deferred();
    }
}
