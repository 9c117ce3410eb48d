//! Commands that set, list and remove probes, breakpoints and watchpoints, and the counts that they show.

use super::{call_target, refusal, shown};
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Outcome, everywhere};
use harness::{check, check_eq};
use kernel::debug::slots;
use kernel::monitor::Session;
use kernel::report::symbols;

const TARGET: &str = "tests::monitor::target";

pub fn a_probe_counts_until_it_is_removed() -> Outcome {
    let mut session = Session::new();
    shown(&mut session, &format!("probe p:t {TARGET}"))?;
    check!(call_target(37));
    let list = shown(&mut session, "probe")?;
    let line = list.lines().find(|line| line.contains("kprobes/t "));
    check!(line.is_some_and(|line| line.split_whitespace().skip(1).take(2).eq(["37", "0"])), "{list}");
    let removed = shown(&mut session, "probe -:t")?;
    check_eq!(removed, "kprobes/t: removed, 37 hits, 0 missed\n");
    check_eq!(shown(&mut session, "probe")?, "no probes\n");
    check_eq!(everywhere::others(), 0);
    check!(call_target(1));
    Ok(())
}

pub fn a_return_probe_counts_until_it_is_removed() -> Outcome {
    let mut session = Session::new();
    let set = shown(&mut session, &format!("probe r:back {TARGET}"))?;
    check!(set.starts_with("kprobes/back: tests::monitor::target+0x0/"), "{set}");
    check!(set.ends_with(", each return of the function\n"), "{set}");
    let made_up = shown(&mut session, &format!("probe r5 {TARGET}"))?;
    check!(made_up.starts_with("kprobes/r_tests_monitor_target_0: "), "{made_up}");
    shown(&mut session, &format!("probe p:t {TARGET}"))?;
    check!(call_target(37));
    let list = shown(&mut session, "probe")?;
    for name in ["kprobes/back ", "kprobes/r_tests_monitor_target_0 "] {
        let line = list.lines().find(|line| line.contains(name));
        let columns = line.map(|line| line.split_whitespace().skip(1).take(3));
        check!(columns.is_some_and(|columns| columns.eq(["37", "0", "returns"])), "{list}");
    }
    check_eq!(shown(&mut session, "probe -:back")?, "kprobes/back: removed, 37 hits, 0 missed\n");
    check!(call_target(3));
    check_eq!(shown(&mut session, "probe -:t")?, "kprobes/t: removed, 40 hits, 0 missed\n");
    let said = refusal(&mut session, &format!("probe r:back {TARGET}+4"))?;
    check!(said.contains("goes on the start of a function"), "{said}");
    let inside = crate::monitor::target as *const () as u64 + 4;
    let said = refusal(&mut session, &format!("probe r:back {inside:#x}"))?;
    check!(said.contains("a return probe is for a function's first instruction"), "{said}");
    let said = refusal(&mut session, &format!("probe r65:back {TARGET}"))?;
    check!(said.contains("no room for 65 calls at once; a return probe can have 1 to 64"), "{said}");
    drop(session);
    check_eq!(everywhere::others(), 0);
    check!(call_target(1));
    Ok(())
}

pub fn probes_have_names_and_groups() -> Outcome {
    let mut session = Session::new();
    let made_up = shown(&mut session, &format!("probe p {TARGET}+4"))?;
    check!(made_up.starts_with("kprobes/p_tests_monitor_target_4: "), "{made_up}");
    shown(&mut session, &format!("probe p:g/t {TARGET}"))?;
    let taken = refusal(&mut session, "probe p:g/t kernel::time::account")?;
    check!(taken.contains("g/t already"), "{taken}");
    shown(&mut session, &format!("probe p:other {TARGET}"))?;
    shown(&mut session, "probe p:t kernel::time::account")?;
    check_eq!(everywhere::others(), 4);
    let removed = shown(&mut session, "probe -:other")?;
    check!(removed.starts_with("kprobes/other: removed"), "{removed}");
    let removed = shown(&mut session, "probe -:g/")?;
    check_eq!(removed.lines().count(), 1, "{removed}");
    let removed = shown(&mut session, "probe -:t")?;
    check!(removed.starts_with("kprobes/t: removed"), "{removed}");
    let removed = shown(&mut session, "probe -:kprobes/")?;
    check!(removed.starts_with("kprobes/p_tests_monitor_target_4: removed"), "{removed}");
    check_eq!(everywhere::others(), 0);
    Ok(())
}

