//! The kernel's boot arguments, as `/chosen/bootargs` has them.
//!
//! The syntax is Linux's: `key=value`, separated by blanks. A value with blanks goes between double quotes, which may stand around the
//! value or around the whole argument. If a key is given several times, its last value counts. Text behind `--` is not for the kernel.
//! No mistake is fatal: an argument that is not understood becomes a [`Warning`] for the caller to log, and its default stays.

use core::fmt;

use crate::{Share, number};

/// Which log records are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// No records.
    Off,
    /// Errors.
    Error,
    /// Errors and warnings.
    Warn,
    /// Also records of what the kernel does, such as a CPU that came up.
    Info,
    /// Also records that help to debug the kernel.
    Debug,
    /// All records.
    Trace,
}

impl LogLevel {
    /// Reads a name, or a number as in Linux: the *first level that is not shown*, where 3 is errors, 4 warnings, 5 and 6
    /// information, 7 debugging.
    fn parse(text: &str) -> Option<LogLevel> {
        Some(match text {
            "off" => LogLevel::Off,
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "info" => LogLevel::Info,
            "debug" => LogLevel::Debug,
            "trace" => LogLevel::Trace,
            _ => match number::parse(text)? {
                0..=3 => LogLevel::Off,
                4 => LogLevel::Error,
                5 | 6 => LogLevel::Warn,
                7 => LogLevel::Info,
                8..=15 => LogLevel::Debug,
                _ => return None,
            },
        })
    }
}

/// One cell of the rule table, overridden: `rule.ID.COLUMN=VALUE`. The caller checks that rule, column and value exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleOverride<'a> {
    /// The rule, such as `M8`.
    pub id: &'a str,
    /// The column, such as `ss`.
    pub column: &'a str,
    /// The value, such as `keep`.
    pub value: &'a str,
}

/// The instants of the one or two interrupts that a sweep places in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// How many instructions are executed before the first interrupt.
    pub first: u64,
    /// How many instructions are executed from the end of the first interrupt's handler to the second interrupt; None if there is
    /// no second one.
    pub second: Option<u64>,
}

impl Boundary {
    fn parse(text: &str) -> Option<Self> {
        let (first, second) = match text.split_once(',') {
            None => (text, None),
            Some((first, second)) => (first, Some(number::parse(second)?)),
        };
        Some(Self { first: number::parse(first)?, second })
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.second {
            None => write!(f, "{}", self.first),
            Some(second) => write!(f, "{},{second}", self.first),
        }
    }
}

/// What is wrong with one argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Warning<'a> {
    /// There is no such key.
    UnknownKey {
        /// The key.
        key: &'a str,
    },
    /// The key does not take this value.
    BadValue {
        /// The key.
        key: &'a str,
        /// The value; empty if there is none.
        value: &'a str,
        /// Which values the key takes, in words.
        expected: &'static str,
    },
}

impl fmt::Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Warning::UnknownKey { key } => {
                write!(f, "boot argument '{}' is unknown, ignored", key.escape_debug())
            }
            Warning::BadValue { key, value, expected } => {
                let (key, value) = (key.escape_debug(), value.escape_debug());
                write!(f, "boot argument {key}: expected {expected}, found '{value}'; ignored")
            }
        }
    }
}

