//! Transcripts: what is typed, what is echoed, what is read.

mod common;

use common::{Out, Terminal};
use linux_raw_sys::general as raw;
use proptest::prelude::*;
use signals::Signal;
use tty::{Flow, OutputQueue, Queues};

#[test]
fn a_line_is_read_when_it_has_ended() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.echo("ls -l"), "ls -l");
    assert_eq!((terminal.read(100), terminal.tty.is_readable(), terminal.tty.queued()), (None, false, 0));
    assert!(!terminal.effects("a").wake_readers);
    assert!(terminal.effects("\r").wake_readers);
    assert!(terminal.tty.is_readable());
    assert_eq!(terminal.tty.queued(), 7);
    assert_eq!(terminal.read_text(100).unwrap(), "ls -la\n");
    assert_eq!(terminal.read(100), None);
}

#[test]
fn lines_are_read_one_by_one_and_long_ones_in_parts() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.echo("abc\ndef\ng"), "abc\r\ndef\r\ng");
    assert_eq!(terminal.read_text(2).unwrap(), "ab");
    assert_eq!(terminal.read_text(100).unwrap(), "c\n");
    assert_eq!(terminal.read_text(4).unwrap(), "def\n");
    assert_eq!(terminal.read(1), None);
    assert_eq!(terminal.read_text(0).unwrap(), "", "a read of nothing waits for nothing");
}

#[test]
fn veof_ends_the_file_or_pushes_a_part_of_a_line() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.echo("\x04"), "", "VEOF is not echoed");
    assert_eq!(terminal.tty.queued(), 0);
    assert!(terminal.tty.is_readable());
    assert_eq!(terminal.read_text(10).unwrap(), "");
    assert_eq!(terminal.read(10), None);

    terminal.press("abc\x04\x04x\n");
    assert_eq!(terminal.read_text(10).unwrap(), "abc");
    assert_eq!(terminal.read_text(10).unwrap(), "", "the second VEOF");
    assert_eq!(terminal.read_text(10).unwrap(), "x\n");

    terminal.press("abc\x04");
    assert_eq!(terminal.read_text(3).unwrap(), "abc");
    assert_eq!(terminal.read(3), None, "a full buffer takes VEOF with it");
    terminal.press("abc\x04");
    assert_eq!(terminal.read_text(2).unwrap(), "ab");
    assert_eq!(terminal.read_text(2).unwrap(), "c");
    assert_eq!(terminal.read(3), None);
}

#[test]
fn characters_words_and_lines_are_erased() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.echo("ab\x7f"), "ab\x08 \x08");
    assert_eq!(terminal.echo("\x7f\x7f"), "\x08 \x08", "nothing is left to erase");
    terminal.press("one two,  \x17");
    assert_eq!(terminal.echo("\x17"), "\x08 \x08".repeat(4));
    terminal.press("three\x15four\n");
    assert_eq!(terminal.read_text(100).unwrap(), "four\n");
    terminal.press("one two,  \x17!\n");
    assert_eq!(terminal.read_text(100).unwrap(), "one !\n", "blanks and the comma go with the word before");
    assert_eq!(terminal.echo("abc\x15"), format!("abc{}", "\x08 \x08".repeat(3)));
    assert_eq!(terminal.echo("a\n\x7f"), "a\r\n", "the line before is out of reach");
}

#[test]
fn without_echoke_and_echoe_the_keys_are_echoed() {
    let mut terminal = Terminal::with(|termios| termios.lflag &= !(raw::ECHOKE | raw::ECHOE));
    assert_eq!(terminal.echo("ab\x7f"), "ab^?");
    assert_eq!(terminal.echo("\x15"), "^U\r\n");
    let mut terminal = Terminal::with(|termios| termios.lflag &= !(raw::ECHOKE | raw::ECHOK));
    assert_eq!(terminal.echo("ab\x15c\n"), "ab^Uc\r\n");
    assert_eq!(terminal.read_text(10).unwrap(), "c\n");
    let mut terminal = Terminal::with(|termios| termios.lflag &= !raw::ECHO);
    assert_eq!(terminal.echo("ab\x7f\x7fcd\x15e\x12\n"), "");
    assert_eq!(terminal.read_text(10).unwrap(), "e\x12\n", "VREPRINT works with ECHO only");
    let mut terminal = Terminal::with(|termios| termios.lflag = raw::ICANON | raw::ECHONL);
    assert_eq!(terminal.echo("ab\n"), "\r\n");
}

