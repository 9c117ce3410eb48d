//! From bytes to keys: control characters, and the escape sequences of the usual terminals (ECMA-48, xterm, VT220).

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// A printable ASCII character.
    Char(u8),
    Enter,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    Backspace,
    Delete,
    /// ^D.
    EndOrDelete,
    KillToEnd,
    KillToStart,
    KillWord,
    /// ^C.
    GiveUp,
    Redraw,
    /// A character that is not ASCII, reported once, however many bytes it has; a byte that is part of no character; a NUL.
    NotAscii,
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ground,
    /// After the first byte of a UTF-8 character, which has been reported: up to `rest` continuation bytes belong to it.
    Character {
        rest: u8,
    },
    /// After ESC.
    Escape,
    /// After ESC O: the next byte ends the sequence.
    Ss3,
    /// After ESC [, with the first parameter as far as it was read. `later` says that the first parameter is complete.
    Csi {
        parameter: u8,
        later: bool,
    },
}

/// Decodes one byte at a time.
pub struct Decoder {
    state: State,
}

impl Decoder {
    pub const fn new() -> Decoder {
        Decoder { state: State::Ground }
    }

    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        let state = match (self.state, byte) {
            (State::Character { rest }, _) => State::Character { rest },
            // A control character, or one that is not ASCII, ends a sequence that was cut off, and is a key itself.
            (_, 0..=0x1f | 0x80..=0xff) => State::Ground,
            (state, _) => state,
        };
        self.state = State::Ground;
        match state {
            State::Ground => self.plain(byte),
            State::Character { rest } if matches!(byte, 0x80..=0xbf) => {
                if rest > 1 {
                    self.state = State::Character { rest: rest - 1 };
                }
                None
            }
            State::Character { .. } => self.plain(byte),
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Csi { parameter: 0, later: false },
                    b'O' => State::Ss3,
                    _ => return Some(Key::Unknown),
                };
                None
            }
            State::Ss3 => Some(named(byte)),
            State::Csi { parameter, later } => match byte {
                b'0'..=b'9' if !later => {
                    let parameter = parameter.saturating_mul(10).saturating_add(byte - b'0');
                    self.state = State::Csi { parameter, later };
                    None
                }
                // Further parameters (modifiers) and intermediate bytes.
                0x20..=0x3f => {
                    self.state = State::Csi { parameter, later: true };
                    None
                }
                b'~' => Some(match parameter {
                    1 | 7 => Key::Home,
                    3 => Key::Delete,
                    4 | 8 => Key::End,
                    _ => Key::Unknown,
                }),
                _ => Some(named(byte)),
            },
        }
    }

    fn plain(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Char(b' '),
            0x20..=0x7e => Key::Char(byte),
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x03 => Key::GiveUp,
            0x04 => Key::EndOrDelete,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::Backspace,
            0x0b => Key::KillToEnd,
            0x0c => Key::Redraw,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::KillToStart,
            0x17 => Key::KillWord,
            // Whatever is left out of a line must be reported, or the line would be run without it.
            0 | 0x80..=0xff => {
                // The first bytes of characters of two, three and four bytes; the other bytes begin no character.
                let rest = match byte {
                    0xc2..=0xdf => 1,
                    0xe0..=0xef => 2,
                    0xf0..=0xf4 => 3,
                    _ => 0,
                };
                if rest > 0 {
                    self.state = State::Character { rest };
                }
                Key::NotAscii
            }
            _ => Key::Unknown,
        })
    }
}

