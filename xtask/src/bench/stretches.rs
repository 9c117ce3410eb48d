//! How long each path keeps D and I masked. QEMU logs every instruction of a boot with `mode=stretches`.

use super::log::{Longest, Run, Stretch};
use super::logged::{self, Guest};
use super::trace::Traces;
use crate::code::Text;
use crate::qemu::Machine;
use crate::symbols::{self, Kind, Symbol};
use crate::test::Kernel;
use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

/// The function that the kernel calls where a path begins and ends.
const MARK: &str = "bench_mark";
/// Where the program of the paths at EL0 has its mark: the beginning of its text (`harness/src/bench/program.rs`).
const MARK_OF_PROGRAM: u64 = 0x40_1000;
/// The symbol of the exception vectors.
const VECTORS: &str = "vectors";

/// The paths that the kernel must run.
const PATHS: [&str; 29] = [
    "dbg_entry_exit",
    "brk_bare",
    "kprobe_sim",
    "kprobe_ool",
    "kprobe_pre_post",
    "hw_bp_kernel",
    "hw_wp_kernel",
    "step",
    "warn",
    "warn_printed",
    "fault_fixed_up",
    "irq",
    "irq_deferred",
    "irq_in_step_over",
    "irq_in_step_over_deferred",
    "tick",
    "irq_reschedule",
    "yield",
    "slot_install",
    "slot_remove",
    "slot_install_wp",
    "slot_remove_wp",
    "kprobe_register",
    "kprobe_unregister",
    "user_bp",
    "user_wp",
    "user_bp_signal",
    "user_wp_signal",
    "user_step_signal",
];

/// How long a path keeps exceptions masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    pub name: String,
    pub longest: Longest,
    /// The place where the stretch with D masked begins; empty if there is no such stretch.
    pub d_from: String,
    /// The place where the stretch with I masked begins; empty if there is no such stretch.
    pub i_from: String,
}

/// The machine for the paths: the machine of the rows, with `mode=stretches`.
pub fn machine(machine: &Machine) -> Machine {
    Machine { append: machine.append.replace("mode=bench", "mode=stretches"), ..machine.clone() }
}

/// Boots with `mode=stretches`, and counts the masked instructions of each path in QEMU's log.
///
/// # Errors
/// When the kernel does not come to its end, or when the log and the counter contradict each other.
pub fn measure(kernel: &Kernel, base: &Machine) -> Result<(Vec<Masked>, Traces)> {
    let elf = &kernel.elf;
    let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let parsed = symbols::parse(&bytes)?;
    let mark = symbols::value(&parsed, MARK)?;
    let marks = [mark, MARK_OF_PROGRAM];
    let control = |guest, runs| log_from(guest, mark, runs);
    let boot = logged::boot(&machine(base), &kernel.image, kernel.limit, marks, control)?;
    let names = names(&boot.console)?;
    let functions =
        Functions { start: symbols::value(&parsed, "__image_start")?, all: symbols::read(&parsed)? };
    let section = parsed.section_by_name(".text").context("the kernel's ELF has no .text")?;
    let text = Text { address: section.address(), bytes: section.data()? };
    // Of each path the last run.
    let traces = boot.controlled.into_iter().flatten().filter_map(|run| {
        let words = run.trace.into_iter().map(|pc| text.word(pc).unwrap_or(0)).collect();
        Some((names.get(&run.path)?.clone(), words))
    });
    let traces = traces.collect();
    Ok((combine(names, boot.log.finish()?, |pc| functions.name(pc))?, traces))
}

/// Lets the guest run to the first mark, switches QEMU's log on there, and returns all runs.
fn log_from(mut guest: Guest, mark: u64, runs: Receiver<Run>) -> Result<Vec<Run>> {
    match guest.run_to(mark).and_then(|()| logged::begin(&mut guest)) {
        Ok(()) => guest.detach()?,
        Err(why) => {
            // Otherwise the guest would stay stopped until the time limit.
            guest.kill();
            return Err(why);
        }
    }
    // Until the log ends.
    Ok(runs.iter().collect())
}

/// Reads the lines `stretch: NUMBER NAME`.
fn names(console: &str) -> Result<BTreeMap<u64, String>> {
    let mut names = BTreeMap::new();
    for line in console.lines().filter_map(|line| line.strip_prefix("stretch: ")) {
        let (number, name) =
            line.trim().split_once(' ').with_context(|| format!("a path without a name: {line}"))?;
        let number = number.parse().with_context(|| format!("no number: {line}"))?;
        if names.values().any(|other| other == name) || names.insert(number, name.to_owned()).is_some() {
            bail!("the kernel gives the path {name} twice");
        }
    }
    Ok(names)
}