#[test]
fn control_characters_take_two_columns_and_tabs_up_to_eight() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.echo("\x01"), "^A");
    assert_eq!(terminal.echo("\x7f"), "\x08 \x08\x08 \x08");
    assert_eq!(terminal.echo("ab\t\x7f"), format!("ab\t{}", "\x08".repeat(6)));
    assert_eq!(terminal.echo("\x16\x16\t\x7f"), format!("^\x08^V\t{}", "\x08".repeat(4)));
    terminal.press("\x15");
    assert_eq!(
        terminal.echo("a\tb\t\x7f\x7f\x7f"),
        format!("a\tb\t{}\x08 \x08{}", "\x08".repeat(7), "\x08".repeat(7))
    );
    terminal.press("\x15");
    // The prompt takes 3 columns of the first 8.
    terminal.tty.output(b"$  ", &mut Out::default());
    assert_eq!(terminal.echo("ab\t\x7f"), format!("ab\t{}", "\x08".repeat(3)));
    assert_eq!(terminal.echo("\x7f\x7f\t\x7f"), format!("{}\t{}", "\x08 \x08".repeat(2), "\x08".repeat(5)));
    let mut terminal = Terminal::with(|termios| termios.lflag &= !raw::ECHOCTL);
    assert_eq!(terminal.echo("a\x01\x7f"), "a\x01", "no column, nothing to erase");
}

#[test]
fn with_iutf8_whole_characters_are_erased() {
    let mut terminal = Terminal::with(|termios| termios.iflag |= raw::IUTF8);
    assert_eq!(terminal.echo("a\u{e9}\u{20ac}\x7f"), "a\u{e9}\u{20ac}\x08 \x08");
    assert_eq!(terminal.echo("\t\x7f"), format!("\t{}", "\x08".repeat(6)));
    terminal.press("\x7f\n");
    assert_eq!(terminal.read_text(10).unwrap(), "a\n");
    terminal.press(b"\x80\x80\x7f\n");
    assert_eq!(terminal.read(10).unwrap(), b"\x80\x80\n", "what is no whole character is not erased");
    let mut terminal = Terminal::new();
    terminal.press("\u{e9}\x7f\n");
    assert_eq!(terminal.read(10).unwrap(), b"\xc3\n", "each byte is a character");
}

#[test]
fn the_next_character_can_be_made_literal() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.echo("a\x16\x03\x16\x7f\x16\r"), "a^\x08^C^\x08^?^\x08^M");
    assert_eq!(terminal.effects("\x16\x04").signal, None);
    terminal.press("\n");
    assert_eq!(terminal.read(10).unwrap(), b"a\x03\x7f\r\x04\n");
    terminal.change(|termios| termios.lflag &= !raw::IEXTEN);
    terminal.press("\x16\n");
    assert_eq!(terminal.read(10).unwrap(), b"\x16\n");
}

#[test]
fn a_line_is_reprinted() {
    let mut terminal = Terminal::new();
    terminal.press("x\nab\x16\x01c");
    assert_eq!(terminal.echo("\x12"), "^R\r\nab^Ac");
    assert_eq!(terminal.echo("\x7f"), "\x08 \x08");
    terminal.press("\x15");
    terminal.tty.output(b"\n$  ", &mut Out::default());
    assert_eq!(terminal.echo("ab\t\x7f\t"), format!("ab\t{}\t", "\x08".repeat(3)));
    assert_eq!(
        terminal.echo("\x12\x7f"),
        format!("^R\r\nab\t{}", "\x08".repeat(6)),
        "no prompt before the reprinted line"
    );
}

#[test]
fn words_have_letters_of_latin_1() {
    let mut terminal = Terminal::new();
    terminal.press(b"a\xd7b\xe9\x17\n");
    assert_eq!(terminal.read(10).unwrap(), b"a\xd7\n", "a multiplication sign is no letter");
}

