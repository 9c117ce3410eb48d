//! Return probes: a probe at a function's entry, whose handler puts the address of a BRK in place of the return address.
//!
//! Each call that is under way has an *instance*, and each instance a BRK of its own. So the BRK says by its address alone which
//! call returns, whatever thread, stack or CPU it returns on and in whatever order; and a backtrace that finds the address of
//! one looks up the real caller ([`caller`]).
//!
//! A call need not return: its thread may end in it, or its frame may be left for one further up. An instance knows the SP that its call
//! was made with, so that both can be found: [`end_of_stack`] gives back what a thread that has ended held (I9), and a call that finds no
//! instance free takes back those of frames that were left on its own stack ([`ReturnProbe::give_back_left`]).

use super::engine::{self, Entered};
use super::site::Site;
use super::{Kprobe, ProbeError, Then, Wanted, register};
use crate::debug::CpuDebug;
use crate::exception::{Frame, Reason, fatal};
use crate::mm::layout;
use crate::report::symbols;
use crate::sync::SpinLock;
use alloc::boxed::Box;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use rules::step::Owners;

/// Called before a function of a return probe begins, in debug context; says whether its return is wanted.
pub type EntryHandler = fn(&ReturnProbe, &Instance, &mut Frame) -> bool;
/// Called when it has returned, in debug context: the frame is the caller's, at the return address, and may be changed.
pub type ReturnHandler = fn(&ReturnProbe, &Instance, &mut Frame);

/// Calls that can be under way at once, of all return probes: a page of BRKs.
pub const INSTANCES: usize = 1024;
/// Calls that can be under way at once of one return probe.
pub const MOST: usize = 64;
/// The same where nobody says.
pub const DEFAULT: usize = 16;
/// Instances are handed out in so many.
const BLOCK: usize = 16;

/// In [`Instance::address`]: its probe is gone, the call still has to return.
const ORPHAN: u64 = 1;

/// A call that is under way, or could be. `hit.S` knows the fields up to `probe`.
#[repr(C, align(64))]
pub struct Instance {
    /// Where the call returns to; 0 if no call has it.
    to: AtomicU64,
    /// Of its BRK; 0 if no probe has it.
    address: AtomicU64,
    /// Of the function's entry.
    site: AtomicPtr<Site>,
    handler: AtomicUsize,
    probe: AtomicPtr<ReturnProbe>,
    data: [AtomicU64; 2],
    /// SP where the function was called; 0 as long as no call has the instance, so that [`end_of_stack`] never takes one that another CPU
    /// is just about to use for a call that it had before.
    sp: AtomicU64,
}
const _: () = assert!(size_of::<Instance>() == 64);

/// Offsets for `hit.S`.
pub const SITE_HANDLER: usize = offset_of!(Instance, site);
pub const PROBE: usize = offset_of!(Instance, probe);
pub const SP: usize = offset_of!(Instance, sp);
const _: () = assert!(
    offset_of!(Instance, to) == 0
        && offset_of!(Instance, address) == 8
        && offset_of!(Instance, handler) == SITE_HANDLER + 8
        && offset_of!(ReturnProbe, next) == 0
);

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
static KPROBE_INSTANCES: [Instance; INSTANCES] = [const {
    Instance {
        to: AtomicU64::new(0),
        address: AtomicU64::new(0),
        site: AtomicPtr::new(ptr::null_mut()),
        handler: AtomicUsize::new(0),
        probe: AtomicPtr::new(ptr::null_mut()),
        data: [const { AtomicU64::new(0) }; 2],
        sp: AtomicU64::new(0),
    }
}; INSTANCES];

/// No instance from this one on ever had a probe: [`end_of_stack`] need not look at them. Changed under [`LOCK`].
static USED: AtomicUsize = AtomicUsize::new(0);

impl Instance {
    /// Whether a call has it.
    #[inline(always)]
    fn is_taken(&self) -> bool {
        self.to.load(Relaxed) != 0
    }

    /// For a call that returns to `to`, unless another one has it.
    #[inline(always)]
    fn take(&self, to: u64) -> bool {
        self.to.compare_exchange(0, to, Acquire, Relaxed).is_ok()
    }

    /// The call has returned, or will not be missed.
    #[inline(always)]
    fn give_back(&self) {
        self.sp.store(0, Relaxed);
        self.to.store(0, Release);
    }

    /// The call will never return. Nobody but the context that made it, or that has ended it, may say so. Masked or not, as a BRK can
    /// come between the stores: as long as `address` names an orphan no probe is given the instance.
    fn abandon(&self) {
        let is_orphan = self.address.load(Acquire) & ORPHAN != 0;
        self.give_back();
        if is_orphan {
            self.address.store(0, Release);
        }
    }

    /// Where the call returns to, whatever other return probe stands between.
    pub fn returns_to(&self) -> u64 {
        caller(self.to.load(Relaxed))
    }

