//! The slot manager: hands out hardware breakpoints and watchpoints, and has every CPU take part.
//!
//! A record is reserved or retired in one place; each CPU that it is for then brings its registers into line with it, in
//! [`apply`]: at once on the CPU that asks, by an interrupt on the others (rule H5). What a hit needs is in [`local`].

mod apply;
mod installed;
mod local;
mod records;
mod registers;

pub use apply::{init_cpu, sync_local};
pub use installed::Installed;
pub use local::*;
pub use records::{Disposition, dispose};

pub use super::client::{Handler, Hit};

use super::control::Masked;
use super::cpu::CPU_DEBUG;
use super::exclusive;
use crate::mm::layout;
use crate::percpu;
use ::slots::{
    Admitted, CpuHits, Cpus, Kind, NoProbe, Pieces, ReadRegs, Request, SlotError, SlotId, Snapshot, VaSize,
};
use records::{SLOTS, limit};

/// How many slots of this kind each CPU has. Any context.
pub fn count(kind: Kind) -> u8 {
    limit(kind)
}

/// Value and control register of a slot of this CPU, for listings. Any context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn read_registers(kind: Kind, n: u8) -> (u64, u32) {
    let masked = Masked::new();
    let mut registers = registers::all(masked.cpu());
    (registers.read_value(kind, n), registers.read_control(kind, n))
}

/// Where slots are refused (rule H6). Copies of probed instructions and trampolines are the engine's text.
fn no_probe<R>(check: impl FnOnce(&NoProbe) -> R) -> R {
    no_probe_in_image(|image| {
        check(&NoProbe { text: &[image.text[0].clone(), layout::ALL_COPIES], ..*image })
    })
}

/// The same without copies and trampolines.
#[inline(always)]
fn no_probe_in_image<R>(check: impl FnOnce(&NoProbe) -> R) -> R {
    let text = layout::noprobe_text_start() as u64..layout::noprobe_text_end() as u64;
    let data = layout::noprobe_data_start() as u64..layout::noprobe_data_end() as u64;
    check(&NoProbe { text: &[text], data: &[data], va: VaSize::Bits48 })
}

/// Sets a slot on the CPUs of `cpus`. When this returns it is in force on all of them that are online (H2, H5); called from a
/// debug context it is in force here, and elsewhere as each CPU takes the interrupt. For this CPU alone, nobody else is asked.
///
/// Any context; for other CPUs than this one interrupts must be on, or D masked.
///
/// # Errors
/// What cannot be, with the reason: see [`SlotError`].
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn install(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    match install_here(request, cpus, disposition) {
        Some(id) => Ok(id),
        None => install_anywhere(request, cpus, disposition),
    }
}

/// What is asked for mostly of this CPU alone. None, and nothing done, for anything else.
#[inline(always)]
fn install_here(request: &Request, cpus: Cpus, disposition: Disposition) -> Option<SlotId> {
    if cpus.0 != 1 << percpu::index() {
        return None;
    }
    match request {
        Request::Breakpoint { address, .. } => {
            let admitted = no_probe_in_image(|no_probe| no_probe.admit_small(request))?;
            if layout::may_be_copy(*address) || exclusive::is_near(*address) {
                return None;
            }
            apply::install_on_this_cpu(Kind::Breakpoint, admitted, cpus, disposition)
        }
        Request::Watchpoint { .. } => {
            let admitted = no_probe_in_image(|no_probe| no_probe.admit_small(request))?;
            apply::install_on_this_cpu(Kind::Watchpoint, admitted, cpus, disposition)
        }
    }
}

#[inline(never)]
fn install_anywhere(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    let mut admitted = no_probe(|no_probe| no_probe.admit(request))?;
    if let Request::Breakpoint { address, .. } = *request
        && exclusive::is_near(address)
        && !exclusive::check(address)?
    {
        // A breakpoint on a load-exclusive does not step over that alone (H9).
        admitted = admitted.with_care();
    }
    reserve(admitted, cpus, disposition)
}

/// As [`install`], rules H6 and H9 overridden: for tests that show what becomes of what is refused.
///
/// # Errors
/// As `install`, but for these.
pub fn install_despite_no_probe(
    request: &Request,
    cpus: Cpus,
    disposition: Disposition,
) -> Result<SlotId, SlotError> {
    let admitted = Admitted::despite_no_probe(request, VaSize::Bits48)?;
    let on_load = matches!(*request, Request::Breakpoint { address, .. } if exclusive::is_load(address));
    reserve(if on_load { admitted.with_care() } else { admitted }, cpus, disposition)
}

/// As [`install`], over two slots if one does not hold the range and two do exactly: then both are set, or none. They are
/// one to all intents: an access that touches both is one hit.
///
/// # Errors
/// As `install`, and [`SlotError::CannotSplit`], [`SlotError::NeedsTwo`].
pub fn install_split(
    request: &Request,
    cpus: Cpus,
    disposition: Disposition,
) -> Result<Pieces<SlotId>, SlotError> {
    let Pieces::Two(..) = no_probe(|no_probe| no_probe.admit_split(request))? else {
        return install(request, cpus, disposition).map(Pieces::One);
    };
    let admitted = no_probe(|no_probe| no_probe.admit_split(request))?;
    apply::install_on_cpus(cpus, || {
        SLOTS.reserve_pieces(admitted, cpus, disposition, limit(admitted.first().kind()))
    })
}

fn reserve(admitted: Admitted, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    let limit = limit(admitted.kind());
    apply::install_on_cpus(cpus, || SLOTS.reserve(admitted, cpus, disposition, limit).map(Pieces::One))
        .map(|slots| slots.first())
}

/// Takes a slot, or the two of [`install_split`], away. When this returns it can hit no more (H2) and is free, with the
/// exceptions of [`install`].
///
/// # Errors
/// [`SlotError::Gone`] if it is not there any more.
pub fn remove(slots: impl Into<Pieces<SlotId>>) -> Result<(), SlotError> {
    apply::remove(slots.into()).map(|_| ())
}

/// As [`remove`]; says how often it was hit in all. The hits of every CPU up to the last one are in it, where [`hits`] before a
/// removal lacks those in between.
///
/// Thread context: it is None where the removal does not wait for the other CPUs.
///
/// # Errors
/// As `remove`.
pub fn remove_counted(slots: impl Into<Pieces<SlotId>>) -> Result<Option<u64>, SlotError> {
    apply::remove(slots.into())
}

/// Hits of a slot, or of the two of [`install_split`], so far. Any context.
pub fn hits(slots: impl Into<Pieces<SlotId>>) -> Option<u64> {
    slots.into().iter().map(|id| SLOTS.hits(id, counts())).sum()
}

/// Every CPU's counts.
fn counts<'a>() -> impl Iterator<Item = &'a CpuHits> {
    // SAFETY: only the counts are used, which are atomic.
    (0..percpu::MAX_CPUS).map(|cpu| &unsafe { CPU_DEBUG.of_unchecked(cpu) }.hits)
}

/// All records, in no order but breakpoints first. Any context.
pub fn list() -> impl Iterator<Item = Snapshot<Disposition>> {
    SLOTS.iter()
}
