//! The matrix: the machines that the suites run on.

use crate::args::Common;
use crate::machines::{Config, Masking};
use crate::qemu::{CPUS, El, Gic, Machine};
use std::sync::LazyLock;

/// How much of the matrix is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Extent {
    /// So few machines that every possible pair of two values occurs on one
    Quick,
    /// Every combination
    Full,
}

/// A configuration as numbers: one for each of CPU model, GIC, level, number of CPUs, masking, icount.
type Values = [usize; 6];

fn values(config: &Config) -> Values {
    let cpu = CPUS.iter().position(|cpu| *cpu == config.cpu).unwrap_or(0);
    [
        cpu,
        config.gic as usize,
        config.el as usize,
        usize::from(config.smp > 1),
        config.masking as usize,
        usize::from(config.icount),
    ]
}

/// The machine that runs the suites, with the user's flags on top.
fn machine(config: &Config, common: &Common, mode: &str) -> Machine {
    // With a tick of 10 kHz on each of four CPUs, which run at the same time, a third of the host's time goes into ticks. The storm has
    // such a tick. Under icount one thread of the host runs all CPUs, and the ticks of idle CPUs take time from the others.
    let tick = if config.icount { 1000 } else { 2000 };
    common.machine(config.machine(&format!("{mode} hz={tick}")))
}

/// Whether boots of such a machine take several times as long as others. Without icount the host runs several CPUs at the same
/// time, and these wait for each other.
pub const fn is_long(smp: u8, icount: bool) -> bool {
    smp > 1 && !icount
}

/// The machine's name in the output and in reports.
pub fn name(machine: &Machine) -> String {
    let gic = if machine.gic == Gic::V2 { 2 } else { 3 };
    let el = if machine.el == El::El2 { 2 } else { 1 };
    let masking = if machine.argument("nmi") == Some("1") { " nmi" } else { "" };
    let icount = if machine.icount { " icount" } else { "" };
    format!("{} gic{gic} el{el} smp{}{masking}{icount}", machine.cpu, machine.smp)
}

/// All machines that make sense: priority masking needs GICv3.
fn all() -> Vec<Config> {
    let mut all = Vec::new();
    for cpu in CPUS {
        for (gic, masking) in
            [(Gic::V3, Masking::Pstate), (Gic::V3, Masking::Priority), (Gic::V2, Masking::Pstate)]
        {
            for el in [El::El1, El::El2] {
                for smp in [4, 1] {
                    for icount in [false, true] {
                        // Half of the machines have optimised probes, so that every test that uses probes runs with both kinds.
                        let optimise = el == El::El2;
                        all.push(Config { cpu, gic, el, smp, masking, optimise, icount });
                    }
                }
            }
        }
    }
    all
}

/// The configurations of an extent.
pub fn configs(extent: Extent) -> Vec<Config> {
    match extent {
        Extent::Full => all(),
        Extent::Quick => QUICK.clone(),
    }
}

static QUICK: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let mut chosen = covering(&all());
    // Boots whose CPUs run at the same time take by far the longest, and more than twice as long with twice as many CPUs. One of
    // them is enough to have more than two CPUs at the same time, beside the storm.
    let long = chosen.iter_mut().filter(|config| is_long(config.smp, config.icount));
    long.skip(1).for_each(|config| config.smp = 2);
    chosen
});

/// This many machines of the quick extent share the instructions that the suite `reentrancy` tries one by one. If every machine
/// tried all of them, that would take most of the time of every boot. With a dozen machines each instruction is tried on three.
pub const SHARES: usize = 4;

/// The machines of an extent with the user's flags on top, each once.
pub fn machines(extent: Extent, common: &Common, mode: &str) -> Vec<Machine> {
    let mut machines = distinct(extent, common, mode);
    let shares = machines.len().min(SHARES);
    if extent == Extent::Quick && shares > 1 && !common.gives("share") {
        for (number, machine) in machines.iter_mut().enumerate() {
            machine.append = format!("{} share={}/{shares}", machine.append, number % shares);
        }
    }
    machines
}

