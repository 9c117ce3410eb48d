//! What `rules`, `slots` and `stats` show.

use super::{call_target, shown, target};
use crate::debug::stats;
use crate::ktest::Outcome;
use crate::monitor::Session;
use crate::{check, check_eq, smp};
use alloc::format;
use alloc::vec::Vec;
use rules::invariants::INVARIANTS;
use rules::table::TABLE;

pub fn every_rule_is_shown() -> Outcome {
    let mut session = Session::new();
    let all = shown(&mut session, "rules")?;
    let names = TABLE.iter().map(|row| row.id.name()).chain(INVARIANTS.iter().map(|rule| rule.id));
    for name in names {
        check!(all.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}");
        let own = shown(&mut session, &format!("rules {}", name.to_ascii_lowercase()))?;
        check!(own.lines().next().is_some_and(|line| all.contains(line)), "{name}: {own}");
    }
    Ok(())
}

pub fn slots_show_what_the_registers_hold() -> Outcome {
    let mut session = Session::new();
    let free = shown(&mut session, "slots")?;
    check!(!free.contains("0-") && free.lines().any(|line| line.trim_start().starts_with("bp0")), "{free}");
    shown(&mut session, "break kernel::tests::monitor::target")?;
    check!(call_target(5));
    let all = shown(&mut session, "slots")?;
    let Some(line) = all.lines().find(|line| line.contains("kernel::tests::monitor::target")) else {
        check!(false, "{all}");
        return Ok(());
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let cpus = match smp::online_count() {
        1 => "0".into(),
        count => format!("0-{}", count - 1),
    };
    check_eq!(words[1], format!("{:016x}", target as *const () as u64));
    check!(u32::from_str_radix(words[2], 16).is_ok_and(|control| control & 1 == 1), "{line}");
    check_eq!(words[3..5], [cpus.as_str(), "5"], "{line}");
    shown(&mut session, "break -1")?;
    let behind = shown(&mut session, "slots")?;
    check_eq!(but_for_values(&behind), but_for_values(&free));
    Ok(())
}

/// A value register keeps what it was used for last.
fn but_for_values(listing: &str) -> Vec<Vec<&str>> {
    let columns = listing.lines().map(|line| line.split_whitespace().enumerate());
    columns.map(|words| words.filter(|&(column, _)| column != 1).map(|(_, word)| word).collect()).collect()
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
