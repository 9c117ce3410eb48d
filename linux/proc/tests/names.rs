//! Names, where they lie, and their numbers.

use procfs::{Entry, Fixed, Name, Numbers};
use std::collections::BTreeMap;

fn walk(from: Name, path: &str) -> Option<Name> {
    path.split('/').try_fold(from, |at, name| at.child(name.as_bytes()))
}

fn path_of(name: Name) -> String {
    let mut path = String::new();
    let mut at = name;
    while let Some(parent) = at.parent() {
        let (word, number) = at.last();
        let last = number.map_or(word.to_string(), |number| number.to_string());
        path = format!("/{last}{path}");
        at = parent;
    }
    path
}

/// Everything below a directory, with a few numbers where there are numbers. A task belongs to one process only.
fn all_below(directory: Name, to: &mut Vec<Name>) {
    let mut children: Vec<Name> = directory.children().map(|(_, child)| child).collect();
    let numbers = match directory {
        Name::Of { pid, entry: Entry::Tasks, .. } => [0, pid, pid + 1],
        _ => [0, 1, 21],
    };
    children.extend(numbers.into_iter().filter_map(|number| directory.numbered(number)));
    for child in children {
        to.push(child);
        all_below(child, to);
    }
}

fn all() -> Vec<Name> {
    let mut all = vec![Name::PROC];
    all_below(Name::PROC, &mut all);
    all
}

#[test]
fn each_name_is_found_by_its_path_and_leads_back() {
    for root in [Name::PROC, Name::SYS] {
        let mut all = Vec::new();
        all_below(root, &mut all);
        assert!(all.len() > 5);
        for name in all {
            let path = path_of(name);
            assert_eq!(walk(root, &path[1..]), Some(name), "{path}");
            assert!(name.parent().unwrap().is_directory());
        }
    }
}

#[test]
fn inode_numbers_are_different() {
    let mut numbers = BTreeMap::new();
    for name in all() {
        let before = numbers.insert(name.number(), name);
        assert_eq!(before, None, "{name:?}");
        assert_ne!(name.number(), 0);
    }
    assert!(numbers.len() > 100);
}

#[test]
fn modes_are_linux_s() {
    for (path, mode) in [
        ("self", 0o120777),
        ("meminfo", 0o100444),
        ("sys/kernel", 0o040555),
        ("sys/kernel/pid_max", 0o100444),
        ("5", 0o040555),
        ("5/mem", 0o100600),
        ("5/auxv", 0o100400),
        ("5/comm", 0o100644),
        ("5/fd", 0o040500),
        ("5/exe", 0o120777),
        ("5/task/6/maps", 0o100444),
    ] {
        assert_eq!(walk(Name::PROC, path).map(Name::mode), Some(mode), "{path}");
    }
    assert!(walk(Name::SYS, "devices/system/cpu/online").is_some_and(|name| !name.is_directory()));
    assert!(walk(Name::PROC, "5/fd/3").is_some_and(Name::is_link));
    assert!(walk(Name::PROC, "5/task").is_some_and(Name::is_directory));
}

#[test]
fn only_plain_numbers_name_processes() {
    for name in ["05", "+5", "5a", "", "-1", "4294967296", "0", "5 ", "nothing"] {
        assert_eq!(Name::PROC.child(name.as_bytes()), None, "{name:?}");
    }
    let process = Name::Of { pid: 4294967295, tid: None, entry: Entry::Directory };
    assert_eq!(Name::PROC.child(b"4294967295"), Some(process));
}

#[test]
fn a_task_has_no_tasks_and_a_file_has_nothing() {
    assert_eq!(walk(Name::PROC, "5/task/5/task"), None);
    assert_eq!(walk(Name::PROC, "5/3"), None);
    assert_eq!(walk(Name::PROC, "meminfo/x"), None);
    assert_eq!(Name::Fixed(Fixed::Version).numbers(), None);
    assert_eq!(Name::PROC.numbers(), Some(Numbers::Processes));
    assert_eq!(Name::SYS.child(b"1"), None);
}
