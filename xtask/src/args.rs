//! The command line.

use crate::qemu::{El, Gic, MOST_CPUS, Machine, name_of};
use crate::test::Extent;
use crate::user::args::User;
use clap::{Args, Parser, Subcommand};
use rules::overrides::Override;
use rules::policies::{self, Policy};
use std::path::PathBuf;
use std::time::Duration;

/// Builds, boots, tests and measures Stepwell.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Build the kernel, boot it on QEMU, and hand the terminal to it
    ///
    /// With standard input from a pipe or a file, the monitor runs the commands given there and powers off. The exit
    /// status is the kernel's: 0 if everything went well, 1 if a command failed, 101 after a panic; 124 if the boot took
    /// longer than --timeout allows; 2 if something is missing on this machine that may not be installed.
    ///
    /// With --exec or --initrd the kernel runs a Linux program for AArch64 as the first process, with the console as its terminal,
    /// and the exit status is the program's: 128 and the signal's number if a signal ended it.
    Run(Run),
    /// Run the tests of the host, and boot the tests of the kernel on every machine of the matrix
    ///
    /// A boot passes, fails, or is unknown (no verdict, hang, reset); unknown counts as failed and shows the console's
    /// end. Tests that must end the kernel and tests of bad device trees have a boot of their own. The last line is
    /// `N passed, N failed, N skipped`. Flags that choose a machine narrow the matrix.
    QemuTest(QemuTest),
    /// Boot under QEMU's gdbstub and attach gdb with the kernel's symbols, stopped before the first instruction
    ///
    /// A breakpoint at the kernel's entry is set: type `continue`. The helpers of scripts/stepwell.py are loaded.
    Gdb(Gdb),
    /// Print what the kernel's paths cost, in guest instructions, beside Linux's figures, and how long they keep D and I masked
    ///
    /// Measures the release build under icount, twice; the two runs must print the same figures. The second table has, for each
    /// path, the longest stretches of instructions with PSTATE.D set and with PSTATE.I set (with nmi=1 the priority mask keeps
    /// interrupts off, and is not counted).
    Bench(Bench),
    /// Interrupt every debug path at every instruction boundary; the outcome must be the same as without an interrupt
    ///
    /// Runs under icount, where a timer can interrupt in front of any chosen instruction. Prints for each scenario how many
    /// boundaries were tried, and for its first violation the instruction, the console of that run and a command that repeats
    /// it. There are four machines (max and cortex-a57, EL1 and EL2, one with interrupts masked by priority, one with optimised
    /// probes); flags that choose a machine leave fewer. `--append k=N` tries only one boundary. The status is 0 only if there
    /// was no violation.
    Sweep(Sweep),
    /// Do random things to slots, probes and steps on every CPU at once, under interrupts; every count must be exact
    ///
    /// There are two machines with 4 CPUs (max with interrupts masked by priority, and cortex-a57); flags that choose a machine
    /// leave fewer. All choices come from a seed, which is printed. A failure prints a command that makes the same choices again;
    /// the race between the CPUs is not repeatable. The status is 0 only if no hit was lost and none was counted twice.
    Storm(Storm),
    /// Make system calls with random and with wild arguments; the kernel must live, and lose no page and no file
    ///
    /// Boots once with one CPU and once with four; --smp leaves one boot. The program is `tests/user/fuzz.c`: its children make the
    /// calls, and may die. All choices come from a seed, which is printed; the order of several children is not repeatable.
    /// The status is 0 only if all went well.
    Fuzz(Fuzz),
    /// Change each cell of the rule table in turn; at least one test must fail every time
    ///
    /// With --source, faults are put into a copy of the source instead. A library with a fault runs its tests on the host; the
    /// kernel with a fault in its core runs all suites, and the sweeps of the file's area, under QEMU. cargo-mutants lists the
    /// faults; this tool adds some that leave out barriers, orderings and calls. Prints for each fault whether a test has seen
    /// it, and a table.
    Mutate(Mutate),
    /// Boot kernels with the rules of others, and print what goes wrong with each
    ///
    /// Builds the kernel with each policy of rules/src/policies, runs the scenarios of the sweep and the suites that show what the policies
    /// differ in, and prints a matrix: pass, or what went wrong in one phrase. docs/lab.md says how to read it, and how to add a
    /// policy. The status is 0 only if the product's own rules (stepwell) pass everywhere, if they are among the policies.
    Lab(Lab),
    /// Explore every state of a model of CPUs under the rule table; every rule must hold in each
    ///
    /// Runs on the host and boots nothing. Prints for each scenario how many states it has, how many events deep, and how long it took. If
    /// a rule does not hold, prints a shortest sequence of events that breaks it, and the status is 1. `rules/model/README.md` says what
    /// is in the model, and what is not.
    Model(Model),
    /// Record a run of one of the sweep's scenarios, and draw it: a page for a browser, and JSON for Perfetto
    ///
    /// The scenario is interrupted once, at the boundary that --k names; without --k in the middle of its first debug exception, so that the interrupt
    /// comes to the instruction that is stepped. docs/timeline.md says how to read the page. The status is 0 only if the run was as it has to be.
    Timeline(Timeline),
    /// Print what the set-up has found and chosen; change nothing
    Doctor,
    /// Install and build what is missing to compile and boot (the other commands do it by themselves)
    Setup,
    /// Write docs/rules.md from the rules in the source
    ///
    /// A test fails while the file differs from what this command would write.
    Docs,
    /// Check formatting, documentation, and clippy for host and target, with warnings denied
    #[command(hide = true)]
    Lint,
    /// Compile the C programs of tests/user, fetch the tracers, and print where they all are
    #[command(hide = true)]
    User,
    /// Boot an ELF that cargo built (what `cargo run` and `cargo test` in `image/` call)
    #[command(hide = true)]
    Runner(Runner),
}

