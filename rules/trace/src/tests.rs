extern crate std;

use crate::{Class, Kind, Record, Side, layout};
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;
use std::collections::BTreeSet;
use std::vec::Vec;

fn record() -> Record {
    let before = Side { masks: Daif::I | Daif::F, ss: true, mdscr_ss: true, owners: Owners::STEP_OVER };
    let after = Side { masks: Daif::all(), ss: false, mdscr_ss: false, owners: Owners::empty() };
    Record {
        time: 1 << 40,
        cpu: 3,
        kind: Kind::Entry,
        class: Class::Watchpoint,
        row: RowId::M16,
        el0: true,
        depth: 2,
        stash: 1,
        thread: 0x8000_0001,
        before,
        after,
        pc: u64::MAX,
        far: 5,
        sp: 16,
        esr: 0xffff_ffff,
    }
}

#[test]
fn a_record_is_its_words() {
    let whole = record();
    assert_eq!(Record::unpack(whole.pack()), Some(whole));
    let exit = Record {
        kind: Kind::Exit,
        class: Class::None,
        el0: false,
        before: whole.after,
        after: whole.before,
        ..whole
    };
    assert_eq!(Record::unpack(exit.pack()), Some(exit));
}

#[test]
fn words_that_are_no_record_are_refused() {
    let [time, what, rest @ ..] = record().pack();
    for (at, value) in [(8, 5), (16, 18), (24, 17)] {
        let wrong = what & !(0xff << at) | value << at;
        let [place, pc, far, sp, esr] = rest;
        assert_eq!(Record::unpack([time, wrong, place, pc, far, sp, esr]), None);
    }
}

#[test]
fn no_two_things_share_a_place() {
    let (cpus, capacity) = (3, 8);
    let records = (0..cpus).flat_map(|cpu| (0..8).map(move |number| layout::place(cpu, capacity, number)));
    let places: Vec<_> = records.chain((0..cpus).map(layout::count)).collect();
    let different: BTreeSet<_> = places.iter().collect();
    assert_eq!(different.len(), places.len());
    assert!(layout::count(0) >= layout::FREQUENCY + 8 && layout::count(layout::MOST_CPUS - 1) < layout::PAGE);
    assert!(places.iter().all(|place| place + 8 <= layout::size(cpus, capacity)));
    assert_eq!(layout::place(1, capacity, 9), layout::place(1, capacity, 1));
}

mod lines {
    use super::{record, std};
    use crate::{Class, Kind, Record, Side, text};
    use rules::pstate::Daif;
    use rules::step::Owners;
    use rules::table::RowId;
    use std::string::ToString;
    use std::vec::Vec;

    fn at(time: u64, kind: Kind, class: Class, row: RowId) -> Record {
        let side = |masks| Side { masks, ss: false, mdscr_ss: false, owners: Owners::empty() };
        let (before, after) = (side(Daif::empty()), side(Daif::I | Daif::F));
        Record { time, kind, class, row, el0: false, stash: 0, before, after, ..record() }
    }

    fn drawn(records: &[Record]) -> Vec<std::string::String> {
        text::lines(records.iter()).map(|line| line.to_string()).collect()
    }

    #[test]
    fn exceptions_are_drawn_under_those_that_they_lie_in() {
        let drawn = drawn(&[
            at(7, Kind::Entry, Class::Irq, RowId::M8),
            Record { stash: 1, ..at(17, Kind::Entry, Class::Probe, RowId::M12) },
            at(107, Kind::Exit, Class::Probe, RowId::M12),
            at(1007, Kind::Exit, Class::Irq, RowId::M8),
        ]);
        assert_eq!(
            drawn,
            [
                "         0 cpu3 +-> IRQ (M8) from EL1  daif -- > daIF --",
                "        10 cpu3 | +-> probe (M12) from EL1  daif -- > daIF --  stash 1",
                "       100 cpu3 | +-< probe (M12) to EL1  daif -- > daIF --",
                "      1000 cpu3 +-< IRQ (M8) to EL1  daif -- > daIF --",
            ]
        );
    }

    #[test]
    fn what_has_begun_before_is_open_at_the_left() {
        let drawn = drawn(&[
            at(0, Kind::Exit, Class::Step, RowId::M10),
            Record { far: 9, thread: 1, ..at(1, Kind::Switch, Class::None, RowId::M8) },
            at(2, Kind::Exit, Class::Irq, RowId::M8),
        ]);
        assert!(drawn[0].contains("cpu3 | +-< step (M10)"), "{}", drawn[0]);
        assert!(drawn[1].contains("cpu3 | <-> switch of threads: 1 to 9"), "{}", drawn[1]);
        assert!(drawn[2].contains("cpu3 +-< IRQ (M8)"), "{}", drawn[2]);
    }

    #[test]
    fn what_is_no_exception_begins_none() {
        let drawn = drawn(&[
            at(0, Kind::Entry, Class::Step, RowId::M4),
            at(1, Kind::Open, Class::Step, RowId::M4),
            at(2, Kind::Foreign, Class::None, RowId::M13),
            Record { el0: true, far: 9, thread: 1, ..at(3, Kind::Switch, Class::None, RowId::M13) },
            Record { el0: true, ..at(4, Kind::Exit, Class::None, RowId::M13) },
        ]);
        let begins: Vec<_> = drawn.iter().map(|line| &line[16..]).collect();
        assert!(begins[0].starts_with("+-> step (M4)"), "{drawn:?}");
        assert!(begins[1].starts_with("+-- step (M4): everything open"), "{drawn:?}");
        assert!(begins[2].starts_with("| !!! a test changes debug state"), "{drawn:?}");
        assert!(begins[3].starts_with("| <-> switch of threads: 1, which has ended, to 9"), "{drawn:?}");
        assert!(begins[4].starts_with("+-< return (M13) to EL0"), "{drawn:?}");
    }

    #[test]
    fn a_step_shows_with_its_owners() {
        let mut stepped = at(0, Kind::Exit, Class::Breakpoint, RowId::M10);
        let owners = Owners::STEP_OVER | Owners::TRACER;
        stepped.after = Side { masks: Daif::empty(), ss: true, mdscr_ss: true, owners };
        let drawn = drawn(&[stepped]);
        assert!(drawn[0].ends_with("daif -- > daif SP  owners - > step-over, tracer"), "{}", drawn[0]);
    }
}
