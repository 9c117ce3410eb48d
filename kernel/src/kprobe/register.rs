//! Probes are registered and removed (rules K2, K3, K4).
//!
//! A registration has three phases. `prepare` checks the place, makes the [`Site`] and the [`Kprobe`], and takes room for copies.
//! `write_copies` writes the copies, which nobody executes yet. `publish` holds all other CPUs and changes the text. A removal goes
//! the other way: `unlink_all` changes the text while all other CPUs are held, and `free` frees what no CPU can still use then.

use super::probe::{Kprobe, PostHandler, PreHandler};
use super::site::{How, Site};
use super::{copies, engine, instance, machine, optimised, table};
use crate::arch::uaccess;
use crate::irq::off::IrqOff;
use crate::mm::layout;
use crate::mm::patch::Patch;
use crate::options;
use crate::percpu::MAX_CPUS;
use crate::report::symbols;
use crate::smp;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};
use probe::{Class, Function, Reason};

/// Held during each registration, removal, enabling and disabling of a probe. Whoever takes the lock has interrupts on,
/// because a rendezvous is made while the lock is held.
static LOCK: SpinLock<Last> = SpinLock::new(None);

/// The function that the last registration analysed. Many probes are often placed in one function, which is then analysed only
/// once. The value lies in the lock, not in the heap: a heap block for each function would leave holes between the sites, and every
/// later allocation would search those holes.
type Last = Option<Function>;

/// How many probes are registered. The number changes under [`LOCK`].
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many probes are registered, the probes of return probes and disabled probes included. Any context.
pub fn count() -> usize {
    COUNT.load(Relaxed)
}

/// Why a registration or a removal was refused (rules H6, K2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// The address is not a multiple of 4, so no instruction begins there.
    Unaligned(u64),
    /// The address is not in the kernel's text.
    NotText(u64),
    /// The address is in no-probe text, in a copy or in a trampoline.
    NoProbe(u64),
    /// The instruction at the address cannot be probed faithfully, for this reason.
    Refused(u64, Reason),
    /// The pages of copies have no room for the instruction, or a branch does not reach from that room to the probed address.
    NoSlot,
    /// A return probe was wanted, but no function begins at the address.
    NotEntry(u64),
    /// A return probe was wanted for this number of calls at once, which is 0, above the limit, or more than other
    /// return probes leave free.
    Instances(usize),
    /// No probe is at the address.
    Absent(u64),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unaligned(at) => write!(f, "{at:#x} is not a multiple of 4: no instruction begins there"),
            Self::NotText(at) => write!(f, "{at:#x} is not in the kernel's text"),
            Self::NoProbe(at) if layout::ALL_COPIES.contains(&at) => write!(
                f,
                "{at:#x} is in a copy of a probed instruction, or in a trampoline: choose the probed instruction itself"
            ),
            Self::NoProbe(at) => {
                write!(f, "{} is in no-probe text, which handles debug exceptions itself", symbols::Shown(at))
            }
            Self::Refused(at, reason) => write!(f, "{}: {reason}", symbols::Shown(at)),
            Self::NoSlot => f.write_str("no room for another out-of-line copy; remove a probe first"),
            Self::NotEntry(at) => {
                write!(f, "{}: a return probe is for a function's first instruction", symbols::Shown(at))
            }
            Self::Instances(count) => write!(
                f,
                "no room for {count} calls at once; a return probe can have 1 to {}, all together {}",
                instance::MOST,
                instance::INSTANCES
            ),
            Self::Absent(at) => write!(f, "no probe at {at:#x}"),
        }
    }
}

/// A probe that [`register_with`] or [`register_all`] is to place.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// The address of the instruction to be probed.
    pub address: u64,
    /// Called before the instruction runs.
    pub pre: Option<PreHandler>,
    /// Called when the instruction has run.
    pub post: Option<PostHandler>,
    /// A word that the handlers find in [`Kprobe::data`].
    pub data: usize,
    /// Whether the probe may be optimised, so that the text holds a branch to a trampoline instead of a BRK. The probe
    /// is optimised only if the instruction allows it, no other probe is at the address, and the probe has no
    /// post-handler. A handler sees the same registers; ESR_EL1 in its frame is 0, and of SPSR_EL1
    /// there are only NZCV, DAIF and M. None: the boot argument `optimise`
    /// decides.
    pub optimise: Option<bool>,
}

