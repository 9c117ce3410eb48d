//! Calls that a debugger has run over: a breakpoint of this CPU waits where each returns to.
//!
//! The context that made the call is not stepped meanwhile and has no owner: it is preempted like any other. That it has
//! returned shows in SP.

use super::control::Masked;
use super::debugger::{self, Client, Stop};
use super::session::{Sequences, Stepped, place};
use super::slots::{self, Disposition, Hit};
use crate::exception::Frame;
use crate::mm::layout::STACK_SHIFT;
use crate::percpu::{self, PerCpu};
use ::slots::{Cpus, Privilege, Request, SlotId};
use core::cell::Cell;
use rules::plan::Place;

/// How many a CPU can wait for: one in each of as many contexts.
const MAX: usize = 4;

/// A call that has not returned.
#[derive(Clone, Copy)]
pub struct Run {
    slot: SlotId,
    to: Place,
    /// Who is told when it has.
    pub client: Client,
}

impl Run {
    /// Whether the call was made on the stack that this address is on.
    pub fn is_on_stack_of(&self, sp: u64) -> bool {
        // A stack's top is the first address behind it.
        let stack = |sp: u64| sp.wrapping_sub(1) >> (STACK_SHIFT + 1);
        stack(sp) == stack(self.to.sp)
    }
}

/// This CPU's, with D masked.
static RUNS: PerCpu<[Cell<Option<Run>>; MAX]> = crate::per_cpu!([const { Cell::new(None) }; MAX]);

/// Waits for the return to `to`. False if there is no slot for it, or no breakpoint may be there. Debug context.
pub fn begin(to: Place, client: Client) -> bool {
    let Some(run) = RUNS.this().iter().find(|run| run.get().is_none()) else { return false };
    let request = Request::Breakpoint { address: to.pc, privilege: Privilege::El1 };
    let here = Cpus::of(percpu::index() as u32);
    let Ok(slot) = slots::install(&request, here, Disposition::Call(arrived)) else { return false };
    run.set(Some(Run { slot, to, client }));
    true
}

/// Does not wait any more for those that are meant. D is masked.
pub fn end_of(is_meant: impl Fn(&Run) -> bool) {
    for run in RUNS.this() {
        if let Some(ended) = run.get().filter(&is_meant) {
            run.set(None);
            let _ = slots::remove(ended.slot);
        }
    }
}

/// A context that stands at `sp` has left those that were made deeper on its stack. D is masked.
pub fn end_of_dead(sp: u64) {
    end_of(|run| run.is_on_stack_of(sp) && run.to.sp < sp);
}

/// The running thread ends: its calls do not return. Thread context.
pub fn end_of_stack() {
    let here = 0u8;
    let sp = (&raw const here).addr() as u64;
    let _masked = Masked::new();
    end_of(|run| run.is_on_stack_of(sp));
}

/// How many there are. D is masked.
pub fn count() -> usize {
    RUNS.this().iter().filter(|run| run.get().is_some()).count()
}

/// Somebody goes on at the place.
fn arrived(hit: &Hit, frame: &mut Frame) {
    let Some(run) = RUNS.this().iter().filter_map(Cell::get).find(|run| run.slot == hit.id) else { return };
    let here = place(frame);
    if here.is_return_to(run.to) || here.is_above(run.to) && run.is_on_stack_of(here.sp) {
        end_of(|other| other.slot == run.slot);
        let stop = Stop::Step(Stepped::Call);
        debugger::tell(super::this(), frame, run.client, stop, Sequences::Elsewhere);
    }
}
