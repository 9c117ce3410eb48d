//! Registration and removal.

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

/// One registration or removal at a time. Taken with interrupts on, for the rendezvous.
static LOCK: SpinLock<Last> = SpinLock::new(None);

/// The function that was looked at last: many probes are placed in one, and what surrounds them is the same.
/// Not in the heap, where one a function would leave holes between sites, to be searched by each allocation.
type Last = Option<Function>;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Probes that there are. Any context.
pub fn count() -> usize {
    COUNT.load(Relaxed)
}

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
    /// No room for another out-of-line copy.
    NoSlot,
    /// A return probe, but no function begins there.
    NotEntry(u64),
    /// So many calls of a return probe under way at once.
    Instances(usize),
    /// There is none.
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

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// Where.
    pub address: u64,
    /// Before the instruction.
    pub pre: Option<PreHandler>,
    /// Behind it.
    pub post: Option<PostHandler>,
    /// What its handlers find in the probe.
    pub data: usize,
    /// Whether a branch to a trampoline may take the place of the BRK, if the instruction allows it, it is the only probe at its
    /// address, and there is no post-handler. Nobody can tell but by the cost.
    /// None: as the boot argument `optimise` says.
    pub optimise: Option<bool>,
}

impl Wanted {
    /// A probe that counts.
    pub const fn at(address: u64) -> Self {
        Self { address, pre: None, post: None, data: 0, optimise: None }
    }
}

/// Places a probe, behind those that are at this address already. When this returns, every execution hits it.
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

/// As [`register`]; `before` is told of site and probe before anybody can hit it.
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

/// How many are placed while the other CPUs are held once.
const BATCH: usize = 256;

/// Places many probes, with the other CPUs held once for hundreds of them. All of them, or none.
///
/// Thread context with interrupts on.
///
/// # Errors
/// Of the first that cannot be.
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

/// As [`register_all`], but for those that cannot be: `refused` is told of each, and why.
pub fn register_possible(
    wanted: impl IntoIterator<Item = Wanted>,
    mut refused: impl FnMut(&Wanted, ProbeError),
) -> Vec<&'static Kprobe> {
    register_while(wanted, |wanted, reason| {
        refused(wanted, reason);
        true
    })
}

/// Those up to the first that cannot be and of which `go_on` says no.
fn register_while(
    wanted: impl IntoIterator<Item = Wanted>,
    mut go_on: impl FnMut(&Wanted, ProbeError) -> bool,
) -> Vec<&'static Kprobe> {
    let mut last = LOCK.lock();
    // All are prepared before the first is published: what this runs through may be what is to be probed.
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

/// A probe that is not published.
struct New {
    site: &'static Site,
    probe: &'static Kprobe,
    /// The first at its site.
    first: bool,
}

/// What their instructions run in. Nobody does yet.
fn write_copies(batch: &[New]) {
    let _off = IrqOff::new();
    let mut patch = Patch::on_this_cpu();
    for new in batch.iter().filter(|new| new.first) {
        copies::write(new.site, &mut patch);
    }
}

/// When this returns, every execution hits these.
fn publish(batch: &[New]) {
    // Rule K3, and more: the other CPUs are held even for the words that may be exchanged while they are executed. Emulators that
    // translate (QEMU before 8.1 does) may keep, for ever, a translation of the old word that another CPU makes at that moment.
    smp::rendezvous(|| {
        let mut patch = Patch::on_this_cpu();
        for new in batch {
            new.site.link(new.probe);
            arm(new.site, &mut patch);
        }
    });
}

/// Brings text and `hit.S` into line with a site's probes. All other CPUs are held.
fn arm(site: &Site, patch: &mut Patch) {
    site.shorten(engine::simulator);
    let text = site.text();
    if uaccess::read_u32(site.address) != Ok(text) {
        patch.write(site.address as usize, &[text]);
    }
}

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
        // Not in use before the site's text is a branch to it.
        site.set_trampoline(optimised::take(site).unwrap_or(0));
    }
    Ok(New { site, probe, first })
}

