//! The machines that a command has of its own: what the user's flags leave of them, and how the user comes to one of them again.

use crate::args::Common;
use crate::qemu::{El, Gic, Machine, name_of};

/// The boot arguments in which a command's machines differ, besides their hardware.
const DIFFER: [&str; 2] = ["nmi", "optimise"];

/// The machines with the user's flags on top: each one that can be, once.
pub fn narrowed(common: &Common, own: impl IntoIterator<Item = Machine>) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for mut machine in own.into_iter().map(|machine| common.machine(machine)) {
        // A flag may have taken away what priority masking needs.
        if machine.gic == Gic::V2 && !common.gives("nmi") {
            machine = machine.without("nmi");
        }
        let same = |other: &&mut Machine| other.without("optimise") == machine.without("optimise");
        match machines.iter_mut().find(same) {
            // Probes that are optimised are worth their place on a machine, but not a boot more.
            Some(other) if machine.argument("optimise") == Some("1") => *other = machine,
            Some(_) => {}
            None => machines.push(machine),
        }
    }
    machines
}

/// The flags with which the user comes to this machine, and to no other one of the command's; `more` are boot arguments besides.
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