/// The key that the final byte of an escape sequence stands for.
fn named(byte: u8) -> Key {
    match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        _ => Key::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Key};

    /// The keys that a sequence of bytes comes to.
    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::new();
        bytes.iter().filter_map(|&byte| decoder.feed(byte)).collect()
    }

    #[test]
    fn every_byte_alone_is_its_key() {
        for byte in 0..=u8::MAX {
            let key = match byte {
                0x1b => None,
                0x01 => Some(Key::Home),
                0x02 => Some(Key::Left),
                0x03 => Some(Key::GiveUp),
                0x04 => Some(Key::EndOrDelete),
                0x05 => Some(Key::End),
                0x06 => Some(Key::Right),
                0x08 | 0x7f => Some(Key::Backspace),
                0x09 => Some(Key::Char(b' ')),
                0x0a | 0x0d => Some(Key::Enter),
                0x0b => Some(Key::KillToEnd),
                0x0c => Some(Key::Redraw),
                0x0e => Some(Key::Down),
                0x10 => Some(Key::Up),
                0x15 => Some(Key::KillToStart),
                0x17 => Some(Key::KillWord),
                0x07 | 0x0f | 0x11..=0x14 | 0x16 | 0x18..=0x1a | 0x1c..=0x1f => Some(Key::Unknown),
                0x20..=0x7e => Some(Key::Char(byte)),
                0 | 0x80..=0xff => Some(Key::NotAscii),
            };
            assert_eq!(keys(&[byte]), key.into_iter().collect::<Vec<_>>(), "{byte:#x}");
        }
    }

    #[test]
    fn sequences_are_one_key_each() {
        for (letter, key) in [
            (b'A', Key::Up),
            (b'B', Key::Down),
            (b'C', Key::Right),
            (b'D', Key::Left),
            (b'H', Key::Home),
            (b'F', Key::End),
            (b'Z', Key::Unknown),
        ] {
            assert_eq!(keys(&[0x1b, b'[', letter, b'x']), [key, Key::Char(b'x')]);
            assert_eq!(keys(&[0x1b, b'O', letter, b'x']), [key, Key::Char(b'x')]);
            // With modifiers, as terminals send them with shift or control held.
            assert_eq!(keys(&[0x1b, b'[', b'1', b';', b'5', letter, b'x']), [key, Key::Char(b'x')]);
        }
        for (number, key) in [
            ("1", Key::Home),
            ("7", Key::Home),
            ("3", Key::Delete),
            ("4", Key::End),
            ("8", Key::End),
            ("2", Key::Unknown),
            ("", Key::Unknown),
            ("11", Key::Unknown),
            ("31", Key::Unknown),
            ("13", Key::Unknown),
            ("03", Key::Delete),
            ("259", Key::Unknown),
            ("3;5", Key::Delete),
            ("1;3", Key::Home),
            ("?3", Key::Unknown),
        ] {
            let bytes = [b"\x1b[", number.as_bytes(), b"~x"].concat();
            assert_eq!(keys(&bytes), [key, Key::Char(b'x')], "{number}");
        }
    }

    #[test]
    fn a_sequence_that_is_cut_off_is_forgotten() {
        for cut in ["\x1b", "\x1b[", "\x1b[3", "\x1b[1;", "\x1bO"] {
            assert_eq!(keys(&[cut.as_bytes(), b"\rx"].concat()), [Key::Enter, Key::Char(b'x')], "{cut:?}");
            let again = [cut.as_bytes(), b"\x1b[Ax"].concat();
            assert_eq!(keys(&again), [Key::Up, Key::Char(b'x')], "{cut:?}");
        }
        assert_eq!(keys(b"\x1bqx"), [Key::Unknown, Key::Char(b'x')]);
        // A blank is an intermediate byte of a sequence: DECSCUSR.
        assert_eq!(keys(b"\x1b[1 qx"), [Key::Unknown, Key::Char(b'x')]);
    }

    #[test]
    fn every_byte_that_is_not_ascii_is_reported_and_a_character_once() {
        use Key::{Char, Enter, Left, NotAscii, Up};
        assert_eq!(keys("é€😀x".as_bytes()), [NotAscii, NotAscii, NotAscii, Char(b'x')]);
        let cases: &[(&[u8], &[Key])] = &[
            // Continuation bytes without a first byte, and one too many.
            (b"a\x80b", &[Char(b'a'), NotAscii, Char(b'b')]),
            (b"\xc3\xa9\xa9x", &[NotAscii, NotAscii, Char(b'x')]),
            // Too few.
            (b"\xe2\x82x\x80", &[NotAscii, Char(b'x'), NotAscii]),
            (b"\xe2\r\x80", &[NotAscii, Enter, NotAscii]),
            (b"\xe2\x1b[A\x80", &[NotAscii, Up, NotAscii]),
            (b"\xe2\xc3\xa9x", &[NotAscii, NotAscii, Char(b'x')]),
            // Bytes that begin no character.
            (b"\xc0\x80x", &[NotAscii, NotAscii, Char(b'x')]),
            (b"\xffx", &[NotAscii, Char(b'x')]),
            (b"a\0b", &[Char(b'a'), NotAscii, Char(b'b')]),
            // Inside of a sequence that is cut off.
            (b"\x1b\xc3\xa9x", &[NotAscii, Char(b'x')]),
            (b"\x1b[1\x80x", &[NotAscii, Char(b'x')]),
            (b"\x1bO\xe2\x82\xac\x1b[D", &[NotAscii, Left]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(keys(bytes), *expected, "{bytes:x?}");
        }
    }
}
