//! Each cell of the table is changed to every other value ([`alternatives`]). The list says by which rule the model finds that out, or that it
//! does not, and why not.

use model::explore::{Violation, explore};
use model::model::Model;
use model::scenarios::small;
use model::table::Table;
use rules::overrides::{Override, alternatives};
use rules::table::TABLE;

/// The property that compares the masks column with the context column.
const CONTEXT: &str = "handler_may_what_its_row_says";

/// By which rule each change is found.
const FOUND: &[(&str, &str)] = &[
    ("M1.ss=keep", "I6"),
    ("M1.ss=clear", "I6"),
    ("M1.ss=stash", "I6"),
    ("M1.ss=complete", "I6"),
    ("M1.ss=park", "I6"),
    ("M2.masks=masked", "M"),
    ("M2.masks=open-da", "M"),
    ("M2.ss=keep", "I2"),
    ("M2.ss=clear", "I9"),
    ("M2.ss=complete", "I2"),
    ("M2.ss=park", "I2"),
    ("M3.masks=masked", "M"),
    ("M3.masks=open-da", "M"),
    ("M3.ss=keep", "I2"),
    ("M3.ss=clear", "I9"),
    ("M3.ss=complete", "I2"),
    ("M3.ss=park", "I2"),
    ("M4.masks=masked", "M"),
    ("M4.masks=open", "M4"),
    ("M4.masks=open-da", "M4"),
    ("M4.masks=inherit", "M4"),
    ("M4.ss=keep", "I2"),
    ("M4.ss=clear", "I9"),
    ("M4.ss=complete", "I2"),
    ("M4.ss=park", "I2"),
    ("M5.masks=masked", "M"),
    ("M5.masks=open", "M"),
    ("M5.masks=inherit", "M"),
    ("M5.ss=keep", "I2"),
    ("M5.ss=clear", "I9"),
    ("M5.ss=complete", "I2"),
    ("M5.ss=park", "I2"),
    ("M6.masks=masked", "M"),
    ("M6.masks=open", "M"),
    ("M6.masks=open-da", "M"),
    ("M6.ss=keep", "I2"),
    ("M6.ss=clear", "I2"),
    ("M6.ss=stash", "I9"),
    ("M6.ss=park", "I9"),
    ("M7.masks=open", "M7"),
    ("M7.masks=open-da", "M7"),
    ("M7.masks=inherit", "M7"),
    ("M7.ss=keep", "M7"),
    ("M7.ss=stash", "M7"),
    ("M7.ss=complete", "M7"),
    ("M7.ss=park", "M7"),
    ("M8.masks=masked", "M"),
    ("M8.masks=open", "M"),
    ("M8.masks=inherit", "M"),
    ("M8.ss=keep", "I2"),
    ("M8.ss=clear", "I9"),
    ("M8.ss=complete", "I9"),
    ("M8.ss=park", "I9"),
    ("M9.masks=open", "M"),
    ("M9.masks=open-da", "M"),
    ("M9.masks=inherit", "M"),
    ("M9.ss=keep", "I9"),
    ("M9.ss=clear", "I9"),
    ("M9.ss=complete", "I9"),
    ("M9.ss=park", "I9"),
    ("M10.masks=open", "I2"),
    ("M10.masks=open-da", "I2"),
    ("M10.masks=inherit", "I2"),
    ("M10.ss=clear", "H3"),
    ("M10.ss=stash", "I9"),
    ("M10.ss=complete", "H3"),
    ("M10.ss=park", "I9"),
    ("M11.masks=masked", "M"),
    ("M11.masks=open", "M"),
    ("M11.masks=open-da", "M"),
    ("M11.ss=keep", "I2"),
    ("M11.ss=clear", "I2"),
    ("M11.ss=stash", "I9"),
    ("M11.ss=park", "I9"),
    ("M12.masks=open", "M"),
    ("M12.masks=open-da", "M"),
    ("M12.masks=inherit", "M"),
    ("M12.ss=keep", "I9"),
    ("M12.ss=clear", "I9"),
    ("M12.ss=stash", "I9"),
    ("M12.ss=complete", "I9"),
    ("M13.masks=open", "I3"),
    ("M13.masks=open-da", "I3"),
    ("M13.masks=inherit", "I3"),
    ("M13.ss=keep", "I2"),
    ("M13.ss=clear", "I2"),
    ("M14.masks=open", "M"),
    ("M14.masks=open-da", "M"),
    ("M14.ss=clear", "I9"),
    ("M14.ss=stash", "I9"),
    ("M14.ss=complete", "I9"),
    ("M14.ss=park", "X1"),
];

/// Changes that only the context column tells from the kernel's table: no sequence of events breaks another rule. All of them have a handler
/// run with other masks than its kind of context needs, and nothing else.
const ONLY_BY_CONTEXT: &[&str] = &[
    "M2.masks=open-da",
    "M3.masks=open-da",
    "M5.masks=masked",
    "M9.masks=open-da",
    "M11.masks=open",
    "M11.masks=open-da",
];

/// Changes that the model does not find, with the reason.
const NOT_FOUND: &[(&str, &str)] = &[
    ("M12b", "optimised probes take no exception, and are not in the model"),
    (
        "M15",
        "the kernel applies M10 to such a hit, and the model's watchpoint is the kernel's own, which is reported",
    ),
    ("M16", "the kernel applies M9 to an SError, and ends"),
];

/// The first violation in the small scenarios.
fn violation(change: Override, without: Option<&str>) -> Option<Violation> {
    small().into_iter().find_map(|config| {
        let model = Model::new(Table::of_kernel().with(change), config);
        let model = without.into_iter().fold(model, Model::all_but);
        explore(&model).violation
    })
}

fn changes() -> impl Iterator<Item = Override> {
    TABLE.iter().flat_map(alternatives)
}

/// Whether `NOT_FOUND` has the change, or its whole row.
fn is_not_found(change: &str) -> bool {
    let row = change.split('.').next().unwrap_or_default();
    NOT_FOUND.iter().any(|(name, _)| *name == change || *name == row)
}

#[test]
fn each_change_of_a_cell_is_found_by_its_rule() {
    let found: Vec<(String, String)> = changes()
        .map(|change| {
            let rule = violation(change, None).map_or("-", |violation| violation.rule);
            (change.to_string(), rule.to_string())
        })
        .filter(|(change, rule)| rule != "-" || !is_not_found(change))
        .collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(change, rule)| (&**change, &**rule)).collect();
    assert_eq!(found, FOUND);
}

#[test]
fn most_changes_of_masks_break_more_than_the_context_column() {
    let only: Vec<String> = changes()
        .filter(|change| FOUND.iter().any(|(name, rule)| *name == change.to_string() && *rule == "M"))
        .filter(|change| violation(*change, Some(CONTEXT)).is_none())
        .map(|change| change.to_string())
        .collect();
    assert_eq!(only, ONLY_BY_CONTEXT);
}
