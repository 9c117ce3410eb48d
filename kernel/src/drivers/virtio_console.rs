//! The first port of a virtio console (Virtio 1.2, 5.3) behind a virtio-mmio transport (4.2), legacy or not.
//!
//! Received bytes lie in buffers that the device fills one after the other; while all of them are full, the other side waits. Bytes to be sent
//! lie in a ring, and the device is given one piece of the ring at a time. Nothing here waits for the device.
//!
//! The buffers belong to the console for good: a console is never given back.

use alloc::boxed::Box;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::{ReadOnly, WriteOnly};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{Error, Hal};

/// The numbers of the first port's queues.
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

/// How many buffers the device can fill, and their length.
const BUFFERS: usize = 4;
const BUFFER: usize = 1024;
/// How many bytes can wait to be sent.
const RING: usize = 4096;

bitflags::bitflags! {
    /// The features that the driver knows. Without VIRTIO_CONSOLE_F_MULTIPORT the device has one port, which is always open.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const VERSION_1 = 1 << 32;
    }
}

register_structs! {
    /// The registers of a virtio-mmio transport (Virtio 1.2, 4.2.2) that the crate's transport does not use here.
    Registers {
        (0x000 => _others),
        (0x060 => interrupt_status: ReadOnly<u32>),
        (0x064 => interrupt_ack: WriteOnly<u32>),
        (0x068 => @END),
    }
}

/// The interrupt of a virtio console. Its handler needs no lock of the console.
pub struct Interrupt {
    base: usize,
}

impl Interrupt {
    /// Tells the device that its interrupt was seen. Whatever happens from here on raises another one. Any context.
    pub fn acknowledge(&self) {
        // SAFETY: only `VirtioConsole::new` makes the value, from the address of the registers. Both fields are cells that are accessed by
        // volatile reads and writes only.
        let registers = unsafe { &*(self.base as *const Registers) };
        registers.interrupt_ack.set(registers.interrupt_status.get());
    }
}

/// A virtio console.
pub struct VirtioConsole<H: Hal> {
    transport: MmioTransport<'static>,
    receive: VirtQueue<H, BUFFERS>,
    /// What the device fills.
    buffers: Box<[[u8; BUFFER]; BUFFERS]>,
    /// Which buffer the device was given under which token.
    tokens: [Option<usize>; BUFFERS],
    /// The buffer that is being read: its number, how many bytes were read, and how many it has.
    current: Option<(usize, usize, usize)>,
    transmit: VirtQueue<H, 2>,
    ring: Box<[u8; RING]>,
    /// Where the bytes that were not sent yet begin in the ring, and how many they are.
    start: usize,
    length: usize,
    /// The piece at `start` that the device has: its token and its length.
    sending: Option<(u16, usize)>,
}

impl<H: Hal> VirtioConsole<H> {
    /// The console behind the transport whose registers are mapped at `base`, and its interrupt; None if there is no device, or another one.
    ///
    /// # Errors
    /// If the device cannot be used.
    ///
    /// # Safety
    /// The `size` bytes at `base` are the registers of a virtio-mmio transport, mapped as device memory for good, and nobody else uses them.
    pub unsafe fn new(base: usize, size: usize) -> Result<Option<(Self, Interrupt)>, Error> {
        let Some(header) = NonNull::new(base as *mut VirtIOHeader) else { return Ok(None) };
        // SAFETY: this function's caller has promised it.
        let transport = unsafe { MmioTransport::new(header, size) };
        // Most transports have no device, which counts as an error.
        let Ok(transport) = transport else { return Ok(None) };
        if transport.device_type() != DeviceType::Console {
            // Dropping the transport would reset the device.
            let _ = ManuallyDrop::new(transport);
            return Ok(None);
        }
        Ok(Some((Self::begin(transport)?, Interrupt { base })))
    }