impl Wanted {
    /// A probe without handlers, which only counts its hits.
    pub const fn at(address: u64) -> Self {
        Self { address, pre: None, post: None, data: 0, optimise: None }
    }
}

/// Places a probe. Where other probes are at the address already, their handlers are called before those of the new probe. When
/// this function returns, every execution of the instruction hits the probe.
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
    register_with(&Wanted { pre, post, ..Wanted::at(address) }, |_, _| ())
}

/// Places a probe as [`register`] does. `before` is called with the site and the probe before any CPU can hit the probe.
///
/// # Errors
/// As `register`.
pub fn register_with(
    wanted: &Wanted,
    before: impl FnOnce(&'static Site, &'static Kprobe),
) -> Result<&'static Kprobe, ProbeError> {
    let mut last = LOCK.lock();
    let new = prepare(wanted, &mut last)?;
    write_copies(core::slice::from_ref(&new));
    before(new.site, new.probe);
    publish(core::slice::from_ref(&new));
    Ok(new.probe)
}

/// How many probes one rendezvous publishes or takes off. This number bounds how long the other CPUs are held.
const BATCH: usize = 256;

/// Places all of these probes, or none of them. The other CPUs are held once for each [`BATCH`] of probes, not for each probe.
///
/// Thread context with interrupts on.
///
/// # Errors
/// The error of the first probe that cannot be placed.
pub fn register_all(wanted: impl IntoIterator<Item = Wanted>) -> Result<Vec<&'static Kprobe>, ProbeError> {
    let mut error = None;
    let probes = register_while(wanted, |_, reason| {
        error = Some(reason);
        false
    });
    let Some(error) = error else { return Ok(probes) };
    remove_all(&probes);
    Err(error)
}

/// Places those of the probes that can be placed. `refused` is called with each of the others, and with the reason.
pub fn register_possible(
    wanted: impl IntoIterator<Item = Wanted>,
    mut refused: impl FnMut(&Wanted, ProbeError),
) -> Vec<&'static Kprobe> {
    register_while(wanted, |wanted, reason| {
        refused(wanted, reason);
        true
    })
}

/// Places probes, in order. If a probe cannot be placed, `go_on` decides whether the later probes are placed too. The
/// earlier probes are placed in any case.
fn register_while(
    wanted: impl IntoIterator<Item = Wanted>,
    mut go_on: impl FnMut(&Wanted, ProbeError) -> bool,
) -> Vec<&'static Kprobe> {
    let mut last = LOCK.lock();
    // All probes are prepared before the first is published: the code that prepares probes may itself be probed, and
    // would hit the probes that are published already.
    let (mut all, mut written) = (Vec::new(), 0);
    for wanted in wanted {
        match prepare(&wanted, &mut last) {
            Ok(new) => {
                all.push(new);
                if all.len() == written + BATCH {
                    write_copies(&all[written..]);
                    written = all.len();
                }
            }
            Err(reason) => {
                if !go_on(&wanted, reason) {
                    break;
                }
            }
        }
    }
    write_copies(&all[written..]);
    let probes = all.iter().map(|new| new.probe).collect();
    for batch in all.chunks(BATCH) {
        publish(batch);
    }
    probes
}

/// A probe that is prepared, but not yet published: no CPU can hit it.
struct New {
    site: &'static Site,
    probe: &'static Kprobe,
    /// Whether the probe is the first at its site, so that the site's copies are still to be written.
    first: bool,
}

/// Writes the copies of new sites. No other CPU is held, because nobody executes the copies before their sites are published.
fn write_copies(batch: &[New]) {
    let _off = IrqOff::new();
    let mut patch = Patch::on_this_cpu();
    for new in batch.iter().filter(|new| new.first) {
        copies::write(new.site, &mut patch);
    }
}

/// Links the probes to their sites and brings the text into line. When this function returns, every execution hits the probes.
fn publish(batch: &[New]) {
    // The other CPUs are held for every word, even for those that rule K3 allows to exchange while they are executed. An emulator
    // that translates code (QEMU before 8.1) may otherwise keep for ever the translation that another CPU makes of the old word at
    // that moment.
    smp::rendezvous(|| {
        let mut patch = Patch::on_this_cpu();
        for new in batch {
            new.site.link(new.probe);
            update_text(new.site, &mut patch);
        }
    });
}

