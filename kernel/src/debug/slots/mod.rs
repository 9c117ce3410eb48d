//! The slot manager: hands out hardware breakpoints and watchpoints, and has every CPU set and remove them.
//!
//! A *slot* is one pair of debug registers. A *record* says what one use of a slot watches, on which CPUs, and what is
//! done about hits. To set a slot, a record is reserved; to remove the slot, the record is retired. Each CPU that the
//! record is for then brings its registers into line with the record, in [`apply`]: at once on the CPU that asks, by an
//! interrupt on the others (rule H5). [`local`] has what a hit, a step-over and an interrupt do with the slots of their
//! CPU.

mod apply;
pub mod bank;
mod installed;
mod local;
mod records;
mod registers;

pub use apply::{init_cpu, sync_local};
pub use installed::Installed;
pub use local::*;
pub use records::{Disposition, dispose};

pub use super::client::{Handler, Hit, Watcher};

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

/// The contents of the value register and of the control register of a slot of this CPU, for listings. Any context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn read_registers(kind: Kind, n: u8) -> (u64, u32) {
    let masked = Masked::new();
    let mut registers = registers::all(masked.cpu());
    (registers.read_value(kind, n), registers.read_control(kind, n))
}

/// Calls `check` with the ranges where slots are refused (rule H6). Copies of probed instructions and trampolines are
/// among them.
fn no_probe<R>(check: impl FnOnce(&NoProbe) -> R) -> R {
    no_probe_in_image(|image| {
        check(&NoProbe { text: &[image.text[0].clone(), layout::ALL_COPIES], ..*image })
    })
}

/// As [`no_probe`], but the ranges are only those of the kernel's image, without copies and trampolines.
#[inline(always)]
fn no_probe_in_image<R>(check: impl FnOnce(&NoProbe) -> R) -> R {
    let text = layout::noprobe_text_start() as u64..layout::noprobe_text_end() as u64;
    let data = layout::noprobe_data_start() as u64..layout::noprobe_data_end() as u64;
    check(&NoProbe { text: &[text], data: &[data], va: VaSize::Bits48 })
}

/// Sets a slot on the CPUs of `cpus`. When this function returns, the slot is in force on all of these CPUs that are
/// online (H2, H5). If the caller is a debug context or has D masked, the slot is in force on this CPU then, and on
/// each other CPU once it has taken the interrupt. A slot for this CPU alone interrupts no other CPU.
///
/// Any context; if `cpus` has other CPUs than this one, interrupts must be on or D masked.
///
/// # Errors
/// Why the slot cannot be set: see [`SlotError`].
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn install(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    match try_install_on_this_cpu(request, cpus, disposition) {
        Some(id) => Ok(id),
        None => install_on_any_cpus(request, cpus, disposition),
    }
}

/// The common case, inlined: sets a breakpoint, or a watchpoint inside of one doubleword, on this CPU alone. Returns None,
/// and has done nothing, for every other request, for a breakpoint in a copy or near an exclusive sequence, for a request that
/// is to be refused, and where [`CpuSlots::install`](::slots::CpuSlots::install) sets no slot.
#[inline(always)]
fn try_install_on_this_cpu(request: &Request, cpus: Cpus, disposition: Disposition) -> Option<SlotId> {
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

/// Sets a slot in the way that serves all requests, and gives the reason if it cannot be set.
#[inline(never)]
fn install_on_any_cpus(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    let mut admitted = no_probe(|no_probe| no_probe.admit(request))?;
    if let Request::Breakpoint { address, .. } = *request
        && exclusive::is_near(address)
        && !exclusive::check(address)?
    {
        // The hit of a breakpoint on a load-exclusive executes the whole sequence (H9), so `plain_breakpoint` must leave
        // this hit to `hit::breakpoint`.
        admitted = admitted.with_care();
    }
    reserve(admitted, cpus, disposition)
}

/// As [`install`], but rules H6 and H9 do not refuse the slot. For tests that show what would happen without these
/// rules.
///
/// # Errors
/// As `install`, except those of H6 and H9.
pub fn install_despite_no_probe(
    request: &Request,
    cpus: Cpus,
    disposition: Disposition,
) -> Result<SlotId, SlotError> {
    let admitted = Admitted::despite_no_probe(request, VaSize::Bits48)?;
    let on_load = matches!(*request, Request::Breakpoint { address, .. } if exclusive::is_load(address));
    reserve(if on_load { admitted.with_care() } else { admitted }, cpus, disposition)
}

/// As [`install`]. If one slot cannot hold the range, but two slots hold it exactly, sets both, or none if one of them
/// cannot be set. The two count as one: an access that touches both is one hit.
///
/// # Errors
/// As `install`; also [`SlotError::CannotSplit`] if two slots cannot hold the range either, and [`SlotError::NeedsTwo`]
/// if only one slot is free.
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

/// Reserves a record for a request that was admitted, and has the CPUs of `cpus` arm the slot.
fn reserve(admitted: Admitted, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    let limit = limit(admitted.kind());
    apply::install_on_cpus(cpus, || SLOTS.reserve(admitted, cpus, disposition, limit).map(Pieces::One))
        .map(|slots| slots.first())
}

/// Removes a slot, or both slots of [`install_split`]. When this function returns, the slot can hit no more (H2) and is
/// free. If the caller is a debug context or has D masked, the slot can hit no more on this CPU then, and on each other
/// CPU once that CPU has taken the interrupt; after the last of them the slot is free.
///
/// # Errors
/// [`SlotError::Gone`] if the slot was removed before.
pub fn remove(slots: impl Into<Pieces<SlotId>>) -> Result<(), SlotError> {
    apply::remove(slots.into()).map(|_| ())
}

/// As [`remove`], and returns how often the slot was hit in all. This number is exact. A call of [`hits`] before the
/// removal would miss the hits between the two calls.
///
/// To be called in thread context. The result is None if the removal has not waited for the other CPUs.
///
/// # Errors
/// As `remove`.
pub fn remove_counted(slots: impl Into<Pieces<SlotId>>) -> Result<Option<u64>, SlotError> {
    apply::remove(slots.into())
}

/// How often a slot, or both slots of [`install_split`], were hit so far. None if the slot is gone. Any context.
pub fn hits(slots: impl Into<Pieces<SlotId>>) -> Option<u64> {
    slots.into().iter().map(|id| SLOTS.hits(id, counts())).sum()
}

/// The hits of each CPU's slots.
fn counts<'a>() -> impl Iterator<Item = &'a CpuHits> {
    // SAFETY: only the field `hits` is used, which is atomic.
    (0..percpu::MAX_CPUS).map(|cpu| &unsafe { CPU_DEBUG.of_unchecked(cpu) }.hits)
}

/// All records: first those of breakpoints, then those of watchpoints, each in no particular order. Any context.
pub fn list() -> impl Iterator<Item = Snapshot<Disposition>> {
    SLOTS.iter()
}
