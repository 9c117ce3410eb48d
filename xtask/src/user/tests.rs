//! The decision what is compiled again. `cp` stands for the compiler.

use super::linking::moved;
use super::*;

#[test]
fn a_program_is_made_again_only_when_something_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (source, path) = (dir.path().join("p.c"), dir.path().join("p"));
    let copy = |content: &str, option: &str| {
        fs::write(&source, content).unwrap();
        let mut command = Command::new("cp");
        provide(command.arg(option).arg(&source).arg(&path), &path, content.as_bytes())
    };
    copy("one", "-f").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one");
    fs::write(&path, "kept").unwrap();
    copy("one", "-f").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"kept", "nothing has changed");
    copy("one", "-r").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one", "another command");
    copy("two", "-r").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two", "another source");
    fs::remove_file(&path).unwrap();
    copy("two", "-r").unwrap();
    assert!(path.exists());
    assert!(copy("three", "--no-such-option").is_err());
    fs::write(&path, "half").unwrap();
    copy("two", "-r").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two", "a failure leaves no program that counts as made");
}

#[test]
fn musl_is_taken_from_where_it_is_unpacked() {
    let specs = "-isystem /usr/include/aarch64-linux-musl -L/usr/lib/aarch64-linux-musl -dynamic-linker /lib/ld-musl-aarch64.so.1";
    assert_eq!(
        moved(specs, "/t"),
        "-isystem /t/usr/include/aarch64-linux-musl -L/t/usr/lib/aarch64-linux-musl -dynamic-linker /lib/ld-musl-aarch64.so.1"
    );
}

#[test]
fn every_linking_has_a_directory_of_its_own() {
    let names: std::collections::BTreeSet<_> = Linking::ALL.iter().map(|linking| linking.name()).collect();
    assert_eq!(names.len(), Linking::ALL.len());
}