fn distinct(extent: Extent, common: &Common, mode: &str) -> Vec<Machine> {
    let mut machines = Vec::new();
    for config in configs(extent) {
        let machine = machine(&config, common, mode);
        // Priority masking needs GICv3, and the user may have asked for GICv2.
        let possible = machine.gic == Gic::V3 || config.masking == Masking::Pstate;
        if possible && !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    machines
}

/// Pairs of values: for each value the values that it is paired with, one bit each. The choice of machines looks at pairs millions
/// of times, before any of them boots.
struct Pairs([u64; 48]);

impl Pairs {
    /// The values of a configuration, one bit each. No property has more than 8 values.
    fn bits(config: &Config) -> u64 {
        values(config)
            .iter()
            .enumerate()
            .fold(0, |bits, (property, value)| bits | 1 << (property * 8 + value))
    }

    /// The values of a configuration with their numbers, and the other values of the same configuration.
    fn of(bits: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..48).filter(move |value| bits >> value & 1 != 0).map(move |value| (value, bits & !(1 << value)))
    }

    /// All pairs that occur in these configurations.
    fn all(configs: &[Config]) -> Self {
        let mut pairs = Self([0; 48]);
        for (value, others) in configs.iter().map(Self::bits).flat_map(Self::of) {
            pairs.0[value] |= others;
        }
        pairs
    }

    fn remove(&mut self, bits: u64) {
        Self::of(bits).for_each(|(value, others)| self.0[value] &= !others);
    }

    /// How many of these pairs occur in a configuration.
    fn count(&self, bits: u64) -> u32 {
        Self::of(bits).map(|(value, others)| (self.0[value] & others).count_ones()).sum::<u32>() / 2
    }
}

/// Few configurations in which every possible pair of values occurs: a greedy choice is made for each first configuration, and the
/// shortest one is taken.
fn covering(all: &[Config]) -> Vec<Config> {
    let choices = all.iter().map(|first| greedy(all, *first));
    choices.min_by_key(Vec::len).unwrap_or_default()
}

/// A greedy choice: after `first`, always the configuration that adds the most new pairs. Of equal ones the first is taken, so that
/// the choice is the same everywhere. If the best configurations add one new pair only, a machine with short boots is preferred.
/// That chooses two machines with long boots. A preference for short boots among all equal configurations would choose four.
fn greedy(all: &[Config], first: Config) -> Vec<Config> {
    let mut open = Pairs::all(all);
    let mut chosen = Vec::new();
    let mut next = Some(first);
    while let Some(config) = next {
        open.remove(Pairs::bits(&config));
        chosen.push(config);
        let worth = |config: &Config| {
            let gain = open.count(Pairs::bits(config));
            (gain, gain > 1 || !is_long(config.smp, config.icount))
        };
        let best = all.iter().rev().map(|config| (worth(config), config)).max_by_key(|(worth, _)| *worth);
        next = best.filter(|((gain, _), _)| *gain > 0).map(|(_, config)| *config);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_holds_every_pair_in_few_boots() {
        let quick = configs(Extent::Quick);
        assert_eq!(Pairs::all(&all()).0, Pairs::all(&quick).0);
        assert!((12..=14).contains(&quick.len()), "{} boots", quick.len());
        // Machines whose CPUs run at the same time: one for each GIC, and one for each level.
        let long: Vec<_> = quick.iter().filter(|config| is_long(config.smp, config.icount)).collect();
        assert_eq!(long.len(), 2, "one more is half a minute more");
        assert!(long[0].gic != long[1].gic && long[0].el != long[1].el, "{long:?}");
        assert_eq!([long[0].smp, long[1].smp], [4, 2]);
    }

    #[test]
    fn quick_machines_share_the_instructions() {
        let quick = machines(Extent::Quick, &Common::default(), "mode=test");
        for part in 0..SHARES {
            let share = format!("{part}/{SHARES}");
            let having = quick.iter().filter(|machine| machine.argument("share") == Some(&share)).count();
            assert!(having >= 3, "share {share}: {having} machines");
        }
        let narrow = Common {
            cpu: Some("max".into()),
            gic: Some(Gic::V2),
            smp: Some(1),
            el: Some(El::El1),
            append: vec!["optimise=0".into()],
            ..Common::default()
        };
        let few = machines(Extent::Quick, &narrow, "mode=test");
        assert!((1..SHARES).contains(&few.len()), "{few:?}");
        for (number, machine) in few.iter().enumerate() {
            let share = (few.len() > 1).then(|| format!("{number}/{}", few.len()));
            assert_eq!(machine.argument("share"), share.as_deref());
        }
        let own = Common { append: vec!["share=1/9".into()], ..Common::default() };
        let all = machines(Extent::Quick, &own, "mode=test");
        assert!(all.iter().all(|machine| machine.append.matches("share=").count() == 1));
    }

    #[test]
    fn full_has_every_sensible_machine_once() {
        let full = machines(Extent::Full, &Common::default(), "mode=test");
        assert_eq!(full.len(), 6 * 3 * 2 * 2 * 2);
        assert!(full.iter().all(|machine| machine.gic == Gic::V3 || !machine.append.contains("nmi")));
        assert!(full.iter().all(|machine| machine.argument("share").is_none()), "every machine tries all");
    }

    #[test]
    fn flags_narrow_the_matrix() {
        let common =
            Common { cpu: Some("max".into()), gic: Some(Gic::V2), smp: Some(2), ..Common::default() };
        let machines = machines(Extent::Full, &common, "mode=test");
        assert_eq!(machines.len(), 4, "EL and icount are left");
        assert_eq!(name(&machines[0]), "max gic2 el1 smp2");
    }
}