static WATCHED: AtomicU64 = AtomicU64::new(0);

pub fn breakpoints_and_watchpoints_are_numbered() -> Outcome {
    let mut session = Session::new();
    let watched = &raw const WATCHED as u64;
    let set = shown(&mut session, &format!("break {TARGET}"))?;
    check!(set.starts_with("breakpoint 1: tests::monitor::target+0x0/"), "{set}");
    let set = shown(&mut session, &format!("watch {watched:#x} 8 rw"))?;
    check!(set.starts_with("watchpoint 1: reads and writes of 8 bytes at "), "{set}");
    let set = shown(&mut session, &format!("watch {watched:#x}"))?;
    check!(set.starts_with("watchpoint 2: writes of 8 bytes at "), "{set}");
    check!(call_target(11));
    for n in 0..7 {
        WATCHED.store(n, Relaxed);
        core::hint::black_box(WATCHED.load(Relaxed));
    }
    let hits = |list: &str, number: &str| {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(number));
        line.and_then(|line| line.split_whitespace().nth(2)?.parse().ok()).unwrap_or(u64::MAX)
    };
    let list = shown(&mut session, "break")?;
    check_eq!(hits(&list, "1"), 11, "{list}");
    let list = shown(&mut session, "watch")?;
    check_eq!((hits(&list, "1"), hits(&list, "2")), (14, 7), "{list}");
    check_eq!(shown(&mut session, "watch -1")?, "watchpoint 1: removed, 14 hits\n");
    let gone = refusal(&mut session, "watch -1")?;
    check!(gone.contains("no watchpoint 1"), "{gone}");
    let set = shown(&mut session, &format!("watch {watched:#x} 4 r"))?;
    check!(set.starts_with("watchpoint 3: reads of 4 bytes at "), "numbers are not used again: {set}");
    check_eq!(shown(&mut session, "break -1")?, "breakpoint 1: removed, 11 hits\n");
    let set = shown(&mut session, &format!("watch {:#x} 6", watched - 3))?;
    check!(set.contains("writes of 6 bytes at ") && set.ends_with(", wp2,wp3\n"), "over two slots: {set}");
    WATCHED.store(0, Relaxed);
    check_eq!(shown(&mut session, "watch -4")?, "watchpoint 4: removed, 1 hits\n");
    shown(&mut session, "watch -2")?;
    shown(&mut session, "watch -3")?;
    check_eq!(slots::list().count(), 0);
    Ok(())
}

specimen! {
    /// Adds 1 with an exclusive sequence, inside of which a breakpoint is refused.
    fn add_one(to: &AtomicU64) {
        "2: ldxr x1, [x0]", "add x1, x1, #1", "stxr w2, x1, [x0]", "cbnz w2, 2b", "ret"
    }
}

pub fn a_breakpoint_in_an_exclusive_sequence_is_refused() -> Outcome {
    let mut session = Session::new();
    let inside = add_one as *const () as u64 + 4;
    check!(symbols::at(inside).is_some_and(|symbol| symbol.name.ends_with("add_one")));
    let said = refusal(&mut session, &format!("break {inside:#x}"))?;
    check!(said.contains("store-exclusive"), "{said}");
    let said = refusal(&mut session, &format!("probe p {inside:#x}"))?;
    check!(said.contains("exclusive"), "{said}");
    shown(&mut session, &format!("break {:#x}", inside + 12))?;
    let before = WATCHED.load(Relaxed);
    add_one(&WATCHED);
    check_eq!(WATCHED.load(Relaxed), before + 1);
    check_eq!(shown(&mut session, "break -1")?, "breakpoint 1: removed, 1 hits\n");
    Ok(())
}

pub fn the_end_of_a_session_takes_everything_away() -> Outcome {
    let mut session = Session::new();
    shown(&mut session, &format!("probe p {TARGET}"))?;
    shown(&mut session, &format!("break {TARGET}"))?;
    shown(&mut session, "watch kernel::time::TICKS 8")?;
    shown(&mut session, "step")?;
    let said = refusal(&mut session, "test monitor")?;
    check!(said.contains("probes: 1, slots: 2"), "{said}");
    drop(session);
    check_eq!((everywhere::others(), slots::list().count()), (0, 0));
    Ok(())
}
