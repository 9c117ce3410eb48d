//! The slots and probes of a scenario. `setup` places them, their hits are counted in every run, and they are removed after the
//! last run. They are numbered from 0 in the order in which they are placed.

use ::slots::{Access, Cpus, Pieces, Privilege, Request, SlotId};
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use kernel::debug::slots::{self, Disposition, Watcher};
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, PostHandler, PreHandler, ReturnProbe, Wanted, WantedReturn};

/// How many slots and probes a scenario can place: a CPU without banked registers has at most 16 breakpoints and 16 watchpoints.
pub const ROOM: usize = 32;

#[derive(Clone, Copy)]
enum Placed {
    Nothing,
    Slot(Pieces<SlotId>),
    Probe(&'static Kprobe),
    Return(&'static ReturnProbe),
}

/// What was placed. Only the CPU that sweeps uses it: its thread, or the interrupt's handler while the thread does not use it.
struct Places([Cell<Placed>; ROOM]);

// SAFETY: only the CPU that sweeps uses it.
unsafe impl Sync for Places {}

static PLACES: Places = Places([const { Cell::new(Placed::Nothing) }; ROOM]);

/// How many entries this scenario has used.
static USED: AtomicUsize = AtomicUsize::new(0);

fn place(what: Placed) -> Result<(), String> {
    let is_free = |place: &Cell<Placed>| matches!(place.get(), Placed::Nothing);
    let free = PLACES.0.iter().position(is_free).ok_or("a scenario places more than 32 slots and probes")?;
    PLACES.0[free].set(what);
    USED.fetch_max(free + 1, Relaxed);
    Ok(())
}

/// How many entries were used since the last [`clear`], with those whose slot was removed meanwhile.
pub fn used() -> usize {
    USED.load(Relaxed)
}

/// Sets a slot on some CPUs. For a scenario's `setup`, `before` and `handler`.
///
/// # Errors
/// Those of the slot manager.
pub fn slot(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<(), String> {
    let id = slots::install(request, cpus, disposition).map_err(|error| error.to_string())?;
    place(Placed::Slot(Pieces::One(id)))
}

/// Sets a slot, or two for a range that one cannot hold. For a scenario's `setup`.
///
/// # Errors
/// Those of the slot manager.
pub fn split(request: &Request) -> Result<(), String> {
    let slots = slots::install_split(request, Cpus::ALL, Disposition::Count);
    place(Placed::Slot(slots.map_err(|error| error.to_string())?))
}

/// Sets a breakpoint that counts, and calls `handler` if there is one. For a scenario's `setup`, `before` and `handler`.
///
/// # Errors
/// Those of the slot manager.
pub fn breakpoint(address: u64, watcher: Option<&'static Watcher>) -> Result<(), String> {
    let request = Request::Breakpoint { address, privilege: Privilege::El1 };
    slot(&request, Cpus::ALL, watcher.map_or(Disposition::Count, Disposition::Call))
}

/// Sets a watchpoint on reads and writes of a doubleword. For a scenario's `setup`.
///
/// # Errors
/// Those of the slot manager.
pub fn watchpoint(address: u64) -> Result<(), String> {
    let (length, access, privilege) = (8, Access::ReadWrite, Privilege::El1);
    slot(&Request::Watchpoint { address, length, access, privilege }, Cpus::ALL, Disposition::Count)
}

/// Registers a probe. For a scenario's `setup`.
///
/// # Errors
/// Those of the registration.
pub fn kprobe(address: u64, pre: Option<PreHandler>, post: Option<PostHandler>) -> Result<(), String> {
    let probe = kprobe::register(address, pre, post).map_err(|error| error.to_string())?;
    place(Placed::Probe(probe))
}

/// Registers a probe that is optimised. For a scenario's `setup`.
///
/// # Errors
/// Those of the registration; or that the probe could not be optimised.
pub fn optimised(address: u64, pre: PreHandler) -> Result<(), String> {
    let wanted = Wanted { pre: Some(pre), optimise: Some(true), ..Wanted::at(address) };
    let probes = kprobe::register_all([wanted]).map_err(|error| error.to_string())?;
    place(Placed::Probe(probes[0]))?;
    if probes[0].how() == "optimised" { Ok(()) } else { Err("the probe is not optimised".into()) }
}

/// Registers a return probe. For a scenario's `setup`.
///
/// # Errors
/// Those of the registration.
pub fn kretprobe(wanted: &WantedReturn) -> Result<(), String> {
    let probe = kprobe::register_return(wanted).map_err(|error| error.to_string())?;
    place(Placed::Return(probe))
}

/// The probe that was placed as number `index`. For a scenario's `body`, which must not remove it.
pub fn probe_of(index: usize) -> Option<&'static Kprobe> {
    match PLACES.0[index].get() {
        Placed::Probe(probe) => Some(probe),
        _ => None,
    }
}

/// The hits so far of the slot or probe number `index`; 0 if it was removed.
pub fn hits_of(index: usize) -> u64 {
    count(index)[0]
}

/// Removes the slot that was placed first, and returns its hits. For a scenario's `handler` and `facts`.
pub fn remove_first() -> u64 {
    let _off = IrqOff::new();
    let hits = hits_of(0);
    if let Placed::Slot(id) = PLACES.0[0].replace(Placed::Nothing) {
        let _ = slots::remove(id);
    }
    hits
}

/// Whether a slot or probe with number `index` was placed.
pub fn is_there(index: usize) -> bool {
    !matches!(PLACES.0[index].get(), Placed::Nothing)
}

/// The hits and the misses of the slot or probe number `index`.
pub fn count(index: usize) -> [u64; 2] {
    match PLACES.0[index].get() {
        Placed::Nothing => [0, 0],
        Placed::Slot(id) => [slots::hits(id).unwrap_or(0), 0],
        Placed::Probe(probe) => [probe.hits(), probe.missed()],
        Placed::Return(probe) => [probe.hits(), probe.missed()],
    }
}

/// Removes everything.
pub fn clear() {
    USED.store(0, Relaxed);
    for place in &PLACES.0 {
        match place.replace(Placed::Nothing) {
            Placed::Nothing => {}
            Placed::Slot(id) => _ = slots::remove(id),
            Placed::Probe(probe) => _ = kprobe::remove(probe),
            Placed::Return(probe) => _ = kprobe::remove_return(probe),
        }
    }
}