/// The site of an instruction without one. Text is read with D masked: the engine reads, and no slot sees that (H6).
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

/// Takes the probe at `address` away that was placed there last, return probes not counted. When this returns it never runs again,
/// and nobody is inside it (rule K4). Returns its hits and misses.
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
    Ok(take_away(&[probe], || ())[0])
}

/// Takes a probe away, as [`unregister`] does. The reference must not be used any more.
pub fn remove(probe: &'static Kprobe) -> (u64, u64) {
    remove_with(probe, || ())
}

/// As [`remove`], with `also` done while all CPUs are held.
pub fn remove_with(probe: &'static Kprobe, also: impl FnOnce()) -> (u64, u64) {
    let _one = LOCK.lock();
    take_away(&[probe], also)[0]
}

/// Takes many away, with the other CPUs held once for hundreds of them. Hits and misses of each.
///
/// Thread context with interrupts on.
pub fn remove_all(probes: &[&'static Kprobe]) -> Vec<(u64, u64)> {
    let _one = LOCK.lock();
    // Freed behind the last: what frees them may be what they are on.
    let mut empty = Vec::with_capacity(probes.len());
    for batch in probes.chunks(BATCH) {
        take_off(batch, &mut empty, || ());
    }
    free(probes, empty)
}

fn take_away(probes: &[&'static Kprobe], also: impl FnOnce()) -> Vec<(u64, u64)> {
    let mut empty = Vec::with_capacity(probes.len());
    take_off(probes, &mut empty, also);
    free(probes, empty)
}

/// Nobody hits them any more; of `empty`, which has room for them, are the sites without a probe.
fn take_off(probes: &[&'static Kprobe], empty: &mut Vec<&'static Site>, also: impl FnOnce()) {
    // A CPU that is held is in no debug context, and in no copy, which are masked (behind one it has been put behind the
    // instruction): nobody has found a probe and is still to use it.
    smp::rendezvous(|| {
        also();
        let mut patch = Patch::on_this_cpu();
        for probe in probes {
            let Some(site) = table::find(probe.address) else { continue };
            site.unlink(probe);
            arm(site, &mut patch);
            if site.probes().next().is_none() {
                table::take(site);
                // There is room: no allocation while all others are held.
                empty.push(site);
            }
        }
    });
}

/// Each site beside its probe, as they were allocated: of the holes in between the heap would make a list to be searched.
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
            // SAFETY: it came from `Box::leak`, is in no table, and no CPU holds a reference any more.
            drop(unsafe { Box::from_raw(core::ptr::from_ref(site).cast_mut()) });
        }
        let counts = (probe.hits(), probe.missed());
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(core::ptr::from_ref(*probe).cast_mut()) });
        counts
    });
    taken.collect()
}

/// Switches a probe on again; on one that is on it does nothing. Thread context with interrupts on.
pub fn enable(probe: &'static Kprobe) {
    switch(probe, true);
}

/// Switches a probe off: its handlers do not run and it does not count, from when this returns on. If it is the last at its
/// address that is on, the instruction is put back meanwhile. Thread context with interrupts on.
pub fn disable(probe: &'static Kprobe) {
    switch(probe, false);
}

fn switch(probe: &'static Kprobe, on: bool) {
    let _one = LOCK.lock();
    let Some(site) = table::find(probe.address) else { return };
    smp::rendezvous(|| {
        probe.enabled.store(on, Relaxed);
        arm(site, &mut Patch::on_this_cpu());
    });
}

/// Whether a probe may be at `address`, as far as the place goes. Thread context with interrupts on.
///
/// # Errors
/// As for [`register`].
pub fn check_place(address: u64) -> Result<(), ProbeError> {
    let _one = LOCK.lock();
    check(address).map(|_| ())
}

/// The word at `address` if a probe may be there.
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
