//! The second phase of debug exceptions from EL0 (M4): reports become SIGTRAP.

use super::Task;
use super::delivery::deliver;
use super::event::Told;
use super::trace::state::Stops;
use crate::debug::task::hit::{Hits, Report};
use crate::debug::task::{TaskDebug, Use};
use crate::exception::{El0Frame, Frame};
use crate::policy::BEHAVIOURS;
use ::slots::Kind;
use linux_raw_sys::general as raw;
use rules::step::Owners;
use signals::{Info, Signal};

/// The debug state of the running task. Any context on the task's stack.
pub fn debug_of_running() -> Option<&'static TaskDebug> {
    super::current().map(|task| &task.debug)
}

/// Deals with what a step, breakpoint or watchpoint exception of the running task has to report. Thread context; may sleep.
#[inline(never)]
pub fn report(frame: &mut El0Frame, report: &Report) {
    let task = super::of(frame);
    match report {
        Report::Step(owners) => {
            if owners.contains(Owners::TRACER) {
                let fault = (0, frame.esr);
                deliver(BEHAVIOURS.step, || task.tell_step(frame, Some(fault), Stops::AtOnce));
            }
        }
        Report::Hits(hits) => deliver(BEHAVIOURS.hit, || task.report_hits(frame, hits)),
    }
}

impl Task {
    /// Tells the tracer of the running task that a step is done; nobody, if its tracer has left it meanwhile (T5). Thread context; may sleep.
    pub(super) fn tell_step(&self, frame: &mut Frame, fault: Option<(u64, u64)>, stops: Stops) {
        self.force(frame, &Info::fault(Signal::SIGTRAP, raw::TRAP_TRACE, frame.pc), fault, stops);
    }

    #[inline(never)]
    fn report_hits(&self, frame: &mut Frame, hits: &Hits) {
        if hits.exclusive {
            super::exclusive::run(self, frame, hits);
        }
        let mut told = Told::default();
        for this in hits.reported() {
            // A tracer is told the address as the program has it, with its tag.
            let address = if hits.kind == Kind::Watchpoint { frame.far } else { hits.address };
            let address = if this.stops() { address } else { hits.address };
            self.report_hit(frame, this, address, &mut told);
        }
        if let Some((info, fault)) = told.signal() {
            self.force(frame, info, fault, Stops::AtOnce);
        }
    }

    /// Reports a hit of one slot. Thread context of the task.
    pub(super) fn report_hit(&self, frame: &Frame, this: Use, address: u64, told: &mut Told) {
        if this.stops() {
            // The tracer may have taken the slot away meanwhile.
            if self.debug.has_slot(this) {
                told.note(Info::fault(Signal::SIGTRAP, raw::TRAP_HWBKPT, address), None);
            }
            return;
        }
        // The event may be gone meanwhile, and then there is nobody to be told. If it is there, the reference keeps it (T4).
        let event = self.events.lock().iter().find(|(of, _)| *of == this).map(|(_, event)| event.clone());
        if let Some(info) = event.and_then(|event| event.hit(address)) {
            told.note(info, Some((address, frame.esr)));
        }
    }
}
