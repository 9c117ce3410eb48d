//! The page: everything in one file, which needs no network.

use super::names::Names;
use super::spans::{Span, Stretch, Timeline};
use anyhow::Result;
use rules::reason;
use rules::table::TABLE;
use serde::Serialize;
use std::collections::BTreeMap;
use trace::text::Names as Owners;
use trace::{Class, Record, Side};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the script draws from. Times are in ticks since the first record; addresses are texts, because a number of a script has 53 bits.
#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    /// Whether a tick is an instruction. If not, it is a part of a second.
    exact: bool,
    frequency: u64,
    end: u64,
    cpus: usize,
    lost: u64,
    records: usize,
    spans: Vec<SpanData>,
    stretches: Vec<StretchData>,
    rules: BTreeMap<&'static str, RuleData>,
    /// The index in `spans` at which the page is opened.
    start: Option<usize>,
}

#[derive(Serialize)]
struct SpanData {
    cpu: usize,
    level: usize,
    begin: u64,
    end: u64,
    /// With its rule.
    name: String,
    rule: &'static str,
    /// What it is drawn like: a class in `page.css`.
    kind: &'static str,
    parent: Option<usize>,
    earlier: Option<usize>,
    later: Option<usize>,
    entry: Option<RecordData>,
    exit: Option<RecordData>,
}

#[derive(Serialize)]
struct RecordData {
    time: i64,
    cpu: u8,
    pc: String,
    place: Option<String>,
    line: Option<String>,
    /// None for an interrupt, which writes neither ESR_EL1 nor FAR_EL1.
    esr: Option<String>,
    far: Option<String>,
    sp: String,
    thread: u32,
    el: u8,
    depth: u8,
    stash: u8,
    before: SideData,
    after: SideData,
}

#[derive(Serialize)]
struct SideData {
    masks: String,
    ss: bool,
    mdscr: bool,
    owners: String,
}

#[derive(Serialize)]
struct StretchData {
    cpu: usize,
    begin: u64,
    end: u64,
    /// D, A, I, F, MDSCR_EL1.SS and PSTATE.SS at the beginning, one bit each.
    first: u8,
    /// The same at the end.
    last: u8,
    owners: String,
}

#[derive(Serialize)]
struct RuleData {
    class: &'static str,
    origin: &'static str,
    masks: Option<&'static str>,
    ss: Option<&'static str>,
    why: &'static str,
}

/// What a class is drawn like.
fn kind(class: Class) -> &'static str {
    match class {
        Class::Irq | Class::Spurious => "irq",
        Class::Nmi => "nmi",
        Class::Step => "step",
        Class::Breakpoint => "breakpoint",
        Class::Watchpoint => "watchpoint",
        Class::Brk
        | Class::Probe
        | Class::OutOfLineEnd
        | Class::ReturnProbe
        | Class::Debugger
        | Class::Session
        | Class::Assertion
        | Class::Empty => "brk",
        Class::Svc => "svc",
        Class::Fault | Class::Fatal => "fault",
        Class::None => "other",
    }
}

/// The bits of a side in the order of the bands, D first.
fn bits(side: Side) -> u8 {
    let masks = (side.masks.bits() >> 6 & 0xf) as u8;
    let reversed = masks.reverse_bits() >> 4;
    reversed | u8::from(side.mdscr_ss) << 4 | u8::from(side.ss) << 5
}

fn side(side: Side) -> SideData {
    let owners = Owners(side.owners).to_string();
    SideData { masks: side.masks.to_string(), ss: side.ss, mdscr: side.mdscr_ss, owners }
}

fn record(timeline: &Timeline, names: &Names, record: &Record) -> RecordData {
    let hex = |value: u64| format!("{value:#018x}");
    let has_syndrome = !matches!(record.class, Class::Irq | Class::Spurious);
    RecordData {
        time: record.time.wrapping_sub(timeline.begin).cast_signed(),
        cpu: record.cpu,
        pc: hex(record.pc),
        place: names.function(record.pc),
        line: names.line(record.pc),
        esr: has_syndrome.then(|| format!("{:#010x}", record.esr)),
        far: has_syndrome.then(|| hex(record.far)),
        sp: hex(record.sp),
        thread: record.thread,
        el: if record.el0 { 0 } else { 1 },
        depth: record.depth,
        stash: record.stash,
        before: side(record.before),
        after: side(record.after),
    }
}