    /// What the entry handler leaves for the return handler of the same call. `index` is 0 or 1.
    pub fn data(&self, index: usize) -> &AtomicU64 {
        &self.data[index]
    }
}

/// A registered return probe.
#[repr(C)]
pub struct ReturnProbe {
    /// One of the instances, which may well be free: where to look first.
    next: AtomicPtr<Instance>,
    instances: &'static [Instance],
    entry: Option<EntryHandler>,
    /// Calls whose return is not handled: no instance was free.
    missed: AtomicU64,
    /// Calls whose return the entry handler did not want.
    declined: AtomicU64,
    kprobe: AtomicPtr<Kprobe>,
}

impl ReturnProbe {
    fn kprobe(&self) -> &'static Kprobe {
        // SAFETY: set before the return probe is handed out, and alive as long.
        unsafe { &*self.kprobe.load(Relaxed) }
    }

    /// The function's entry.
    pub fn address(&self) -> u64 {
        self.kprobe().address
    }

    /// Calls whose return was handled, or will be when they return.
    pub fn hits(&self) -> u64 {
        // What is taken off is read first, lest it be more than what it is taken off from.
        let not_handled = self.missed.load(Acquire) + self.declined.load(Acquire);
        self.kprobe().hits().saturating_sub(not_handled)
    }

    /// Calls whose return the entry handler did not want.
    pub fn declined(&self) -> u64 {
        self.declined.load(Relaxed)
    }

    /// Calls whose return was not: within a handler (rule K5), or with no instance free.
    pub fn missed(&self) -> u64 {
        self.kprobe().missed() + self.missed.load(Relaxed)
    }

    /// Calls under way.
    pub fn active(&self) -> usize {
        self.instances.iter().filter(|instance| instance.is_taken()).count()
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub struct WantedReturn {
    /// The function's entry.
    pub address: u64,
    /// When it is called.
    pub entry: Option<EntryHandler>,
    /// When it has returned.
    pub handler: ReturnHandler,
    /// Calls that can be under way at once, 1 to [`MOST`]; what is more is `missed`.
    pub instances: usize,
}

static LOCK: SpinLock<()> = SpinLock::new(());

unsafe extern "C" {
    /// The page of BRKs, in `hit.S`.
    static KPROBE_RETURNS: u8;
}

fn brk_of(index: usize) -> u64 {
    (&raw const KPROBE_RETURNS).addr() as u64 + 4 * index as u64
}

/// The instance whose BRK is at `address`. Any context.
#[inline(always)]
fn at(address: u64) -> Option<&'static Instance> {
    let offset = address.wrapping_sub(brk_of(0));
    KPROBE_INSTANCES.get(offset as usize / 4).filter(|_| offset.is_multiple_of(4))
}

/// The return address that stands behind `address`: itself, or if that is a return probe's, the real one. Any context.
pub fn caller(address: u64) -> u64 {
    let mut address = address;
    // One may stand behind the other: of a function with two, or of one that ends in a jump to the next.
    for _ in 0..INSTANCES {
        let Some(to) = at(address).map(|instance| instance.to.load(Relaxed)).filter(|&to| to != 0) else {
            break;
        };
        address = to;
    }
    address
}

/// Places a return probe. Thread context with interrupts on.
///
/// # Errors
/// As for [`register`](super::register()), and [`ProbeError::NotEntry`], [`ProbeError::Instances`].
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

/// The first of adjacent instances that no probe has.
fn room(count: usize) -> Option<usize> {
    let blocks = count.div_ceil(BLOCK);
    let free = |first: usize| {
        let wanted = &KPROBE_INSTANCES[first * BLOCK..(first + blocks) * BLOCK];
        wanted.iter().all(|instance| instance.address.load(Acquire) == 0)
    };
    (0..=INSTANCES / BLOCK - blocks).find(|&first| free(first)).map(|first| first * BLOCK)
}

/// Takes a return probe away: its hits and misses. When this returns no handler of it runs any more; calls that are under way
/// return to their callers. The reference must not be used any more. Thread context with interrupts on.
pub fn remove_return(probe: &'static ReturnProbe) -> (u64, u64) {
    let _one = LOCK.lock();
    // While all CPUs are held none is in a handler.
    let (entered, in_handlers) = register::remove_with(probe.kprobe(), || retire(probe));
    let (missed, declined) = (probe.missed.load(Relaxed), probe.declined.load(Relaxed));
    release(probe);
    (entered - missed - declined, in_handlers + missed)
}

/// Nothing leads to the probe any more. Nobody calls its function through it from now on, nor is in its handler.
fn retire(probe: &ReturnProbe) {
    for instance in probe.instances {
        let used = instance.is_taken();
        let address = instance.address.load(Relaxed);
        instance.probe.store(ptr::null_mut(), Relaxed);
        instance.address.store(if used { address | ORPHAN } else { 0 }, Release);
    }
}

