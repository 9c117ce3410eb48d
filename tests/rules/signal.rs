//! Interrupts that a test sends to its own CPU, and a breakpoint whose handler sends one into its own step-over.

use super::code;
use super::seen::Seen;
use ::slots::{Access, Cpus, Privilege, Request, SlotId};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use harness::ktest::Ended;
use harness::skip;
use kernel::debug::slots::{self, Disposition, Watcher};
use kernel::drivers::gic::{self, Priority, Target};
use kernel::exception::DebugFrame;
use kernel::irq::{self, off, sgi};

/// An interrupt that this CPU can send to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// An ordinary IRQ.
    Irq,
    /// An FIQ. It needs a GICv3, where it is an interrupt of group 0.
    Fiq,
    /// An IRQ of NMI priority. It needs priority masking.
    Nmi,
}

const ALL: [Signal; 3] = [Signal::Irq, Signal::Fiq, Signal::Nmi];

impl Signal {
    /// Sets the interrupt's handler. An FIQ is put into group 0 and enabled, too.
    ///
    /// # Errors
    /// Skips the test where the machine does not have the interrupt.
    pub fn prepare(self, handler: irq::Handler) -> Result<(), Ended> {
        match self {
            Self::Irq => irq::set_handler(sgi::TEST, handler),
            Self::Fiq => {
                if gic::version().map_err(crate::failed)? != 3 {
                    skip!("FIQ needs a GICv3");
                }
                irq::set_handler(sgi::TEST_FIQ, handler);
                gic::enable(sgi::TEST_FIQ, Priority::Normal).map_err(crate::failed)?;
                gic::set_group0(sgi::TEST_FIQ).map_err(crate::failed)?;
            }
            Self::Nmi => {
                if !off::by_priority() {
                    skip!("NMI needs nmi=1 and a GICv3");
                }
                irq::set_handler(sgi::TEST_NMI, handler);
            }
        }
        Ok(())
    }

    /// Makes the interrupt pending on this CPU. Works in every context.
    pub fn send(self) {
        match self {
            Self::Irq => gic::send_sgi(sgi::TEST, Target::Me),
            Self::Fiq => {
                let _ = gic::send_sgi_group0(sgi::TEST_FIQ, Target::Me);
            }
            Self::Nmi => gic::send_sgi(sgi::TEST_NMI, Target::Me),
        }
    }
}

/// The signal that [`interrupt`] sends, as an index of [`ALL`].
static WHICH: AtomicU8 = AtomicU8::new(0);

/// What [`interrupt`] saw when the breakpoint was hit.
pub static AT_BREAKPOINT: Seen = Seen::new();

/// Chooses the signal that [`interrupt`] sends, and lets its next call be the first one.
pub fn arm(signal: Signal) {
    WHICH.store(signal as u8, Relaxed);
    AT_BREAKPOINT.reset();
}

/// A breakpoint's handler. Its first call sends an interrupt, which is taken on the return, before the stepped-over instruction.
pub fn interrupt(_: &slots::Hit, frame: &mut DebugFrame) {
    if AT_BREAKPOINT.note(frame) == 0 {
        send();
    }
}

/// Sends the signal that [`arm`] has chosen.
pub fn send() {
    ALL[WHICH.load(Relaxed) as usize % ALL.len()].send();
}

/// Sets a breakpoint at `address` on all CPUs.
pub fn breakpoint(address: u64, watcher: &'static Watcher) -> Result<SlotId, Ended> {
    let request = Request::Breakpoint { address, privilege: Privilege::El1 };
    slots::install(&request, Cpus::ALL, Disposition::Call(watcher)).map_err(crate::failed)
}

/// Sets a breakpoint on the second instruction of `code::line`.
pub fn breakpoint_in_line(watcher: &'static Watcher) -> Result<SlotId, Ended> {
    breakpoint(code::line_range().start + 4, watcher)
}

/// Sets a watchpoint on reads and writes of the doubleword at `address`, on all CPUs.
pub fn watchpoint(address: u64, watcher: &'static Watcher) -> Result<SlotId, Ended> {
    let request =
        Request::Watchpoint { address, length: 8, access: Access::ReadWrite, privilege: Privilege::El1 };
    slots::install(&request, Cpus::ALL, Disposition::Call(watcher)).map_err(crate::failed)
}

/// Removes a slot, and returns how often it was hit.
pub fn remove(id: SlotId) -> Result<u64, Ended> {
    let hits = slots::hits(id);
    slots::remove(id).map_err(crate::failed)?;
    hits.ok_or_else(|| crate::failed("the slot is gone"))
}
