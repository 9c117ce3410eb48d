//! Reading without lines: VMIN, VTIME, and switching between the two ways.

mod common;

use common::{Terminal, make_raw};
use linux_raw_sys::general as raw;
use proptest::prelude::*;
use tty::{Read, Tty};

fn wait(done: usize, tenths: Option<u8>) -> Read {
    Read::Wait { done, tenths }
}

#[test]
fn bytes_arrive_as_they_are() {
    let mut terminal = Terminal::raw(1, 0);
    assert_eq!(terminal.echo("\x03\r\n\x04\x7f\x13"), "");
    assert_eq!(terminal.tty.queued(), 6);
    assert_eq!(terminal.read(4).unwrap(), b"\x03\r\n\x04");
    assert_eq!(terminal.read(4).unwrap(), b"\x7f\x13");
    assert_eq!(terminal.read(4), None);
    assert!(terminal.effects("a").wake_readers);
}

#[test]
fn vmin_bytes_are_waited_for_over_several_calls() {
    let mut terminal = Terminal::raw(3, 0);
    let mut buffer = [0; 8];
    assert_eq!(terminal.tty.read(&mut buffer, 0), wait(0, None));
    terminal.press("a");
    assert!(!terminal.tty.is_readable());
    assert_eq!(terminal.tty.read(&mut buffer, 0), wait(1, None));
    terminal.press("bcd");
    assert_eq!(terminal.tty.read(&mut buffer, 1), Read::Return(4));
    assert_eq!(&buffer[..4], b"abcd");
    terminal.press("ef");
    assert_eq!(terminal.tty.read(&mut buffer[..2], 0), Read::Return(2), "a full buffer is enough");
    terminal.press("abc");
    assert!(terminal.tty.is_readable());
}

#[test]
fn vtime_runs_from_the_first_byte_or_from_the_call() {
    let mut buffer = [0; 8];
    let mut between_bytes = Terminal::raw(3, 5);
    assert_eq!(between_bytes.tty.read(&mut buffer, 0), wait(0, None));
    between_bytes.press("a");
    assert!(between_bytes.tty.is_readable());
    assert_eq!(between_bytes.tty.read(&mut buffer, 0), wait(1, Some(5)));

    let mut whole_call = Terminal::raw(0, 5);
    assert_eq!(whole_call.tty.read(&mut buffer, 0), wait(0, Some(5)));
    whole_call.press("a");
    assert_eq!(whole_call.tty.read(&mut buffer, 0), Read::Return(1));

    let mut at_once = Terminal::raw(0, 0);
    assert_eq!(at_once.tty.read(&mut buffer, 0), Read::Return(0));
    assert!(!at_once.tty.is_readable());
}

#[test]
fn echo_works_without_lines() {
    let mut terminal = Terminal::with(|termios| termios.lflag &= !raw::ICANON);
    assert_eq!(terminal.echo("a\r\x7f"), "a\r\n^?");
    terminal.change(|termios| termios.iflag &= !raw::ICRNL);
    assert_eq!(terminal.echo("\r\n"), "^M^J", "as Linux does");
    assert_eq!(terminal.effects("\x03").signal, Some(signals::Signal::SIGINT));
}

#[test]
fn what_is_queued_survives_a_switch() {
    let mut terminal = Terminal::new();
    terminal.press("ab\nc\x04de");
    terminal.change(|termios| make_raw(termios, 1, 0));
    assert_eq!(terminal.tty.queued(), 7);
    assert_eq!(terminal.read(4).unwrap(), b"ab\nc");
    assert_eq!(terminal.read(1).unwrap(), b"\0", "VEOF has become a byte");
    terminal.press("f\n");
    terminal.change(|termios| *termios = tty::Termios::default());
    terminal.press("\x7f");
    assert_eq!(
        terminal.read(100).unwrap(),
        b"def\n",
        "all that was there is one line, out of reach for VERASE"
    );
    assert_eq!(terminal.read(100), None);
    terminal.press("x\n");
    assert_eq!(terminal.read(100).unwrap(), b"x\n");
}

