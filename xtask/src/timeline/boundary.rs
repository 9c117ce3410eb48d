//! Where a scenario is interrupted, and which of the interrupts is shown first.

use super::spans::{Span, Timeline};
use crate::trace::Trace;
use rules::table::RowId;
use trace::{Kind, Record};

/// Whether it is the entry of an interrupt that has come at EL1.
fn is_interrupt(record: &Record) -> bool {
    record.kind == Kind::Entry && record.row == RowId::M8
}

/// In a run that was interrupted in front of its first instruction: the boundary in the middle of the first debug exception behind the interrupt. An
/// interrupt from there is held back to the first instruction behind the exception's handler. If that handler has asked for a step, this is the
/// instruction that is stepped.
///
/// One tick is one instruction, and behind the interrupt's handler the run is as it is without an interrupt.
pub fn in_a_debug_exception(trace: &Trace) -> Option<u64> {
    let ring = &trace.rings.first()?.records;
    let interrupt = ring.iter().rposition(|record| is_interrupt(record) && record.depth == 0)?;
    let thread = ring[interrupt].thread;
    let mut nested = 0;
    let mut behind = None;
    let mut entry = None;
    for record in ring[interrupt..].iter().filter(|record| record.thread == thread) {
        match record.kind {
            Kind::Entry if nested == 0 && is_debug(record) && behind.is_some() => entry = Some(record.time),
            Kind::Exit if nested == 1 && entry.is_some() => {
                return Some((entry? + record.time) / 2 - behind?);
            }
            Kind::Exit if nested == 1 && behind.is_none() => behind = Some(record.time),
            _ => {}
        }
        nested += match record.kind {
            Kind::Entry => 1,
            Kind::Exit => -1,
            Kind::Open | Kind::Switch | Kind::Foreign => 0,
        };
    }
    None
}

fn is_debug(record: &Record) -> bool {
    matches!(record.row, RowId::M10 | RowId::M12 | RowId::M15)
}

/// The span of the last interrupt that has set a step aside; if there is none, of the last interrupt. Scenarios are interrupted on the first CPU.
pub fn interrupt_to_show(timeline: &Timeline) -> Option<usize> {
    let last = |is_it: fn(&Record) -> bool| {
        let is_it = |entry: &Record| entry.cpu == 0 && is_it(entry);
        // Of an interrupt whose thread was switched away meanwhile, the part that begins with its entry.
        let begins = |span: &Span| span.earlier.is_none() && span.entry.as_ref().is_some_and(is_it);
        timeline.spans.iter().rposition(begins)
    };
    last(|entry| is_interrupt(entry) && !entry.before.owners.is_empty())
        .or_else(|| last(|entry| is_interrupt(entry) || entry.row == RowId::M5))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{interrupts_off, masked, open, record, stepped, trace};
    use super::*;
    use crate::trace::Ring;
    use trace::Class;

    #[test]
    fn the_boundary_lies_in_the_handler_of_the_hit() {
        let records = vec![
            record(100, Kind::Entry, Class::Irq, RowId::M8, open(), interrupts_off()),
            // The handler hits the breakpoint, too.
            record(150, Kind::Entry, Class::Breakpoint, RowId::M10, interrupts_off(), masked()),
            record(170, Kind::Exit, Class::Breakpoint, RowId::M10, masked(), interrupts_off()),
            record(300, Kind::Exit, Class::Irq, RowId::M8, masked(), open()),
            record(320, Kind::Entry, Class::Breakpoint, RowId::M10, open(), masked()),
            record(420, Kind::Exit, Class::Breakpoint, RowId::M10, masked(), stepped()),
        ];
        let ring = Ring { lost: 0, records };
        let of = |records: usize| {
            let ring = Ring { lost: 0, records: ring.records[..records].to_vec() };
            in_a_debug_exception(&Trace { frequency: 1, rings: vec![ring] })
        };
        assert_eq!(of(6), Some(70));
        assert_eq!([of(5), of(4), of(0)], [None; 3], "there is no such exception");
    }

    #[test]
    fn the_interrupt_of_a_step_is_shown_first() {
        let timeline = Timeline::of(&trace(), usize::MAX);
        assert_eq!(interrupt_to_show(&timeline), Some(3));
        // Without the step-over on it, the other ring is that of the first CPU.
        let without = Timeline::of(&Trace { rings: trace().rings[1..].to_vec(), ..trace() }, usize::MAX);
        assert_eq!(without.spans[interrupt_to_show(&without).unwrap()].begin, 1100);
        let switch = |time, thread, to| {
            let whole = record(time, Kind::Switch, Class::None, RowId::M13, open(), open());
            Record { thread, far: to, ..whole }
        };
        let irq = |time, kind| record(time, kind, Class::Irq, RowId::M8, open(), interrupts_off());
        let cut = [irq(1, Kind::Entry), switch(2, 1, 2), switch(3, 2, 1), irq(4, Kind::Exit)];
        let rings = vec![Ring { lost: 0, records: cut.to_vec() }];
        let cut = Timeline::of(&Trace { frequency: 1, rings }, usize::MAX);
        assert_eq!((cut.spans.len(), interrupt_to_show(&cut)), (2, Some(0)), "the part with the entry");
    }
}
