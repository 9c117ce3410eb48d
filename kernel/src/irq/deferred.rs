//! Deferred work: queued by handlers, run on the way out of the interrupt with interrupts on (M8).
//!
//! A step that the interrupt has set aside stays on the stash while the work runs, so the work is not stepped.
//!
//! Each CPU has a ring. `defer` takes a ticket, then stores the work in the ticket's place. `run` empties the place, then counts
//! the ticket as done. The handler of a BRK may queue work of its own in the middle of either, whatever is masked (rule I8): it
//! gets the next ticket.

use crate::arch::daif::{self, AllMasked};
use crate::debug;
use crate::percpu::PerCpu;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// A piece of deferred work. The function has no arguments: it finds in statics what there is to do.
pub type Work = fn();

/// How many pieces of work can wait on a CPU.
const ROOM: usize = 32;

/// The deferred work of one CPU.
struct Ring {
    /// The work of each ticket, at the ticket modulo [`ROOM`]; null where no work waits.
    work: [AtomicPtr<()>; ROOM],
    /// The ticket that the next piece of work gets.
    tickets: AtomicUsize,
    /// How many tickets are done: their work was taken out to be run.
    done: AtomicUsize,
}

static RINGS: PerCpu<Ring> = crate::per_cpu!(Ring {
    work: [const { AtomicPtr::new(core::ptr::null_mut()) }; ROOM],
    tickets: AtomicUsize::new(0),
    done: AtomicUsize::new(0),
});

/// Queues work for the end of the interrupt that is being handled; outside an interrupt's handler, for the end of the next
/// interrupt. Returns false if the ring is full: the work was not queued then. Any context.
#[must_use]
pub fn defer(work: Work) -> bool {
    // While all exceptions are masked, the context stays on this CPU, and nothing is taken out of the ring.
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

/// Takes out the work that has waited longest. Only [`run`] may call this: a CPU runs it once at a time.
fn take_oldest() -> Option<Work> {
    let ring = RINGS.this();
    let ticket = ring.done.load(Relaxed);
    let place = &ring.work[ticket % ROOM];
    let work = place.load(Acquire);
    if work.is_null() {
        return None;
    }
    place.store(core::ptr::null_mut(), Relaxed);
    // From here on the place can go to a new ticket, which finds it empty.
    ring.done.store(ticket.wrapping_add(1), Release);
    // SAFETY: only `defer` stores pointers other than null in the ring, and each of them is a `Work`.
    Some(unsafe { core::mem::transmute::<*mut (), Work>(work) })
}

/// Runs all deferred work, with interrupts on. Called at the end of an interrupt's handler, with I masked and D open.
pub fn run() {
    // Work runs with interrupts on, so the CPU's state is looked up again after it (rule I10).
    while debug::this().begin_deferred() {
        daif::clear::<{ daif::IF }>();
        while let Some(work) = take_oldest() {
            work();
        }
        daif::set::<{ daif::IF }>();
        debug::this().end_deferred();
    }
}
