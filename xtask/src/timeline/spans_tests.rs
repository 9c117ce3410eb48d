use super::fixture::{interrupts_off, masked, open, record, stepped, trace};
use super::spans::{Span, Timeline};
use crate::trace::{Ring, Trace};
use rules::step::Owners;
use rules::table::RowId::{M2, M4, M8, M10, M13};
use trace::{Class, Kind, Record};

fn of(trace: &Trace) -> Timeline {
    Timeline::of(trace, usize::MAX)
}

fn one_ring(records: Vec<Record>) -> Timeline {
    of(&Trace { frequency: 1, rings: vec![Ring { lost: 0, records }] })
}

/// CPU, level, begin, end, and the class.
fn shape(span: &Span) -> (usize, usize, u64, u64, Class) {
    (span.cpu, span.level, span.begin, span.end, span.what().map_or(Class::None, |record| record.class))
}

#[test]
fn an_interrupt_of_a_step_over_is_nested_as_it_happened() {
    use Class::{Breakpoint, Irq, Spurious, Step, Svc};
    let timeline = of(&trace());
    let shapes: Vec<_> = timeline.spans.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            (1, 0, 900, 1400, Svc),
            (0, 0, 1000, 1240, Breakpoint),
            (1, 1, 1100, 1300, Spurious),
            (0, 0, 1241, 2300, Irq),
            (1, 0, 1400, 1450, Class::None),
            (0, 1, 1500, 1740, Breakpoint),
            (0, 1, 1742, 1900, Step),
            (0, 0, 2302, 2460, Step),
            (0, 0, 2500, 2700, Svc),
        ]
    );
    assert_eq!((timeline.begin, timeline.end, timeline.lost, timeline.cpus), (900, 2701, 3, 2));
    assert_eq!(timeline.spans[5].parent, Some(3));
}

#[test]
fn a_system_call_goes_on_where_its_thread_does() {
    let timeline = of(&trace());
    let (first, second) = (&timeline.spans[0], &timeline.spans[8]);
    assert_eq!((first.later, second.earlier), (Some(8), Some(0)));
    assert_eq!((first.cpu, second.cpu), (1, 0));
    assert_eq!(second.entry, first.entry);
    assert_eq!(second.exit.map(|exit| exit.time), Some(2700));
    // The one of thread 8 has begun before the trace.
    assert_eq!((timeline.spans[4].entry, timeline.spans[4].exit.map(|exit| exit.thread)), (None, Some(8)));
}

#[test]
fn states_are_known_at_both_ends_of_a_stretch() {
    let timeline = of(&trace());
    let at = |begin| *timeline.stretches.iter().find(|stretch| stretch.begin == begin).unwrap();
    // One instruction, between the return to the step-over and the interrupt.
    assert_eq!((at(1240).first, at(1240).last, at(1240).end), (stepped(), stepped(), 1241));
    // The handler's masks last until its exit, not the way out's.
    assert_eq!((at(1241).first.masks, at(1900).last.masks), (interrupts_off().masks, interrupts_off().masks));
    // The instruction that is stepped clears PSTATE.SS.
    assert!(at(2300).first.ss && !at(2300).last.ss);
    // The second phase of M4 begins with what the first one has masked.
    let phases = one_ring(vec![
        record(10, Kind::Entry, Class::Step, M4, stepped(), masked()),
        record(20, Kind::Open, Class::Step, M4, stepped(), open()),
        record(30, Kind::Exit, Class::None, M13, masked(), open()),
    ]);
    let states: Vec<_> = phases.stretches.iter().map(|stretch| (stretch.first, stretch.last)).collect();
    assert_eq!(states, [(masked(), masked()), (open(), open())]);
    // The breakpoint's handler has asked for the step.
    assert_eq!((at(1000).first.owners, at(1000).last.owners), (Owners::empty(), Owners::STEP_OVER));
}

#[test]
fn what_has_begun_before_the_trace_begins_with_it() {
    let timeline = one_ring(vec![
        record(10, Kind::Exit, Class::Step, M10, masked(), interrupts_off()),
        record(20, Kind::Entry, Class::Breakpoint, M10, interrupts_off(), masked()),
        record(30, Kind::Exit, Class::Breakpoint, M10, masked(), interrupts_off()),
        record(40, Kind::Exit, Class::Irq, M8, masked(), open()),
        record(50, Kind::Entry, Class::Irq, M8, open(), interrupts_off()),
    ]);
    let shapes: Vec<_> = timeline.spans.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            (0, 0, 10, 40, Class::Irq),
            (0, 1, 10, 10, Class::Step),
            (0, 1, 20, 30, Class::Breakpoint),
            (0, 0, 50, 51, Class::Irq),
        ]
    );
    assert!(timeline.spans[3].exit.is_none(), "it is not over");
}

#[test]
fn what_never_returns_ends_with_what_it_lies_in() {
    let of_el0 = |record: Record| Record { el0: true, ..record };
    let timeline = one_ring(vec![
        of_el0(record(10, Kind::Entry, Class::Svc, M2, open(), open())),
        record(20, Kind::Entry, Class::Irq, M8, open(), interrupts_off()),
        of_el0(record(30, Kind::Exit, Class::Svc, M2, masked(), open())),
    ]);
    let ends: Vec<_> = timeline.spans.iter().map(|span| (span.end, span.exit.is_some())).collect();
    assert_eq!(ends, [(30, true), (30, false)]);
}

#[test]
fn a_switch_that_is_missing_leaves_no_span_on_two_cpus() {
    let on = |cpu, thread, record: Record| Record { cpu, thread, ..record };
    let rings = vec![
        Ring { lost: 0, records: vec![on(0, 1, record(10, Kind::Entry, Class::Irq, M8, open(), open()))] },
        Ring { lost: 1, records: vec![on(1, 1, record(20, Kind::Exit, Class::Irq, M8, masked(), open()))] },
    ];
    let timeline = of(&Trace { frequency: 1, rings });
    let shapes: Vec<_> = timeline.spans.iter().map(shape).collect();
    assert_eq!(shapes, [(0, 0, 10, 20, Class::Irq), (1, 0, 20, 20, Class::Irq)]);
}

#[test]
fn only_the_last_records_are_kept() {
    let timeline = Timeline::of(&trace(), 2);
    assert_eq!((timeline.records.len(), timeline.lost), (4, 3 + 10 + 3));
    // Of the system call only the end is left, on CPU 0.
    assert_eq!(timeline.spans.iter().filter(|span| span.cpu == 0).count(), 1);
}