/// Brings the text, and what `hit.S` reads of the site, into line with the site's probes. All other CPUs are held.
fn update_text(site: &Site, patch: &mut Patch) {
    site.shorten(engine::simulator);
    let text = site.text();
    if uaccess::read_u32(site.address) != Ok(text) {
        patch.write(site.address as usize, &[text]);
    }
}

/// Makes a probe, and its site if the address has none. No CPU can hit the probe before [`publish`].
fn prepare(wanted: &Wanted, last: &mut Last) -> Result<New, ProbeError> {
    let &Wanted { address, pre, post, data, optimise } = wanted;
    let optimise = optimise.unwrap_or_else(|| options::get().optimise);
    let word = check(address)?;
    let (site, first) = match table::find(address) {
        Some(site) => (site, false),
        None => (new_site(address, word, last)?, true),
    };
    let probe = Box::leak(Box::new(Kprobe {
        hits: [const { AtomicU64::new(0) }; MAX_CPUS],
        missed: AtomicU64::new(0),
        address,
        word,
        pre,
        post,
        data,
        optimise,
        enabled: AtomicBool::new(true),
        simulated: matches!(site.how, How::Simulated(_)),
        next: AtomicPtr::new(core::ptr::null_mut()),
    }));
    if first {
        table::put(site);
    }
    COUNT.fetch_add(1, Relaxed);
    if optimise && post.is_none() && site.trampoline() == 0 {
        // Nobody executes the trampoline before the site's text is a branch to it.
        site.set_trampoline(optimised::take(site).unwrap_or(0));
    }
    Ok(New { site, probe, first })
}

/// Makes a site for an instruction that has none. [`table::original`] reads the text with D masked: the engine's own reads must hit
/// no watchpoint (H6).
fn new_site(address: u64, word: u32, last: &mut Last) -> Result<&'static Site, ProbeError> {
    let function = match last.take() {
        Some(function) if function.contains(address) => function,
        _ => {
            let (start, end) = match symbols::at(address) {
                Some(symbol) => (symbol.address, symbol.address + symbol.size),
                None => (address, address + 4),
            };
            Function::new(table::original, start, end)
        }
    };
    let how = match machine::cpu().knowing(word, last.insert(function).classify(table::original, address)) {
        Class::Simulate(sim) => How::Simulated(sim),
        Class::OutOfLine(instruction) => {
            How::OutOfLine(instruction, copies::take(instruction, address).ok_or(ProbeError::NoSlot)?)
        }
        Class::Refuse(reason) => return Err(ProbeError::Refused(address, reason)),
    };
    Ok(Box::leak(Box::new(Site::new(address, word, how))))
}

/// Removes the probe that was placed last at `address`; the probes of return probes do not count. When this function returns, the
/// probe never runs again, and no CPU is inside the probe (rule K4). Returns the probe's hits and misses.
///
/// Thread context with interrupts on.
///
/// # Errors
/// [`ProbeError::Absent`].
pub fn unregister(address: u64) -> Result<(u64, u64), ProbeError> {
    let _one = LOCK.lock();
    let site = table::find(address).ok_or(ProbeError::Absent(address))?;
    let probe =
        site.probes().filter(|probe| !instance::is_entry(probe)).last().ok_or(ProbeError::Absent(address))?;
    Ok(remove_locked(&[probe], || ())[0])
}

/// Removes a probe, as [`unregister`] does, and returns its hits and misses. The caller must not use the reference any more.
pub fn remove(probe: &'static Kprobe) -> (u64, u64) {
    remove_with(probe, || ())
}

/// Removes a probe as [`remove`] does, and calls `also` while all other CPUs are held.
pub fn remove_with(probe: &'static Kprobe, also: impl FnOnce()) -> (u64, u64) {
    let _one = LOCK.lock();
    remove_locked(&[probe], also)[0]
}

