//! `model`: explores every state of the crate `model`, and says which rule does not hold. The tests of that crate do the same, so `qemu-test` does too.

use crate::args;
use ::model::config::{Config, DEVIATIONS};
use ::model::explore::explore;
use ::model::model::Model;
use ::model::scenarios::{full, scenarios, showing};
use ::model::table::Table;

/// Explores the scenarios, and prints what it has found. Returns whether every rule holds.
pub fn model(arguments: &args::Model) -> bool {
    if arguments.deviations {
        deviations();
        return true;
    }
    let table = arguments.set.iter().fold(Table::of_kernel(), |table, change| table.with(*change));
    let cpus = arguments.cpus.map_or(1..=2, |cpus| usize::from(cpus)..=usize::from(cpus));
    let depth = |config: Config| match arguments.depth {
        Some(depth) => config.at_depth(depth.into()),
        None => config,
    };
    let more = |cpus| if arguments.full { full(cpus) } else { Vec::new() };
    let all = cpus.flat_map(|cpus| [scenarios(cpus), more(cpus)].concat());
    for config in all.map(depth) {
        let nested = config.depth;
        let outcome = explore(&Model::new(table.clone(), config));
        println!("{outcome} (exceptions nest {nested} deep)");
        if let Some(violation) = outcome.violation {
            println!("{violation}");
            return false;
        }
    }
    println!("no rule is broken");
    println!(
        "in {} places the kernel does otherwise than this model: see `cargo xtask model --deviations`",
        DEVIATIONS.len()
    );
    true
}

/// Prints the deviations of the kernel from the rules, each with a shortest trace.
fn deviations() {
    for deviation in DEVIATIONS {
        println!("{}, in {}: the rules demand that {}", deviation.rules, deviation.place, deviation.demand);
        let violation = showing(deviation.flaw).find_map(|config| {
            explore(&Model::new(Table::of_kernel(), config).with_flaw(deviation.flaw)).violation
        });
        match violation {
            Some(violation) => println!("{violation}\n"),
            None => println!("the small scenarios do not show it\n"),
        }
    }
}
