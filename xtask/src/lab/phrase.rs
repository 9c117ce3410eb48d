//! What went wrong, in one phrase, from what the kernel has reported. Nothing here knows of policies.

use crate::capture::Captured;
use crate::ktap::{Verdict, is_panic};
use crate::session::End;
use crate::sweep::{Faults, Swept};

/// The longest phrase.
const LENGTH: usize = 90;

/// The phrase for a scenario on one machine; None if it has passed.
pub fn of_sweep(swept: &Swept) -> Option<String> {
    if swept.violations == 0 {
        return None;
    }
    let counted = swept.faults.and_then(of_faults);
    Some(
        counted.unwrap_or_else(|| {
            of_report(swept.first.as_ref().map_or("no reason given", |first| &first.what))
        }),
    )
}

/// The phrase for a test; None if it has passed or was skipped.
pub fn of_test(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Passed | Verdict::Skipped(_) => None,
        Verdict::Failed(why) | Verdict::Unknown(why) => Some(of_check(why)),
    }
}

/// The phrase for the end of a boot that has left a test without a verdict.
pub fn of_end(boot: &Captured) -> String {
    match boot.console.lines().find(|line| is_panic(line)) {
        Some(panic) => of_report(panic),
        None if boot.end == End::Timeout => "hangs".into(),
        None => of_report(&format!("no verdict ({})", boot.ending())),
    }
}

/// The phrase for faults that the kernel has counted; None if it has counted none.
fn of_faults(faults: Faults) -> Option<String> {
    let Faults { landed, twice, unseen } = faults;
    let counted = [
        (landed, "step", "landed in the interrupt's handler"),
        (twice, "hit", "counted twice"),
        (unseen, "hit", "unseen"),
    ];
    let parts = counted.iter().filter(|(count, ..)| *count != 0);
    let parts: Vec<_> = parts
        .map(|(count, noun, what)| format!("{count} {noun}{} {what}", if *count == 1 { "" } else { "s" }))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The kernel's reports that a phrase says better: a text that the report contains, and the phrase.
const KNOWN: &[(&str, &str)] = &[
    ("may sleep, with preemption off", "slept in atomic context: preemption is off"),
    ("may sleep, with interrupts off", "slept in atomic context: interrupts are masked"),
    ("may sleep, in a debug context", "slept in a debug context"),
    ("slots are changed with D masked (H1)", "breaks H1: changes slots with D open"),
    ("the body has not ended", "hangs"),
    ("no verdict (hang", "hangs"),
    ("hits of slot or probe", "hits differ from those of an uninterrupted run"),
    ("the result:", "the interrupted code computes another result"),
    ("the scenario's first fact:", "the code that was interrupted does something else"),
    ("the scenario's second fact:", "the code that was interrupted does something else"),
    ("the run without an interrupt ends wrongly", "wrong even without an interrupt"),
    ("no interrupt met the state", "no interrupt comes where the scenario waits for one"),
    (
        "owners of a step in the handler",
        "the interrupt's handler runs with the owners of the interrupted step",
    ),
    ("MDSCR_EL1.SS in the handler", "the interrupt's handler runs with MDSCR_EL1.SS set"),
];

/// The phrase for a check that has failed: `FILE:LINE: EXPRESSION is VALUE, expected VALUE`, and perhaps what the values mean.
fn of_check(why: &str) -> String {
    let told = match why.split_once(".rs:").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((_, told)) => told,
        None => return of_report(why),
    };
    let meaning = told.split_once(", expected ").and_then(|(_, expected)| expected.rsplit_once(": "));
    match meaning {
        Some((_, meaning)) => shortened(&format!("a check fails: {meaning}")),
        None => of_report(told),
    }
}

/// The phrase for a line that the kernel has printed.
fn of_report(report: &str) -> String {
    if let Some((_, phrase)) = KNOWN.iter().find(|(text, _)| report.contains(text)) {
        return (*phrase).into();
    }
    let report = report.strip_prefix("panic: ").unwrap_or(report);
    // The place in the source does not tell the reader what went wrong.
    let report = match report.rsplit_once(" (") {
        Some((rest, place)) if place.contains(".rs:") => rest,
        _ => report,
    };
    let report = match report.strip_prefix("rule ").and_then(|rest| rest.split_once(" violated: ")) {
        Some((rule, what)) => format!("breaks {rule}: {what}"),
        None => report.to_owned(),
    };
    shortened(&report)
}

