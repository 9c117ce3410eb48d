//! Interrupts that a test sends to its own CPU, and a breakpoint whose handler sends one into its own step-over.

use super::code;
use super::seen::Seen;
use ::slots::{Access, Cpus, Privilege, Request, SlotId};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use harness::ktest::Ended;
use harness::skip;
use kernel::debug::slots::{self, Disposition, Handler};
use kernel::drivers::gic::{self, Priority, Target};
use kernel::exception::DebugFrame;
use kernel::irq::{self, off, sgi};

/// An interrupt that this CPU can send to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// An IRQ.
    Irq,
    /// An FIQ: GICv3, group 0.
    Fiq,
    /// An IRQ of NMI priority.
    Nmi,
}

const ALL: [Signal; 3] = [Signal::Irq, Signal::Fiq, Signal::Nmi];

impl Signal {
    /// Names the interrupt's handler.
    ///
    /// # Errors
    /// Skips the test where the machine does not have it.
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

    /// Sends it to this CPU. Any context.
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

/// What [`interrupt`] sends.
static WHICH: AtomicU8 = AtomicU8::new(0);

/// What the breakpoint of [`interrupt`] saw.
pub static AT_BREAKPOINT: Seen = Seen::new();

/// Chooses what [`interrupt`] sends at its first call.
pub fn arm(signal: Signal) {
    WHICH.store(signal as u8, Relaxed);
    AT_BREAKPOINT.reset();
}

/// A breakpoint's handler: the first hit sends an interrupt, which is taken on return, before the instruction that is stepped
/// over.
pub fn interrupt(_: &slots::Hit, frame: &mut DebugFrame) {
    if AT_BREAKPOINT.note(frame) == 0 {
        send();
    }
}

/// Sends what was chosen.
pub fn send() {
    ALL[WHICH.load(Relaxed) as usize % ALL.len()].send();
}

/// A breakpoint on this address.
pub fn breakpoint(address: u64, handler: Handler) -> Result<SlotId, Ended> {
    let request = Request::Breakpoint { address, privilege: Privilege::El1 };
    slots::install(&request, Cpus::ALL, Disposition::Call(handler)).map_err(crate::failed)
}

/// A breakpoint on the second instruction of `code::line`.
pub fn breakpoint_in_line(handler: Handler) -> Result<SlotId, Ended> {
    breakpoint(code::line_range().start + 4, handler)
}

/// A watchpoint on reads and writes of a doubleword.
pub fn watchpoint(address: u64, handler: Handler) -> Result<SlotId, Ended> {
    let request =
        Request::Watchpoint { address, length: 8, access: Access::ReadWrite, privilege: Privilege::El1 };
    slots::install(&request, Cpus::ALL, Disposition::Call(handler)).map_err(crate::failed)
}

/// Takes a slot away; how often it was hit.
pub fn remove(id: SlotId) -> Result<u64, Ended> {
    let hits = slots::hits(id);
    slots::remove(id).map_err(crate::failed)?;
    hits.ok_or_else(|| crate::failed("the slot is gone"))
}