/// The boot arguments, with defaults for what is not given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootArgs<'a> {
    /// `mode=`: what the image does after boot.
    pub mode: Option<&'a str>,
    /// `init=`: the path of the first program in the initial ramdisk. By default `/init`.
    pub init: Option<&'a str>,
    /// `calls=NAME,NAME,...`: the only system calls that programs have. By default all that the kernel has.
    pub calls: Option<&'a str>,
    /// `contend=NAME`: a thread holds the lock of delivery of the programs with this name, again and again. Default none.
    pub contend: Option<&'a str>,
    /// `test=`: a filter of the self-tests; `test` alone is the empty filter.
    pub test: Option<&'a str>,
    /// `die=`: the test to run that must end the kernel.
    pub die: Option<&'a str>,
    /// `loglevel=`: `off`, `error`, `warn`, `info`, `debug`, `trace`, or a number of Linux's. Default `info`.
    pub loglevel: LogLevel,
    /// `hz=`: timer ticks per second, 1 to 10000. Default 250.
    pub hz: u32,
    /// `nmi=`: mask interrupts by GICv3 priority instead of PSTATE.I, so that interrupts of a higher priority are NMIs. Default off.
    pub nmi: bool,
    /// `trace=`: record each exception and each switch of threads, in rings in memory. Default off.
    pub trace: bool,
    /// `optimise=`: whether a probe is optimised if its client does not say. Default off.
    pub optimise: bool,
    /// `maxcpus=`: how many CPUs are brought up at boot, 1 or more. Default all; the others are held back, and can be brought up
    /// later.
    pub maxcpus: usize,
    /// `echo=`: the monitor shows what is typed while it is typed. Default on; to be switched off where the input is no terminal.
    pub echo: bool,
    /// `k=N` or `k=N,M`: the only boundary, or the only pair of boundaries, that a sweep tries, in instructions. M counts from
    /// the end of the handler of the interrupt at N on.
    pub k: Option<Boundary>,
    /// `pairs=`: sweep with two interrupts. Default off.
    pub pairs: bool,
    /// `share=PART/OF`: OF machines share the boundaries of a sweep, or the instructions of the suite `reentrancy`, and this
    /// machine has the number PART, counted from 0. By default this machine tries all.
    pub share: Share,
    /// `from=`: the scenario that a sweep begins with; those before it are left out. Default the first one.
    pub from: Option<&'a str>,
    /// `seed=`: the seed of the random choices of a storm or a test. By default the kernel chooses one.
    pub seed: Option<u64>,
    /// `exceptions=`: the least number of debug exceptions of a storm. Default a million.
    pub exceptions: u64,
    /// `samples=`: how many random instructions the differential test of probes tries. Default 1000.
    pub samples: u32,
    /// `probes=all` or `probes=N`: run the tests with a probe on every instruction that can be probed, or on every N-th, beginning
    /// with one that `seed=` chooses. Default none.
    pub probes: Option<u64>,
    text: &'a str,
}

impl<'a> BootArgs<'a> {
    /// Reads the arguments in `text`. [`BootArgs::warnings`] tells which of them were not understood.
    pub fn parse(text: &'a str) -> BootArgs<'a> {
        let mut args = BootArgs {
            mode: None,
            init: None,
            calls: None,
            contend: None,
            test: None,
            die: None,
            loglevel: LogLevel::Info,
            hz: 250,
            nmi: false,
            trace: false,
            optimise: false,
            maxcpus: usize::MAX,
            echo: true,
            k: None,
            pairs: false,
            share: Share::ALL,
            from: None,
            seed: None,
            exceptions: 1_000_000,
            samples: 1000,
            probes: None,
            text,
        };
        for item in args.items().flatten() {
            match item {
                Item::Mode(mode) => args.mode = Some(mode),
                Item::Init(path) => args.init = Some(path),
                Item::Calls(names) => args.calls = Some(names),
                Item::Contend(name) => args.contend = Some(name),
                Item::Test(filter) => args.test = Some(filter),
                Item::Die(name) => args.die = Some(name),
                Item::LogLevel(level) => args.loglevel = level,
                Item::Hz(hz) => args.hz = hz,
                Item::Nmi(nmi) => args.nmi = nmi,
                Item::Trace(trace) => args.trace = trace,
                Item::Optimise(optimise) => args.optimise = optimise,
                Item::MaxCpus(most) => args.maxcpus = most,
                Item::Echo(echo) => args.echo = echo,
                Item::K(k) => args.k = Some(k),
                Item::Pairs(pairs) => args.pairs = pairs,
                Item::Share(share) => args.share = share,
                Item::From(name) => args.from = Some(name),
                Item::Seed(seed) => args.seed = Some(seed),
                Item::Exceptions(exceptions) => args.exceptions = exceptions,
                Item::Samples(samples) => args.samples = samples,
                Item::Probes(every) => args.probes = Some(every),
                Item::Rule(_) => {}
            }
        }
        args
    }

    /// A warning for each argument that was not understood, in their order.
    pub fn warnings(&self) -> impl Iterator<Item = Warning<'a>> + use<'a> {
        self.items().filter_map(Result::err)
    }

    /// The rule overrides, in the order in which they were given.
    pub fn rules(&self) -> impl Iterator<Item = RuleOverride<'a>> + use<'a> {
        self.items().filter_map(|item| match item {
            Ok(Item::Rule(rule)) => Some(rule),
            _ => None,
        })
    }

    fn items(&self) -> impl Iterator<Item = Result<Item<'a>, Warning<'a>>> + use<'a> {
        Words { rest: self.text }.map(|(key, value)| Item::new(key, value))
    }
}