    fn begin(mut transport: MmioTransport<'static>) -> Result<Self, Error> {
        let _: Features = transport.begin_init(Features::all());
        let receive = VirtQueue::new(&mut transport, RECEIVE, false, false)?;
        let transmit = VirtQueue::new(&mut transport, TRANSMIT, false, false)?;
        transport.finish_init();
        let mut console = Self {
            transport,
            receive,
            buffers: Box::new([[0; BUFFER]; BUFFERS]),
            tokens: [None; BUFFERS],
            current: None,
            transmit,
            ring: Box::new([0; RING]),
            start: 0,
            length: 0,
            sending: None,
        };
        for number in 0..BUFFERS {
            console.give(number)?;
        }
        Ok(console)
    }

    /// Gives the device a buffer to fill.
    fn give(&mut self, number: usize) -> Result<(), Error> {
        // SAFETY: the buffer lives as long as the console, which is never dropped while the device works, and is not touched until `take` has
        // the token back.
        let token = unsafe { self.receive.add(&[], &mut [&mut self.buffers[number][..]])? };
        self.tokens[usize::from(token)] = Some(number);
        if self.receive.should_notify() {
            self.transport.notify(RECEIVE);
        }
        Ok(())
    }

    /// The next received byte.
    pub fn take(&mut self) -> Option<u8> {
        loop {
            if let Some((number, at, length)) = &mut self.current {
                let (number, byte) = (*number, self.buffers[*number].get(*at).copied());
                *at += 1;
                if at < length {
                    return byte;
                }
                let empty = *length == 0;
                self.current = None;
                // There is a descriptor for each buffer, so there is one for this buffer.
                let given = self.give(number);
                debug_assert!(given.is_ok());
                if !empty {
                    return byte;
                }
            }
            let token = self.receive.peek_used()?;
            let number = self.tokens.get_mut(usize::from(token)).and_then(Option::take)?;
            // SAFETY: `give` has added this buffer under this token.
            let length = unsafe { self.receive.pop_used(token, &[], &mut [&mut self.buffers[number][..]]) };
            self.current = Some((number, 0, (length.unwrap_or(0) as usize).min(BUFFER)));
        }
    }

    /// How many bytes [`put`](Self::put) takes.
    pub fn room(&self) -> usize {
        RING - self.length
    }

    /// How many bytes wait to be sent.
    pub fn queued(&self) -> usize {
        self.length
    }

    /// Queues bytes to be sent. Those for which there is no room are lost.
    pub fn put(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(self.room());
        for &byte in &bytes[..taken] {
            self.ring[(self.start + self.length) % RING] = byte;
            self.length += 1;
        }
        self.send();
    }

    /// Drops what waits to be sent and what the device does not have yet.
    pub fn discard(&mut self) {
        self.length = self.sending.map_or(0, |(_, length)| length);
    }

    /// Takes note of what the device has sent, and has it send what waits. Returns whether something was sent.
    pub fn advance(&mut self) -> bool {
        let Some((token, length)) = self.sending else { return false };
        if !self.transmit.can_pop() {
            return false;
        }
        let piece = &self.ring[self.start..self.start + length];
        // SAFETY: `send` has added this piece under this token.
        let popped = unsafe { self.transmit.pop_used(token, &[piece], &mut []) };
        debug_assert!(popped.is_ok());
        self.sending = None;
        self.start = (self.start + length) % RING;
        self.length -= length;
        self.send();
        true
    }

    /// Gives the device the next piece of the ring, unless it has one.
    fn send(&mut self) {
        let length = self.length.min(RING - self.start);
        if self.sending.is_some() || length == 0 {
            return;
        }
        let piece = &self.ring[self.start..self.start + length];
        // SAFETY: the ring lives as long as the console, which is never dropped while the device works, and `put` writes only behind what
        // waits to be sent until `advance` has the token back.
        let added = unsafe { self.transmit.add(&[piece], &mut []) };
        debug_assert!(added.is_ok());
        let Ok(token) = added else { return };
        self.sending = Some((token, length));
        if self.transmit.should_notify() {
            self.transport.notify(TRANSMIT);
        }
    }
}
