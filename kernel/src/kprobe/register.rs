//! Registration and removal.

use super::{How, Kprobe, PostHandler, PreHandler, engine, ool, table};
use crate::arch::uaccess;
use crate::irq::off::IrqOff;
use crate::mm::{layout, patch};
use crate::report::symbols;
use crate::smp;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU64};
use probe::{Class, Reason, ool::brk};

/// One registration or removal at a time. Taken with interrupts on, for the rendezvous.
static LOCK: SpinLock<()> = SpinLock::new(());

/// Why there is no probe (rules H6, K2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// Not a multiple of 4.
    Unaligned(u64),
    /// Not in the kernel's text.
    NotText(u64),
    /// In text that cannot be probed.
    NoProbe(u64),
    /// An instruction that cannot be probed faithfully.
    Refused(u64, Reason),
    /// There is one already.
    Busy(u64),
    /// No room for another out-of-line copy.
    NoSlot,
    /// There is none.
    Absent(u64),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unaligned(at) => write!(f, "{at:#x} is not a multiple of 4: no instruction begins there"),
            Self::NotText(at) => write!(f, "{at:#x} is not in the kernel's text"),
            Self::NoProbe(at) => {
                write!(f, "{} is in no-probe text, which handles debug exceptions itself", symbols::Shown(at))
            }
            Self::Refused(at, reason) => write!(f, "{}: {reason}", symbols::Shown(at)),
            Self::Busy(at) => write!(f, "{} is probed already", symbols::Shown(at)),
            Self::NoSlot => f.write_str("no room for another out-of-line copy; remove a probe first"),
            Self::Absent(at) => write!(f, "no probe at {at:#x}"),
        }
    }
}

/// Places a probe. When this returns, every execution hits it.
///
/// Thread context with interrupts on.
///
/// # Errors
/// See [`ProbeError`].
pub fn register(
    address: u64,
    pre: Option<PreHandler>,
    post: Option<PostHandler>,
) -> Result<&'static Kprobe, ProbeError> {
    let _one = LOCK.lock();
    let word = check(address)?;
    let (start, end) = match symbols::at(address) {
        Some(symbol) => (symbol.address, symbol.address + symbol.size),
        None => (address, address + 4),
    };
    let original = |at| match table::find(at) {
        Some(probe) => Some(probe.word),
        None => uaccess::read_u32(at).ok(),
    };
    let how = match probe::classify_at(original, address, start, end) {
        Class::Simulate(sim) => How::Simulated(sim),
        Class::OutOfLine => {
            let _off = IrqOff::new();
            How::OutOfLine(ool::take(word)?)
        }
        Class::Refuse(reason) => return Err(ProbeError::Refused(address, reason)),
    };
    let kprobe = Box::leak(Box::new(Kprobe {
        address,
        word,
        how,
        pre,
        post,
        hits: AtomicU64::new(0),
        missed: AtomicU64::new(0),
        next: AtomicPtr::new(core::ptr::null_mut()),
    }));
    table::link(kprobe);
    // Rule K3, and more: the other CPUs are held even for the words that may be exchanged while they are executed. Emulators that
    // translate (QEMU before 8.1 does) may keep, for ever, a translation of the old word that another CPU makes at that moment.
    smp::rendezvous(|| patch::write_text(address as usize, brk(probe::ool::KPROBE)));
    Ok(kprobe)
}

/// Takes the probe at `address` away. When this returns it never runs again, and nobody is inside it (rule K4).
///
/// Thread context with interrupts on.
///
/// # Errors
/// [`ProbeError::Absent`].
pub fn unregister(address: u64) -> Result<(u64, u64), ProbeError> {
    let _one = LOCK.lock();
    let kprobe = table::find(address).ok_or(ProbeError::Absent(address))?;
    // A CPU that is held here is in no debug context and in no copy, which are masked: nobody has found the probe and is still
    // to use it.
    smp::rendezvous(|| {
        patch::write_text(address as usize, kprobe.word);
        table::unlink(kprobe);
    });
    while engine::is_active_anywhere(kprobe) {
        crate::arch::barrier::relax();
    }
    let counts = (kprobe.hits(), kprobe.missed());
    if let How::OutOfLine(slot) = kprobe.how {
        ool::give(slot);
    }
    // SAFETY: it came from `Box::leak`, is unlinked, and no CPU holds a reference any more.
    drop(unsafe { Box::from_raw(core::ptr::from_ref(kprobe).cast_mut()) });
    Ok(counts)
}

/// The word at `address` if a probe may be there.
fn check(address: u64) -> Result<u32, ProbeError> {
    if !address.is_multiple_of(4) {
        return Err(ProbeError::Unaligned(address));
    }
    let at = address as usize;
    if !(layout::text_start()..layout::text_end()).contains(&at) {
        return Err(ProbeError::NotText(address));
    }
    let no_probe = [layout::text_start()..layout::noprobe_text_end(), layout::ool_start()..layout::ool_end()];
    if no_probe.iter().any(|range| range.contains(&at)) {
        return Err(ProbeError::NoProbe(address));
    }
    if table::find(address).is_some() {
        return Err(ProbeError::Busy(address));
    }
    uaccess::read_u32(address).map_err(|_| ProbeError::NotText(address))
}
