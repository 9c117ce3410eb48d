//! Every machine that a command boots is described here. [`narrowed`] says which of a command's machines the user's flags leave,
//! and [`flags`] gives the flags that leave one machine only.

use crate::args::Common;
use crate::qemu::{El, Gic, Machine, name_of};

/// How interrupts are masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// By PSTATE.I.
    Pstate,
    /// By GICv3's priority mask, which leaves room for NMIs.
    Priority,
}

/// A machine, and the two boot arguments that differ between machines: `nmi` and `optimise`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub cpu: &'static str,
    pub gic: Gic,
    pub el: El,
    pub smp: u8,
    pub masking: Masking,
    /// Whether a probe is optimised if its registration says neither yes nor no.
    pub optimise: bool,
    pub icount: bool,
}

/// Interrupts masked by PSTATE.I, probes not optimised, CPUs that run at the same time.
const fn config(cpu: &'static str, gic: Gic, el: El, smp: u8) -> Config {
    Config { cpu, gic, el, smp, masking: Masking::Pstate, optimise: false, icount: false }
}

/// The machines of the sweep. One of them has NMIs. The second CPU of two of them sleeps, unless a program goes there: if both ran at the
/// same time, a tick of the counter would be no instruction.
pub const SWEEP: [Config; 4] = [
    config("max", Gic::V3, El::El2, 1).counted().by_priority(),
    config("max", Gic::V2, El::El1, 2).counted(),
    config("cortex-a57", Gic::V2, El::El2, 1).counted().optimised(),
    config("cortex-a57", Gic::V3, El::El1, 2).counted(),
];

/// The machines of the storm. Their CPUs run at the same time. On the one with a single CPU threads of programs only take turns.
pub const STORM: [Config; 3] = [
    config("max", Gic::V3, El::El1, 4).by_priority(),
    config("cortex-a57", Gic::V2, El::El2, 4).optimised(),
    config("cortex-a57", Gic::V3, El::El1, 1),
];

/// The machines of the tests with probes everywhere: one with BRKs, and one with optimised probes where these are possible.
pub const PROBES_EVERYWHERE: [Config; 2] = [
    config("max", Gic::V3, El::El2, 4).counted(),
    config("cortex-a57", Gic::V2, El::El1, 1).counted().optimised(),
];

/// The machine of a timeline. As in [`SWEEP`], its second CPU sleeps unless the scenario has work for it.
pub const TIMELINE: Config = config("max", Gic::V3, El::El1, 2).counted();

/// The machines on which costs are measured. The command `bench` and the budgets use the first one.
pub const COSTS: [Config; 2] =
    [config("cortex-a57", Gic::V3, El::El1, 1).counted(), config("max", Gic::V2, El::El2, 1).counted()];

/// The machines on which programs run at EL0.
pub const PROGRAMS: [Config; 4] = [
    config("max", Gic::V3, El::El2, 4),
    config("cortex-a57", Gic::V2, El::El1, 1).counted(),
    config("cortex-a57", Gic::V3, El::El2, 1).counted(),
    config("max", Gic::V2, El::El1, 4).counted(),
];

/// The machines for tests with a boot of their own. A test can ask for changes.
pub const APART: [Config; 2] =
    [config("max", Gic::V3, El::El1, 4), config("cortex-a57", Gic::V2, El::El2, 1)];

impl Config {
    /// The same machine under icount.
    const fn counted(self) -> Self {
        Self { icount: true, ..self }
    }

    const fn by_priority(self) -> Self {
        Self { masking: Masking::Priority, ..self }
    }

    const fn optimised(self) -> Self {
        Self { optimise: true, ..self }
    }

    /// The machine with these boot arguments, which begin with `mode=`.
    pub fn machine(&self, mode: &str) -> Machine {
        let nmi = if self.masking == Masking::Priority { " nmi=1" } else { "" };
        let optimise = if self.optimise { " optimise=1" } else { "" };
        Machine {
            cpu: self.cpu.into(),
            smp: self.smp,
            gic: self.gic,
            el: self.el,
            append: format!("{mode}{nmi}{optimise}").trim_start().into(),
            icount: self.icount,
            gdb: None,
            initrd: None,
            memory: None,
            line: None,
            interactive: false,
        }
    }
}

/// The boot arguments that differ between the machines of a command.
const DIFFER: [&str; 2] = ["nmi", "optimise"];