/// Shortens a phrase. Addresses, which differ from build to build, are left out.
fn shortened(text: &str) -> String {
    let text = &without_addresses(text);
    if text.chars().count() <= LENGTH {
        return text.into();
    }
    let start: String = text.chars().take(LENGTH - 3).collect();
    format!("{}...", start.trim_end())
}

/// The text with `...` in place of each number that can only be an address.
fn without_addresses(text: &str) -> String {
    let digit = |c: char| c.is_ascii_hexdigit() || c == 'x';
    let mut words = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(digit) {
        let (before, from) = rest.split_at(start);
        let (number, behind) = from.split_at(from.find(|c| !digit(c)).unwrap_or(from.len()));
        words += before;
        words +=
            if number.len() >= 16 && number.contains(|c: char| c.is_ascii_digit()) { "..." } else { number };
        rest = behind;
    }
    words + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Violation;
    use std::time::Duration;

    fn swept(violations: u64, faults: Option<Faults>, what: &str) -> Swept {
        let first = Some(Violation { what: what.into(), ..Violation::default() });
        Swept { violations, faults, first, ..Swept::default() }
    }

    #[test]
    fn what_the_kernel_has_counted_is_told_first() {
        let faults = Faults { landed: 1, twice: 9, unseen: 0 };
        assert_eq!(
            of_sweep(&swept(4, Some(faults), "the result: 0x1 where 0x2 is due")).as_deref(),
            Some("1 step landed in the interrupt's handler, 9 hits counted twice")
        );
        let unseen = Faults { unseen: 2, ..Faults::default() };
        assert_eq!(of_sweep(&swept(1, Some(unseen), "x")).as_deref(), Some("2 hits unseen"));
        assert_eq!(of_sweep(&swept(1, Some(Faults::default()), "x: y")).as_deref(), Some("x: y"));
        assert_eq!(of_sweep(&swept(0, None, "x")), None);
    }

    #[test]
    fn a_panic_is_told_without_its_place() {
        for (report, phrase) in [
            (
                "panic: rule I5 violated: switching tasks with D masked (a/b.rs:3)",
                "breaks I5: switching tasks with D masked",
            ),
            (
                "panic: x.rs:1:2 may sleep, with preemption off since y.rs:3:4 (rule T8) (z.rs:1)",
                "slept in atomic context: preemption is off",
            ),
            ("no verdict (hang: ended after 20 s)", "hangs"),
            ("panic: data abort (EL1)", "data abort (EL1)"),
        ] {
            assert_eq!(of_report(report), phrase);
        }
        assert_eq!(of_report(&"some words ".repeat(50)).len(), LENGTH);
        let addresses = "data abort at 0xffff800080053504, FAR 0x10: [18446603338369551056, 2]";
        assert_eq!(of_report(addresses), "data abort at ..., FAR 0x10: [..., 2]");
    }

    #[test]
    fn a_test_without_a_verdict_tells_the_end_of_its_boot() {
        let boot = |end, console: &str| Captured { end, console: console.into(), wall: Duration::ZERO };
        assert_eq!(of_end(&boot(End::Timeout, "ok 1 a\n")), "hangs");
        assert_eq!(
            of_end(&boot(End::Status(101), "x\npanic: rule M8 violated: why (a.rs:1)\n")),
            "breaks M8: why"
        );
        assert!(of_end(&boot(End::Status(0), "")).contains("status 0"));
        assert_eq!(of_test(&Verdict::Passed), None);
        let failed = |why: &str| of_test(&Verdict::Failed(why.into())).unwrap();
        assert_eq!(failed("2 where 1 is due"), "2 where 1 is due");
        assert_eq!(failed("tests/a.rs:91: owners is 2, expected 1"), "owners is 2, expected 1");
        assert_eq!(
            failed("tests/a.rs:91: owners is [2, 3], expected [1]: steps made"),
            "a check fails: steps made"
        );
    }
}