/// One that was retired.
fn release(probe: &'static ReturnProbe) {
    // SAFETY: it came from `Box::leak`, and no instance leads to it any more.
    drop(unsafe { Box::from_raw(ptr::from_ref(probe).cast_mut()) });
}

/// The thread whose stack ends at `top` has ended: its calls do not return (I9). Any context that does not run on that stack, with I
/// masked: a rendezvous in which a probe is taken away cannot come in between.
pub fn end_of_stack(top: u64) {
    for instance in &KPROBE_INSTANCES[..USED.load(Relaxed).min(INSTANCES)] {
        let sp = instance.sp.load(Relaxed);
        if sp != 0 && layout::stack_of(sp) == layout::stack_of(top) {
            instance.abandon();
        }
    }
}

/// Whether a probe is that of a return probe's entry.
pub fn is_entry(kprobe: &Kprobe) -> bool {
    kprobe.pre.is_some_and(|pre| ptr::fn_addr_eq(pre, entered as super::PreHandler))
}

/// The pre-handler at the function's entry.
#[unsafe(link_section = ".noprobe.text")]
fn entered(kprobe: &Kprobe, frame: &mut Frame) -> Then {
    // SAFETY: the data is the probe's, which lives as long as this kprobe.
    let probe = unsafe { &*(kprobe.data as *const ReturnProbe) };
    let to = frame.x[30];
    // SAFETY: it always points to an instance of the probe.
    let mut instance = unsafe { &*probe.next.load(Relaxed) };
    // A function that was not called returns to nowhere.
    if to == 0 || !instance.take(to) {
        let Some(other) = probe.take_another_or_left(frame) else {
            probe.missed.fetch_add(1, Relaxed);
            return Then::Run;
        };
        instance = other;
    }
    instance.sp.store(frame.sp, Relaxed);
    if let Some(entry) = probe.entry {
        return asked(probe, entry, instance, frame);
    }
    frame.x[30] = instance.address.load(Relaxed);
    Then::Run
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn asked(probe: &ReturnProbe, entry: EntryHandler, instance: &Instance, frame: &mut Frame) -> Then {
    if entry(probe, instance, frame) && frame.x[30] != 0 {
        // The handler may have changed where it returns to.
        instance.to.store(frame.x[30], Relaxed);
        frame.x[30] = instance.address.load(Relaxed);
    } else {
        probe.declined.fetch_add(1, Relaxed);
        instance.give_back();
    }
    Then::Run
}

impl ReturnProbe {
    /// Gives back what calls hold that were left: a call was made deeper on this stack than the one that begins in `frame`, or from the
    /// same place with the same SP, and a function runs with its caller's SP again only once it is over. An SP that is on no stack of the
    /// kernel's says nothing.
    #[cold]
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn give_back_left(&self, frame: &Frame) {
        if !layout::is_on_stack(frame.sp) {
            return;
        }
        let mut index = 0;
        while let Some(instance) = self.instances.get(index) {
            index += 1;
            let (sp, to) = (instance.sp.load(Relaxed), instance.to.load(Relaxed));
            let left = sp < frame.sp || sp == frame.sp && to == frame.x[30];
            if layout::stack_of(sp) == layout::stack_of(frame.sp) && to != 0 && left {
                instance.abandon();
            }
        }
    }

    /// As [`take_another`](Self::take_another); if none is free, from what [`give_back_left`](Self::give_back_left) finds.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn take_another_or_left(&self, frame: &Frame) -> Option<&Instance> {
        let free = self.take_another(frame.x[30]);
        if free.is_some() {
            return free;
        }
        self.give_back_left(frame);
        self.take_another(frame.x[30])
    }

    /// Takes an instance that no call has, where the next one is not free. The one behind it is next.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn take_another(&self, to: u64) -> Option<&Instance> {
        if to == 0 {
            return None;
        }
        let next = self.next.load(Relaxed).addr() - self.instances.as_ptr().addr();
        let mut index = next / size_of::<Instance>();
        for _ in 0..self.instances.len() {
            let instance = self.instances.get(index)?;
            index = if index + 1 == self.instances.len() { 0 } else { index + 1 };
            if instance.take(to) {
                self.next.store(ptr::from_ref(self.instances.get(index)?).cast_mut(), Relaxed);
                return Some(instance);
            }
        }
        None
    }
}

/// The BRK that a call returns to, where `hit.S` leaves it: in a debug context, with owners, or of a probe that is gone.
#[inline(always)]
pub fn returned(cpu: &CpuDebug, frame: &mut Frame, parked: Owners) -> Owners {
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
    // SAFETY: an instance that a call has, and whose address says so, is its probe's.
    let probe = unsafe { &*instance.probe.load(Relaxed) };
    if !instance.is_taken() {
        fatal(frame, "M7", Reason::UnknownBrk);
    }
    frame.move_to(instance.to.load(Relaxed));
    // SAFETY: as in `engine`.
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