/// The machines `own`, changed by the user's flags: those that are possible, without duplicates.
pub fn narrowed(common: &Common, own: impl IntoIterator<Item = Machine>) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for mut machine in own.into_iter().map(|machine| common.machine(machine)) {
        // Priority masking needs GICv3, and the user may have asked for GICv2.
        if machine.gic == Gic::V2 && !common.gives("nmi") {
            machine = machine.without("nmi");
        }
        let same = |other: &&mut Machine| other.without("optimise") == machine.without("optimise");
        match machines.iter_mut().find(same) {
            // Of two machines that differ in `optimise` only, one boot is enough: the one with optimised probes.
            Some(other) if machine.argument("optimise") == Some("1") => *other = machine,
            Some(_) => {}
            None => machines.push(machine),
        }
    }
    machines
}

/// The flags that leave this machine only of all machines of a command. `more` are further boot arguments.
pub fn flags(machine: &Machine, common: &Common, more: &[String]) -> String {
    let differ = DIFFER.iter().filter(|name| !common.gives(name));
    let own = differ.map(|name| format!("{name}={}", machine.argument(name).unwrap_or("0")));
    let said_anew = |word: &str| more.iter().any(|other| name_of(other) == name_of(word));
    let users = common.append.iter().flat_map(|text| text.split_whitespace()).filter(|word| !said_anew(word));
    let words: Vec<_> = users.map(str::to_owned).chain(own).chain(more.iter().cloned()).collect();
    let (cpu, smp) = (&machine.cpu, machine.smp);
    let gic = if machine.gic == Gic::V2 { 2 } else { 3 };
    let el = if machine.el == El::El2 { 2 } else { 1 };
    let release = if common.release { " --release" } else { "" };
    format!("--cpu {cpu} --smp {smp} --gic {gic} --el {el}{release} --append '{}'", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn machine(gic: Gic, append: &str) -> Machine {
        Machine { gic, append: append.into(), ..Machine::default() }
    }

    fn own() -> [Machine; 4] {
        [
            Machine { el: El::El2, ..machine(Gic::V3, "mode=x nmi=1") },
            machine(Gic::V3, "mode=x"),
            Machine { el: El::El2, ..machine(Gic::V2, "mode=x optimise=1") },
            machine(Gic::V2, "mode=x"),
        ]
    }

    fn texts(common: &Common) -> Vec<String> {
        narrowed(common, own()).into_iter().map(|machine| machine.append).collect()
    }

    #[test]
    fn without_flags_they_are_as_they_were() {
        assert_eq!(narrowed(&Common::default(), own()), own());
    }

    #[test]
    fn none_is_there_twice_and_none_that_cannot_be() {
        let old = Common { gic: Some(Gic::V2), ..Common::default() };
        assert_eq!(texts(&old), ["mode=x optimise=1", "mode=x"]);
        let all = Common { gic: Some(Gic::V3), el: Some(El::El2), ..Common::default() };
        assert_eq!(texts(&all), ["mode=x nmi=1", "mode=x optimise=1"]);
    }

    #[test]
    fn the_users_word_holds_for_each() {
        let common = Common { gic: Some(Gic::V2), append: vec!["nmi=1".into()], ..Common::default() };
        assert!(texts(&common).iter().all(|text| text.contains("nmi=1")), "the kernel says why it cannot be");
    }

    #[test]
    fn the_command_comes_to_each_machine_alone() {
        for common in [
            Common::default(),
            Common { append: vec!["hz=9 rule.M8.ss=keep".into(), "k=3".into()], ..Common::default() },
        ] {
            for one in narrowed(&common, own()) {
                let text = flags(&one, &common, &["k=7".into()]);
                let (hardware, append) = text.split_once(" --append ").unwrap();
                let append = append.trim_matches('\'');
                let words = ["x", "sweep"].into_iter().chain(hardware.split(' ')).chain(["--append", append]);
                let Command::Sweep(again) = Cli::parse_from(words).command else { panic!("{text}") };
                let again = again.common;
                let [found] = &narrowed(&again, own())[..] else { panic!("{text}") };
                assert_eq!((found.gic, found.el), (one.gic, one.el));
                for name in ["mode", "hz", "rule.M8.ss"] {
                    assert_eq!(found.argument(name), one.argument(name), "{text}");
                }
                for name in ["nmi", "optimise"] {
                    assert_eq!(found.argument(name), Some(one.argument(name).unwrap_or("0")), "{text}");
                }
                assert_eq!((found.argument("k"), text.matches("k=").count()), (Some("7"), 1), "{text}");
            }
        }
    }
}
