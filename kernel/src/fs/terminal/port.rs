//! What is at the other end of a terminal's line discipline: the console, or the second line.

use crate::console::{self, input};
use crate::drivers::gic::{self, Priority};
use crate::drivers::virtio_console::{Interrupt, VirtioConsole};
use crate::early;
use crate::irq::{self, Handler};
use crate::mm::{self, dma::HeapDma};
use crate::sync::{IrqMutex, Relax};
use alloc::format;
use alloc::string::String;
use spin::once::Once;

/// Where a terminal's bytes go to and come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The console, which sends bytes at once.
    Console,
    /// The virtio console, which has a queue.
    Line,
}

/// The virtio console, and its interrupt.
struct Line {
    device: IrqMutex<VirtioConsole<HeapDma>>,
    interrupt: Interrupt,
    intid: u32,
}

static LINE: Once<Line, Relax> = Once::new();

/// Looks for the second line: the first virtio console of the machine. Called once, before the first program starts. Returns whether there is
/// one.
///
/// # Errors
/// A message that says why the device cannot be used.
pub fn find_line() -> Result<bool, String> {
    for transport in &early::boot().platform.virtio {
        let (base, size) = (transport.region.base as usize, transport.region.size as usize);
        // SAFETY: the device tree says that the registers are a virtio transport's, `map_device` maps them for good, and nobody else uses them.
        let found = unsafe { VirtioConsole::new(mm::map_device(base, size), size) };
        let found = found.map_err(|error| format!("the virtio console at {base:#x}: {error}"))?;
        if let Some((device, interrupt)) = found {
            LINE.call_once(|| Line { device: IrqMutex::new(device), interrupt, intid: transport.intid });
            return Ok(true);
        }
    }
    Ok(false)
}

impl Port {
    /// Whether the machine has it.
    pub fn exists(self) -> bool {
        self == Self::Console || LINE.is_completed()
    }

    /// Lets `handler` handle the port's interrupts. The handler has to call [`acknowledge`](Self::acknowledge). Thread context, called once.
    ///
    /// # Errors
    /// A message that says what is wrong.
    pub fn listen(self, handler: Handler) -> Result<(), String> {
        match (self, LINE.get()) {
            (Self::Console, _) => input::init_with(early::boot().platform.uart.intid, handler)
                .map_err(|error| format!("the console's interrupt: {error}")),
            (Self::Line, Some(line)) => {
                irq::set_handler(line.intid, handler);
                gic::enable(line.intid, Priority::Normal)
                    .map_err(|error| format!("the second line's interrupt: {error}"))
            }
            (Self::Line, None) => Ok(()),
        }
    }

    /// Has the port's interrupt go away. What the port has received stays there. Interrupt context.
    pub fn acknowledge(self) {
        match self {
            Self::Console => input::ignore(),
            Self::Line => LINE.get().into_iter().for_each(|line| line.interrupt.acknowledge()),
        }
    }

    /// Returns the next received byte. If there is none, the next one raises the interrupt.
    pub fn take_or_listen(self) -> Option<u8> {
        match self {
            Self::Console => input::take_or_listen(),
            Self::Line => self.with_line(VirtioConsole::take).flatten(),
        }
    }

    /// Sends bytes, or queues as many of them as there is [`room`](Self::room) for; the others are lost.
    pub fn send(self, bytes: &[u8]) {
        match self {
            Self::Console => console::send_bytes(bytes),
            Self::Line => self.with_line(|line| line.put(bytes)).unwrap_or(()),
        }
    }

    /// How many bytes [`send`](Self::send) takes.
    pub fn room(self) -> usize {
        match self {
            Self::Console => usize::MAX,
            Self::Line => self.with_line(|line| line.room()).unwrap_or(0),
        }
    }

    /// How many bytes wait to be sent.
    pub fn queued(self) -> usize {
        match self {
            Self::Console => 0,
            Self::Line => self.with_line(|line| line.queued()).unwrap_or(0),
        }
    }

    /// Drops bytes that wait to be sent.
    pub fn discard(self) {
        if self == Self::Line {
            self.with_line(VirtioConsole::discard);
        }
    }

    /// Has queued bytes sent on. Returns whether bytes were sent since the last call.
    pub fn advance(self) -> bool {
        self == Self::Line && self.with_line(VirtioConsole::advance).unwrap_or(false)
    }

    /// Does something with the virtio console. Thread context.
    fn with_line<R>(self, f: impl FnOnce(&mut VirtioConsole<HeapDma>) -> R) -> Option<R> {
        debug_assert_eq!(self, Self::Line);
        LINE.get().map(|line| f(&mut line.device.lock()))
    }
}