/// Flags of every command that boots.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// QEMU's CPU model: cortex-a53, cortex-a57, cortex-a72, cortex-a76, neoverse-n1 or max (`run`: max)
    #[arg(long, value_name = "MODEL")]
    pub cpu: Option<String>,
    /// Number of CPUs, 1 to 8 (`run`: 4)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST_CPUS)))]
    pub smp: Option<u8>,
    /// Version of the interrupt controller (`run`: 3)
    #[arg(long, value_enum)]
    pub gic: Option<Gic>,
    /// Exception level that the kernel is entered at (`run`: 1)
    #[arg(long, value_enum)]
    pub el: Option<El>,
    /// More boot arguments, e.g. 'loglevel=debug hz=10000' (may be repeated; the last value of an argument counts)
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub append: Vec<String>,
    /// Build without the checks of the rules, optimised
    #[arg(long)]
    pub release: bool,
    /// Build the kernel with the rules of this policy, for study: see docs/lab.md
    #[arg(long, value_name = "NAME", value_parser = policy)]
    pub rules: Option<&'static Policy>,
    /// End a boot after this number of seconds; 0 means never
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Print QEMU's command line; build and boot nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Boot this ELF instead of building the kernel
    #[arg(long, value_name = "FILE", hide = true)]
    pub elf: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub user: User,
}