fn span(timeline: &Timeline, names: &Names, span: &Span) -> SpanData {
    let what = span.what();
    let class = what.map_or(Class::None, |record| record.class);
    SpanData {
        cpu: span.cpu,
        level: span.level,
        begin: span.begin - timeline.begin,
        end: span.end - timeline.begin,
        name: span.name(),
        kind: kind(class),
        rule: what.map_or("?", |record| record.row.name()),
        parent: span.parent,
        earlier: span.earlier,
        later: span.later,
        entry: span.entry.as_ref().map(|entry| record(timeline, names, entry)),
        exit: span.exit.as_ref().map(|exit| record(timeline, names, exit)),
    }
}

fn stretch(timeline: &Timeline, stretch: &Stretch) -> StretchData {
    StretchData {
        cpu: stretch.cpu,
        begin: stretch.begin - timeline.begin,
        end: stretch.end - timeline.begin,
        first: bits(stretch.first),
        last: bits(stretch.last),
        owners: Owners(stretch.first.owners).to_string(),
    }
}

fn rules() -> BTreeMap<&'static str, RuleData> {
    let data = TABLE.iter().map(|row| {
        let why = reason::of(row.id.name()).map_or("", |reason| reason.why);
        let (masks, ss) = (row.masks.meaning(), row.ss.meaning());
        (row.id.name(), RuleData { class: row.class, origin: row.origin.meaning(), masks, ss, why })
    });
    data.collect()
}

/// The page of a timeline. `exact` says that a tick is an instruction, `start` at which of its spans the page is opened.
///
/// # Errors
/// When the data cannot be written as JSON.
pub fn page(
    timeline: &Timeline,
    names: &Names,
    title: &str,
    exact: bool,
    start: Option<usize>,
) -> Result<String> {
    let data = Data {
        title,
        exact,
        frequency: timeline.frequency,
        end: timeline.end - timeline.begin,
        cpus: timeline.cpus,
        lost: timeline.lost,
        records: timeline.records.len(),
        spans: timeline.spans.iter().map(|one| span(timeline, names, one)).collect(),
        stretches: timeline.stretches.iter().map(|one| stretch(timeline, one)).collect(),
        rules: rules(),
        start,
    };
    // In HTML only `</script` ends the data, and in JSON a `<` can be written otherwise.
    let data = serde_json::to_string(&data)?.replace('<', "\\u003c");
    Ok(PAGE.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT).replace("{{data}}", &data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::fixture::{stepped, trace};
    use rules::pstate::Daif;

    fn of_fixture(title: &str) -> String {
        let timeline = Timeline::of(&trace(), usize::MAX);
        page(&timeline, &Names::default(), title, true, None).unwrap()
    }

    fn data(page: &str) -> serde_json::Value {
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn the_page_needs_no_other_file() {
        let page = of_fixture("x");
        for outside in ["http:", "https:", " src=", "@import", "<link", "fetch(", "import "] {
            // The name of SVG's namespace looks like an address, and is none.
            let found = page.lines().find(|line| line.contains(outside) && !line.contains("const SVG = "));
            assert_eq!(found, None, "{outside}");
        }
        assert!(page.split("url(").skip(1).all(|rest| rest.starts_with('#')), "only patterns of the page");
        assert!(!page.contains("{{"), "a place is left without its text");
    }

    #[test]
    fn the_data_is_whole_whatever_a_name_is() {
        let page = of_fixture("</script><b>&amp;");
        assert_eq!(data(&page)["title"], "</script><b>&amp;");
        assert_eq!(page.matches("</script>").count(), 2, "that of the data, and that of the script");
    }

    #[test]
    fn a_span_has_its_rule_and_its_registers() {
        let data = data(&of_fixture("x"));
        let irq = &data["spans"][3];
        assert_eq!((irq["name"].as_str(), irq["rule"].as_str()), (Some("IRQ (M8)"), Some("M8")));
        assert_eq!((irq["begin"].as_u64(), irq["end"].as_u64()), (Some(341), Some(1400)));
        assert_eq!(irq["entry"]["pc"], "0xffff800080001000");
        assert_eq!(irq["entry"]["before"]["owners"], "step-over");
        assert_eq!(irq["entry"]["after"]["masks"], "daIF");
        assert_eq!(irq["entry"]["stash"], 1);
        assert!(irq["entry"]["esr"].is_null() && data["spans"][1]["entry"]["esr"] == "0x00000000");
        assert!(data["rules"]["M8"]["why"].as_str().is_some_and(|why| why.contains("set aside")));
    }

    #[test]
    fn bits_are_in_the_order_of_the_bands() {
        assert_eq!(bits(stepped()), 0b11_0000);
        let of = |masks| bits(Side { masks, ..crate::timeline::fixture::open() });
        assert_eq!([of(Daif::D), of(Daif::A), of(Daif::I), of(Daif::F)], [1, 2, 4, 8]);
    }
}
