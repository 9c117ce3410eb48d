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
    /// A character outside ASCII, of however many bytes.
    NotAscii,
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Ground,
    /// After ESC.
    Escape,
    /// After ESC O: one more byte.
    Ss3,
    /// After ESC [, with the first parameter so far; `later` once it is complete.
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
        // A control character ends a sequence that was cut off, and counts itself.
        let state = if byte < 0x20 { State::Ground } else { self.state };
        self.state = State::Ground;
        match state {
            State::Ground => self.plain(byte),
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
            0 => return None,
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
            // Continuation bytes of UTF-8: the first byte has been reported.
            0x80..=0xbf => return None,
            0xc0..=0xff => Key::NotAscii,
            _ => Key::Unknown,
        })
    }
}

/// The final byte of an escape sequence.
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
