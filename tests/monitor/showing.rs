//! What the commands `rules`, `slots` and `stats` show.

use super::{call_target, refusal, shown, target};
use crate::support::{Slot, breakpoint_at};
use ::slots::Cpus;
use alloc::format;
use alloc::vec::Vec;
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::slots::Disposition;
use kernel::debug::stats;
use kernel::kprobe::{self, ProbeError};
use kernel::monitor::Session;
use kernel::smp;
use rules::invariants::INVARIANTS;
use rules::reason;
use rules::table::TABLE;

pub fn every_rule_is_shown() -> Outcome {
    let mut session = Session::new();
    let all = shown(&mut session, "rules")?;
    let names = TABLE.iter().map(|row| row.id.name()).chain(INVARIANTS.iter().map(|rule| rule.id));
    for name in names {
        check!(all.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
        let own = shown(&mut session, &format!("rules {}", name.to_ascii_lowercase()))?;
        check!(own.lines().next().is_some_and(|line| all.contains(line)), "{name}: {own}");
        check!(reason::of(name).is_some_and(|reason| own.contains(reason.why)), "{name}: {own}");
    }
    Ok(())
}

pub fn the_blacklist_is_what_cannot_be_probed() -> Outcome {
    let all = shown(&mut Session::new(), "probes --blacklist")?;
    let (mut listed, mut ranges) = (0, 0);
    for line in all.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        let (start, end) = first.split_once('-').unwrap_or((first, ""));
        let Some(address) = u64::from_str_radix(start, 16).ok().filter(|_| start.len() == 16) else {
            continue;
        };
        let last = u64::from_str_radix(end, 16).map_or(address, |end| end - 4);
        for address in [address, last].map(|address| address & !3) {
            let refused = kprobe::register(address, None, None).map(|probe| probe.address);
            check_eq!(refused, Err(ProbeError::NoProbe(address)), "{line}");
        }
        listed += 1;
        ranges += u64::from(last != address);
    }
    check_eq!(ranges, 3, "the code before the kernel, no-probe text, and copies: {all}");
    check!(listed > 100, "{all}");
    let named = |name: &str| all.lines().any(|line| line.split_whitespace().last() == Some(name));
    for name in ["vectors", "el1_sync_entry", "exception_el1_irq", "kernel::debug::step::stash", "memcpy"] {
        check!(named(name), "{name} is missing: {all}");
    }
    for name in ["kernel::time::account", "tests::monitor::target"] {
        check!(!named(name), "{name} can be probed");
    }
    check!(
        all.lines().last().is_some_and(|line| line.contains(" bytes of text cannot be probed, ")),
        "{all}"
    );
    Ok(())
}

pub fn slots_show_what_the_registers_hold() -> Outcome {
    let mut session = Session::new();
    let free = shown(&mut session, "slots")?;
    check!(!free.contains("0-") && free.lines().any(|line| line.trim_start().starts_with("bp0")), "{free}");
    shown(&mut session, "break tests::monitor::target")?;
    check!(call_target(5));
    let all = shown(&mut session, "slots")?;
    let Some(line) = all.lines().find(|line| line.contains("tests::monitor::target")) else {
        check!(false, "{all}");
        return Ok(());
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let cpus = match smp::online().last() {
        None | Some(0) => "0".into(),
        Some(last) => format!("0-{last}"),
    };
    check_eq!(words[1], format!("{:016x}", target as *const () as u64));
    check!(u32::from_str_radix(words[2], 16).is_ok_and(|control| control & 1 == 1), "{line}");
    check_eq!(words[3..5], [cpus.as_str(), "5"], "{line}");
    shown(&mut session, "break -1")?;
    check_eq!(shown(&mut session, "slots")?, free);
    Ok(())
}

/// The register values of a slot are no longer shown once the slot is free. Two slots of single CPUs can have the same number, and
/// each is shown with the values of its own CPU.
pub fn slots_of_single_cpus_show_their_own_registers() -> Outcome {
    crate::needs_several_cpus!();
    let mut session = Session::new();
    let free = shown(&mut session, "slots")?;
    for line in free.lines().filter(|line| line.ends_with("free")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        check_eq!(words[1..], ["-", "00000000", "-", "-", "free"], "{line}");
    }
    let at = |offset| breakpoint_at(target as *const () as u64 + offset);
    let own = [
        Slot::on(&at(0), Cpus::of(0), Disposition::Count)?,
        Slot::on(&at(4), Cpus::of(1), Disposition::Count)?,
    ];
    check_eq!(own[0].0.id().index, own[1].0.id().index, "one number");
    let all = shown(&mut session, "slots")?;
    for (cpu, slot) in own.iter().enumerate() {
        let value = format!("{:016x}", target as *const () as u64 + 4 * cpu as u64);
        let line = all.lines().find(|line| line.contains(&value)).unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        check_eq!(words.len(), 5, "{all}");
        check_eq!(words[0], format!("bp{}", slot.0.id().index), "{line}");
        check!(u32::from_str_radix(words[2], 16).is_ok_and(|control| control & 1 == 1), "{line}");
        let enabled = format!("{cpu}");
        check_eq!(words[3..], [enabled.as_str(), "0"], "{line}");
    }
    check_eq!(all.lines().count(), free.lines().count() + 1);
    drop(own);
    check_eq!(shown(&mut session, "slots")?, free);
    Ok(())
}

pub fn stats_show_every_counter() -> Outcome {
    let mut session = Session::new();
    let all = shown(&mut session, "stats")?;
    for (name, _) in stats::ALL {
        let line = all.lines().find(|line| line.trim_start().starts_with(name));
        let numbers = line.map(|line| line.split_whitespace().rev().take(smp::online_count() + 1));
        let Some(numbers) = numbers else {
            check!(false, "{name} is not in {all}");
            return Ok(());
        };
        let numbers: Vec<u64> = numbers.filter_map(|word| word.parse().ok()).collect();
        check_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{name}");
    }
    Ok(())
}

pub fn why_draws_the_trace_or_says_how_to_trace() -> Outcome {
    let mut session = Session::new();
    if kernel::trace::is_on() {
        let drawn = shown(&mut session, "why 3")?;
        check!(drawn.lines().count() <= 3 && drawn.contains("cpu"), "{drawn}");
    } else {
        let message = refusal(&mut session, "why")?;
        check!(message.contains("trace=1"), "{message}");
    }
    Ok(())
}