/// Removes many probes, and returns the hits and misses of each. The other CPUs are held once for each [`BATCH`] of probes.
///
/// Thread context with interrupts on.
pub fn remove_all(probes: &[&'static Kprobe]) -> Vec<(u64, u64)> {
    let _one = LOCK.lock();
    // The memory is freed when the last probe is off: the probes may be on the code that frees memory, and would be hit meanwhile.
    let mut empty = Vec::with_capacity(probes.len());
    for batch in probes.chunks(BATCH) {
        unlink_all(batch, &mut empty, || ());
    }
    free(probes, empty)
}

/// Unlinks and frees probes that fit in one batch. The caller holds [`LOCK`].
fn remove_locked(probes: &[&'static Kprobe], also: impl FnOnce()) -> Vec<(u64, u64)> {
    let mut empty = Vec::with_capacity(probes.len());
    unlink_all(probes, &mut empty, also);
    free(probes, empty)
}

/// Unlinks probes from their sites and brings the text into line: no CPU hits the probes any more. Sites that are left without a
/// probe are appended to `empty`, which the caller has given room for one site for each probe.
fn unlink_all(probes: &[&'static Kprobe], empty: &mut Vec<&'static Site>, also: impl FnOnce()) {
    // Debug contexts and copies run masked, so a CPU takes part in the rendezvous in neither of them. `settle` has moved a CPU that
    // stood at the branch back of a copy behind the probed instruction. So no CPU has found a probe that it has still to use (K4).
    smp::rendezvous(|| {
        also();
        let mut patch = Patch::on_this_cpu();
        for probe in probes {
            let Some(site) = table::find(probe.address) else { continue };
            site.unlink(probe);
            update_text(site, &mut patch);
            if site.probes().next().is_none() {
                table::take(site);
                // `empty` has the room, so nothing is allocated while the other CPUs are held.
                empty.push(site);
            }
        }
    });
}

/// Frees probes and empty sites, and returns the hits and misses of each probe. A site is freed right before the probe that was
/// allocated beside it, so that the two holes merge. Otherwise the heap would keep a long list of holes, which every allocation
/// would search.
fn free(probes: &[&'static Kprobe], empty: Vec<&'static Site>) -> Vec<(u64, u64)> {
    COUNT.fetch_sub(probes.len(), Relaxed);
    let mut empty = empty.into_iter().peekable();
    let taken = probes.iter().map(|probe| {
        if let Some(site) = empty.next_if(|site| site.address == probe.address) {
            if let Some(copies) = site.copies() {
                copies::give(copies);
            }
            if site.trampoline() != 0 {
                copies::give_trampoline(site.trampoline());
            }
            // SAFETY: the site came from `Box::leak`, is in no table, and no CPU holds a reference to the site any more.
            drop(unsafe { Box::from_raw(core::ptr::from_ref(site).cast_mut()) });
        }
        let counts = (probe.hits(), probe.missed());
        // SAFETY: the probe came from `Box::leak`, is linked to no site, and no CPU holds a reference to the probe any more.
        drop(unsafe { Box::from_raw(core::ptr::from_ref(*probe).cast_mut()) });
        counts
    });
    taken.collect()
}

/// Enables a probe that [`disable`] has disabled. On an enabled probe it does nothing. Thread context with interrupts on.
pub fn enable(probe: &'static Kprobe) {
    set_enabled(probe, true);
}

/// Disables a probe: from the return of this function on, the probe counts nothing and its handlers are not called. While no probe
/// at the address is enabled, the text holds the original instruction. Thread context with interrupts on.
pub fn disable(probe: &'static Kprobe) {
    set_enabled(probe, false);
}

fn set_enabled(probe: &'static Kprobe, on: bool) {
    let _one = LOCK.lock();
    let Some(site) = table::find(probe.address) else { return };
    smp::rendezvous(|| {
        probe.enabled.store(on, Relaxed);
        update_text(site, &mut Patch::on_this_cpu());
    });
}

/// Checks whether `address` is in text that can be probed, whatever instruction is there. Thread context with
/// interrupts on.
///
/// # Errors
/// As for [`register`].
pub fn check_place(address: u64) -> Result<(), ProbeError> {
    let _one = LOCK.lock();
    check(address).map(|_| ())
}

/// Returns the original instruction at `address`, if `address` is in text that can be probed.
fn check(address: u64) -> Result<u32, ProbeError> {
    if !address.is_multiple_of(4) {
        return Err(ProbeError::Unaligned(address));
    }
    let at = address as usize;
    if layout::ALL_COPIES.contains(&address) {
        return Err(ProbeError::NoProbe(address));
    }
    if !(layout::text_start()..layout::text_end()).contains(&at) {
        return Err(ProbeError::NotText(address));
    }
    if (layout::text_start()..layout::noprobe_text_end()).contains(&at) {
        return Err(ProbeError::NoProbe(address));
    }
    table::original(address).ok_or(ProbeError::NotText(address))
}
