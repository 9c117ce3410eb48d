//! Return probes: a probe at a function's entry, whose handler puts the address of a BRK in place of the return address.
//!
//! `instance` has the calls under way and what happens at a function's entry. This module places and removes return probes, and
//! deals with the returns that `hit.S` does not deal with itself.

use super::engine::{self, Entered};
use super::instance::{
    EntryHandler, INSTANCES, KPROBE_INSTANCES, MOST, ORPHAN, ReturnHandler, ReturnProbe, USED, at, brk_of,
    entered,
};
use super::register::{self, ProbeError, Wanted};
use crate::debug::MaskedCpu;
use crate::exception::{DebugFrame, Reason, fatal};
use crate::report::symbols;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use rules::step::Owners;

/// Instances are handed out in multiples of this number.
const BLOCK: usize = 16;

/// A return probe that [`register_return`] is to place.
#[derive(Clone, Copy)]
pub struct WantedReturn {
    /// The address of the function's entry.
    pub address: u64,
    /// Called before the function begins.
    pub entry: Option<EntryHandler>,
    /// Called when the function has returned.
    pub handler: ReturnHandler,
    /// How many calls can be under way at once, 1 to [`MOST`]. Calls beyond that count as missed.
    pub instances: usize,
}

/// One registration or removal of a return probe at a time.
static LOCK: SpinLock<()> = SpinLock::new(());

/// Places a return probe. Thread context with interrupts on.
///
/// # Errors
/// As for [`register`](super::register()); [`ProbeError::NotEntry`] if no function begins there; [`ProbeError::Instances`] if there
/// is no room for that many calls.
pub fn register_return(wanted: &WantedReturn) -> Result<&'static ReturnProbe, ProbeError> {
    let &WantedReturn { address, entry, handler, instances } = wanted;
    register::check_place(address)?;
    if symbols::at(address).is_none_or(|symbol| symbol.address != address) {
        return Err(ProbeError::NotEntry(address));
    }
    if !(1..=MOST).contains(&instances) {
        return Err(ProbeError::Instances(instances));
    }
    let _one = LOCK.lock();
    let first = room(instances).ok_or(ProbeError::Instances(instances))?;
    USED.fetch_max(first + instances, Relaxed);
    let probe: &'static ReturnProbe = Box::leak(Box::new(ReturnProbe {
        next: AtomicPtr::new(ptr::from_ref(&KPROBE_INSTANCES[first]).cast_mut()),
        instances: &KPROBE_INSTANCES[first..first + instances],
        entry,
        missed: AtomicU64::new(0),
        declined: AtomicU64::new(0),
        kprobe: AtomicPtr::new(ptr::null_mut()),
    }));
    for (index, instance) in probe.instances.iter().enumerate() {
        instance.handler.store(handler as usize, Relaxed);
        instance.probe.store(ptr::from_ref(probe).cast_mut(), Relaxed);
        instance.address.store(brk_of(first + index), Relaxed);
    }
    let data = ptr::from_ref(probe).addr();
    let wanted = Wanted { pre: Some(entered), data, ..Wanted::at(address) };
    match register::register_with(&wanted, |site, kprobe| {
        probe.kprobe.store(ptr::from_ref(kprobe).cast_mut(), Relaxed);
        for instance in probe.instances {
            instance.site.store(ptr::from_ref(site).cast_mut(), Relaxed);
        }
    }) {
        Ok(_) => Ok(probe),
        Err(error) => {
            retire(probe);
            release(probe);
            Err(error)
        }
    }
}

/// Finds `count` adjacent instances that no probe has, and returns the index of the first.
fn room(count: usize) -> Option<usize> {
    let blocks = count.div_ceil(BLOCK);
    let free = |first: usize| {
        let wanted = &KPROBE_INSTANCES[first * BLOCK..(first + blocks) * BLOCK];
        wanted.iter().all(|instance| instance.address.load(Acquire) == 0)
    };
    (0..=INSTANCES / BLOCK - blocks).find(|&first| free(first)).map(|first| first * BLOCK)
}

/// Removes a return probe, and returns its hits and misses. When this function returns, none of the probe's handlers
/// runs any more; calls that are under way return to their callers. The caller must not use the reference any more.
/// Thread context with interrupts on.
pub fn remove_return(probe: &'static ReturnProbe) -> (u64, u64) {
    let _one = LOCK.lock();
    // The instances are retired while all other CPUs are held, because no CPU is in a handler then.
    let (entered, in_handlers) = register::remove_with(probe.kprobe(), || retire(probe));
    let (missed, declined) = (probe.missed.load(Relaxed), probe.declined.load(Relaxed));
    release(probe);
    (entered - missed - declined, in_handlers + missed)
}

/// Takes the instances away from a return probe. The caller makes sure that no call can take an instance any more, and that no CPU
/// is in a handler of the probe. An instance that a call still has becomes an orphan: it is freed when the call
/// returns.
fn retire(probe: &ReturnProbe) {
    for instance in probe.instances {
        let under_way = instance.is_taken();
        let address = instance.address.load(Relaxed);
        instance.probe.store(ptr::null_mut(), Relaxed);
        instance.address.store(if under_way { address | ORPHAN } else { 0 }, Release);
    }
}

/// Frees the memory of a return probe, after [`retire`] has taken its instances away.
fn release(probe: &'static ReturnProbe) {
    // SAFETY: the probe came from `Box::leak`, and no instance points to it any more.
    drop(unsafe { Box::from_raw(ptr::from_ref(probe).cast_mut()) });
}

/// Deals with the BRK that a call returns to. `hit.S` leaves to this function the returns inside a debug context, those of a
/// context that is being stepped, and those of calls whose return probe was removed. `parked` and the result are as for
/// `engine::hit`.
#[inline(always)]
pub fn returned(cpu: &MaskedCpu, frame: &mut DebugFrame, parked: Owners) -> Owners {
    let Some(instance) = at(frame.pc) else { fatal(frame, "M7", Reason::UnknownBrk) };
    let address = instance.address.load(Acquire);
    if address & !ORPHAN != frame.pc {
        fatal(frame, "M7", Reason::UnknownBrk);
    }
    if address & ORPHAN != 0 {
        frame.move_to(instance.to.load(Relaxed));
        instance.abandon();
        return engine::behind(cpu, frame, parked);
    }
    // SAFETY: `address` is not 0 and no orphan's, so a return probe has the instance, and that probe is alive.
    let probe = unsafe { &*instance.probe.load(Relaxed) };
    if !instance.is_taken() {
        fatal(frame, "M7", Reason::UnknownBrk);
    }
    frame.move_to(instance.to.load(Relaxed));
    // SAFETY: the site at the entry of a return probe that is alive is alive too.
    let site = unsafe { &*instance.site.load(Relaxed) };
    match engine::enter(cpu, site) {
        Entered::Missed => _ = probe.missed.fetch_add(1, Relaxed),
        Entered::Level => {
            // SAFETY: the handler that was stored at registration.
            let handler: ReturnHandler = unsafe { core::mem::transmute(instance.handler.load(Relaxed)) };
            handler(probe, instance, frame);
            engine::leave(cpu);
        }
    }
    instance.give_back();
    probe.next.store(ptr::from_ref(instance).cast_mut(), Relaxed);
    engine::behind(cpu, frame, parked)
}
