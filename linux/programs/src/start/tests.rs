//! Tests of the initial stack: read it as a program does, and compare with what went in.

use linux_raw_sys::auxvec::{AT_EXECFN, AT_PLATFORM, AT_RANDOM};
use linux_raw_sys::errno::E2BIG;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

use super::{AuxValues, Contents, InitialStack, STRING_MAX, StartError, Strings, layout, total_limit};
use crate::elf::{Image, Role};

const TOP: u64 = 0xffff_ffff_f000;
const RANDOM: [u8; 16] = *b"0123456789abcdef";

fn strings(all: &[&str]) -> Strings {
    let mut strings = Strings::new(u64::MAX);
    for string in all {
        strings.push(string.as_bytes()).unwrap();
    }
    strings
}

/// A stack as a program sees it.
struct Seen {
    sp: u64,
    bytes: Vec<u8>,
}

impl Seen {
    fn new(stack: &InitialStack<'_>) -> Self {
        let mut bytes = Vec::new();
        for (address, piece) in stack.pieces() {
            assert_eq!(address, stack.sp + bytes.len() as u64, "no holes");
            bytes.extend_from_slice(piece);
        }
        assert_eq!(stack.sp + bytes.len() as u64, stack.top);
        Self { sp: stack.sp, bytes }
    }

    fn at(&self, address: u64) -> &[u8] {
        &self.bytes[(address - self.sp) as usize..]
    }

    fn word(&self, address: u64) -> u64 {
        u64::from_le_bytes(*self.at(address).first_chunk().unwrap())
    }

    fn string(&self, address: u64) -> String {
        String::from_utf8(self.at(address).split(|&byte| byte == 0).next().unwrap().to_vec()).unwrap()
    }

    /// The strings of the pointers from `at` to NULL, and the address behind the NULL.
    fn list(&self, at: u64) -> (Vec<String>, u64) {
        let pointers: Vec<u64> =
            (0..).map(|index| self.word(at + 8 * index)).take_while(|&pointer| pointer != 0).collect();
        let list = pointers.iter().map(|&pointer| self.string(pointer)).collect();
        (list, at + 8 * pointers.len() as u64 + 8)
    }

    fn auxv(&self, at: u64) -> Vec<(u64, u64)> {
        let mut entries = Vec::new();
        for at in (at..).step_by(16) {
            entries.push((self.word(at), self.word(at + 8)));
            if self.word(at) == 0 {
                return entries;
            }
        }
        unreachable!()
    }
}

const AUX: AuxValues = AuxValues {
    vdso: Some(0x7000_0000),
    signal_stack_min: Some(4720),
    hwcap: 0xff,
    hwcap2: 2,
    phdr: 0x40_0040,
    phnum: 3,
    base: 0x5000_0000,
    entry: 0x40_0100,
    uid: 1,
    euid: 2,
    gid: 3,
    egid: 4,
    secure: true,
};

fn contents<'a>(arguments: &'a Strings, environment: &'a Strings) -> Contents<'a> {
    Contents { arguments, environment, path: b"/bin/prog", random: RANDOM, aux: &AUX }
}

#[test]
fn a_program_finds_everything() {
    let arguments = strings(&["prog", "", "three"]);
    let environment = strings(&["A=1", "HOME=/"]);
    let stack = layout(&contents(&arguments, &environment), TOP, 1 << 20).unwrap();
    assert_eq!(stack.sp % 16, 0);
    let seen = Seen::new(&stack);

    assert_eq!(seen.word(stack.sp), 3);
    let (list, at) = seen.list(stack.sp + 8);
    assert_eq!(list, ["prog", "", "three"]);
    let (list, at) = seen.list(at);
    assert_eq!(list, ["A=1", "HOME=/"]);

    let auxv = seen.auxv(at);
    let value = |key: u32| auxv.iter().find(|entry| entry.0 == key.into()).unwrap().1;
    let (random, path, platform) = (value(AT_RANDOM), value(AT_EXECFN), value(AT_PLATFORM));
    // The order and the keys are what Linux 6.1 gives to a program on a Cortex-A57.
    let expected = [
        (33, 0x7000_0000),
        (51, 4720),
        (16, 0xff),
        (6, 4096),
        (17, 100),
        (3, 0x40_0040),
        (4, 56),
        (5, 3),
        (7, 0x5000_0000),
        (8, 0),
        (9, 0x40_0100),
        (11, 1),
        (12, 2),
        (13, 3),
        (14, 4),
        (23, 1),
        (25, random),
        (26, 2),
        (31, path),
        (15, platform),
        (0, 0),
    ];
    assert_eq!(auxv, expected);
    let bytes: Vec<u8> =
        auxv.iter().flat_map(|&(key, value)| [key, value]).flat_map(u64::to_le_bytes).collect();
    assert_eq!(stack.auxv(), bytes);

    assert_eq!(seen.at(random)[..16], RANDOM);
    assert_eq!(seen.string(path), "/bin/prog");
    assert_eq!(seen.string(platform), "aarch64");

    // From the top down.
    assert_eq!(seen.word(TOP - 8), 0);
    assert_eq!(path, TOP - 8 - 10);
    assert_eq!(stack.environment, path - 11..path);
    assert_eq!(stack.arguments, path - 11 - 12..path - 11);
    assert_eq!(seen.at(stack.arguments.start)[..12], *b"prog\0\0three\0");
    assert_eq!(seen.at(stack.environment.start)[..11], *b"A=1\0HOME=/\0");
    assert_eq!(platform, stack.arguments.start / 16 * 16 - 8);
    assert_eq!(random, platform - 16);
    let end_of_auxv = at + 16 * auxv.len() as u64;
    assert!(random - end_of_auxv < 16, "only padding between");
}

