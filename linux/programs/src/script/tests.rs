//! Tests of `#!` lines. The cases without a newline are those that Linux's comments name.

use linux_raw_sys::errno::ELOOP;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

use super::{HEAD_SIZE, LEVELS_MAX, Levels, Script, TooDeep};
use crate::start::{StartError, Strings};

#[track_caller]
fn is(head: &str, interpreter: &str, argument: Option<&str>) {
    let script = Script::parse(head.as_bytes()).unwrap();
    assert_eq!(script.interpreter, interpreter.as_bytes());
    assert_eq!(script.argument, argument.map(str::as_bytes));
}

#[test]
fn ordinary_lines() {
    is("#!/bin/sh\necho\n", "/bin/sh", None);
    is("#!/bin/sh -e\necho\n", "/bin/sh", Some("-e"));
    is("#! \t/usr/bin/env \t python3 -u  x \t\nprint()\n", "/usr/bin/env", Some("python3 -u  x"));
    is("#!sh \n", "sh", None);
}

#[test]
fn carriage_returns_belong_to_the_line() {
    is("#!/bin/sh\r\n", "/bin/sh\r", None);
}

#[test]
fn files_that_end_without_a_newline() {
    is("#!/bin/sh", "/bin/sh", None);
    is("#!/bin/sh -x", "/bin/sh", Some("-x"));
    is("#!/bin/sh -x ", "/bin/sh", Some("-x "));
    // The NUL that follows the file is the argument.
    is("#!/bin/sh ", "/bin/sh", Some(""));
    is("#!", "", None);
    is("#!  ", "", None);
}

#[test]
fn strings_end_at_a_nul() {
    is("#!/bin/sh\0x y\n", "/bin/sh", None);
    is("#!/bin/sh a\0b\n", "/bin/sh", Some("a"));
}

#[test]
fn not_a_script() {
    for head in ["", "#", "!#/bin/sh\n", " #!/bin/sh\n", "\x7fELF", "#!\n", "#! \t \n", "#!\n/bin/sh\n"] {
        assert_eq!(Script::parse(head.as_bytes()), None, "{head:?}");
    }
}

/// `#!/`, and `a` up to `length` bytes, then `rest`.
fn long(length: usize, rest: &str) -> String {
    format!("{:a<length$}{rest}", "#!/")
}

#[test]
fn a_path_that_may_be_cut_off_is_refused() {
    assert!(Script::parse(long(HEAD_SIZE, "\n").as_bytes()).is_none());
    assert!(Script::parse(long(HEAD_SIZE + 9, "").as_bytes()).is_none());
    assert!(Script::parse(" ".repeat(300).replacen("  ", "#!", 1).as_bytes()).is_none());
    // The last byte of the head ends the path.
    for end in ["\n", " ", "\t", "\0"] {
        let head = long(HEAD_SIZE - 1, end) + "cut off\n";
        let script = Script::parse(head.as_bytes()).unwrap();
        assert_eq!((script.interpreter.len(), script.argument), (HEAD_SIZE - 3, None), "{end:?}");
    }
    // A file of 255 bytes is followed by a NUL.
    assert_eq!(Script::parse(long(HEAD_SIZE - 1, "").as_bytes()).unwrap().interpreter.len(), HEAD_SIZE - 3);
}

#[test]
fn an_argument_may_be_cut_off() {
    let head = format!("#!/bin/sh {}\n", "b".repeat(300));
    let script = Script::parse(head.as_bytes()).unwrap();
    // Linux overwrites the last byte of its buffer with a NUL.
    assert_eq!(script.argument, Some("b".repeat(HEAD_SIZE - 1 - 10).as_bytes()));
}

fn strings(all: &[&str]) -> Strings {
    let mut strings = Strings::new(1000);
    for string in all {
        strings.push(string.as_bytes()).unwrap();
    }
    strings
}

#[test]
fn arguments_follow_the_line() {
    let old = strings(&["name", "one", "two"]);
    let script = Script { interpreter: b"/bin/sh", argument: Some(b"-e -x") };
    assert_eq!(script.arguments(b"./run", &old), Ok(strings(&["/bin/sh", "-e -x", "./run", "one", "two"])));
    let script = Script { argument: None, ..script };
    assert_eq!(script.arguments(b"./run", &strings(&[])), Ok(strings(&["/bin/sh", "./run"])));
    assert_eq!(script.arguments(&[b'a'; 1000], &old), Err(StartError::TooMuch));
}

#[test]
fn the_sixth_script_is_one_too_many() {
    let mut levels = Levels::default();
    for _ in 0..LEVELS_MAX {
        assert_eq!(levels.enter(), Ok(()));
    }
    assert_eq!(levels.enter(), Err(TooDeep));
    assert_eq!((LEVELS_MAX, TooDeep.errno()), (5, ELOOP));
}

/// What makes lines interesting, in any order.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"#! \t\n\0a/".as_slice());
    (prop::bool::weighted(0.9), prop::collection::vec((byte, 1..80_usize), 0..12)).prop_map(
        |(script, runs)| {
            let mut head = if script { b"#!".to_vec() } else { Vec::new() };
            runs.into_iter().for_each(|(byte, count)| head.extend(vec![byte; count]));
            head
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strings_are_parts_of_the_line(head in head()) {
        let padded: Vec<u8> = head.iter().copied().chain([0; HEAD_SIZE]).take(HEAD_SIZE).collect();
        let script = Script::parse(&head);
        prop_assert_eq!(script, Script::parse(&padded), "the padding changes nothing");
        let Some(Script { interpreter, argument }) = script else { return Ok(()) };
        prop_assert!(head.starts_with(b"#!"));
        let line = head[2..].split(|&byte| byte == b'\n').next().unwrap();
        let mut words = line.split(|byte| b" \t\0".contains(byte)).filter(|word| !word.is_empty());
        if !interpreter.is_empty() {
            prop_assert_eq!(Some(interpreter), words.next());
        }
        if let Some(argument) = argument {
            prop_assert!(!argument.contains(&0) && !argument.contains(&b'\n'));
            prop_assert!(argument.is_empty() || line.windows(argument.len()).any(|window| window == argument));
            prop_assert!(!argument.starts_with(b" ") && !argument.starts_with(b"\t"));
        }
    }

    #[test]
    fn random_bytes(head in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Script::parse(&head);
    }
}
