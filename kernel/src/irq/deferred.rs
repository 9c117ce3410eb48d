//! Deferred work: queued by handlers, run on the way out of the interrupt with interrupts on (M8).
//!
//! A step that the interrupt has set aside stays on the stash while the work runs, so further interrupts do not step into the work.
//!
//! Each CPU has a ring. [`defer`] takes a ticket, then stores the work in the ticket's place. [`run`] empties the place, then
//! counts the ticket as done. The handler of a BRK may call [`defer`] in the middle of either, because nothing masks a BRK (rule
//! I8): it takes the next ticket.

use crate::arch::daif::{self, AllMasked};
use crate::debug;
use crate::percpu::PerCpu;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// What can be deferred: a function without arguments. Its data are in statics of its own.
pub type Work = fn();

/// The most pieces of work that can wait on one CPU.
const ROOM: usize = 32;

/// The work that waits on one CPU.
struct Ring {
    /// Indexed by ticket modulo [`ROOM`]. Null if no work waits in the place.
    work: [AtomicPtr<()>; ROOM],
    /// The next ticket.
    tickets: AtomicUsize,
    /// The number of tickets whose work [`next`] has taken out to be run.
    done: AtomicUsize,
}

static RINGS: PerCpu<Ring> = crate::per_cpu!(Ring {
    work: [const { AtomicPtr::new(core::ptr::null_mut()) }; ROOM],
    tickets: AtomicUsize::new(0),
    done: AtomicUsize::new(0),
});

/// Queues work for the way out of the interrupt that is being handled. Any context; outside of interrupt handlers the work waits
/// for the next interrupt. Returns false if there is no room: then the work is still the caller's to do.
#[must_use]
pub fn defer(work: Work) -> bool {
    // Masked, this code stays on the CPU whose ring it has looked up, and `run` takes nothing out of the ring meanwhile.
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

/// Takes out the work that has waited longest. Only for [`run`], of which a CPU executes one at a time.
fn next() -> Option<Work> {
    let ring = RINGS.this();
    let ticket = ring.done.load(Relaxed);
    let place = &ring.work[ticket % ROOM];
    let work = place.load(Acquire);
    if work.is_null() {
        return None;
    }
    place.store(core::ptr::null_mut(), Relaxed);
    // From this store on the place can be given to the next ticket, whose `defer` finds it empty.
    ring.done.store(ticket.wrapping_add(1), Release);
    // SAFETY: only `defer` stores pointers other than null in the ring, and each of them is a `Work`.
    Some(unsafe { core::mem::transmute::<*mut (), Work>(work) })
}

/// Runs the work that waits, with interrupts on. Called at the end of an interrupt's handler, with I masked and D open.
pub fn run() {
    // Work runs with interrupts on, so per-CPU values are looked up again after it (rule I10).
    while debug::this().begin_deferred() {
        daif::clear::<{ daif::IF }>();
        while let Some(work) = next() {
            work();
        }
        daif::set::<{ daif::IF }>();
        debug::this().end_deferred();
    }
}
