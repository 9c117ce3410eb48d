use super::behaviour::Behaviours;
use super::*;
use crate::overrides::{Cell, Override};
use crate::table::{RowId, TABLE};

#[test]
fn the_product_changes_nothing() {
    assert!(ALL[0].is_product() && ALL[0].cells.is_empty());
    assert_eq!(ALL[0].behaviours, Behaviours::PRODUCT);
    for product in TABLE {
        let own = STEPWELL.row(product.id);
        assert_eq!((own.id, own.masks, own.ss), (product.id, product.masks, product.ss));
    }
}

#[test]
fn a_policys_table_differs_exactly_in_the_cells_that_it_says() {
    for policy in ALL {
        for product in TABLE {
            let own = policy.row(product.id);
            let says = |cell: Cell| policy.cells.contains(&Override { row: own.id, cell });
            assert_eq!(
                own.masks != product.masks,
                says(Cell::Masks(own.masks)),
                "{} {}",
                policy.name,
                own.id
            );
            assert_eq!(own.ss != product.ss, says(Cell::Ss(own.ss)), "{} {}", policy.name, own.id);
            assert_eq!((own.origin, own.class), (product.origin, product.class));
        }
        let mut cells: Vec<_> = policy.cells.iter().map(|cell| cell.to_string()).collect();
        cells.dedup_by_key(|cell| cell.split('=').next().map(str::to_owned));
        assert_eq!(cells.len(), policy.cells.len(), "{} says a cell twice", policy.name);
    }
}

#[test]
fn every_other_policy_differs_from_the_product_and_from_each_other() {
    for (n, policy) in ALL.iter().enumerate().skip(1) {
        assert!(!policy.is_product(), "{}", policy.name);
        assert!(!policy.cells.is_empty() || policy.behaviours != Behaviours::PRODUCT, "{}", policy.name);
        for other in &ALL[..n] {
            assert!(policy.name != other.name);
            assert!(policy.cells != other.cells || policy.behaviours != other.behaviours, "{}", policy.name);
        }
    }
}

#[test]
fn a_policy_is_found_by_its_whole_name_only() {
    for policy in ALL {
        assert_eq!(by_name(policy.name).map(|found| found.name), Some(policy.name));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(policy.name.chars().all(plain), "{} is a file's name, too", policy.name);
        assert!(policy.title.ends_with('.') && !policy.origin.is_empty(), "{}", policy.name);
    }
    for wrong in ["", "linux", "stepwell2", "Stepwell", "linux-6.19"] {
        assert!(by_name(wrong).is_none(), "{wrong}");
    }
    assert!(chosen(None).is_product());
    assert_eq!(chosen(Some("nmi")).name, "nmi");
}

#[test]
fn a_row_is_changed_if_one_of_its_cells_is() {
    assert!(NMI.changes(RowId::M4) && !NMI.changes(RowId::M3));
    assert!(!STEPWELL.changes(RowId::M8) && KPROBES_2013.changes(RowId::M12));
}
