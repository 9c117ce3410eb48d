//! `model`: explores every state of the crate `model`, and says which rule does not hold. The tests of that crate do the same, so `qemu-test` does too.

use crate::args;
use ::model::config::Config;
use ::model::explore::explore;
use ::model::model::Model;
use ::model::scenarios::{full, scenarios};
use ::model::table::Table;

/// Explores the scenarios, and prints what it has found. Returns whether every rule holds.
pub fn model(arguments: &args::Model) -> bool {
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
    true
}
