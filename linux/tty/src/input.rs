//! What a typed byte does.

use linux_raw_sys::general as raw;
use signals::Signal;

use crate::queue::Kind;
use crate::{Effects, OutputQueue, Tty};

impl Tty {
    /// Takes a byte from the terminal. Its echo goes to `out`; a character that raises a signal first discards what is there.
    ///
    /// If the queue is full, the byte is lost, and a bell is echoed with IMAXBEL; [`Tty::room`] tells before. Characters that
    /// edit, end a line, raise a signal or control the flow work with a full queue too.
    pub fn input(&mut self, byte: u8, out: &mut impl OutputQueue) -> Effects {
        let byte = if self.termios.on_input(raw::ISTRIP) { byte & 0x7f } else { byte };
        let mut effects = Effects::default();
        if core::mem::take(&mut self.literal_next) {
            effects.flow = self.start_by_any_character();
            self.take_plain(byte, &mut effects, out);
        } else if !self.control(byte, &mut effects, out) {
            self.take_character(byte, &mut effects, out);
        }
        effects
    }

    /// Characters that control the flow or raise signals, with ICANON and without. False if `byte` is none of them.
    fn control(&mut self, byte: u8, effects: &mut Effects, out: &mut impl OutputQueue) -> bool {
        if self.termios.on_input(raw::IXON) {
            if self.termios.is(byte, raw::VSTART) {
                effects.flow = self.start();
                return true;
            }
            if self.termios.is(byte, raw::VSTOP) {
                effects.flow = self.stop();
                return true;
            }
        }
        if self.termios.local(raw::ISIG) {
            let signals =
                [(raw::VINTR, Signal::SIGINT), (raw::VQUIT, Signal::SIGQUIT), (raw::VSUSP, Signal::SIGTSTP)];
            if let Some((_, signal)) = signals.into_iter().find(|(index, _)| self.termios.is(byte, *index)) {
                self.raise(signal, byte, effects, out);
                return true;
            }
        }
        effects.flow = self.start_by_any_character();
        false
    }

    fn raise(&mut self, signal: Signal, byte: u8, effects: &mut Effects, out: &mut impl OutputQueue) {
        effects.signal = Some(signal);
        if !self.termios.local(raw::NOFLSH) {
            self.queue.clear();
            out.discard();
        }
        if self.termios.on_input(raw::IXON) {
            effects.flow = self.start();
        }
        if self.termios.local(raw::ECHO) {
            self.echo(byte, out);
        }
    }

    /// With IXANY every character starts the output again.
    fn start_by_any_character(&mut self) -> Option<crate::Flow> {
        if self.termios.on_input(raw::IXON) && self.termios.on_input(raw::IXANY) {
            self.start()
        } else {
            None
        }
    }

    /// A byte that neither controls the flow nor raises a signal.
    fn take_character(&mut self, byte: u8, effects: &mut Effects, out: &mut impl OutputQueue) {
        let mut mapped = byte;
        if byte == b'\r' {
            if self.termios.on_input(raw::IGNCR) {
                return;
            }
            if self.termios.on_input(raw::ICRNL) {
                mapped = b'\n';
            }
        } else if byte == b'\n' && self.termios.on_input(raw::INLCR) {
            mapped = b'\r';
        }
        if self.is_canonical() && self.edit(mapped, effects, out) {
            return;
        }
        // A newline that is not the end of a line is echoed as it is if it was mapped, and as ^J if not: so does Linux.
        if mapped == b'\n' && byte != mapped && self.termios.local(raw::ECHO) {
            if self.store(mapped, effects, out) {
                self.output(b"\n", out);
            }
        } else {
            self.take_plain(mapped, effects, out);
        }
    }

    /// Echoes and stores a byte that has no meaning.
    fn take_plain(&mut self, byte: u8, effects: &mut Effects, out: &mut impl OutputQueue) {
        let first = self.queue.line_is_empty();
        if self.store(byte, effects, out) && self.termios.local(raw::ECHO) {
            if first {
                self.line_column = self.column;
            }
            self.echo(byte, out);
        }
    }

    /// Stores a byte in the line that is being typed. False, and a bell, if there is no room.
    fn store(&mut self, byte: u8, effects: &mut Effects, out: &mut impl OutputQueue) -> bool {
        let stored = self.queue.push(byte);
        if !stored {
            self.ring(out);
        }
        effects.wake_readers |= stored && !self.is_canonical();
        stored
    }

    fn ring(&mut self, out: &mut impl OutputQueue) {
        if self.termios.on_input(raw::IMAXBEL) && self.termios.local(raw::ECHO) {
            self.output(&[0x07], out);
        }
    }

    /// Ends the line that is being typed.
    pub(crate) fn end_line(
        &mut self,
        byte: u8,
        kind: Kind,
        effects: &mut Effects,
        out: &mut impl OutputQueue,
    ) {
        if self.queue.end_line(byte, kind) {
            effects.wake_readers = true;
        } else {
            self.ring(out);
        }
    }
}
