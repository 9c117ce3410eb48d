//! Whether a page draws what the trace says, and lets its reader do what it promises.

use super::browser::Opened;
use super::spans::{Span, Timeline};
use rules::pstate::Daif;
use trace::Side;

/// What the page does not do as it has to.
pub fn wrong(timeline: &Timeline, opened: &Opened) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let due = timeline.spans.len();
    demand(opened.spans == due, format!("{} spans drawn of {due}", opened.spans));
    demand(opened.again == due, format!("{} of {due} drawn after zooming in and out", opened.again));
    demand(opened.walked == due && opened.in_order, format!("Tab goes through {} of {due}", opened.walked));
    demand(opened.nested, "a span is not drawn within the one that it lies in".into());
    let mut names: Vec<String> = timeline.spans.iter().map(Span::name).collect();
    names.sort();
    names.dedup();
    demand(opened.names == names, format!("the spans are named {:?}, not {names:?}", opened.names));
    demand(opened.described, "the details of the last span lack its rule or its PC".into());
    demand(
        opened.ticks == 8.0 && opened.lines >= 8,
        format!("single instructions are not apart at {} ticks", opened.ticks),
    );
    demand(opened.moved && opened.out > opened.ticks, "the keys for moving and zooming do nothing".into());
    demand(names.contains(&opened.hovered), format!("pointing at a span shows `{}`", opened.hovered));
    demand(opened.left == "one", "Escape does not leave the drawing".into());
    demand(opened.contrast >= 4.5, format!("a text has a contrast of {:.2} only", opened.contrast));
    for (band, is_set) in bands(timeline) {
        demand(opened.bands.contains(&band) == is_set, format!("the band of {band} is wrong"));
    }
    wrong
}

/// The bands, and whether any stretch of a length has them set.
fn bands(timeline: &Timeline) -> Vec<(String, bool)> {
    let set = |bit: fn(Side) -> bool| {
        timeline.stretches.iter().any(|stretch| bit(stretch.first) && bit(stretch.last))
    };
    vec![
        ("D".into(), set(|side| side.masks.contains(Daif::D))),
        ("A".into(), set(|side| side.masks.contains(Daif::A))),
        ("I".into(), set(|side| side.masks.contains(Daif::I))),
        ("F".into(), set(|side| side.masks.contains(Daif::F))),
        ("MDSCR.SS".into(), set(|side| side.mdscr_ss)),
        ("PSTATE.SS".into(), set(|side| side.ss)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{browser, fixture, html, names::Names};
    use super::*;
    use crate::paths::root;

    fn of_fixture() -> Timeline {
        Timeline::of(&fixture::trace(), usize::MAX)
    }

    /// What a page says that does all as it has to.
    fn good() -> Opened {
        let names = [
            "IRQ (M8)",
            "breakpoint (M10)",
            "return (M13)",
            "spurious interrupt (M8)",
            "step (M10)",
            "system call (M2)",
        ];
        Opened {
            spans: 9,
            again: 9,
            names: names.map(String::from).into(),
            bands: ["A", "D", "F", "I", "MDSCR.SS", "PSTATE.SS", "PSTATE.SS?"].map(String::from).into(),
            nested: true,
            dark: false,
            walked: 9,
            in_order: true,
            described: true,
            ticks: 8.0,
            lines: 9,
            moved: true,
            out: 16.0,
            hovered: "IRQ (M8)".into(),
            left: "one".into(),
            contrast: 4.5,
        }
    }

    #[test]
    fn a_good_page_has_no_fault_and_each_fault_is_told() {
        assert_eq!(wrong(&of_fixture(), &good()), Vec::<String>::new());
        let faults: [fn(&mut Opened); 11] = [
            |page| page.nested = false,
            |page| page.spans = 8,
            |page| page.again = 10,
            |page| page.names.truncate(2),
            |page| page.bands.retain(|band| band != "A"),
            |page| page.walked = 3,
            |page| page.described = false,
            |page| page.lines = 2,
            |page| page.moved = false,
            |page| page.left = "chart".into(),
            |page| page.contrast = 3.0,
        ];
        for (number, fault) in faults.into_iter().enumerate() {
            let mut page = good();
            fault(&mut page);
            assert_eq!(wrong(&of_fixture(), &page).len(), 1, "fault {number}");
        }
    }

    #[test]
    #[ignore = "needs Chromium; `cargo xtask timeline --check` does the same with a run of the kernel"]
    fn the_page_of_the_fixture_is_drawn() {
        let page = root().join("target/fixture.html");
        let text = html::page(&of_fixture(), &Names::default(), "An interrupt of a step-over", true, Some(3))
            .unwrap();
        std::fs::write(&page, text).unwrap();
        let opened = browser::open(&page, Some(&page.with_extension("png"))).unwrap();
        assert_eq!(wrong(&of_fixture(), &opened), Vec::<String>::new(), "{opened:?}");
    }
}
