//! The kernel's table keeps every rule in every state of every scenario.

use model::config::Config;
use model::explore::explore;
use model::model::Model;
use model::scenarios::scenarios;
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
