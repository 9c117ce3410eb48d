//! Printing to the console. Here the text goes to memory, where the tests can check it.

use super::at_each::{Subject, try_each};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Arguments;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::daif;
use kernel::console;

/// The memory that stands for the console, with the text that was printed.
struct Paper {
    bytes: [AtomicU8; 4096],
    len: AtomicUsize,
}

impl Paper {
    const fn new() -> Self {
        Self { bytes: [const { AtomicU8::new(0) }; 4096], len: AtomicUsize::new(0) }
    }

    fn put(&self, byte: u8) {
        if let Some(place) = self.bytes.get(self.len.fetch_add(1, Relaxed)) {
            place.store(byte, Relaxed);
        }
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> =
            self.bytes.iter().take(self.len.load(Relaxed)).map(|byte| byte.load(Relaxed)).collect();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }
}

static PAPER: Paper = Paper::new();

fn print(text: Arguments<'_>) {
    console::print_by(&mut |byte| PAPER.put(byte), text);
}

const OURS: &str = "<the operation's own line, number 1234567>\n";
const ITS: &str = "<the handler's line, number 7654321>\n";

fn print_its() {
    print(format_args!("<the handler's line, {} {}>\n", "number", 7_654_321));
}

fn reset() {
    print(format_args!(""));
    PAPER.len.store(0, Relaxed);
}

/// Checks that each line is there as often as it was printed, that each is whole, and that nothing else is there.
fn all_lines_are_whole(nested: u64, ours: usize) -> Outcome {
    print(format_args!(""));
    let text = PAPER.text();
    let rest = text.replace(OURS, "");
    check_eq!(text.matches(OURS).count(), ours, "lines of the operation's own in {text:?}");
    check_eq!(text.matches(ITS).count() as u64, nested, "lines of the handler's in {text:?}");
    check_eq!(rest.replace(ITS, ""), "", "what else was printed");
    Ok(())
}

pub fn text_is_printed_in_the_middle_of_printing() -> Outcome {
    fn print_ours() {
        print(format_args!("<the operation's own {}, number {}>\n", "line", 1_234_567));
    }
    let also = &[
        "kernel::console::print",
        "kernel::console::deferred::",
        "kernel::console::send",
        "<kernel::console::",
        "tests::reentrancy::console::print",
    ];
    let check = |nested| all_lines_are_whole(nested, 1);
    try_each(&Subject { outer: print_ours, nested: print_its, also, prepare: reset, check }, 100)
}

/// The operation prints while the console is taken, as a debug context does that has interrupted printing. Its two lines are kept
/// for later.
pub fn text_is_printed_where_the_console_is_taken() -> Outcome {
    fn print_ours() {
        console::print_by(
            &mut |byte| {
                if byte == b'!' {
                    let _masked = daif::AllMasked::new();
                    print(format_args!("<the operation's own {}, number {}>\n", "line", 1_234_567));
                    print(format_args!("<the operation's own {}, number {}>\n", "line", 1_234_567));
                } else {
                    PAPER.put(byte);
                }
            },
            format_args!("!"),
        );
    }
    fn check(nested: u64) -> Outcome {
        let outcome = all_lines_are_whole(nested, 2);
        check!(PAPER.len.load(Relaxed) < 4096);
        outcome
    }
    let also = &[
        "kernel::console::print",
        "kernel::console::deferred::",
        "kernel::console::send",
        "<kernel::console::",
        "tests::reentrancy::console::print",
        "tests::reentrancy::console::text_is_printed_where_the_console_is_taken::print_ours",
    ];
    try_each(&Subject { outer: print_ours, nested: print_its, also, prepare: reset, check }, 100)
}