#[test]
fn switching_there_and_back_makes_one_line() {
    let mut terminal = Terminal::new();
    terminal.press("ab\nc\x04d");
    terminal.change(|termios| make_raw(termios, 1, 0));
    terminal.change(|termios| *termios = tty::Termios::default());
    assert_eq!(terminal.read(100).unwrap(), b"ab\nc\0d");
}

#[test]
fn a_reader_that_waits_for_more_takes_what_it_has_when_lines_come_back() {
    let mut terminal = Terminal::raw(3, 0);
    terminal.press("a");
    let mut buffer = [0; 8];
    assert_eq!(terminal.tty.read(&mut buffer, 0), wait(1, None));
    assert!(terminal.changed(|termios| *termios = tty::Termios::default()).wake_readers);
    assert_eq!(terminal.tty.read(&mut buffer, 1), Read::Return(1));
}

#[test]
fn a_full_queue_takes_no_more() {
    let mut terminal = Terminal::raw(1, 0);
    terminal.press(vec![b'a'; 5000]);
    assert_eq!((terminal.tty.room(), terminal.tty.queued()), (0, 4095));
    assert_eq!(terminal.read(5000).unwrap().len(), 4095);
}

#[derive(Clone, Debug)]
enum Step {
    Type(Vec<u8>),
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0usize..10, 0usize..3000];
    let bytes = size.clone().prop_flat_map(|size| prop::collection::vec(any::<u8>(), size));
    prop_oneof![bytes.prop_map(Step::Type), size.prop_map(Step::Read)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_byte_is_lost_or_doubled_in_raw_mode(steps in prop::collection::vec(step(), 0..20), min in 0u8..20) {
        let mut terminal = Terminal::raw(min, 0);
        let (mut typed, mut read) = (Vec::<u8>::new(), Vec::<u8>::new());
        let mut take = |tty: &mut Tty, max: usize| {
            let mut buffer = vec![0; max];
            let (Read::Return(done) | Read::Wait { done, .. }) = tty.read(&mut buffer, 0);
            read.extend(&buffer[..done]);
        };
        for step in steps {
            match step {
                Step::Type(bytes) => {
                    // As a driver does that keeps what does not fit.
                    let fits = bytes.len().min(terminal.tty.room());
                    terminal.press(&bytes[..fits]);
                    typed.extend(&bytes[..fits]);
                }
                Step::Read(max) => take(&mut terminal.tty, max),
            }
        }
        take(&mut terminal.tty, 5000);
        prop_assert_eq!(typed, read);
        prop_assert!(terminal.out.0.is_empty());
    }
}

#[test]
fn output_fits_whatever_the_bytes_become() {
    let plain = Terminal::raw(1, 0);
    assert_eq!((plain.tty.output_fits(0), plain.tty.output_fits(9)), (0, 9));
    let mut cooked = Terminal::with(|termios| termios.oflag |= raw::TAB3);
    let fits = cooked.tty.output_fits(100);
    assert!(fits > 0);
    cooked.tty.output(&b"\t".repeat(fits), &mut cooked.out);
    assert!((fits..=100).contains(&cooked.out.0.len()));
    assert_eq!(cooked.tty.output_fits(7), 0, "a tab becomes up to eight blanks");
}

#[test]
fn the_last_close_drops_what_was_not_read() {
    let mut terminal = Terminal::raw(1, 0);
    terminal.press("junk");
    terminal.tty.flush_input();
    assert_eq!(terminal.tty.queued(), 0);
    assert!(!terminal.tty.is_readable());
}

#[test]
fn effects_add_up() {
    let mut terminal = Terminal::new();
    let (interrupt, start) = (terminal.effects("\x03"), terminal.effects("\x13\x11"));
    let both = interrupt.and_then(start);
    assert_eq!((both.signal, both.flow), (interrupt.signal, start.flow));
    assert!(both.signal.is_some() && both.flow.is_some());
    assert!(!both.wake_readers && both.and_then(terminal.effects("a\n")).wake_readers);
}
