//! One storm on one machine: the boot, and what its console says.

use crate::args::Common;
use crate::capture::{Captured, capture};
use crate::ktap::{Verdict, is_panic};
use crate::machines;
use crate::qemu::{Machine, Start};
use crate::session::End;
use crate::test::Kernel;
use std::time::Duration;

/// How many debug exceptions a storm has without `--exceptions`.
pub const EXCEPTIONS: u64 = 1_000_000;
/// How many debug exceptions a storm of the full matrix has.
pub const MANY: u64 = 100_000_000;

/// How long a boot may take, besides the time for its exceptions. A storm that hangs mostly reports that by itself.
const LIMIT: Duration = Duration::from_secs(120);
/// How many exceptions a busy host manages in a second.
const SLOWEST: u64 = 5_000;

/// The result of a storm.
#[derive(Clone, Debug, Default)]
pub struct Stormed {
    pub machine: Machine,
    pub seed: u64,
    /// How many debug exceptions there were; 0 if the storm has not come to its end.
    pub exceptions: u64,
    pub rounds: u64,
    /// Why the storm has failed; None if it has not.
    pub failure: Option<Failure>,
    /// Its counts, one line for each.
    pub counts: Vec<String>,
    /// The console's last lines.
    pub tail: String,
    pub wall: Duration,
}

/// Why a storm has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    pub what: String,
    /// Whether the kernel has reported the failure itself. Otherwise the report is missing.
    pub verdict: bool,
}

/// A random seed.
pub fn any_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// The machines of the storm that the user's flags leave, with the fastest tick.
pub fn machines(common: &Common, seed: u64, exceptions: u64) -> Vec<Machine> {
    let mode = format!("mode=storm hz=10000 seed={seed} exceptions={exceptions}");
    machines::narrowed(common, machines::STORM.map(|config| config.machine(&mode)))
}

/// How many exceptions each machine has, if all machines that the user's flags leave share `exceptions`.
pub fn share(common: &Common, exceptions: u64) -> u64 {
    exceptions.div_ceil(machines(common, 0, exceptions).len() as u64)
}

/// How long a storm with this many exceptions may take.
pub fn limit(common: &Common, exceptions: u64) -> Option<Duration> {
    common.limit(Some(LIMIT + Duration::from_secs(exceptions / SLOWEST)))
}

/// Boots a storm. `tell` is called with its progress.
pub fn storm_one(
    kernel: &Kernel,
    machine: &Machine,
    limit: Option<Duration>,
    tell: &dyn Fn(&str),
) -> Stormed {
    let enough = |console: &str| {
        // The last line may not be complete yet.
        let whole = console.rsplit_once('\n').map_or("", |(whole, _)| whole);
        if let Some(line) = whole.lines().rev().find_map(progress) {
            tell(line);
        }
        false
    };
    match capture(machine, &Start::Kernel(&kernel.image), limit, enough) {
        Ok(boot) => {
            let tail = boot.tail(&kernel.elf);
            Stormed { tail, wall: boot.wall, ..read(machine.clone(), &boot) }
        }
        Err(error) => {
            let failure = Some(Failure { what: format!("{error:#}"), verdict: false });
            Stormed { machine: machine.clone(), seed: seed_of(machine), failure, ..Stormed::default() }
        }
    }
}

/// The part `N of N exceptions, round N` of a line of progress.
fn progress(line: &str) -> Option<&str> {
    let text = line.trim_end().strip_prefix("storm: ")?;
    text.contains(" exceptions, round ").then_some(text)
}

/// The seed in the machine's boot arguments, so that a hang can be repeated too.
fn seed_of(machine: &Machine) -> u64 {
    let words = machine.append.split_whitespace().filter_map(|word| word.strip_prefix("seed="));
    words.filter_map(|seed| seed.parse().ok()).next_back().unwrap_or(0)
}

