//! A trace made by hand, for tests: an interrupt in the middle of a step-over on one CPU, and a thread that goes from one CPU to another in the
//! middle of a system call.

use crate::trace::{Ring, Trace};
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;
use trace::{Class, Kind, Record, Side};

/// Nothing masked, nobody steps.
pub fn open() -> Side {
    Side { masks: Daif::empty(), ss: false, mdscr_ss: false, owners: Owners::empty() }
}

/// Everything masked.
pub fn masked() -> Side {
    Side { masks: Daif::all(), ..open() }
}

/// What an interrupt's handler has masked.
pub fn interrupts_off() -> Side {
    Side { masks: Daif::I | Daif::F, ..open() }
}

/// A context that is to execute one instruction for a step-over.
pub fn stepped() -> Side {
    Side { ss: true, mdscr_ss: true, owners: Owners::STEP_OVER, ..open() }
}

/// A record of thread 1 on CPU 0.
pub fn record(time: u64, kind: Kind, class: Class, row: RowId, before: Side, after: Side) -> Record {
    Record {
        time,
        cpu: 0,
        kind,
        class,
        row,
        el0: false,
        depth: 0,
        stash: 0,
        thread: 1,
        before,
        after,
        pc: 0xffff_8000_8000_1000,
        far: 0,
        sp: 0xffff_8000_9000_0000,
        esr: 0,
    }
}

/// A breakpoint is hit; its step-over is interrupted; the interrupt's handler hits the same breakpoint, and steps over it; then the first
/// step-over ends.
fn step_over() -> Vec<Record> {
    use Class::{Breakpoint, Irq, Step};
    use Kind::{Entry, Exit};
    use RowId::{M8, M10};
    let way_out = Side { owners: Owners::STEP_OVER, mdscr_ss: true, ..masked() };
    let done = Side { ss: false, ..stepped() };
    let in_handler = Side { masks: Daif::I | Daif::F, ..stepped() };
    let in_handler_done = Side { ss: false, ..in_handler };
    let stashed = |record: Record| Record { stash: 1, pc: 0xffff_8000_8000_2000, ..record };
    vec![
        record(1000, Entry, Breakpoint, M10, open(), masked()),
        record(1240, Exit, Breakpoint, M10, way_out, stepped()),
        Record { stash: 1, ..record(1241, Entry, Irq, M8, stepped(), interrupts_off()) },
        stashed(record(1500, Entry, Breakpoint, M10, interrupts_off(), masked())),
        stashed(record(1740, Exit, Breakpoint, M10, way_out, in_handler)),
        stashed(record(1742, Entry, Step, M10, in_handler_done, masked())),
        stashed(record(1900, Exit, Step, M10, masked(), interrupts_off())),
        record(2300, Exit, Irq, M8, way_out, stepped()),
        record(2302, Entry, Step, M10, done, masked()),
        record(2460, Exit, Step, M10, masked(), open()),
    ]
}

/// Thread 7 is in a system call on CPU 1, is switched away there, and goes on on CPU 0 behind all of [`step_over`].
fn moves() -> (Vec<Record>, Vec<Record>) {
    use Class::{Irq, None, Spurious, Svc};
    use Kind::{Entry, Exit, Switch};
    use RowId::{M2, M8, M13};
    let of = |cpu, thread, record: Record| Record { cpu, thread, ..record };
    let switch = |time, to| Record { far: to, ..record(time, Switch, None, M13, open(), open()) };
    let on_1 = vec![
        of(1, 7, Record { el0: true, pc: 0x40_1000, ..record(900, Entry, Svc, M2, open(), open()) }),
        of(1, 7, record(1100, Entry, Spurious, M8, open(), interrupts_off())),
        of(1, 7, record(1300, Exit, Irq, M8, masked(), open())),
        of(1, 7, switch(1400, 8)),
        // The rest of an exception that has begun before the trace.
        of(1, 8, Record { el0: true, ..record(1450, Exit, None, M13, masked(), open()) }),
    ];
    let on_0 = vec![
        switch(2500, 7),
        of(0, 7, Record { el0: true, pc: 0x40_1004, ..record(2700, Exit, None, M13, masked(), open()) }),
    ];
    (on_0, on_1)
}

/// The trace.
pub fn trace() -> Trace {
    let (on_0, on_1) = moves();
    let first = Ring { lost: 0, records: [step_over(), on_0].concat() };
    Trace { frequency: 1_000_000_000, rings: vec![first, Ring { lost: 3, records: on_1 }] }
}
