//! OPOST and its flags, and TCXONC.

mod common;

use common::{Out, Terminal};
use linux_raw_sys::general as raw;
use tty::{Effects, Flow, FlowRequest};

fn written(oflag: u32, text: &str) -> String {
    let mut terminal = Terminal::with(|termios| termios.oflag = oflag);
    terminal.tty.output(text.as_bytes(), &mut terminal.out);
    String::from_utf8(terminal.out.0).unwrap()
}

#[test]
fn newlines_and_returns_are_mapped() {
    assert_eq!(written(raw::OPOST | raw::ONLCR, "a\nb\r\n"), "a\r\nb\r\r\n");
    assert_eq!(written(raw::ONLCR | raw::OCRNL, "a\nb\r"), "a\nb\r", "without OPOST nothing is");
    assert_eq!(written(raw::OPOST, "a\nb\r"), "a\nb\r");
    assert_eq!(written(raw::OPOST | raw::OCRNL, "a\rb"), "a\nb");
    assert_eq!(written(raw::OPOST | raw::ONOCR, "\ra\r\rb"), "a\rb");
    assert_eq!(written(raw::OPOST | raw::ONOCR, "a\n\r"), "a\n\r", "the newline left the column as it was");
    assert_eq!(written(raw::OPOST | raw::ONOCR | raw::ONLRET, "a\n\rb"), "a\nb");
    assert_eq!(written(raw::OPOST | raw::ONOCR | raw::ONLCR, "a\n\rb"), "a\r\nb");
    assert_eq!(written(raw::OPOST | raw::ONOCR | raw::OCRNL, "a\r\r"), "a\n\n");
    assert_eq!(written(raw::OPOST | raw::ONOCR | raw::OCRNL | raw::ONLRET, "a\r\r"), "a\n");
}

#[test]
fn tabs_become_spaces_up_to_the_next_stop() {
    let flags = raw::OPOST | raw::ONLCR | raw::TAB3;
    assert_eq!(written(flags, "a\tb"), "a       b");
    assert_eq!(written(flags, "\t\t"), " ".repeat(16));
    assert_eq!(written(flags, "ab\r\tc\n\td"), "ab\r        c\r\n        d");
    assert_eq!(written(flags, "abc\x08\x08\tb"), "abc\x08\x08       b");
    assert_eq!(
        written(flags, "\x08\x1b\tb"),
        "\x08\x1b        b",
        "no column before 0, none for control characters"
    );
    assert_eq!(written(raw::OPOST | raw::TAB1, "a\tb"), "a\tb");
    let mut terminal = Terminal::with(|termios| {
        termios.oflag = flags;
        termios.iflag = raw::IUTF8;
    });
    terminal.tty.output("\u{20ac}\t".as_bytes(), &mut terminal.out);
    assert_eq!(String::from_utf8(terminal.out.0).unwrap(), "\u{20ac}       ");
}

#[test]
fn tcxonc_and_characters_stop_independently() {
    let mut terminal = Terminal::new();
    let mut out = Out::default();
    assert_eq!(terminal.tty.control_flow(FlowRequest::StartOutput, &mut out).flow, None);
    assert_eq!(terminal.tty.control_flow(FlowRequest::StopOutput, &mut out).flow, Some(Flow::Stop));
    assert_eq!(terminal.effects("\x11").flow, None, "START does not undo TCOOFF");
    assert!(terminal.tty.is_stopped());
    assert_eq!(terminal.tty.control_flow(FlowRequest::StartOutput, &mut out).flow, Some(Flow::Start));
    terminal.press("\x13");
    assert_eq!(
        terminal.tty.control_flow(FlowRequest::StartOutput, &mut out).flow,
        None,
        "TCOON does not undo STOP"
    );
    assert!(terminal.tty.is_stopped());
    assert_eq!(terminal.tty.control_flow(FlowRequest::StopInput, &mut out), Effects::default());
    assert_eq!(terminal.tty.control_flow(FlowRequest::StartInput, &mut out), Effects::default());
    assert_eq!(out.0, b"\x13\x11");
}
