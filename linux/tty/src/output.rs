//! From what programs write to what the terminal is sent.

use linux_raw_sys::general as raw;

use crate::{OutputQueue, Tty};

/// Columns from one tab stop to the next.
pub(crate) const TAB: usize = 8;

impl Tty {
    /// Turns written bytes into what the terminal is sent, and follows the cursor. One byte becomes at most 8 (a tab with TAB3).
    pub fn output(&mut self, bytes: &[u8], out: &mut impl OutputQueue) {
        for byte in bytes {
            if self.termios.on_output(raw::OPOST) {
                self.output_byte(*byte, out);
            } else {
                out.send(*byte);
            }
        }
    }

    /// How many written bytes fit, whatever they are, where the driver's queue has room for so many bytes.
    pub fn output_fits(&self, room: usize) -> usize {
        if self.termios.on_output(raw::OPOST) { room / TAB } else { room }
    }

    /// Sends a byte with what OPOST changes.
    fn output_byte(&mut self, byte: u8, out: &mut impl OutputQueue) {
        let mut byte = byte;
        match byte {
            b'\n' => {
                if self.termios.on_output(raw::ONLRET | raw::ONLCR) {
                    self.column = 0;
                }
                if self.termios.on_output(raw::ONLCR) {
                    out.send(b'\r');
                }
                self.line_column = self.column;
            }
            b'\r' => {
                if self.termios.on_output(raw::ONOCR) && self.column == 0 {
                    return;
                }
                let becomes_newline = self.termios.on_output(raw::OCRNL);
                if becomes_newline {
                    byte = b'\n';
                }
                if !becomes_newline || self.termios.on_output(raw::ONLRET) {
                    (self.column, self.line_column) = (0, 0);
                }
            }
            b'\t' => {
                let spaces = TAB - self.column % TAB;
                self.column = self.column.wrapping_add(spaces);
                if self.termios.oflag & raw::TABDLY == raw::TAB3 {
                    (0..spaces).for_each(|_| out.send(b' '));
                    return;
                }
            }
            0x08 => self.column = self.column.saturating_sub(1),
            _ if !byte.is_ascii_control() && !self.is_continuation(byte) => {
                self.column = self.column.wrapping_add(1)
            }
            _ => {}
        }
        out.send(byte);
    }

    /// Whether `byte` continues a character of several bytes, as far as the settings know (IUTF8).
    pub(crate) fn is_continuation(&self, byte: u8) -> bool {
        self.termios.on_input(raw::IUTF8) && byte & 0xc0 == 0x80
    }

    /// Echoes a typed byte: control characters other than tabs as ^X, if ECHOCTL is set.
    pub(crate) fn echo(&mut self, byte: u8, out: &mut impl OutputQueue) {
        if self.termios.local(raw::ECHOCTL) && byte.is_ascii_control() && byte != b'\t' {
            out.send(b'^');
            out.send(byte ^ 0x40);
            self.column = self.column.wrapping_add(2);
        } else {
            self.output(&[byte], out);
        }
    }

    /// Moves the cursor back over a tab that ends at the cursor.
    pub(crate) fn erase_tab(&mut self, width: usize, out: &mut impl OutputQueue) {
        for _ in 0..width {
            out.send(0x08);
            self.column = self.column.saturating_sub(1);
        }
    }
}
