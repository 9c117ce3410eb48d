//! Calls that a debugger runs over. For each call, this CPU has a breakpoint at the return address.
//!
//! The context that has made the call is not stepped meanwhile and has no owner of a step, so it is preempted like any other
//! context. Other contexts and recursive calls may hit the breakpoint too: the SP of the context tells whether it has returned from
//! that call.

use super::client::{Client, Watcher};
use super::control::Masked;
use super::slots::{self, Disposition};
use crate::mm::layout::stack_of;
use crate::percpu::{self, PerCpu};
use ::slots::{Cpus, Privilege, Request, SlotId};
use core::sync::atomic::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use rules::plan::Place;

/// How many calls a CPU can wait for at a time, each of another context.
const MAX: usize = 4;

/// A call that has not returned.
#[derive(Clone, Copy)]
pub struct Run {
    /// The breakpoint at the return address.
    slot: SlotId,
    /// The return address, and the SP that the context has there.
    to: Place,
    /// Who is told when the call has returned.
    pub client: &'static Client,
}

impl Run {
    /// Whether the call was made on the stack that this address is on.
    pub fn is_on_stack_of(&self, sp: u64) -> bool {
        stack_of(sp) == stack_of(self.to.sp)
    }
}

/// Room for a [`Run`]. Masks do not keep a BRK away, whose handler may begin and end runs in the middle of any function here (rule
/// I8). So `slot` says whether the other words are valid, and these are written only while `slot` is [`CLAIMED`].
struct Room {
    /// [`FREE`], [`CLAIMED`], or the id of the run's slot as a word. The word of an id equals neither of the two, and no id comes
    /// twice.
    slot: AtomicU64,
    pc: AtomicU64,
    sp: AtomicU64,
    client: AtomicPtr<Client>,
}

const FREE: u64 = 0;
const CLAIMED: u64 = 1;

impl Room {
    const fn new() -> Self {
        Self {
            slot: AtomicU64::new(FREE),
            pc: AtomicU64::new(0),
            sp: AtomicU64::new(0),
            client: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Claims the room for the caller. Returns false if the room has a run already, or is claimed.
    fn claim(&self) -> bool {
        self.slot.compare_exchange(FREE, CLAIMED, Acquire, Relaxed).is_ok()
    }

    /// Puts a run into a room that the caller has claimed.
    fn fill(&self, run: &Run) {
        self.pc.store(run.to.pc, Relaxed);
        self.sp.store(run.to.sp, Relaxed);
        self.client.store(core::ptr::from_ref(run.client).cast_mut(), Relaxed);
        self.slot.store(run.slot.to_word(), Release);
    }

    fn get(&self) -> Option<Run> {
        let slot = self.slot.load(Acquire);
        if slot == FREE || slot == CLAIMED {
            return None;
        }
        let to = Place { pc: self.pc.load(Acquire), sp: self.sp.load(Acquire) };
        let client = self.client.load(Acquire);
        if self.slot.load(Relaxed) != slot {
            // The handler of a BRK has ended the run between the two loads of `slot`, so the words in between may be another run's.
            return None;
        }
        // SAFETY: null, or the address of a static: only `fill` stores here.
        let client = unsafe { client.as_ref() }?;
        Some(Run { slot: SlotId::from_word(slot), to, client })
    }

    /// Takes a run out of the room. Returns false if the handler of a BRK has ended the run in the meantime.
    fn take(&self, run: &Run) -> bool {
        self.slot.compare_exchange(run.slot.to_word(), FREE, Relaxed, Relaxed).is_ok()
    }
}

/// The calls of each CPU. Only that CPU uses them, with D masked.
static RUNS: PerCpu<[Room; MAX]> = crate::per_cpu!([const { Room::new() }; MAX]);

/// Begins to wait until a call has returned; `to` is where it returns. From then on, the watcher `arrived` is told when any
/// context of this CPU reaches the return address. The watcher's handler has to ask the function [`arrived()`] whether the call has
/// returned. Returns false if this CPU waits for [`MAX`] calls already, if no slot is free, or if no breakpoint may be
/// set there. Debug context.
pub fn begin(to: Place, client: &'static Client, arrived: &'static Watcher) -> bool {
    let Some(room) = RUNS.this().iter().find(|room| room.claim()) else { return false };
    let request = Request::Breakpoint { address: to.pc, privilege: Privilege::El1 };
    let here = Cpus::of(percpu::index() as u32);
    let Ok(slot) = slots::install(&request, here, Disposition::Call(arrived)) else {
        room.slot.store(FREE, Relaxed);
        return false;
    };
    room.fill(&Run { slot, to, client });
    true
}

/// Ends the runs for which `is_meant` is true, without telling their clients. D is masked.
pub fn end_of(is_meant: impl Fn(&Run) -> bool) {
    for room in RUNS.this() {
        if let Some(run) = room.get().filter(&is_meant)
            && room.take(&run)
        {
            let _ = slots::remove(run.slot);
        }
    }
}

/// Ends the runs whose calls were made deeper on the stack than `sp`. A context that stands at `sp` has left these calls. D is
/// masked.
pub fn end_of_dead(sp: u64) {
    end_of(|run| run.is_on_stack_of(sp) && run.to.sp < sp);
}

/// Ends the runs of the running thread, because the thread ends. Thread context.
pub fn end_of_stack() {
    let here = 0u8;
    let sp = (&raw const here).addr() as u64;
    let _masked = Masked::new();
    end_of(|run| run.is_on_stack_of(sp));
}

/// How many runs are under way on this CPU. D is masked.
pub fn count() -> usize {
    RUNS.this().iter().filter_map(Room::get).count()
}

/// Ends the run whose breakpoint `slot` was hit, if the context at `here` has returned from the call, and returns the client to be
/// told. Returns None if another context or a recursive call has hit the breakpoint. Debug context.
pub fn arrived(slot: SlotId, here: Place) -> Option<&'static Client> {
    let run = RUNS.this().iter().filter_map(Room::get).find(|run| run.slot == slot)?;
    if !(here.is_return_to(run.to) || here.is_above(run.to) && run.is_on_stack_of(here.sp)) {
        return None;
    }
    end_of(|other| other.slot == run.slot);
    Some(run.client)
}