#[test]
fn other_characters_can_end_lines() {
    let mut terminal = Terminal::with(|termios| {
        termios.cc[raw::VEOL as usize] = b';';
        termios.cc[raw::VEOL2 as usize] = b'.';
    });
    assert_eq!(terminal.echo("a;b.c\n"), "a;b.c\r\n");
    assert_eq!(["a;", "b.", "c\n"].map(|_| terminal.read_text(9).unwrap()), ["a;", "b.", "c\n"]);
    terminal.change(|termios| termios.lflag &= !raw::IEXTEN);
    terminal.press("b.c;");
    assert_eq!(terminal.read_text(9).unwrap(), "b.c;");
    terminal.press("\0\n");
    assert_eq!(terminal.read_text(9).unwrap(), "\0\n", "0 is no control character, though VEOL2 may be 0");
}

#[test]
fn returns_and_newlines_are_mapped() {
    let read = |flags, typed: &str| {
        let mut terminal = Terminal::with(|termios| termios.iflag = flags);
        terminal.press(typed);
        terminal.press("\x04");
        terminal.read_text(9).unwrap()
    };
    assert_eq!(read(raw::ICRNL, "a\r"), "a\n");
    assert_eq!(read(0, "a\r"), "a\r");
    assert_eq!(read(raw::IGNCR | raw::ICRNL, "a\rb"), "ab");
    assert_eq!(read(raw::INLCR, "a\nb"), "a\rb");
    assert_eq!(read(raw::INLCR | raw::ICRNL, "a\nb\r"), "a\rb\n");
    assert_eq!(read(0, "\u{e9}"), "\u{e9}");
    assert_eq!(read(raw::ISTRIP, "\u{e9}"), "C)");
}

#[test]
fn signals_are_raised_and_drop_what_was_typed() {
    let mut terminal = Terminal::new();
    for (key, signal) in [("\x03", Signal::SIGINT), ("\x1c", Signal::SIGQUIT), ("\x1a", Signal::SIGTSTP)] {
        terminal.press("line\npart");
        terminal.out.send(b'!');
        assert_eq!(terminal.effects(key).signal, Some(signal));
        assert_eq!(terminal.out.0, [b'^', key.as_bytes()[0] ^ 0x40], "the output before is discarded");
        assert_eq!(terminal.read(10), None);
    }
    terminal.change(|termios| termios.lflag |= raw::NOFLSH);
    terminal.press("li\x03ne\n");
    assert_eq!(terminal.out.0.last(), Some(&b'\n'));
    assert_eq!(terminal.read_text(10).unwrap(), "line\n");
    terminal.change(|termios| termios.lflag &= !raw::ISIG);
    assert_eq!(terminal.effects("\x03\n").signal, None);
    assert_eq!(terminal.read_text(10).unwrap(), "\x03\n");
}

#[test]
fn output_is_stopped_and_started() {
    let mut terminal = Terminal::new();
    assert_eq!(terminal.effects("\x13").flow, Some(Flow::Stop));
    assert!(terminal.tty.is_stopped());
    assert_eq!(terminal.effects("\x13").flow, None);
    assert_eq!(terminal.effects("a").flow, None);
    assert_eq!(terminal.effects("\x11").flow, Some(Flow::Start));
    assert!(!terminal.tty.is_stopped());
    terminal.press("\x13");
    assert_eq!(terminal.effects("\x03").flow, Some(Flow::Start), "a signal starts the output");
    terminal.change(|termios| termios.iflag |= raw::IXANY);
    terminal.press("\x13");
    assert_eq!(terminal.effects("a").flow, Some(Flow::Start));
    terminal.press("\x13");
    assert_eq!(terminal.changed(|termios| termios.iflag &= !raw::IXON).flow, Some(Flow::Start));
    assert_eq!(terminal.effects("\x13\x11\n").flow, None);
    assert_eq!(terminal.read_text(10).unwrap(), "a\x13\x11\n");
}

#[test]
fn a_full_queue_rings_and_still_ends_the_line() {
    let mut terminal = Terminal::with(|termios| termios.iflag |= raw::IMAXBEL);
    terminal.press(vec![b'a'; 4094]);
    assert_eq!(terminal.tty.room(), 1);
    assert_eq!(terminal.echo("b"), "b");
    assert_eq!(terminal.tty.room(), 1, "the line can still be ended");
    assert_eq!(terminal.echo("cd"), "\x07\x07");
    assert_eq!(terminal.echo("\x7fe"), "\x08 \x08e");
    assert_eq!(terminal.echo("\n"), "\r\n");
    assert_eq!(terminal.tty.room(), 0);
    terminal.press("f\n");
    let line = terminal.read_text(5000).unwrap();
    assert_eq!((line.len(), &line[4093..]), (4096, "ae\n"));
    assert_eq!(terminal.read(10), None);
    assert_eq!(terminal.tty.room(), 4095);
}