/// Each name with its count, in the order of the numbers.
fn combine(
    names: BTreeMap<u64, String>,
    mut counts: BTreeMap<u64, Longest>,
    place: impl Fn(u64) -> String,
) -> Result<Vec<Masked>> {
    let mut paths = Vec::new();
    for (number, name) in names {
        let longest = counts.remove(&number).with_context(|| format!("{name} is not in QEMU's log"))?;
        let from = |stretch: Stretch| {
            if stretch.insns == 0 { String::new() } else { place(stretch.from) }
        };
        paths.push(Masked { name, longest, d_from: from(longest.d), i_from: from(longest.i) });
    }
    if let Some(number) = counts.keys().next() {
        bail!("path {number} of QEMU's log has no name");
    }
    let ran: Vec<_> = paths.iter().map(|path| path.name.as_str()).collect();
    if ran != PATHS {
        bail!("the kernel ran {ran:?} where {PATHS:?} are due");
    }
    Ok(paths)
}

/// The kernel's functions.
struct Functions {
    /// Where the image is linked.
    start: u64,
    all: Vec<Symbol>,
}

impl Functions {
    /// The function that an instruction belongs to. For an instruction in the vectors, the name of the vector.
    fn name(&self, pc: u64) -> String {
        let offset = pc.wrapping_sub(self.start);
        let holds = |symbol: &&Symbol| {
            let start = u64::from(symbol.offset);
            symbol.kind == Kind::Text && (start..start + u64::from(symbol.size)).contains(&offset)
        };
        let Some(symbol) = self.all.iter().rfind(holds) else { return format!("{pc:#x}") };
        if symbol.name == VECTORS {
            let kinds = ["sync", "IRQ", "FIQ", "SError"];
            let vector = (offset - u64::from(symbol.offset)) / 0x80;
            return format!("{} vector", kinds[(vector % 4) as usize]);
        }
        symbol.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> String {
        (1..).zip(PATHS).map(|(number, name)| format!("stretch: {number} {name}\r\n")).collect()
    }

    fn counts() -> BTreeMap<u64, Longest> {
        let d = Stretch { insns: 2, from: 8 };
        (1..=PATHS.len() as u64)
            .map(|number| (number, Longest { runs: 1, d, ..Longest::default() }))
            .collect()
    }

    fn combined(console: &str, counts: BTreeMap<u64, Longest>) -> Result<Vec<Masked>> {
        combine(names(console)?, counts, |pc| format!("at {pc}"))
    }

    #[test]
    fn each_path_has_its_name_and_its_places() {
        let all = combined(&format!("noise\n{}", console()), counts()).unwrap();
        assert_eq!(all.iter().map(|path| path.name.as_str()).collect::<Vec<_>>(), PATHS);
        assert!(all.iter().all(|path| path.d_from == "at 8" && path.i_from.is_empty()));
    }

    #[test]
    fn what_is_not_all_paths_is_refused() {
        let (console, all) = (console(), counts());
        let without = |number| all.iter().filter(|(n, _)| **n != number).map(|(n, c)| (*n, *c)).collect();
        assert!(combined(&console, without(29)).is_err(), "not logged");
        assert!(combined(&console.replace("stretch: 29 ", ""), all.clone()).is_err(), "no name");
        assert!(combined(&console.replace("stretch: 29 ", ""), without(29)).is_err(), "neither");
        assert!(combined(&console.replace(" brk_bare", " dbg_entry_exit"), all.clone()).is_err(), "twice");
        assert!(combined(&console.replace("24 kprobe", "x kprobe"), all).is_err(), "no number");
        assert!(combined("", BTreeMap::new()).is_err());
    }

    #[test]
    fn a_place_is_its_function_or_its_vector() {
        let symbol = |offset, size, name: &str, kind| Symbol {
            offset,
            size,
            name: name.into(),
            kind,
            hash: 0,
            mangled: 0,
        };
        let all = vec![
            symbol(0, 0x800, VECTORS, Kind::Text),
            symbol(0x800, 8, "f", Kind::Text),
            symbol(0x900, 8, "data", Kind::Data),
        ];
        let functions = Functions { start: 0x1000, all };
        let name = |offset: u64| functions.name(0x1000 + offset);
        assert_eq!((name(0x200).as_str(), name(0x280).as_str()), ("sync vector", "IRQ vector"));
        assert_eq!((name(0x804).as_str(), name(0x808).as_str()), ("f", "0x1808"));
        assert_eq!(name(0x900), "0x1900");
    }

    #[test]
    fn the_paths_run_where_the_rows_do() {
        let base = Machine { append: "mode=bench hz=10".into(), ..Machine::default() };
        assert_eq!(machine(&base), Machine { append: "mode=stretches hz=10".into(), ..Machine::default() });
    }
}
