//! The kernel's table keeps every rule in every state of every scenario.

use model::config::Config;
use model::explore::{explore, walk};
use model::model::Model;
use model::scenarios::{large, scenarios};
use model::table::Table;

/// Explores the scenarios, and fails with the trace of the first violation.
fn hold(scenarios: impl IntoIterator<Item = Config>) {
    for config in scenarios {
        let outcome = explore(&Model::new(Table::of_kernel(), config));
        println!("{outcome}");
        if let Some(violation) = outcome.violation {
            panic!("{}: {violation}", outcome.name);
        }
        // The kernel has room for 8 entries.
        assert!(outcome.stash <= 2, "{}: {} entries on the stash", outcome.name, outcome.stash);
    }
}

#[test]
fn one_cpu_keeps_the_rules() {
    hold(scenarios(1));
}

#[test]
fn two_cpus_keep_the_rules() {
    hold(scenarios(2));
}

/// Events of all kinds together, but for those that end the kernel, deeper than can be explored.
#[test]
fn walks_at_random_keep_the_rules() {
    for config in large() {
        let name = config.name;
        let (states, violation) = walk(&Model::new(Table::of_kernel(), config), 1, 4000, 200);
        println!("{name}: {states} states");
        if let Some(violation) = violation {
            panic!("{name}: {violation}");
        }
    }
}
