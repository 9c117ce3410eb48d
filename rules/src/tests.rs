//! How the table and the other rules are shown, and how rows are found by name.

use crate::invariants::INVARIANTS;
use crate::pstate::Daif;
use crate::table::{Context, Masks, Origin, RowId, TABLE};

/// The text with every line break and every run of blanks replaced by one blank.
fn words(text: impl ToString) -> String {
    text.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_row_is_shown_with_all_of_its_columns() {
    for row in TABLE {
        let columns = format!(
            "{} {} {}: masks {}, SS {}",
            row.id,
            row.origin,
            row.class,
            row.masks.name(),
            row.ss.name()
        );
        let shown = words(row);
        let note = shown.strip_prefix(&words(columns)).unwrap_or_else(|| panic!("{shown}"));
        if row.note.is_empty() {
            assert_eq!(note, "", "{shown}");
        } else {
            assert!(note.contains(&words(row.note)), "{shown}");
        }
    }
    assert!(RowId::M5.row().to_string().starts_with("M5    EL0 "));
    assert!(RowId::M12b.row().to_string().starts_with("M12b  EL1 "));
    assert_eq!(format!("[{:<5}][{:>5}]", RowId::M12b, RowId::M1), "[M12b ][   M1]");
}

#[test]
fn every_row_is_found_by_its_name_and_nothing_else_is() {
    let names: Vec<&str> = TABLE.iter().map(|row| row.id.name()).collect();
    assert_eq!((names[0], names[12], names[16]), ("M1", "M12b", "M16"));
    for row in TABLE {
        assert_eq!(RowId::by_name(row.id.name()), Some(row.id));
    }
    assert_eq!([RowId::by_name("M17"), RowId::by_name("m1"), RowId::by_name("")], [None; 3]);
}

#[test]
fn a_rule_is_shown_with_its_name_and_what_it_demands() {
    for rule in INVARIANTS {
        assert_eq!(words(rule), words(format!("{} {}", rule.id, rule.text)));
        assert!(rule.to_string().starts_with(&format!("{:<5} ", rule.id)));
    }
}

#[test]
fn names_of_origins_and_contexts_are_distinct() {
    for (index, origin) in Origin::ALL.iter().enumerate() {
        assert_eq!(*origin as usize, index);
        assert!(Origin::ALL[..index].iter().all(|other| other.name() != origin.name()));
    }
    for (index, context) in Context::ALL.iter().enumerate() {
        assert_eq!(*context as usize, index);
        assert!(Context::ALL[..index].iter().all(|other| other.name() != context.name()));
    }
    assert_eq!(format!("[{:>4}][{:<6}]", Origin::El1, Context::Nmi), "[ EL1][nmi   ]");
    let contexts: Vec<String> = Context::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(contexts.join(" "), "none preemptible irq-from-el0 inherit irq nmi debug panic");
}

/// Each value of the masks column, for an interrupted context with nothing masked, with I and F masked, with all masked.
#[test]
fn masks_become_what_the_column_says() {
    let contexts = [Daif::empty(), Daif::I | Daif::F, Daif::all()];
    let applied = |masks: Masks| contexts.map(|context| masks.apply(context));
    assert_eq!(applied(Masks::Unsaid), [None; 3]);
    assert_eq!(applied(Masks::Masked), [Some(Daif::all()); 3]);
    assert_eq!(applied(Masks::MaskedThenOpen), [Some(Daif::all()); 3]);
    assert_eq!(applied(Masks::UnmaskAll), [Some(Daif::empty()); 3]);
    assert_eq!(applied(Masks::UnmaskDebugAndError), [Some(Daif::I | Daif::F); 3]);
    assert_eq!(applied(Masks::Inherit), contexts.map(Some));
}