#[test]
fn entries_without_a_value_are_left_out() {
    let none = strings(&["x"]);
    let aux = AuxValues { vdso: None, signal_stack_min: None, ..AUX };
    let stack = layout(&Contents { aux: &aux, ..contents(&none, &none) }, TOP, 1 << 20).unwrap();
    assert_eq!(stack.auxv().len(), 19 * 16);
    assert_eq!(stack.auxv()[0], 16);
}

#[test]
fn a_program_without_arguments_gets_an_empty_one() {
    let none = strings(&[]);
    let stack = layout(&contents(&none, &none), TOP, 1 << 20).unwrap();
    let seen = Seen::new(&stack);
    assert_eq!(seen.word(stack.sp), 1);
    let (list, at) = seen.list(stack.sp + 8);
    assert_eq!(list, [""]);
    assert!(seen.list(at).0.is_empty());
    assert_eq!(stack.arguments.end - stack.arguments.start, 1);
    assert!(stack.environment.is_empty());
}

#[test]
fn one_string_has_at_most_128_kib_with_its_nul() {
    let mut strings = Strings::new(u64::MAX);
    strings.push(&vec![b'a'; STRING_MAX - 1]).unwrap();
    assert_eq!(strings.push(&vec![b'a'; STRING_MAX]), Err(StartError::StringTooLong));
    assert_eq!((strings.count(), strings.bytes().len()), (1, 128 * 1024));
    assert_eq!(StartError::StringTooLong.errno(), E2BIG);
    let none = self::strings(&[]);
    let path = vec![b'a'; STRING_MAX];
    let result = layout(&Contents { path: &path, ..contents(&none, &none) }, TOP, u64::MAX);
    assert_eq!(result.unwrap_err(), StartError::StringTooLong);
}

#[test]
fn the_limit_counts_strings_and_pointers() {
    let mut some = Strings::new(4 + 8 + 3 + 8);
    some.push(b"abc").unwrap();
    assert_eq!(some.push(b"abc"), Err(StartError::TooMuch));
    some.push(b"ab").unwrap();
    assert_eq!(some.push(b""), Err(StartError::TooMuch));

    // The path counts too, but has no pointer in the lists.
    let environment = strings(&["E"]);
    let used = 23 + 10 + 10;
    assert!(layout(&contents(&some, &environment), TOP, used).is_ok());
    assert_eq!(layout(&contents(&some, &environment), TOP, used - 1).unwrap_err(), StartError::TooMuch);
    assert_eq!(StartError::TooMuch.errno(), E2BIG);
    // The empty argument that is added counts.
    let none = strings(&[]);
    assert!(layout(&contents(&none, &none), TOP, 10 + 1 + 8).is_ok());
    assert!(layout(&contents(&none, &none), TOP, 10 + 8).is_err());
}

#[test]
fn limits_follow_the_stacks() {
    assert_eq!(total_limit(8 << 20), 2 << 20);
    assert_eq!(total_limit(0), 128 << 10);
    assert_eq!(total_limit(100 << 10), 128 << 10);
    assert_eq!(total_limit(u64::MAX), 6 << 20);
}

#[test]
fn strings_end_at_their_first_nul() {
    let mut some = Strings::new(100);
    some.push(b"ab\0cd").unwrap();
    some.push(b"\0").unwrap();
    some.push(b"e").unwrap();
    assert_eq!(some.bytes(), b"ab\0\0e\0");
    assert_eq!(some.iter().collect::<Vec<_>>(), [b"ab".as_slice(), b"", b"e"]);
    assert_eq!((some.count(), some.limit()), (3, 100));
}

#[test]
fn a_stack_does_not_go_below_address_zero() {
    let some = strings(&["prog"]);
    let whole = layout(&contents(&some, &some), TOP, 1 << 20).unwrap();
    let size = TOP - whole.sp;
    for top in 0..size + 16 {
        match layout(&contents(&some, &some), top, 1 << 20) {
            Ok(stack) => drop(Seen::new(&stack)),
            Err(error) => assert!(error == StartError::TooMuch && top < size + 16),
        }
    }
    assert!(layout(&contents(&some, &some), size.next_multiple_of(16), 1 << 20).is_ok());
}

#[test]
fn the_programs_values_come_from_its_image() {
    let file = crate::elf::test_program();
    let image = Image::read(file.as_slice(), Role::Program).unwrap();
    let plan = image.plan(image.bias_at(0x5000_0000), 0..1 << 48).unwrap();
    let aux = AuxValues::of(&image, &plan);
    assert_eq!((aux.phdr, aux.phnum, aux.entry, aux.base), (0x5000_0040, 4, 0x5000_0600, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_strings_are_found(
        arguments in prop::collection::vec("[a-z=]{0,20}", 1..12),
        environment in prop::collection::vec("[a-z=]{0,20}", 0..12),
        path in "[a-z/]{0,20}",
        top in 0x1_0000_u64..1 << 48,
    ) {
        let list = |all: &[String]| strings(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let (argument_list, environment_list) = (list(&arguments), list(&environment));
        let contents = Contents { path: path.as_bytes(), ..contents(&argument_list, &environment_list) };
        let stack = layout(&contents, top, 1 << 20).unwrap();
        prop_assert!(stack.sp.is_multiple_of(16));
        let seen = Seen::new(&stack);
        prop_assert_eq!(seen.word(stack.sp), arguments.len() as u64);
        let (list, at) = seen.list(stack.sp + 8);
        prop_assert_eq!(list, arguments);
        let (list, at) = seen.list(at);
        prop_assert_eq!(list, environment);
        let auxv = seen.auxv(at);
        prop_assert_eq!(seen.string(auxv[18].1), path);
        prop_assert_eq!(&seen.at(auxv[16].1)[..16], RANDOM.as_slice());
    }
}