#[derive(Args)]
pub struct QemuTest {
    /// Only tests whose name contains this
    pub filter: Option<String>,
    /// Print the tests and the machines, and run nothing
    #[arg(long)]
    pub list: bool,
    /// Write the results to this file, as JUnit
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How many machines
    #[arg(long, value_enum, default_value = "quick")]
    pub matrix: Extent,
    /// Trace each boot, and replay the trace through the model: every record must be one that the model allows
    #[arg(long)]
    pub trace: bool,
    /// How many boots at once [default: as many as there are CPUs]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Gdb {
    #[command(flatten)]
    pub common: Common,
    /// More arguments for gdb, e.g. -- -batch -ex continue -ex backtrace
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

#[derive(Args)]
pub struct Bench {
    /// Print {"rows":[{"key":..,"insns":..,"linux":..,"ratio":..}],"counts":[{"key":..,"counts":{"exc":..},"linux":..}],"stretches":[{"path":..,"d":..,"i":..}]} instead of tables
    #[arg(long)]
    pub json: bool,
    /// End with status 1 if a row is over its budget
    #[arg(long)]
    pub check: bool,
    /// Replace the tables in docs/costs.md
    #[arg(long)]
    pub write: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Sweep {
    /// Only the scenario of this name, or those whose name contains it
    pub scenario: Option<String>,
    /// Try two interrupts: the first at every boundary, the second at each of the next 32
    #[arg(long)]
    pub pairs: bool,
    /// Print {"boundaries":..,"violations":..,"scenarios":[{"name":..,"boundaries":..,"violations":..}]} instead of a table
    #[arg(long)]
    pub json: bool,
    /// How many boots at once [default: as many as there are CPUs]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Storm {
    /// The seed of the random choices, decimal or with 0x [default: another one each time]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,
    /// Go on until there were this many debug exceptions
    #[arg(long, value_name = "N", default_value_t = crate::storm::EXCEPTIONS, value_parser = clap::value_parser!(u64).range(1..))]
    pub exceptions: u64,
    /// Print
    /// {"exceptions":..,"failures":..,"storms":[{"machine":..,"seed":..,"exceptions":..,"rounds":..,"seconds":..,"failure":..}]}
    /// instead of text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Fuzz {
    /// How many calls each boot makes
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub calls: u64,
    /// The seed of the random choices, decimal or with 0x [default: another one each time]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,
    /// Make requests of ptrace instead, by several tracers at once (`tests/user/ptrace_fuzz.c`)
    #[arg(long)]
    pub tracers: bool,
    #[command(flatten)]
    pub common: Common,
}

/// Reads a seed: decimal, or hexadecimal as the kernel prints it.
fn seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; expected a number of at most 64 bits"))
}

#[derive(Args)]
pub struct Mutate {
    /// Only this row (M8), column (M8.ss) or cell (M8.ss=keep)
    #[arg(conflicts_with = "source")]
    pub row: Option<String>,
    /// Put faults into the source: of this file or folder; without FILE, of all libraries and the kernel's core
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub source: Option<Option<PathBuf>>,
    /// Try only part K of N of the faults, with K from 0; each part is a sample of all faults
    #[arg(long, value_name = "K/N", requires = "source")]
    pub shard: Option<crate::mutate::Shard>,
    /// Print the faults, and try none
    #[arg(long, requires = "source")]
    pub list: bool,
    /// How many boots at once [default: as many as there are CPUs]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Lab {
    /// Only scenarios and tests whose name contains this text
    pub filter: Option<String>,
    /// Only this policy (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = policy)]
    pub rules: Vec<&'static Policy>,
    /// Try part 0 of N of each scenario's boundaries; 1 tries all
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub thin: u16,
    /// Also write the matrix as a page in HTML
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Print the matrix as JSON
    #[arg(long)]
    pub json: bool,
    /// Also write the matrix into docs/lab.md
    #[arg(long, conflicts_with_all = ["filter", "rules"])]
    pub write: bool,
    /// How many boots at once [default: as many as there are CPUs]
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// End a boot after this number of seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 240)]
    pub timeout: u64,
}

#[derive(Args)]
pub struct Model {
    /// Only the scenarios with this number of CPUs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub cpus: Option<u8>,
    /// How deep exceptions nest, in place of each scenario's own depth; every level more takes several times as long and as much memory: a gigabyte and minutes at 3 for some
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub depth: Option<u8>,
    /// Change this cell of the rule table, e.g. M8.ss=keep (may be repeated)
    #[arg(long, value_name = "CELL", value_parser = cell)]
    pub set: Vec<Override>,
    /// Explore also the scenarios that take tens of seconds each, and a gigabyte of memory
    #[arg(long)]
    pub full: bool,
}

/// Finds a policy by its name.
fn policy(name: &str) -> Result<&'static Policy, String> {
    let names = || policies::ALL.iter().map(|policy| policy.name).collect::<Vec<_>>().join(", ");
    policies::by_name(name).ok_or_else(|| format!("there is no such policy; there are {}", names()))
}

/// Reads a cell of the rule table and its value, as in the boot argument `rule.M8.ss=keep` or without its first word.
fn cell(text: &str) -> Result<Override, String> {
    let parts = text.strip_prefix("rule.").unwrap_or(text).split_once('=');
    let parts =
        parts.and_then(|(cell, value)| cell.split_once('.').map(|(row, column)| (row, column, value)));
    let (row, column, value) = parts.ok_or("expected ROW.COLUMN=VALUE, as in M8.ss=keep")?;
    Override::parse(row, column, value).map_err(|error| error.to_string())
}