/// Reads a storm's result from the console. A missing verdict, or an end that contradicts the verdict, is a failure.
fn read(machine: Machine, boot: &Captured) -> Stormed {
    let lines: Vec<_> =
        boot.console.lines().filter_map(|line| line.trim_end().strip_prefix("storm: ")).collect();
    let value = |text: &str, name: &str| {
        let word = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word.and_then(|word| word.parse::<u64>().ok())
    };
    let said = lines.iter().find_map(|line| line.starts_with("seed=").then(|| value(line, "seed")).flatten());
    let total = lines.iter().find(|line| line.starts_with("exceptions="));
    let failed = lines.iter().find_map(|line| line.strip_prefix("failed ")?.split_once(": "));
    let panic = boot.console.lines().find(|line| is_panic(line)).map(str::trim_end);
    let what = match (panic, failed) {
        (Some(panic), _) => Some((panic.to_owned(), true)),
        (None, Some((_, what))) => Some((what.to_owned(), true)),
        (None, None) if total.is_none() || boot.end != End::Status(0) => {
            Some((format!("no verdict ({})", boot.ending()), false))
        }
        (None, None) => None,
    };
    let count = |name| total.and_then(|line| value(line, name)).unwrap_or(0);
    let counts =
        lines.iter().filter(|line| line.starts_with(' ')).map(|line| line.trim().to_owned()).collect();
    Stormed {
        seed: said.unwrap_or_else(|| seed_of(&machine)),
        exceptions: count("exceptions"),
        rounds: count("rounds"),
        failure: what.map(|(what, verdict)| Failure { what, verdict }),
        counts,
        machine,
        ..Stormed::default()
    }
}

impl Stormed {
    /// The verdict as a test's. Without a report of the kernel, the verdict is unknown.
    pub fn verdict(&self) -> Verdict {
        match &self.failure {
            None => Verdict::Passed,
            Some(Failure { what, verdict: true }) => Verdict::Failed(format!("seed {}: {what}", self.seed)),
            Some(Failure { what, .. }) => Verdict::Unknown(format!("seed {}: {what}", self.seed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::{El, Gic};

    const GOOD: &str = "x\nstorm: seed=7 exceptions=100 cpus=4\nstorm: 50 of 100 exceptions, round 0\n\
                        storm: exceptions=120 rounds=2\nstorm:           90 steps\n";

    fn stormed(end: End, console: &str) -> Stormed {
        let machine = Machine { append: "mode=storm seed=9".into(), ..Machine::default() };
        read(machine, &Captured { end, console: console.into(), wall: Duration::ZERO })
    }

    #[test]
    fn a_verdict_with_its_status_is_believed() {
        let good = stormed(End::Status(0), GOOD);
        assert_eq!((good.seed, good.exceptions, good.rounds, good.failure), (7, 120, 2, None));
        assert_eq!(good.counts, ["90 steps"]);
    }

    #[test]
    fn what_does_not_add_up_has_failed() {
        for (end, console) in [(End::Status(1), GOOD), (End::Timeout, GOOD), (End::Status(0), "")] {
            let failure = stormed(end, console).failure.unwrap();
            assert!(!failure.verdict && failure.what.contains("no verdict"), "{end:?} {console}");
            assert!(
                matches!(stormed(end, console).verdict(), Verdict::Unknown(why) if why.starts_with("seed "))
            );
        }
        assert_eq!(stormed(End::Timeout, "").seed, 9, "the seed that it was given");
    }

    #[test]
    fn a_failure_is_told_with_its_seed() {
        let console = "storm: seed=7 exceptions=100 cpus=4\nstorm: failed seed=7 round=3: steps: 1 counted, 2 due\n\
                       storm: again: mode=storm seed=7 exceptions=100\n";
        let failed = stormed(End::Status(1), console);
        assert_eq!(failed.seed, 7);
        let failure = failed.failure.unwrap();
        assert_eq!((failure.what.as_str(), failure.verdict), ("steps: 1 counted, 2 due", true));
        let verdict = stormed(End::Status(1), console).verdict();
        assert_eq!(verdict, Verdict::Failed("seed 7: steps: 1 counted, 2 due".into()));
        let panic = "storm: seed=7 exceptions=100 cpus=4\npanic: rule I2 violated\nstorm: failed seed=7 round=0: the kernel ended\n";
        assert_eq!(stormed(End::Status(101), panic).failure.unwrap().what, "panic: rule I2 violated");
    }

    #[test]
    fn flags_narrow_the_machines() {
        let machines = |common: &Common| super::machines(common, 1, 2);
        assert_eq!(machines(&Common::default()).len(), 3);
        assert!(machines(&Common::default())[0].append.contains("nmi=1"));
        let cpu = Some("max".into());
        let one = Common { cpu, gic: Some(Gic::V2), el: Some(El::El1), smp: Some(4), ..Common::default() };
        assert_eq!(machines(&one).len(), 1);
        assert!(!machines(&one)[0].append.contains("nmi=1"));
        assert_eq!((share(&Common::default(), 101), share(&one, 101)), (34, 101));
    }
}
