//! PL011 UART (Arm DDI 0183).

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::arch::daif::AllMasked;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

register_bitfields! {
    u32,
    DR [
        OE OFFSET(11) NUMBITS(1) [],
        BE OFFSET(10) NUMBITS(1) [],
        PE OFFSET(9) NUMBITS(1) [],
        FE OFFSET(8) NUMBITS(1) [],
        DATA OFFSET(0) NUMBITS(8) []
    ],
    FR [
        TXFF OFFSET(5) NUMBITS(1) [],
        RXFE OFFSET(4) NUMBITS(1) [],
        BUSY OFFSET(3) NUMBITS(1) []
    ],
    LCR_H [
        WLEN OFFSET(5) NUMBITS(2) [Bits8 = 0b11],
        FEN OFFSET(4) NUMBITS(1) []
    ],
    CR [
        RXE OFFSET(9) NUMBITS(1) [],
        TXE OFFSET(8) NUMBITS(1) [],
        UARTEN OFFSET(0) NUMBITS(1) []
    ],
    IFLS [
        RXIFLSEL OFFSET(3) NUMBITS(3) [OneEighth = 0]
    ],
    INT [
        RT OFFSET(6) NUMBITS(1) [],
        RX OFFSET(4) NUMBITS(1) [],
        ALL OFFSET(0) NUMBITS(11) []
    ]
}

register_structs! {
    Registers {
        (0x000 => dr: ReadWrite<u32, DR::Register>),
        (0x004 => _reserved0),
        (0x018 => fr: ReadOnly<u32, FR::Register>),
        (0x01c => _reserved1),
        (0x02c => lcr_h: ReadWrite<u32, LCR_H::Register>),
        (0x030 => cr: ReadWrite<u32, CR::Register>),
        (0x034 => ifls: ReadWrite<u32, IFLS::Register>),
        (0x038 => imsc: ReadWrite<u32, INT::Register>),
        (0x03c => _reserved2),
        (0x044 => icr: WriteOnly<u32, INT::Register>),
        (0x048 => @END),
    }
}

/// Bytes that were received before [`Pl011::init`] switched the FIFO on, and thereby emptied it. One such store is enough, because
/// there is one console.
static EARLY: Early = Early {
    uart: AtomicUsize::new(0),
    bytes: [const { AtomicU8::new(0) }; 64],
    received: AtomicUsize::new(0),
    given: AtomicUsize::new(0),
};

/// What was received early, from the UART at the address `uart`. The first `given` of the `received` bytes have been passed on.
struct Early {
    uart: AtomicUsize,
    bytes: [AtomicU8; 64],
    received: AtomicUsize,
    given: AtomicUsize,
}

/// A PL011. This is a handle: several may refer to one UART.
///
/// All methods but two may be called from any context: [`Pl011::init`] is for boot, and [`Pl011::put`] is for one sender at a time,
/// which the console ensures. Only one CPU at a time may take received bytes: two CPUs that take some at the same time may get the
/// same byte.
#[derive(Debug, Clone, Copy)]
pub struct Pl011 {
    base: usize,
}

impl Pl011 {
    /// The UART whose registers are mapped at `base`, a multiple of 4 KiB. Output works at once if firmware has enabled the UART,
    /// as on QEMU.
    ///
    /// # Safety
    ///
    /// While the value lives, the 4 KiB at `base` are the registers of a PL011, mapped as device memory, readable and writable.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    fn registers(&self) -> &Registers {
        // SAFETY: the caller of `new` has promised that the registers of a PL011 are mapped here. Every field is a cell that is
        // accessed by volatile reads and writes only.
        unsafe { &*(self.base as *const Registers) }
    }

    /// Switches the UART on: 8 bits, FIFOs on, all interrupts masked. The baud rate stays as firmware has set it.
    ///
    /// Bytes that were received earlier are kept for [`Pl011::try_get`]. Changing LCR_H.FEN empties the receive FIFO (in
    /// QEMU too; 7.2 resets only its count). So if the FIFOs are on already, they are left as they are. If they are
    /// off, the FIFO is one byte deep, and is emptied first: more than once, because a sender that has waited fills it
    /// again at once (QEMU's multiplexer of the terminal holds up to 32 bytes of what was typed ahead).
    pub fn init(&self) {
        let r = self.registers();
        r.imsc.set(0);
        if !(r.lcr_h.is_set(LCR_H::FEN) && r.lcr_h.read(LCR_H::WLEN) == 0b11) {
            // LCR_H must not change while the UART is enabled or sending (DDI 0183, UARTLCR_H and UARTCR).
            self.flush();
            r.cr.set(0);
            EARLY.uart.store(self.base, Ordering::Relaxed);
            for (place, number) in EARLY.bytes.iter().zip(1..) {
                let Some(byte) = self.take() else { break };
                place.store(byte, Ordering::Relaxed);
                EARLY.received.store(number, Ordering::Relaxed);
            }
            r.lcr_h.write(LCR_H::WLEN::Bits8 + LCR_H::FEN::SET);
        }
        r.ifls.write(IFLS::RXIFLSEL::OneEighth);
        r.cr.write(CR::RXE::SET + CR::TXE::SET + CR::UARTEN::SET);
    }

    /// Sends `byte`; waits while the FIFO is full. Two senders at the same time can lose a byte when the FIFO is nearly full,
    /// whether they are two CPUs, or one is the handler of a BRK that has interrupted the other.
    pub fn put(&self, byte: u8) {
        let r = self.registers();
        while r.fr.is_set(FR::TXFF) {
            crate::arch::barrier::relax();
        }
        r.dr.set(u32::from(byte));
    }

    /// Waits until all bytes have been sent.
    pub fn flush(&self) {
        while self.registers().fr.is_set(FR::BUSY) {
            crate::arch::barrier::relax();
        }
    }

    /// The next received byte, `None` if there is none. Bytes that were received with an error (parity, framing) and breaks are
    /// skipped.
    pub fn try_get(&self) -> Option<u8> {
        let given = EARLY.given.load(Ordering::Relaxed);
        let early = EARLY.bytes.get(given).filter(|_| given < EARLY.received.load(Ordering::Relaxed));
        // Several callers may see the byte; the caller that counts it gets it.
        match early {
            Some(byte)
                if EARLY.uart.load(Ordering::Relaxed) == self.base
                    && EARLY
                        .given
                        .compare_exchange(given, given + 1, Ordering::Relaxed, Ordering::Relaxed)
                        .is_ok() =>
            {
                Some(byte.load(Ordering::Relaxed))
            }
            _ => self.take(),
        }
    }

    /// Takes one byte from the FIFO. No other code of this CPU may run between the check that there is a byte and the read, because
    /// that code could take the byte. No mask keeps a BRK's handler away (rule I8), so this is no-probe text.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn take(&self) -> Option<u8> {
        let _masked = AllMasked::new();
        let r = self.registers();
        while !r.fr.is_set(FR::RXFE) {
            let entry = r.dr.extract();
            if !entry.any_matching_bits_set(DR::BE::SET + DR::PE::SET + DR::FE::SET) {
                return Some(entry.read(DR::DATA) as u8);
            }
        }
        None
    }

    /// Raises the interrupt when bytes were received: at an eighth of the FIFO, or after a pause.
    pub fn enable_rx_interrupt(&self) {
        self.registers().imsc.write(INT::RX::SET + INT::RT::SET);
    }

    /// Masks the receive interrupt.
    pub fn disable_rx_interrupt(&self) {
        self.registers().imsc.set(0);
    }
}