#[derive(Args)]
pub struct Timeline {
    /// The scenario [default: breakpoint]
    pub scenario: Option<String>,
    /// The boundary at which the interrupt comes, in instructions
    #[arg(long, value_name = "N")]
    pub k: Option<u64>,
    /// Where the page is written [default: target/timeline.html]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the JSON for Perfetto is written [default: beside the page]
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,
    /// How many records of each CPU are drawn, the last ones
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub records: u32,
    /// Also print the records as text
    #[arg(long)]
    pub text: bool,
    /// Open the page in Chromium, without a window, and compare what it draws with the trace (installs Debian's package, 80 MB)
    #[arg(long)]
    pub check: bool,
    /// Where Chromium's picture of the page is written
    #[arg(long, value_name = "FILE", requires = "check")]
    pub screenshot: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub struct Runner {
    /// The ELF
    pub elf: PathBuf,
    /// A filter if the ELF is a test target; otherwise boot arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

impl Common {
    /// The machine `default`, changed by the user's flags. A boot argument of the user's replaces the default's.
    pub fn machine(&self, default: Machine) -> Machine {
        let own = default.append.split_whitespace().filter(|word| !self.gives(name_of(word)));
        let user = self.append.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        Machine {
            append: own.chain(user).collect::<Vec<_>>().join(" "),
            cpu: self.cpu.clone().unwrap_or(default.cpu),
            smp: self.smp.unwrap_or(default.smp),
            gic: self.gic.unwrap_or(default.gic),
            el: self.el.unwrap_or(default.el),
            ..default
        }
    }

    /// The policy that the kernel is built with.
    pub fn policy(&self) -> &'static Policy {
        self.rules.unwrap_or(&policies::STEPWELL)
    }

    /// How long one boot may take: what the user gave, else `default`. None for no limit.
    pub fn limit(&self, default: Option<Duration>) -> Option<Duration> {
        match self.timeout {
            Some(0) => None,
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => default,
        }
    }

    /// Whether the user has given the boot argument with this name.
    pub fn gives(&self, name: &str) -> bool {
        let given = self.append.iter().flat_map(|text| text.split_whitespace());
        given.into_iter().any(|word| name_of(word) == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_and_boot_arguments_win_over_defaults() {
        let line = "x run --cpu cortex-a53 --smp 2 --gic 2 --el 2 --append hz=10 --append nmi=1 --timeout 0";
        let Command::Run(run) = Cli::parse_from(line.split(' ')).command else { panic!() };
        let machine = run.common.machine(Machine { append: "seed=1 hz=1000".into(), ..Machine::default() });
        assert_eq!((machine.cpu.as_str(), machine.smp), ("cortex-a53", 2));
        assert_eq!((machine.gic, machine.el), (Gic::V2, El::El2));
        assert_eq!(machine.append, "seed=1 hz=10 nmi=1");
        assert!(run.common.gives("hz") && !run.common.gives("h"));
        assert_eq!(run.common.limit(Some(Duration::from_secs(9))), None);
    }

    #[test]
    fn a_seed_is_decimal_or_hexadecimal() {
        for (text, value) in [("7", 7), ("0xff", 255), ("18446744073709551615", u64::MAX)] {
            let Command::Storm(storm) = Cli::parse_from(["x", "storm", "--seed", text]).command else {
                panic!()
            };
            assert_eq!((storm.seed, storm.exceptions), (Some(value), 1_000_000));
        }
        for wrong in ["", "x", "0x", "-1", "18446744073709551616"] {
            assert!(Cli::try_parse_from(["x", "storm", "--seed", wrong]).is_err(), "{wrong}");
        }
        assert!(Cli::try_parse_from(["x", "storm", "--exceptions", "0"]).is_err());
    }

    #[test]
    fn a_cell_is_written_as_in_a_boot_argument() {
        for text in ["M8.ss=keep", "rule.M8.ss=keep"] {
            let Command::Model(model) = Cli::parse_from(["x", "model", "--set", text]).command else {
                panic!()
            };
            assert_eq!(model.set[0].to_string(), "M8.ss=keep");
        }
        for wrong in ["M8", "M8.ss", "M8=keep", "M99.ss=keep", "M8.ss=kept", "M8.sss=keep"] {
            assert!(Cli::try_parse_from(["x", "model", "--set", wrong]).is_err(), "{wrong}");
        }
        assert!(Cli::try_parse_from(["x", "model", "--cpus", "3"]).is_err());
        assert!(Cli::try_parse_from(["x", "model", "--depth", "6"]).is_err());
    }

    #[test]
    fn more_cpus_than_supported_are_refused() {
        for smp in ["0", "9", "-1", "x"] {
            assert!(Cli::try_parse_from(["x", "run", "--smp", smp]).is_err());
        }
    }
}
