//! What a line discipline sends, on its way to the port.

use super::port::Port;
use tty::OutputQueue;

/// Collects what the line discipline sends, and passes it on to the port in pieces.
pub struct Output {
    port: Port,
    bytes: [u8; 256],
    length: usize,
}

impl Output {
    /// Nothing is collected yet.
    pub const fn new(port: Port) -> Self {
        Self { port, bytes: [0; 256], length: 0 }
    }

    fn flush(&mut self) {
        if self.length != 0 {
            self.port.send(&self.bytes[..self.length]);
            self.length = 0;
        }
    }
}

impl OutputQueue for Output {
    fn send(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.flush();
        }
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn discard(&mut self) {
        self.length = 0;
        self.port.discard();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}
