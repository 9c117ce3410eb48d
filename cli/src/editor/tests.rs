use super::{Event, LineEditor, LineError};
use crate::testing::Random;

/// A terminal of one line that panics at output which the editor must not send.
#[derive(Default)]
struct Screen {
    cells: Vec<char>,
    column: usize,
    bells: usize,
    escape: String,
}

impl core::fmt::Write for Screen {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for c in text.chars() {
            if !self.escape.is_empty() {
                self.escape.push(c);
                match self.escape.as_str() {
                    "\x1b[" => {}
                    "\x1b[K" => {
                        self.cells.truncate(self.column);
                        self.escape.clear();
                    }
                    other => panic!("unknown sequence {other:?}"),
                }
                continue;
            }
            match c {
                '\x1b' => self.escape.push(c),
                '\x07' => self.bells += 1,
                '\x08' => self.column = self.column.checked_sub(1).expect("moved past the left margin"),
                '\r' => self.column = 0,
                '\n' => self.cells.clear(),
                ' '..='~' => {
                    assert!(self.column <= self.cells.len(), "moved past the end of the text");
                    self.cells.truncate(self.cells.len().max(self.column));
                    if self.column == self.cells.len() {
                        self.cells.push(c);
                    } else {
                        self.cells[self.column] = c;
                    }
                    self.column += 1;
                }
                other => panic!("unexpected output {other:?}"),
            }
        }
        Ok(())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Got {
    Line(String),
    Rejected(LineError),
    End,
}

struct Session {
    editor: LineEditor<16, 3>,
    screen: Screen,
    got: Vec<Got>,
}

impl Session {
    fn new(echo: bool) -> Session {
        let editor = LineEditor::new("> ", echo);
        let mut screen = Screen::default();
        editor.draw_prompt(&mut screen);
        Session { editor, screen, got: Vec::new() }
    }

    fn send(&mut self, bytes: &[u8]) -> &mut Session {
        for &byte in bytes {
            let got = match self.editor.feed(byte, &mut self.screen) {
                Event::Pending => continue,
                Event::Line(line) => Got::Line(line.to_string()),
                Event::Rejected(error) => Got::Rejected(error),
                Event::End => Got::End,
            };
            if got != Got::End {
                self.editor.draw_prompt(&mut self.screen);
            }
            self.got.push(got);
        }
        self
    }

