//! Tests of the parser with consoles that are damaged in every way.

use super::*;

const GOOD: &str = "boot log\r\nKTAP version 1\r\n1..2\r\n    KTAP version 1\r\n    # Subtest: steps\r\n    1..3\r\n\
    [INFO] noise\r\n    ok 1 one\r\n    not ok 2 two # expected 1 got 2\r\n    ok 3 three # SKIP one CPU\r\n\
    not ok 1 steps\r\n    KTAP version 1\r\n    # Subtest: brk\r\n    1..1\r\n    ok 1 a\r\nok 2 brk\r\n";

fn problems(console: &str) -> String {
    parse(console).problems.join("; ")
}

/// The console with one line replaced (or removed, if `by` is empty).
fn with(line: &str, by: &str) -> String {
    assert!(GOOD.contains(&format!("{line}\r\n")));
    let by = if by.is_empty() { String::new() } else { format!("{by}\r\n") };
    GOOD.replacen(&format!("{line}\r\n"), &by, 1)
}

#[test]
fn a_full_run_is_read() {
    let report = parse(GOOD);
    assert_eq!(report.problems, [] as [String; 0]);
    let test = |suite: &str, name: &str, verdict, output: &str| Test {
        suite: suite.into(),
        name: name.into(),
        verdict,
        output: output.into(),
    };
    assert_eq!(
        report.tests,
        [
            test("steps", "one", Verdict::Passed, "boot log\n[INFO] noise\n"),
            test("steps", "two", Verdict::Failed("expected 1 got 2".into()), ""),
            test("steps", "three", Verdict::Skipped("one CPU".into()), ""),
            test("brk", "a", Verdict::Passed, ""),
        ]
    );
    assert!(report.failed());
}

#[test]
fn a_run_that_is_cut_anywhere_is_unknown() {
    let lines: Vec<_> = GOOD.lines().collect();
    for kept in 0..lines.len() {
        let cut = lines[..kept].join("\n");
        assert!(!problems(&cut).is_empty(), "cut after line {kept} it counts as complete");
    }
}

#[test]
fn any_line_missing_is_noticed() {
    let lines: Vec<_> = GOOD.lines().collect();
    for missing in 0..lines.len() {
        let mut left = lines.clone();
        let line = left.remove(missing);
        let harmless = ["boot log", "[INFO] noise"].contains(&line);
        assert_eq!(problems(&left.join("\n")).is_empty(), harmless, "without `{line}`");
    }
}

#[test]
fn any_ktap_line_twice_is_noticed() {
    let lines: Vec<_> = GOOD.lines().collect();
    for doubled in 0..lines.len() {
        let mut more = lines.clone();
        more.insert(doubled, lines[doubled]);
        let harmless = ["boot log", "[INFO] noise"].contains(&lines[doubled]);
        assert_eq!(problems(&more.join("\n")).is_empty(), harmless, "`{}` twice", lines[doubled]);
    }
}

#[test]
fn wrong_numbers_are_unknown() {
    assert!(problems(&with("    ok 3 three # SKIP one CPU", "    ok 4 three")).contains("4 where 3"));
    assert!(problems(&with("ok 2 brk", "ok 3 brk")).contains("3 where 2"));
    assert!(problems(&with("    1..1", "    1..2")).contains("2 planned, 1 run"));
    assert!(problems(&with("1..2", "1..3")).contains("3 suites planned"));
}

#[test]
fn a_panic_is_never_a_pass() {
    let passed = with("    not ok 2 two # expected 1 got 2", "    ok 2 two").replace("not ok 1", "ok 1");
    assert_eq!(problems(&passed), "");
    assert!(problems(&format!("{passed}panic: late\n")).contains("panicked: panic: late"));
    assert!(problems(&format!("panic: early\n{passed}")).contains("panicked"));
}

#[test]
fn a_reset_in_the_middle_is_unknown() {
    let half = &GOOD[..GOOD.find("    ok 3").unwrap()];
    assert!(problems(&format!("{half}{GOOD}")).contains("started again"));
    assert!(problems(&format!("{GOOD}{GOOD}")).contains("started again"));
}

#[test]
fn a_suite_must_agree_with_its_tests() {
    assert!(problems(&with("not ok 1 steps", "ok 1 steps")).contains("contradicts"));
    assert!(problems(&with("ok 2 brk", "not ok 2 brk")).contains("contradicts"));
    assert!(problems(&with("ok 2 brk", "ok 2 steps")).contains("ends as steps"));
}

#[test]
fn garbage_between_is_output_and_garbage_inside_is_unknown() {
    let between = with("    ok 1 one", "okay 1 x\r\n  ok 1 two spaces\r\nok\r\nnot ok\r\n    ok 1 one");
    assert_eq!(problems(&between), "");
    assert!(parse(&between).tests[0].output.contains("  ok 1 two spaces"));
    assert!(!problems(&with("    ok 1 one", "[INFO]    ok 1 one")).is_empty());
    assert!(!problems(&with("    ok 1 one", "    ok 1")).is_empty());
    assert!(!problems(&with("    1..3", "    1..x")).is_empty());
    assert!(problems(&with("[INFO] noise", "Bail out! no memory")).contains("given up"));
}

#[test]
fn tests_beyond_the_end_are_unknown() {
    assert!(!problems(&format!("{GOOD}    ok 2 more\n")).is_empty());
    assert!(!problems(&format!("{GOOD}ok 3 more\n")).is_empty());
}

#[test]
fn an_empty_plan_is_a_full_run() {
    assert_eq!(parse("KTAP version 1\n1..0\n"), Report::default());
    assert!(problems("").contains("did not start"));
    assert!(problems("ok 1 x\n1..1\n").contains("did not start"));
}
