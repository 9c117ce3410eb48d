//! `bench`: what the kernel's paths cost, in guest instructions, beside what they cost Linux.

mod log;
mod stretches;

use crate::args::Bench;
use crate::capture::{Captured, capture, to_the_end};
use crate::ktap::is_panic;
use crate::pool;
use crate::qemu::{Machine, Start};
use crate::run::{kernel, planned_image};
use crate::session::End;
use crate::setup::decide::Need;
use crate::{args::Common, pack};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
const LINUX: &str = include_str!("../../linux-costs.txt");

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    key: String,
    /// Guest instructions.
    insns: u64,
    /// The same operation on Linux, where it has it.
    linux: Option<u64>,
}

/// Measures and prints.
///
/// # Errors
/// When nothing builds, the kernel does not come to its end, or two runs differ.
pub fn bench(arguments: &Bench) -> Result<()> {
    // The release build is what is measured, with or without the flag.
    let common = Common { release: true, ..arguments.common.clone() };
    let machine = common.machine(Machine {
        cpu: "cortex-a57".into(),
        smp: 1,
        append: "mode=bench".into(),
        icount: true,
        ..Machine::default()
    });
    if common.dry_run {
        println!("{}", machine.shell_line(&Start::Kernel(&planned_image(&common))));
        return Ok(());
    }
    let elf = kernel(&common, Need { qemu: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    for path in stretches::measure(&stretches::machine(&machine), &elf, &image, common.limit(Some(LIMIT)))? {
        println!("{path:?}");
    }
    let rows = measure(&machine, &elf, &image, common.limit(Some(LIMIT)))?;
    print!("{}", if arguments.json { json(&rows) } else { table(&rows) });
    Ok(())
}

/// Boots twice: a figure that differs between two runs is not one.
fn measure(machine: &Machine, elf: &Path, image: &Path, limit: Option<Duration>) -> Result<Vec<Row>> {
    let mut runs = Vec::new();
    let boot =
        |()| capture(machine, &Start::Kernel(image), limit, to_the_end).and_then(|boot| read(&boot, elf));
    pool::run(vec![(), ()], pool::default_jobs(), boot, |_, rows| runs.push(rows));
    let mut runs = runs.into_iter();
    let (Some(first), Some(second)) = (runs.next(), runs.next()) else { bail!("no run") };
    let (first, second) = (first?, second?);
    if first != second {
        bail!("two runs differ:\n{}and\n{}", table(&first), table(&second));
    }
    Ok(first)
}

fn read(boot: &Captured, elf: &Path) -> Result<Vec<Row>> {
    if boot.end != End::Status(0) || boot.console.lines().any(is_panic) {
        bail!("the kernel did not come to its end ({}):\n{}", boot.ending(), boot.tail(elf));
    }
    rows(&boot.console)
}

/// Reads the lines `bench: KEY INSNS`.
fn rows(console: &str) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for line in console.lines().filter_map(|line| line.strip_prefix("bench: ")) {
        let (key, insns) = line.trim().split_once(' ').with_context(|| format!("half a row: {line}"))?;
        let insns = insns.trim().parse().with_context(|| format!("no number: {line}"))?;
        if rows.iter().any(|row| row.key == key) {
            bail!("the kernel gives {key} twice");
        }
        rows.push(Row { key: key.into(), insns, linux: linux(key) });
    }
    if rows.is_empty() {
        bail!("the kernel measured nothing");
    }
    Ok(rows)
}

fn linux(key: &str) -> Option<u64> {
    let lines = LINUX.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

impl Row {
    /// To two places, or as many as show two digits.
    fn ratio(&self) -> Option<String> {
        let ratio = self.insns as f64 / self.linux? as f64;
        let mut places = 2;
        while places < 9 && ratio > 0.0 && ratio < 10f64.powi(1 - places) {
            places += 1;
        }
        Some(format!("{ratio:.*}", places as usize))
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<18}{:>12}{:>12}{:>9}\n", "key", "insns", "linux", "ratio");
    for row in rows {
        let linux = row.linux.map_or("-".into(), |linux| linux.to_string());
        let ratio = row.ratio().unwrap_or_else(|| "-".into());
        text += &format!("{:<18}{:>12}{linux:>12}{ratio:>9}\n", row.key, row.insns);
    }
    text
}

fn json(rows: &[Row]) -> String {
    let null = || "null".to_owned();
    let rows = rows.iter().map(|row| {
        let linux = row.linux.map_or_else(null, |linux| linux.to_string());
        let ratio = row.ratio().unwrap_or_else(null);
        let key = row.key.replace('\\', "\\\\").replace('"', "\\\"");
        format!("{{\"key\":\"{key}\",\"insns\":{},\"linux\":{linux},\"ratio\":{ratio}}}", row.insns)
    });
    format!("{{\"rows\":[{}]}}\n", rows.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_as_promised() {
        let rows = rows("noise\nbench: brk_bare 97\nbench: own 5\n").unwrap();
        assert_eq!(
            json(&rows),
            "{\"rows\":[{\"key\":\"brk_bare\",\"insns\":97,\"linux\":257,\"ratio\":0.38},\
             {\"key\":\"own\",\"insns\":5,\"linux\":null,\"ratio\":null}]}\n"
        );
    }

    #[test]
    fn small_ratios_keep_two_digits() {
        let ratio = |insns| Row { key: String::new(), insns, linux: Some(1000) }.ratio().unwrap();
        assert_eq!(
            [ratio(2), ratio(12), ratio(99), ratio(100), ratio(1500)],
            ["0.0020", "0.012", "0.099", "0.10", "1.50"]
        );
        assert_eq!(ratio(0), "0.00");
    }

    #[test]
    fn what_is_no_table_is_refused() {
        assert!(rows("").is_err());
        assert!(rows("bench: a\n").is_err());
        assert!(rows("bench: a x\n").is_err());
        assert!(rows("bench: a 1\nbench: a 2\n").is_err());
    }

    #[test]
    fn linux_has_the_rows_that_are_compared() {
        let keys = "dbg_entry_exit brk_bare kprobe_ool kprobe_pre_post hw_bp_kernel hw_wp_kernel irq_to_handler boot";
        assert!(keys.split(' ').all(|key| linux(key).is_some()));
    }
}
