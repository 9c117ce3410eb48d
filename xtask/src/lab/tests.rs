use super::*;
use crate::args::{Cli, Command};
use clap::Parser;

#[test]
fn a_matrix_takes_the_place_of_another_one() {
    let once = replaced(&format!("a\n{BEGIN}\nold\n{END}\nb\n"), "| x |\n").unwrap();
    assert_eq!(once, format!("a\n{BEGIN}\n\n| x |\n\n{END}\nb\n"));
    assert_eq!(replaced(&once, "| x |\n"), Some(once.clone()));
    assert_eq!(replaced("a\n", "x"), None);
}

#[test]
fn a_policy_is_chosen_by_its_name() {
    let parse = |words: &[&str]| Cli::try_parse_from([&["x"], words].concat());
    let Command::Lab(lab) =
        parse(&["lab", "--rules", "nmi", "--rules", "linux-6.18", "step"]).unwrap().command
    else {
        panic!()
    };
    assert_eq!(lab.rules.iter().map(|policy| policy.name).collect::<Vec<_>>(), ["nmi", "linux-6.18"]);
    assert_eq!((lab.filter.as_deref(), lab.thin), (Some("step"), 64));
    let error = parse(&["run", "--rules", "linux"]).err().unwrap().to_string();
    for policy in policies::ALL {
        assert!(error.contains(policy.name), "{error}");
    }
    let Command::Run(run) = parse(&["run"]).unwrap().command else { panic!() };
    assert!(run.common.policy().is_product());
}

/// The document describes every policy, and has a place for the matrix.
#[test]
fn the_document_knows_every_policy() {
    let page = std::fs::read_to_string(root().join(PAGE)).unwrap();
    for policy in policies::ALL {
        let row = format!("| `{}` |", policy.name);
        assert!(page.lines().any(|line| line.starts_with(&row)), "{PAGE} has no row for {}", policy.name);
    }
    assert!(replaced(&page, "").is_some());
}
