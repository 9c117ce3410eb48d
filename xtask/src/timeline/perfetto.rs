//! The timeline as JSON in the trace event format, which `ui.perfetto.dev` and `chrome://tracing` open.
//!
//! Each CPU is a thread of one process. An exception is a complete event (`X`) with its registers as arguments; an arrow (`s`, `f`) leads from
//! CPU to CPU where a switch of threads has cut it. D, A, I, F and both SS are counters of each CPU.

use super::names::Names;
use super::spans::{Span, Timeline};
use serde_json::{Value, json};
use trace::text::Names as Owners;
use trace::{Record, Side};

/// The number of the one process.
const MACHINE: u32 = 1;

/// The JSON.
pub fn json(timeline: &Timeline, names: &Names, title: &str) -> String {
    let mut events = vec![metadata("process_name", 0, title)];
    events.extend((0..timeline.cpus).map(|cpu| metadata("thread_name", cpu, &format!("CPU {cpu}"))));
    for (index, span) in timeline.spans.iter().enumerate() {
        events.push(exception(timeline, names, span));
        if span.later.is_some() {
            events.push(arrow(timeline, "s", index, span.cpu, span.end));
        }
        if let Some(earlier) = span.earlier {
            events.push(arrow(timeline, "f", earlier, span.cpu, span.begin));
        }
    }
    for record in &timeline.records {
        events.extend(counters(timeline, record));
    }
    json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string()
}

fn metadata(what: &str, cpu: usize, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": MACHINE, "tid": cpu, "args": { "name": name } })
}

/// Microseconds since the first record.
fn micros(timeline: &Timeline, time: u64) -> f64 {
    (time - timeline.begin) as f64 * 1e6 / timeline.frequency.max(1) as f64
}

fn exception(timeline: &Timeline, names: &Names, span: &Span) -> Value {
    let begin = micros(timeline, span.begin);
    json!({
        "ph": "X",
        "name": span.name(),
        "cat": "exception",
        "pid": MACHINE,
        "tid": span.cpu,
        "ts": begin,
        "dur": micros(timeline, span.end) - begin,
        "args": {
            "entry": span.entry.as_ref().map(|entry| registers(names, entry)),
            "exit": span.exit.as_ref().map(|exit| registers(names, exit)),
        },
    })
}

fn registers(names: &Names, record: &Record) -> Value {
    json!({
        "pc": format!("{:#x}", record.pc),
        "place": names.function(record.pc),
        "esr": format!("{:#x}", record.esr),
        "far": format!("{:#x}", record.far),
        "sp": format!("{:#x}", record.sp),
        "el": if record.el0 { 0 } else { 1 },
        "thread": record.thread,
        "depth": record.depth,
        "stash": record.stash,
        "before": side(record.before),
        "after": side(record.after),
    })
}

fn side(side: Side) -> Value {
    json!({
        "masks": side.masks.to_string(),
        "MDSCR_EL1.SS": side.mdscr_ss,
        "PSTATE.SS": side.ss,
        "owners": Owners(side.owners).to_string(),
    })
}

fn arrow(timeline: &Timeline, phase: &str, id: usize, cpu: usize, time: u64) -> Value {
    json!({
        "ph": phase,
        "bp": "e",
        "id": id,
        "name": "switch of threads",
        "cat": "switch",
        "pid": MACHINE,
        "tid": cpu,
        "ts": micros(timeline, time),
    })
}

/// A CPU's state behind a record.
fn counters(timeline: &Timeline, record: &Record) -> impl Iterator<Item = Value> {
    use rules::pstate::Daif;
    let side = record.after;
    let values = [
        ("D", side.masks.contains(Daif::D)),
        ("A", side.masks.contains(Daif::A)),
        ("I", side.masks.contains(Daif::I)),
        ("F", side.masks.contains(Daif::F)),
        ("MDSCR_EL1.SS", side.mdscr_ss),
        ("PSTATE.SS", side.ss),
    ];
    let (cpu, time) = (record.cpu, micros(timeline, record.time));
    values.into_iter().map(move |(name, value)| {
        json!({
            "ph": "C",
            "name": format!("CPU {cpu} {name}"),
            "pid": MACHINE,
            "tid": cpu,
            "ts": time,
            "args": { "value": u8::from(value) },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::fixture::trace;

    fn events() -> Vec<Value> {
        let timeline = Timeline::of(&trace(), usize::MAX);
        let text = json(&timeline, &Names::default(), "x");
        let all: Value = serde_json::from_str(&text).unwrap();
        all["traceEvents"].as_array().unwrap().clone()
    }

    fn of<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
        events.iter().filter(|event| event["ph"] == phase).collect()
    }

    #[test]
    fn each_span_is_an_event_inside_of_its_parent() {
        let (events, timeline) = (events(), Timeline::of(&trace(), usize::MAX));
        let spans = of(&events, "X");
        assert_eq!(spans.len(), timeline.spans.len());
        let times = |event: &Value| {
            let begin = event["ts"].as_f64().unwrap();
            (begin, begin + event["dur"].as_f64().unwrap())
        };
        for (event, span) in spans.iter().zip(&timeline.spans) {
            let Some(parent) = span.parent else { continue };
            let (inner, outer) = (times(event), times(spans[parent]));
            assert!(outer.0 <= inner.0 && inner.1 <= outer.1, "{event}");
            assert_eq!(event["tid"], spans[parent]["tid"]);
        }
        assert_eq!(spans[3]["name"], "IRQ (M8)");
        // 341 ticks of a nanosecond.
        assert!((spans[3]["ts"].as_f64().unwrap() - 0.341).abs() < 1e-9);
    }

    #[test]
    fn arrows_have_two_ends() {
        let events = events();
        let ids = |phase| -> Vec<u64> {
            of(&events, phase).iter().map(|event| event["id"].as_u64().unwrap()).collect()
        };
        assert_eq!(ids("s"), [0]);
        assert_eq!(ids("f"), [0]);
    }

    #[test]
    fn counters_follow_the_masks() {
        let events = events();
        let d: Vec<_> = of(&events, "C").into_iter().filter(|event| event["name"] == "CPU 0 D").collect();
        let values: Vec<_> = d.iter().map(|event| event["args"]["value"].as_u64().unwrap()).collect();
        assert_eq!(values, [1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0]);
    }
}
