//! The terminal: settings, flow of output, flushing.

use alloc::collections::TryReserveError;

use linux_raw_sys::general::{ICANON, IXON, VSTART, VSTOP};
use signals::Signal;

use crate::queue::{LIMIT, Queue};
use crate::{Job, Termios, WindowSize};

/// A terminal.
#[derive(Debug)]
pub struct Tty {
    pub(crate) termios: Termios,
    /// Set by TIOCSWINSZ; the caller sends SIGWINCH to the foreground process group if the size changes.
    pub window: WindowSize,
    /// Whose terminal this is.
    pub job: Job,
    pub(crate) queue: Queue,
    /// VLNEXT was typed: the next byte has no special meaning.
    pub(crate) literal_next: bool,
    /// Where the cursor is, counted from 0.
    pub(crate) column: usize,
    /// Where the cursor was when the present line's first character was typed.
    pub(crate) line_column: usize,
    stopped_by_character: bool,
    stopped_by_request: bool,
}

/// Where output and echo go: the driver's queue.
pub trait OutputQueue {
    /// Appends a byte.
    fn send(&mut self, byte: u8);
    /// Drops what was appended and not sent yet.
    fn discard(&mut self);
}

/// What the caller has to do after an event, beside what has gone to the [`OutputQueue`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Effects {
    /// Send this signal to the foreground process group (SI_KERNEL).
    pub signal: Option<Signal>,
    /// Output stops or goes on.
    pub flow: Option<Flow>,
    /// Wake those who wait in `read` and `poll`.
    pub wake_readers: bool,
}

impl Effects {
    /// What there is to do after this and a later event.
    pub fn and_then(self, later: Self) -> Self {
        Self {
            signal: later.signal.or(self.signal),
            flow: later.flow.or(self.flow),
            wake_readers: self.wake_readers || later.wake_readers,
        }
    }
}

/// Whether the driver sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// The driver keeps its output.
    Stop,
    /// The driver sends its output.
    Start,
}

/// What TCXONC asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowRequest {
    /// TCOOFF: stop output, until TCOON only.
    StopOutput,
    /// TCOON: the output that TCOOFF stopped goes on.
    StartOutput,
    /// TCIOFF: send the STOP character, which asks the other side to send nothing.
    StopInput,
    /// TCION: send the START character.
    StartInput,
}

/// What TCFLSH and TCSETSF drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queues {
    /// TCIFLUSH: what was typed and not read.
    Input,
    /// TCOFLUSH: what was written and not sent.
    Output,
    /// TCIOFLUSH: both.
    Both,
}

impl Tty {
    /// A terminal with the default settings that belongs to nobody. Allocates the whole input queue (8 KiB).
    ///
    /// # Errors
    /// No memory.
    pub fn new() -> Result<Self, TryReserveError> {
        Ok(Self {
            termios: Termios::default(),
            window: WindowSize::default(),
            job: Job::default(),
            queue: Queue::new()?,
            literal_next: false,
            column: 0,
            line_column: 0,
            stopped_by_character: false,
            stopped_by_request: false,
        })
    }

    /// The settings (TCGETS).
    pub fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings (TCSETS). TCSETSW and TCSETSF wait until all output is sent, before this call; TCSETSF then also
    /// flushes [`Queues::Input`]. Switching ICANON off makes the line that is being typed readable; switching ICANON on makes all
    /// that is queued one line.
    pub fn set_termios(&mut self, new: Termios) -> Effects {
        let old = core::mem::replace(&mut self.termios, new);
        if (old.lflag ^ new.lflag) & ICANON != 0 {
            self.queue.switch_lines(new.local(ICANON));
            self.literal_next = false;
        }
        // Without IXON no character could start the output again.
        let unstop = old.on_input(IXON) && !new.on_input(IXON);
        Effects { flow: if unstop { self.start() } else { None }, wake_readers: true, ..Effects::default() }
    }

    /// Drops queued bytes (TCFLSH).
    pub fn flush(&mut self, queues: Queues, out: &mut impl OutputQueue) {
        if queues != Queues::Output {
            self.flush_input();
        }
        if queues != Queues::Input {
            out.discard();
        }
    }

    /// Drops what was typed and not read, as the last `close` does.
    pub fn flush_input(&mut self) {
        self.queue.clear();
    }

    /// Stops or starts the flow (TCXONC). A character for the other side goes to `send`.
    pub fn control_flow(&mut self, request: FlowRequest, out: &mut impl OutputQueue) -> Effects {
        let was_stopped = self.is_stopped();
        match request {
            FlowRequest::StopOutput => self.stopped_by_request = true,
            FlowRequest::StartOutput => {
                // As in Linux, TCOON also undoes a STOP character, but only if TCOOFF was in effect.
                if core::mem::take(&mut self.stopped_by_request) {
                    self.stopped_by_character = false;
                }
            }
            FlowRequest::StopInput | FlowRequest::StartInput => {
                let index = if request == FlowRequest::StopInput { VSTOP } else { VSTART };
                let character = self.termios.character(index);
                if character != 0 {
                    out.send(character);
                }
            }
        }
        let flow = match (was_stopped, self.is_stopped()) {
            (false, true) => Some(Flow::Stop),
            (true, false) => Some(Flow::Start),
            _ => None,
        };
        Effects { flow, ..Effects::default() }
    }

    /// Whether output is stopped, by the STOP character or by TCOOFF. The driver then sends nothing, and `write` waits once the
    /// driver's queue is full.
    pub fn is_stopped(&self) -> bool {
        self.stopped_by_character || self.stopped_by_request
    }

    /// Stops output because of a STOP character.
    pub(crate) fn stop(&mut self) -> Option<Flow> {
        let was_stopped = self.is_stopped();
        self.stopped_by_character = true;
        (!was_stopped).then_some(Flow::Stop)
    }

    /// Starts output that a STOP character has stopped. What TCOOFF has stopped stays so.
    pub(crate) fn start(&mut self) -> Option<Flow> {
        let was_stopped = self.is_stopped();
        self.stopped_by_character = false;
        (was_stopped && !self.is_stopped()).then_some(Flow::Start)
    }

    /// Whether ICANON is set.
    pub(crate) fn is_canonical(&self) -> bool {
        self.termios.local(ICANON)
    }

    /// How many bytes [`Tty::input`] takes without loss. A driver that has a queue of its own stops passing bytes on at 0.
    /// With ICANON and no whole line in the queue, this is never 0: otherwise nobody could end the line.
    pub fn room(&self) -> usize {
        let room = (LIMIT - 1).saturating_sub(self.queue.len());
        if self.is_canonical() && self.queue.whole() == 0 { room.max(1) } else { room }
    }

    /// How many bytes can be read (FIONREAD, TIOCINQ).
    pub fn queued(&self) -> usize {
        if self.is_canonical() { self.queue.whole_without_eof() } else { self.queue.len() }
    }
}