#[test]
fn flushing_drops_what_it_names() {
    let mut terminal = Terminal::new();
    let mut flush = |queues| {
        terminal.press("ab\ncd");
        terminal.tty.flush(queues, &mut terminal.out);
        let empty = terminal.out.0.is_empty();
        terminal.press("e\n");
        terminal.out.0.clear();
        let lines: Vec<_> = std::iter::from_fn(|| terminal.read_text(9)).collect();
        (lines.concat(), empty)
    };
    assert_eq!(flush(Queues::Output), ("ab\ncde\n".to_owned(), true));
    assert_eq!(flush(Queues::Input), ("e\n".to_owned(), false));
    assert_eq!(flush(Queues::Both), ("e\n".to_owned(), true));
}

/// What a line of ASCII without control characters other than the editing keys is after editing, told in the plainest way.
fn edit(typed: &[u8]) -> Vec<u8> {
    let mut line: Vec<u8> = Vec::new();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    for byte in typed {
        match byte {
            0x7f => drop(line.pop()),
            0x15 => line.clear(),
            0x17 => {
                let end = line.iter().rposition(word).map_or(0, |last| last + 1);
                let start = line[..end].iter().rposition(|byte| !word(byte)).map_or(0, |last| last + 1);
                line.truncate(start);
            }
            _ => line.push(*byte),
        }
    }
    line
}

/// What a terminal of endless width shows in its line.
fn screen(bytes: &[u8]) -> Vec<u8> {
    let (mut cells, mut cursor) = (Vec::new(), 0usize);
    for byte in bytes {
        match byte {
            0x08 => cursor = cursor.saturating_sub(1),
            b'\t' => cursor = cursor / 8 * 8 + 8,
            _ => {
                cells.resize(cells.len().max(cursor + 1), b' ');
                cells[cursor] = *byte;
                cursor += 1;
            }
        }
    }
    cells.resize(cursor, b' ');
    cells
}

fn key() -> impl Strategy<Value = u8> {
    prop_oneof![4 => b'a'..=b'c', 1 => Just(b' '), 1 => Just(b'_'), 1 => Just(b','), 1 => Just(b'\t'), 3 => Just(0x7f), 1 => Just(0x17), 1 => Just(0x15)]
}

proptest! {
    #[test]
    fn editing_gives_the_line_that_the_screen_shows(typed in prop::collection::vec(key(), 0..40), prompt in 0usize..12) {
        let mut terminal = Terminal::new();
        let prompt = vec![b'$'; prompt];
        terminal.tty.output(&prompt, &mut terminal.out);
        terminal.press(&typed);
        let shown = screen(&terminal.out.0);
        let line = edit(&typed);
        prop_assert_eq!(shown, screen(&[prompt, line.clone()].concat()));
        terminal.press("\n");
        prop_assert_eq!(terminal.read(100).unwrap(), [line, b"\n".to_vec()].concat());
    }

    #[test]
    fn any_bytes_any_settings(
        bytes in prop::collection::vec(any::<u8>(), 0..200), iflag: u32, oflag: u32, lflag: u32, cc: [u8; 19], max in 0usize..20,
    ) {
        let mut terminal = Terminal::with(|termios| {
            (termios.iflag, termios.oflag, termios.lflag, termios.cc) = (iflag, oflag, lflag, cc);
        });
        let mut read = 0;
        for byte in bytes {
            terminal.press([byte]);
            let queued = terminal.tty.queued();
            let mut buffer = vec![0; max];
            let done = match terminal.tty.read(&mut buffer, 0) {
                tty::Read::Return(done) | tty::Read::Wait { done, .. } => done,
            };
            prop_assert_eq!(queued - done, terminal.tty.queued());
            read += done;
        }
        prop_assert!(read <= 200);
    }
}