enum Item<'a> {
    Mode(&'a str),
    Init(&'a str),
    Calls(&'a str),
    Contend(&'a str),
    Test(&'a str),
    Die(&'a str),
    LogLevel(LogLevel),
    Hz(u32),
    Nmi(bool),
    Trace(bool),
    Optimise(bool),
    MaxCpus(usize),
    Echo(bool),
    K(Boundary),
    Pairs(bool),
    Share(Share),
    From(&'a str),
    Seed(u64),
    Exceptions(u64),
    Samples(u32),
    Probes(u64),
    Rule(RuleOverride<'a>),
}

impl<'a> Item<'a> {
    fn new(key: &'a str, given: Option<&'a str>) -> Result<Item<'a>, Warning<'a>> {
        let value = given.unwrap_or("");
        let or = |item: Option<Item<'a>>, expected| item.ok_or(Warning::BadValue { key, value, expected });
        let named = (!value.is_empty()).then_some(value);
        match key {
            "mode" => or(named.map(Item::Mode), "a mode's name"),
            "init" => or(named.map(Item::Init), "the path of a program"),
            "calls" => or(named.map(Item::Calls), "names of system calls with commas between them"),
            "contend" => or(named.map(Item::Contend), "a program's name"),
            "test" => Ok(Item::Test(value)),
            "die" => or(named.map(Item::Die), "a test's name"),
            "loglevel" => or(
                LogLevel::parse(value).map(Item::LogLevel),
                "off, error, warn, info, debug, trace, or 0 to 15",
            ),
            "hz" => {
                let hz = number::parse(value).filter(|hz| (1..=10_000).contains(hz));
                or(hz.map(|hz| Item::Hz(hz as u32)), "1 to 10000 ticks per second")
            }
            "nmi" => or(switch(value).map(Item::Nmi), "0 or 1"),
            "trace" => or(switch(value).map(Item::Trace), "0 or 1"),
            "optimise" => or(switch(value).map(Item::Optimise), "0 or 1"),
            "maxcpus" => {
                let most = number::parse(value).filter(|&most| most != 0);
                let most = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
                or(most.map(Item::MaxCpus), "a number of CPUs, 1 or more")
            }
            "echo" => or(switch(value).map(Item::Echo), "0 or 1"),
            "k" => or(Boundary::parse(value).map(Item::K), "a number of instructions, or two with a comma"),
            "pairs" => or(switch(value).map(Item::Pairs), "0 or 1"),
            "share" => or(Share::parse(value).map(Item::Share), "PART/OF, such as 0/4 to 3/4"),
            "from" => or(named.map(Item::From), "a scenario's name"),
            "seed" => or(number::parse(value).map(Item::Seed), "a number of at most 64 bits"),
            "exceptions" => {
                let many = number::parse(value).filter(|&many| many != 0);
                or(many.map(Item::Exceptions), "a number of debug exceptions, 1 or more")
            }
            "samples" => {
                let many = number::parse(value).and_then(|many| u32::try_from(many).ok());
                or(many.filter(|&many| many != 0).map(Item::Samples), "a number of instructions, 1 or more")
            }
            "probes" => {
                let every = if value == "all" { Some(1) } else { number::parse(value).filter(|&n| n != 0) };
                or(every.map(Item::Probes), "all, or N for every N-th instruction")
            }
            _ => match key.strip_prefix("rule.") {
                None => Err(Warning::UnknownKey { key }),
                Some(cell) => {
                    let rule = cell.split_once('.').map(|(id, column)| RuleOverride { id, column, value });
                    let whole = rule.filter(|rule| {
                        ![rule.id, rule.column, value].contains(&"") && !rule.column.contains('.')
                    });
                    or(whole.map(Item::Rule), "rule.ID.COLUMN=VALUE, such as rule.M8.ss=keep")
                }
            },
        }
    }
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Keys with their values, split and unquoted as Linux does (lib/cmdline.c, `next_arg`).
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.trim_ascii_start();
        let mut quoted = false;
        let end = text.find(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.rest = rest;
        if word.is_empty() || word == "--" {
            self.rest = "";
            return None;
        }
        let word = match word.strip_prefix('"') {
            Some(inner) => inner.strip_suffix('"').unwrap_or(inner),
            None => word,
        };
        Some(match word.split_once('=') {
            None => (word, None),
            Some((key, value)) => match value.strip_prefix('"') {
                Some(inner) => (key, Some(inner.strip_suffix('"').unwrap_or(inner))),
                None => (key, Some(value)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn warnings(text: &str) -> Vec<String> {
        BootArgs::parse(text).warnings().map(|warning| warning.to_string()).collect()
    }

    #[test]
    fn nothing_given_is_the_defaults() {
        let args = BootArgs::parse("");
        assert_eq!((args.mode, args.test, args.die), (None, None, None));
        assert_eq!((args.loglevel, args.hz, args.nmi, args.echo), (LogLevel::Info, 250, false, true));
        assert_eq!(args.rules().count() + args.warnings().count(), 0);
    }

    #[test]
    fn every_key_is_read() {
        let args =
            BootArgs::parse("mode=test  test=slots\tdie=overflow loglevel=trace hz=10000 nmi=1 echo=0");
        assert_eq!((args.mode, args.test, args.die), (Some("test"), Some("slots"), Some("overflow")));
        assert_eq!((args.loglevel, args.hz, args.nmi, args.echo), (LogLevel::Trace, 10_000, true, false));
        assert_eq!(args.warnings().count(), 0);
        assert_eq!(BootArgs::parse("test").test, Some(""));
        assert_eq!(BootArgs::parse("hz=100 hz=0x3e8").hz, 1000, "the last counts");
    }

    #[test]
    fn calls_are_a_list_that_is_not_empty() {
        assert_eq!(
            (BootArgs::parse("").calls, BootArgs::parse("calls=brk,mmap").calls),
            (None, Some("brk,mmap"))
        );
        for wrong in ["calls", "calls="] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.calls, args.warnings().count()), (None, 1), "{wrong}");
        }
    }

    #[test]
    fn a_boundary_is_one_number_or_two() {
        assert_eq!((BootArgs::parse("").k, BootArgs::parse("").pairs), (None, false));
        let args = BootArgs::parse("k=0x10 pairs=1");
        assert_eq!((args.k, args.pairs), (Some(Boundary { first: 16, second: None }), true));
        let pair = BootArgs::parse("k=12,3").k.unwrap();
        assert_eq!((pair.first, pair.second, pair.to_string().as_str()), (12, Some(3), "12,3"));
        for wrong in ["k", "k=", "k=x", "k=1,", "k=,1", "k=1,2,3", "k=-1", "pairs=", "pairs=2"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.k, args.pairs, args.warnings().count()), (None, false, 1), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_one_of_so_many() {
        assert_eq!(BootArgs::parse("").share, Share::ALL);
        assert_eq!(Some(BootArgs::parse("share=3/4").share), Share::new(3, 4));
        for wrong in ["share", "share=4/4", "share=x"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.share, args.warnings().count()), (Share::ALL, 1), "{wrong}");
        }
    }

    #[test]
    fn a_sweep_begins_with_the_scenario_that_is_named() {
        assert_eq!(BootArgs::parse("").from, None);
        assert_eq!(BootArgs::parse("from=step-1").from, Some("step-1"));
        let args = BootArgs::parse("from=");
        assert_eq!((args.from, args.warnings().count()), (None, 1));
    }

    #[test]
    fn cpus_are_held_back_behind_the_first_ones() {
        assert_eq!(BootArgs::parse("").maxcpus, usize::MAX);
        assert_eq!(BootArgs::parse("maxcpus=1").maxcpus, 1);
        assert_eq!(BootArgs::parse("maxcpus=2 maxcpus=0x3").maxcpus, 3, "the last counts");
        for wrong in ["maxcpus", "maxcpus=", "maxcpus=0", "maxcpus=-1", "maxcpus=all"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.maxcpus, args.warnings().count()), (usize::MAX, 1), "{wrong}");
        }
        assert_eq!(
            warnings("maxcpus=0"),
            ["boot argument maxcpus: expected a number of CPUs, 1 or more, found '0'; ignored"]
        );
    }

    #[test]
    fn a_storm_has_a_seed_and_a_length() {
        let args = BootArgs::parse("");
        assert_eq!((args.seed, args.exceptions), (None, 1_000_000));
        let args = BootArgs::parse("seed=0xffff_ffff_ffff_ffff exceptions=100_000_000");
        assert_eq!((args.seed, args.exceptions), (Some(u64::MAX), 100_000_000));
        assert_eq!(BootArgs::parse("seed=0").seed, Some(0));
        for wrong in ["seed", "seed=", "seed=x", "seed=-1", "seed=18446744073709551616"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.seed, args.warnings().count()), (None, 1), "{wrong}");
        }
        assert_eq!(BootArgs::parse("").samples, 1000);
        assert_eq!(BootArgs::parse("samples=4294967295").samples, u32::MAX);
        for wrong in ["samples", "samples=0", "samples=4294967296"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.samples, args.warnings().count()), (1000, 1), "{wrong}");
        }
        for wrong in ["exceptions", "exceptions=", "exceptions=0", "exceptions=1e6"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.exceptions, args.warnings().count()), (1_000_000, 1), "{wrong}");
        }
        assert_eq!(
            warnings("exceptions=0"),
            [
                "boot argument exceptions: expected a number of debug exceptions, 1 or more, found '0'; ignored"
            ]
        );
    }

    #[test]
    fn probes_are_on_all_instructions_or_on_some() {
        assert_eq!(BootArgs::parse("").probes, None);
        assert_eq!(BootArgs::parse("probes=all").probes, Some(1));
        assert_eq!(BootArgs::parse("probes=all probes=0x10").probes, Some(16), "the last counts");
        for wrong in ["probes", "probes=", "probes=0", "probes=some", "probes=-1"] {
            let args = BootArgs::parse(wrong);
            assert_eq!((args.probes, args.warnings().count()), (None, 1), "{wrong}");
        }
        assert_eq!(
            warnings("probes=0"),
            ["boot argument probes: expected all, or N for every N-th instruction, found '0'; ignored"]
        );
    }

    #[test]
    fn loglevels_are_names_or_linuxs_numbers() {
        use LogLevel::*;
        let numbers = [Off, Off, Off, Off, Error, Warn, Warn, Info, Debug];
        for (n, level) in numbers.into_iter().enumerate() {
            assert_eq!(BootArgs::parse(&format!("loglevel={n}")).loglevel, level, "{n}");
        }
        for (name, level) in
            [("off", Off), ("error", Error), ("warn", Warn), ("info", Info), ("debug", Debug)]
        {
            assert_eq!(BootArgs::parse(&format!("loglevel={name}")).loglevel, level);
        }
    }

    #[test]
    fn rules_are_kept_in_order() {
        let args = BootArgs::parse("rule.M8.ss=keep hz=1 rule.M12b.daif=DAIF");
        let rules: Vec<_> = args.rules().map(|rule| (rule.id, rule.column, rule.value)).collect();
        assert_eq!(rules, [("M8", "ss", "keep"), ("M12b", "daif", "DAIF")]);
        assert_eq!(args.warnings().count(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_and_the_default_stays() {
        let args = BootArgs::parse("hz=0 loglevel=loud nmi=yes hz=10001 mode= quiet console=ttyAMA0 hz");
        assert_eq!((args.hz, args.loglevel, args.nmi, args.mode), (250, LogLevel::Info, false, None));
        assert_eq!(
            warnings("hz=0 loglevel=loud nmi die=  quiet hz=18446744073709551617 rule.M8=keep rule..ss=keep"),
            [
                "boot argument hz: expected 1 to 10000 ticks per second, found '0'; ignored",
                "boot argument loglevel: expected off, error, warn, info, debug, trace, or 0 to 15, found 'loud'; ignored",
                "boot argument nmi: expected 0 or 1, found ''; ignored",
                "boot argument die: expected a test's name, found ''; ignored",
                "boot argument 'quiet' is unknown, ignored",
                "boot argument hz: expected 1 to 10000 ticks per second, found '18446744073709551617'; ignored",
                "boot argument rule.M8: expected rule.ID.COLUMN=VALUE, such as rule.M8.ss=keep, found 'keep'; ignored",
                "boot argument rule..ss: expected rule.ID.COLUMN=VALUE, such as rule.M8.ss=keep, found 'keep'; ignored",
            ]
        );
        assert_eq!(warnings("rule.M8.ss rule.M8.ss. rule.M8.ss.x=1 rule.").len(), 4);
    }

    #[test]
    fn quotes_keep_blanks_as_linux_does() {
        assert_eq!(BootArgs::parse("test=\"a b\" hz=1").test, Some("a b"));
        assert_eq!(BootArgs::parse("\"test=a b\" hz=1").test, Some("a b"));
        assert_eq!(BootArgs::parse("test=\"a b").test, Some("a b"));
        assert_eq!(BootArgs::parse("test=a=b").test, Some("a=b"));
        assert_eq!(BootArgs::parse("test=a\" \"b").test, Some("a\" \"b"));
        assert_eq!(BootArgs::parse("test=\"\" hz=7").hz, 7);
    }

    #[test]
    fn what_follows_two_dashes_is_not_for_the_kernel() {
        let args = BootArgs::parse("hz=100 -- hz=200 junk");
        assert_eq!((args.hz, args.warnings().count()), (100, 0));
    }

    #[test]
    fn no_text_panics() {
        let pieces = [
            "hz", "=", "\"", " ", "rule.", ".", "M8", "nmi", "--", "é", "\0", "\n", "9", "loglevel", "test",
            "a",
        ];
        let mut random = Random(4);
        for _ in 0..100_000 {
            let text: String = (0..random.below(12)).map(|_| random.pick(&pieces)).collect();
            let args = BootArgs::parse(&text);
            assert!((1..=10_000).contains(&args.hz));
            assert!(
                args.warnings().all(|warning| !warning.to_string().chars().any(char::is_control)),
                "{text:?}"
            );
            assert!(args.rules().all(|rule| ![rule.id, rule.column, rule.value].contains(&"")));
        }
    }

    #[test]
    fn every_log_level_is_read_by_name_and_by_number() {
        use LogLevel::*;
        let read = |text: &str| BootArgs::parse(&format!("loglevel={text}")).loglevel;
        let names = ["off", "error", "warn", "info", "debug", "trace"];
        assert_eq!(names.map(read), [Off, Error, Warn, Info, Debug, Trace]);
        let numbers = (0..=15).map(|n| read(&n.to_string()));
        let expected = [Off, Off, Off, Off, Error, Warn, Warn, Info].into_iter().chain([Debug; 8]);
        assert!(numbers.eq(expected));
        // Information is also the default, so only the number of warnings shows which texts were read.
        assert_eq!(warnings("loglevel=16 loglevel=15 loglevel=info loglevel=INFO loglevel").len(), 3);
        assert!(Off < Error && Error < Warn && Warn < Info && Info < Debug && Debug < Trace);
    }

    #[test]
    fn switches_are_0_or_1() {
        let args = BootArgs::parse("nmi=1 optimise=1 pairs=1 echo=0");
        assert_eq!((args.nmi, args.optimise, args.pairs, args.echo), (true, true, true, false));
        let args = BootArgs::parse("nmi=1 optimise=1 pairs=1 echo=0 nmi=0 optimise=0 pairs=0 echo=1");
        assert_eq!((args.nmi, args.optimise, args.pairs, args.echo), (false, false, false, true));
        let args = BootArgs::parse("");
        assert_eq!((args.nmi, args.optimise, args.pairs, args.echo), (false, false, false, true));
        for key in ["nmi", "optimise", "pairs", "echo"] {
            let wrong = format!("{key}=2");
            let expected = format!("boot argument {key}: expected 0 or 1, found '2'; ignored");
            assert_eq!(warnings(&wrong), [expected]);
        }
    }

    #[test]
    fn each_key_says_what_it_expects() {
        let expected = [
            ("mode", "a mode's name"),
            ("init", "the path of a program"),
            ("contend", "a program's name"),
            ("die", "a test's name"),
            ("loglevel", "off, error, warn, info, debug, trace, or 0 to 15"),
            ("hz", "1 to 10000 ticks per second"),
            ("maxcpus", "a number of CPUs, 1 or more"),
            ("k", "a number of instructions, or two with a comma"),
            ("seed", "a number of at most 64 bits"),
            ("exceptions", "a number of debug exceptions, 1 or more"),
            ("samples", "a number of instructions, 1 or more"),
            ("probes", "all, or N for every N-th instruction"),
        ];
        for (key, what) in expected {
            assert_eq!(warnings(key), [format!("boot argument {key}: expected {what}, found ''; ignored")]);
        }
        assert_eq!(warnings("Hz=1"), ["boot argument 'Hz' is unknown, ignored"]);
        assert_eq!(warnings("hz=1 hz=10000"), Vec::<String>::new());
        assert_eq!(BootArgs::parse("samples=7 die=a").samples, 7);
        assert_eq!(BootArgs::parse("contend=one").contend, Some("one"));
        assert_eq!(BootArgs::parse("k=5").k.map(|k| k.to_string()), Some("5".into()));
    }
}
