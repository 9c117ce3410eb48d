//! Verdicts, from the console of a boot and from the way in which the boot ended. No function here does input or output.

use super::outcome::Case;
use crate::inventory::Die;
use crate::ktap::{self, Verdict, is_panic};
use crate::session::End;

/// The kernel's status after a panic.
pub const STATUS_PANIC: i32 = 101;
/// The kernel prints this, and then the reason, when it has no usable device tree.
pub const NO_DEVICE_TREE: &str = "stepwell: no usable device tree";

/// Judges a boot with `mode=test`: the cases that the boot has reported. If the report is not complete, one more case says so.
pub fn tests(end: End, ending: &str, console: &str) -> Vec<Case> {
    let mut report = ktap::parse(console);
    let due = End::Status(i32::from(report.failed()));
    if end != due && report.problems.is_empty() {
        report.problems.push("the boot's end contradicts its tests".into());
    }
    let case = |test: ktap::Test| Case {
        suite: test.suite,
        name: test.name,
        verdict: test.verdict,
        output: test.output,
    };
    let mut cases: Vec<_> = report.tests.into_iter().map(case).collect();
    if !report.problems.is_empty() {
        cases.push(Case::unknown("boot", "verdict", format!("{}; {ending}", report.problems.join("; "))));
    }
    cases
}

/// Judges a boot that must end in a panic.
pub fn die(die: &Die, end: End, ending: &str, console: &str) -> Verdict {
    let panics = console.lines().filter(|line| is_panic(line)).count();
    let missing: Vec<_> = die.expect.iter().filter(|text| !console.contains(text.as_str())).collect();
    if matches!(end, End::Timeout | End::Signal(_) | End::Stopped) {
        return Verdict::Unknown(ending.into());
    }
    if !missing.is_empty() {
        return Verdict::Failed(format!("the console lacks {missing:?} ({ending})"));
    }
    if panics != 1 {
        return Verdict::Failed(format!("{panics} panic reports where one is due"));
    }
    if end != End::Status(STATUS_PANIC) {
        return Verdict::Failed(format!("{ending} where status {STATUS_PANIC} is due"));
    }
    Verdict::Passed
}

/// The reason in the kernel's message about its device tree. None until the whole line is there.
pub fn device_tree_message(console: &str) -> Option<&str> {
    let (_, rest) = console.split_once(NO_DEVICE_TREE)?;
    let (reason, _) = rest.split_once('\n')?;
    Some(reason.trim_start_matches(':').trim())
}

/// Judges a boot without a usable device tree: the console must have the message with a reason.
pub fn device_tree(end: End, ending: &str, console: &str) -> Verdict {
    match device_tree_message(console) {
        Some("") => Verdict::Failed("the message gives no reason".into()),
        Some(_) if end == End::Status(0) => Verdict::Failed("the message came, but the status is 0".into()),
        Some(_) => Verdict::Passed,
        None if console.trim().is_empty() => Verdict::Failed(format!("the console is empty ({ending})")),
        None => Verdict::Failed(format!("the console lacks `{NO_DEVICE_TREE}` ({ending})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: &str =
        "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..1\n    ok 1 a\nok 1 s\n";
    const FAIL: &str = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..1\n    not ok 1 a # why\nnot ok 1 s\n";

    fn verdicts(end: End, console: &str) -> Vec<Verdict> {
        tests(end, "ending", console).into_iter().map(|case| case.verdict).collect()
    }

    fn unknown(end: End, console: &str) -> bool {
        verdicts(end, console).iter().any(|verdict| matches!(verdict, Verdict::Unknown(_)))
    }

    #[test]
    fn console_and_status_must_agree() {
        assert_eq!(verdicts(End::Status(0), PASS), [Verdict::Passed]);
        assert_eq!(verdicts(End::Status(1), FAIL), [Verdict::Failed("why".into())]);
        for (end, console) in [
            (End::Status(1), PASS),
            (End::Status(101), PASS),
            (End::Status(0), FAIL),
            (End::Timeout, PASS),
            (End::Signal(9), PASS),
            (End::Status(0), ""),
        ] {
            assert!(unknown(end, console), "{end:?} after {console}");
        }
    }

    #[test]
    fn a_boot_that_must_die_passes_only_on_its_report() {
        let overflow = Die {
            name: "overflow".into(),
            expect: vec!["stack overflow".into(), "guard page".into()],
            ..Die::default()
        };
        let judge = |end, console: &str| die(&overflow, end, "ending", console);
        let report = "panic: stack overflow\nin a guard page\n";
        assert_eq!(judge(End::Status(101), report), Verdict::Passed);
        assert!(matches!(judge(End::Status(0), report), Verdict::Failed(_)));
        assert!(matches!(judge(End::Status(1), report), Verdict::Failed(_)));
        assert!(matches!(judge(End::Timeout, report), Verdict::Unknown(_)));
        assert!(matches!(judge(End::Status(101), "panic: stack overflow\n"), Verdict::Failed(_)));
        assert!(matches!(judge(End::Status(101), "stack overflow guard page\n"), Verdict::Failed(_)));
        assert!(matches!(judge(End::Status(101), &format!("{report}panic: again\n")), Verdict::Failed(_)));
    }

    #[test]
    fn silence_about_the_device_tree_fails() {
        let judge = |end, console| device_tree(end, "ending", console);
        assert_eq!(judge(End::Stopped, "stepwell: no usable device tree: bad magic\n"), Verdict::Passed);
        for (end, console) in [
            (End::Timeout, ""),
            (End::Status(101), "panic: x\n"),
            (End::Stopped, "stepwell: no usable device tree\n"),
            (End::Status(0), "stepwell: no usable device tree: bad magic\n"),
        ] {
            assert!(matches!(judge(end, console), Verdict::Failed(_)), "{console}");
        }
    }
}
