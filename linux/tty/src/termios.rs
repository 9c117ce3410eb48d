//! The settings of a terminal.

use linux_raw_sys::general as raw;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Linux's `struct termios` of the ioctls TCGETS and TCSETS (36 bytes), byte for byte. C libraries have another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Termios {
    /// Input: ICRNL, IXON and so on.
    pub iflag: u32,
    /// Output: OPOST, ONLCR and so on.
    pub oflag: u32,
    /// The line: speed and size. Kept, and not looked at here.
    pub cflag: u32,
    /// Editing, echo, signals: ICANON, ECHO, ISIG and so on.
    pub lflag: u32,
    /// The line discipline, always 0 (N_TTY).
    pub line: u8,
    /// The control characters by VINTR and so on. 0 switches a character off.
    pub cc: [u8; raw::NCCS as usize],
}

impl Termios {
    /// A flag of `lflag`.
    pub(crate) fn local(&self, flag: u32) -> bool {
        self.lflag & flag != 0
    }

    /// A flag of `iflag`.
    pub(crate) fn on_input(&self, flag: u32) -> bool {
        self.iflag & flag != 0
    }

    /// A flag of `oflag`, which all work with OPOST only.
    pub(crate) fn on_output(&self, flag: u32) -> bool {
        self.oflag & flag != 0
    }

    /// Whether `byte` is the control character `index`.
    pub(crate) fn is(&self, byte: u8, index: u32) -> bool {
        byte != 0 && self.cc[index as usize] == byte
    }

    /// The control character `index`.
    pub(crate) fn character(&self, index: u32) -> u8 {
        self.cc[index as usize]
    }
}

impl Default for Termios {
    /// The settings with which Linux opens a terminal.
    fn default() -> Self {
        const fn control(letter: u8) -> u8 {
            letter & 0x1f
        }
        let mut cc = [0; raw::NCCS as usize];
        let characters = [
            (raw::VINTR, control(b'C')),
            (raw::VQUIT, control(b'\\')),
            (raw::VERASE, 0x7f),
            (raw::VKILL, control(b'U')),
            (raw::VEOF, control(b'D')),
            (raw::VMIN, 1),
            (raw::VSTART, control(b'Q')),
            (raw::VSTOP, control(b'S')),
            (raw::VSUSP, control(b'Z')),
            (raw::VREPRINT, control(b'R')),
            (raw::VDISCARD, control(b'O')),
            (raw::VWERASE, control(b'W')),
            (raw::VLNEXT, control(b'V')),
        ];
        for (index, byte) in characters {
            cc[index as usize] = byte;
        }
        Self {
            iflag: raw::ICRNL | raw::IXON,
            oflag: raw::OPOST | raw::ONLCR,
            cflag: raw::B38400 | raw::CS8 | raw::CREAD | raw::HUPCL,
            lflag: raw::ISIG
                | raw::ICANON
                | raw::ECHO
                | raw::ECHOE
                | raw::ECHOK
                | raw::ECHOCTL
                | raw::ECHOKE
                | raw::IEXTEN,
            line: 0,
            cc,
        }
    }
}

/// Linux's `struct winsize` (8 bytes), byte for byte. The programs set it and read it; nothing here looks at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WindowSize {
    /// Lines of text; 0 means that it is not known.
    pub rows: u16,
    /// Characters of a line; 0 means that it is not known.
    pub columns: u16,
    /// Pixels; 0 means that it is not known.
    pub width: u16,
    /// Pixels; 0 means that it is not known.
    pub height: u16,
}