    fn shown(&self) -> String {
        self.screen.cells.iter().collect()
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let mut session = Session::new(true);
    session.send(bytes);
    session
        .got
        .iter()
        .map(|got| if let Got::Line(line) = got { line.clone() } else { format!("{got:?}") })
        .collect()
}

#[test]
fn cr_lf_and_crlf_each_end_a_line_once() {
    assert_eq!(lines(b"a\rb\nc\r\nd\n\re\r\r\n\n"), ["a", "b", "c", "d", "", "e", "", ""]);
}

#[test]
fn keys_edit_where_the_cursor_is() {
    let cases: &[(&[u8], &str)] = &[
        (b"abc\x1b[D\x1b[DX", "aXbc"),
        (b"abc\x02\x02\x06X", "abXc"),
        (b"abc\x01X", "Xabc"),
        (b"abc\x01\x05X", "abcX"),
        (b"abc\x1b[HX", "Xabc"),
        (b"abc\x1b[1~X\x1b[4~Y", "XabcY"),
        (b"abc\x1bOHX\x1bOFY", "XabcY"),
        (b"abc\x7f\x08X", "aX"),
        (b"abc\x01\x1b[3~X", "Xbc"),
        (b"abc\x01\x04X", "Xbc"),
        (b"abc\x02\x0bX", "abX"),
        (b"abc\x02\x15X", "Xc"),
        (b"ab cd  \x17X", "ab X"),
        (b"ab cd\x17\x17X", "X"),
        (b"ab\x1b[1;5DX", "aXb"),
        (b"ab\x1b[99999999~X", "abX"),
        (b"a\tb", "a b"),
        (b"\x01\x7f\x1b[3~\x1b[D\x1b[C\x0b\x15\x17a", "a"),
    ];
    for (keys, line) in cases {
        let mut session = Session::new(true);
        session.send(keys);
        assert_eq!(session.shown(), format!("> {line}"), "{keys:?} on the screen");
        session.send(b"\r");
        assert_eq!(session.got, [Got::Line(line.to_string())], "{keys:?}");
    }
}

#[test]
fn up_and_down_recall_and_the_draft_comes_back() {
    let mut session = Session::new(true);
    session.send(b"one\rtwo\rtwo\r  \r\rthr");
    session.send(b"\x1b[A");
    assert_eq!(session.shown(), "> two");
    session.send(b"\x10");
    assert_eq!(session.shown(), "> one");
    let bells = session.screen.bells;
    session.send(b"\x1b[A");
    assert_eq!((session.shown().as_str(), session.screen.bells), ("> one", bells + 1));
    session.send(b"\x1b[B\x0e");
    assert_eq!(session.shown(), "> thr");
    session.send(b"\x1b[B");
    assert_eq!(session.shown(), "> thr");
    session.send(b"\x1b[A\x1b[AX\r");
    assert_eq!(session.got.last(), Some(&Got::Line("oneX".into())));
    session.send(b"\x1b[A\x1b[A\x1b[A");
    assert_eq!(session.shown(), "> one");
    // A fourth line: the oldest of three is forgotten.
    session.send(b"\x03four\r\x1b[A\x1b[A\x1b[A\x1b[A");
    assert_eq!(session.shown(), "> two");
}

#[test]
fn control_c_gives_the_line_up() {
    let mut session = Session::new(true);
    session.send(b"abc\x03");
    assert_eq!((session.shown().as_str(), session.got.len()), ("> ", 0));
    session.send(b"d\r");
    assert_eq!(session.got, [Got::Line("d".into())]);
}

#[test]
fn control_l_draws_the_line_again() {
    let mut session = Session::new(true);
    session.send(b"abc\x02\x0cX");
    assert_eq!(session.shown(), "> abXc");
}

#[test]
fn control_d_ends_on_an_empty_line_only() {
    let mut session = Session::new(true);
    session.send(b"a\x04");
    assert!(session.got.is_empty() && !session.editor.ended());
    session.send(b"\x7f\x04");
    assert_eq!(session.got, [Got::End]);
    assert!(session.editor.ended());
}

#[test]
fn an_overlong_line_is_rejected_whole_and_the_next_is_not() {
    for echo in [true, false] {
        let mut session = Session::new(echo);
        session.send(b"0123456789abcdef\r0123456789abcdefg\rnext\r");
        assert_eq!(
            session.got,
            [
                Got::Line("0123456789abcdef".into()),
                Got::Rejected(LineError::TooLong { limit: 16 }),
                Got::Line("next".into()),
            ]
        );
    }
    assert!(LineError::TooLong { limit: 16 }.to_string().contains("16"));
}

#[test]
fn who_has_noticed_that_the_line_is_full_may_go_on() {
    let mut session = Session::new(true);
    session.send(b"0123456789abcdefg");
    assert_eq!((session.screen.bells, session.shown().as_str()), (1, "> 0123456789abcdef"));
    session.send(b"\x7fX\r");
    assert_eq!(session.got, [Got::Line("0123456789abcdeX".into())]);
}

#[test]
fn characters_outside_ascii_are_left_out_visibly_and_the_line_is_not_run() {
    for echo in [true, false] {
        let mut session = Session::new(echo);
        session.send("bréak €\r".as_bytes()).send(b"ok\r");
        assert_eq!(session.got, [Got::Rejected(LineError::NotAscii), Got::Line("ok".into())]);
        assert_eq!(session.screen.bells, if echo { 2 } else { 0 });
    }
    // Also if the character is alone on the line.
    let mut session = Session::new(false);
    session.send("é\x04".as_bytes());
    assert_eq!(session.got, [Got::Rejected(LineError::NotAscii)]);
}

/// Bytes that are no characters are left out like characters outside ASCII, so the line must not be run either.
#[test]
fn bytes_that_are_no_characters_spoil_the_line() {
    for echo in [true, false] {
        for line in [&b"a\x80b"[..], b"a\0b", b"a\xffb", b"\xc3\xa9\xa9\x7f", b"a\x1b\x80b", b"a\x1b[\x9fb"] {
            let mut session = Session::new(echo);
            session.send(line);
            let noticed = echo && line.ends_with(b"\x7f");
            session.send(b"\rok\r");
            let first = if noticed { Got::Line(String::new()) } else { Got::Rejected(LineError::NotAscii) };
            assert_eq!(session.got, [first, Got::Line("ok".into())], "{line:x?}, echo {echo}");
        }
    }
}

/// A recalled line is complete, but the draft that comes back still lacks what was left out of it.
#[test]
fn a_draft_that_lacks_characters_still_does_after_up_and_down() {
    let mut session = Session::new(true);
    session.send(b"one\rtwo\r").send("éabc\x10\x10\x0e\x0e".as_bytes());
    assert_eq!(session.shown(), "> abc");
    session.send(b"\r");
    assert_eq!(session.got.last(), Some(&Got::Rejected(LineError::NotAscii)));
    // A recalled line may be used, whatever was typed before.
    session.send("é\x10\r".as_bytes());
    assert_eq!(session.got.last(), Some(&Got::Line("two".into())));
    // What is typed into a recalled line spoils that line, not the draft and not another recalled line.
    session.send("x\x10é\r".as_bytes());
    assert_eq!(session.got.last(), Some(&Got::Rejected(LineError::NotAscii)));
    session.send("x\x10é\x0e\r".as_bytes());
    assert_eq!(session.got.last(), Some(&Got::Line("x".into())));
    session.send("\x10é\x10\r".as_bytes());
    assert_eq!(session.got.last(), Some(&Got::Line("two".into())));
    // The draft's rejection does not outlive the draft.
    session.send("é\x10\r\x10\x0eb\r".as_bytes());
    assert_eq!(session.got.last(), Some(&Got::Line("b".into())));
    // A key that deletes still shows that the draft's author has noticed.
    session.send("éab\x10\x0e\x7f\r".as_bytes());
    assert_eq!(session.got.last(), Some(&Got::Line("a".into())));
}

/// Without echo nobody sees what was left out, so no key but ^C makes the line good again.
#[test]
fn without_echo_a_recall_does_not_undo_a_rejection() {
    for keys in ["é\x1b[A", "é\x1b[A\x1b[B", "\x10é\x0e", "0123456789abcdefg\x10", "éab\x7f\x10\x10"] {
        let mut session = Session::new(false);
        session.send(b"one\rtwo\r").send(keys.as_bytes()).send(b"\rok\r");
        assert!(matches!(session.got[2], Got::Rejected(_)), "{keys:?}: {:?}", session.got);
        assert_eq!(session.got[3], Got::Line("ok".into()), "{keys:?}");
    }
    let mut session = Session::new(false);
    session.send("é\x03ab\r".as_bytes());
    assert_eq!(session.got, [Got::Line("ab".into())]);
}

#[test]
fn without_echo_nothing_is_written_and_a_last_line_needs_no_end() {
    let mut session = Session::new(false);
    session.send(b"ab\x7fc\x1b[D\rlast");
    assert!(session.screen.cells.is_empty() && !session.editor.ended());
    session.send(b"\x04");
    assert_eq!(session.got, [Got::Line("ac".into()), Got::Line("last".into())]);
    assert!(session.editor.ended() && session.screen.cells.is_empty());
}

#[test]
fn a_sequence_that_is_cut_off_by_a_line_end_does_not_eat_it() {
    assert_eq!(lines(b"a\x1b\rb\x1b[\rc\x1b[1\rd"), ["a", "b", "c"]);
}

/// Whatever is typed, the editor does not panic, and the screen shows the line.
#[test]
fn the_screen_shows_the_line_whatever_is_typed() {
    let keys: &[&[u8]] = &[
        b"a",
        b"b",
        b" ",
        b"\x1b[D",
        b"\x1b[C",
        b"\x01",
        b"\x05",
        b"\x7f",
        b"\x1b[3~",
        b"\x0b",
        b"\x15",
        b"\x17",
        b"\x1b[A",
        b"\x1b[B",
        b"\x0c",
        b"\xc3\xa9",
        b"\x1b",
        b"[",
        b"\x04",
        b"\r",
        b"\n",
        b"\x03",
    ];
    let mut random = Random(5);
    for _ in 0..300 {
        let mut session = Session::new(true);
        for _ in 0..200 {
            let key = random.pick(keys);
            session.send(key);
            if session.editor.ended() {
                break;
            }
            let line = super::text(&session.editor.line[..session.editor.len]);
            let line = if session.editor.finished { "" } else { line };
            assert_eq!(session.shown(), format!("> {line}"));
            if !session.editor.finished {
                assert_eq!(session.screen.column, 2 + session.editor.cursor);
            }
        }
    }
}

#[test]
fn random_bytes_never_panic_and_lines_are_printable() {
    let mut random = Random(11);
    for echo in [true, false] {
        let mut session = Session::new(echo);
        for _ in 0..200_000 {
            session.send(&[random.next() as u8]);
        }
        let mut count = 0;
        for got in &session.got {
            if let Got::Line(line) = got {
                count += 1;
                assert!(line.len() <= 16 && line.bytes().all(|b| (b' '..=b'~').contains(&b)));
            }
        }
        assert!(count > 20, "{count} lines");
    }
}

#[test]
fn why_a_line_is_not_used_is_told() {
    assert_eq!(
        LineError::TooLong { limit: 16 }.to_string(),
        "the line is too long and was not run: at most 16 characters"
    );
    assert_eq!(
        LineError::NotAscii.to_string(),
        "the line was not run: only printable ASCII characters are understood"
    );
}

/// A key that cannot do anything sounds the bell once; a key that can do something does not sound it.
#[test]
fn the_bell_says_that_nothing_was_done() {
    let bells = |bytes: &[u8]| Session::new(true).send(bytes).screen.bells;
    for idle in ["\x08", "\x0b", "\x15", "\x17", "a\x0b", "a\x01\x08", "a\x1b[3~", "\x10", "\x0e", "\x07"] {
        assert_eq!(bells(idle.as_bytes()), 1, "{idle:?}");
    }
    for busy in ["a\x08", "a\x01\x0b", "a\x15", "a\x17", "a\x01\x1b[3~", "a\r\x10", "a\r\x10\x0e", "\x02\x06"]
    {
        assert_eq!(bells(busy.as_bytes()), 0, "{busy:?}");
    }
}

#[test]
fn without_echo_nothing_is_shown() {
    let mut session = Session::new(false);
    session.send(b"abc\x02");
    assert_eq!((session.shown(), session.editor.ended()), (String::new(), false));
    session.send(b"d\r");
    assert_eq!(session.got, [Got::Line("abdc".into())]);
}

/// The lines before the last three are forgotten, and going up and down again ends at what was being typed.
#[test]
fn history_goes_to_its_end_and_back() {
    let mut session = Session::new(true);
    session.send(b"one\rtwo\rthree\rfour\r").send(b"new");
    for shown in ["four", "three", "two", "two"] {
        session.send(b"\x10");
        assert_eq!(session.shown(), format!("> {shown}"));
    }
    for shown in ["three", "four", "new", "new"] {
        session.send(b"\x0e");
        assert_eq!(session.shown(), format!("> {shown}"));
    }
    assert_eq!(session.screen.bells, 2);
    session.send(b"\x10\x10\r\x10\r");
    let last: Vec<_> = session.got.iter().rev().take(2).cloned().collect();
    assert_eq!(last, [Got::Line("three".into()), Got::Line("three".into())]);
}
