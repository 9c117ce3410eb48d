//! The calls that return probes wait for.
//!
//! Each call under way has an *instance*, and each instance has a BRK of its own, whose address takes the place of the return
//! address. So the address of a BRK that is hit says which call returns, on any thread, stack or CPU and in any order. A backtrace
//! that finds such an address looks up the real caller ([`caller`]).
//!
//! A call need not return: its thread may end inside it, or the code above it may drop its frame. An instance knows the SP that its
//! call was made with, so that both cases can be found. [`end_of_stack`] gives back the instances of a thread that has ended (I9).
//! A call that finds no instance free takes back those whose frames on its own stack were dropped
//! ([`ReturnProbe::free_dropped_calls`]).

use super::probe::{Kprobe, PreHandler, Then};
use super::site::Site;
use crate::exception::{DebugFrame, Frame};
use crate::mm::layout;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// Called before a function with a return probe begins, in debug context. Returns whether the return handler is to be called.
pub type EntryHandler = fn(&ReturnProbe, &Instance, &mut DebugFrame) -> bool;
/// Called when the function has returned, in debug context. The frame is the caller's, at the return address; it may be changed.
pub type ReturnHandler = fn(&ReturnProbe, &Instance, &mut DebugFrame);

/// How many calls can be under way at once, of all return probes together: a page of BRKs.
pub const INSTANCES: usize = 1024;
/// How many calls of one return probe can be under way at once.
pub const MOST: usize = 64;
/// How many calls of one return probe can be under way at once, if its user asks for no other number.
pub const DEFAULT: usize = 16;

/// A flag in [`Instance::address`]: the instance's probe was removed, but the call has still to return.
pub(super) const ORPHAN: u64 = 1;

/// A call that is under way, or room for one. `hit.S` knows the fields up to `probe`.
#[repr(C, align(64))]
pub struct Instance {
    /// The address that the call returns to; 0 as long as no call has the instance.
    pub(super) to: AtomicU64,
    /// The address of the instance's BRK; 0 as long as no probe has the instance.
    pub(super) address: AtomicU64,
    /// The site at the function's entry. The level that `hit.S` begins for the return handler has this site.
    pub(super) site: AtomicPtr<Site>,
    /// The [`ReturnHandler`] of the probe.
    pub(super) handler: AtomicUsize,
    /// The return probe that has the instance; null as long as none has, and for an orphan.
    pub(super) probe: AtomicPtr<ReturnProbe>,
    data: [AtomicU64; 2],
    /// SP where the function was called; 0 as long as no call has the instance. Were the SP of a call that is over left here,
    /// [`end_of_stack`] could take the instance for that call's, and free it while another CPU is just taking it for a new call.
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
pub(super) static KPROBE_INSTANCES: [Instance; INSTANCES] = [const {
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

/// No probe ever had the instance of this index or a later instance, so [`end_of_stack`] need not look at these. The
/// number changes under the lock of [`register_return`](super::register_return) only.
pub(super) static USED: AtomicUsize = AtomicUsize::new(0);

impl Instance {
    /// Whether a call has the instance.
    #[inline(always)]
    pub(super) fn is_taken(&self) -> bool {
        self.to.load(Relaxed) != 0
    }

    /// Takes the instance for a call that returns to `to`. Returns false if another call has it.
    #[inline(always)]
    fn take(&self, to: u64) -> bool {
        self.to.compare_exchange(0, to, Acquire, Relaxed).is_ok()
    }

    /// Frees the instance of a call that has returned, or whose return the entry handler does not want.
    #[inline(always)]
    pub(super) fn give_back(&self) {
        self.sp.store(0, Relaxed);
        self.to.store(0, Release);
    }

    /// Frees the instance of a call that will never return to its BRK. Only the context that made the call may do so,
    /// or the context that has ended that context. A BRK may come between the stores, so the order counts: as long as
    /// `address` names an orphan, no probe is given the instance.
    pub(super) fn abandon(&self) {
        let is_orphan = self.address.load(Acquire) & ORPHAN != 0;
        self.give_back();
        if is_orphan {
            self.address.store(0, Release);
        }
    }

    /// The address that the call really returns to, even if that of another return probe's BRK has taken its place.
    pub fn returns_to(&self) -> u64 {
        caller(self.to.load(Relaxed))
    }

    /// A word that the entry handler leaves for the return handler of the same call. `index` is 0 or 1.
    pub fn data(&self, index: usize) -> &AtomicU64 {
        &self.data[index]
    }
}

unsafe extern "C" {
    /// The page of BRKs, in `hit.S`.
    static KPROBE_RETURNS: u8;
}

/// The address of the BRK of an instance.
pub(super) fn brk_of(index: usize) -> u64 {
    (&raw const KPROBE_RETURNS).addr() as u64 + 4 * index as u64
}

/// The instance whose BRK is at `address`. Any context.
#[inline(always)]
pub(super) fn at(address: u64) -> Option<&'static Instance> {
    let offset = address.wrapping_sub(brk_of(0));
    KPROBE_INSTANCES.get(offset as usize / 4).filter(|_| offset.is_multiple_of(4))
}

/// The real return address that `address` stands for: `address` itself, unless it is that of a return probe's BRK. Any context.
pub fn caller(address: u64) -> u64 {
    let mut address = address;
    // The address behind one BRK may be that of another BRK: if a function has two return probes, or ends in a jump to another
    // function with a return probe.
    for _ in 0..INSTANCES {
        let Some(to) = at(address).map(|instance| instance.to.load(Relaxed)).filter(|&to| to != 0) else {
            break;
        };
        address = to;
    }
    address
}

/// Frees the instances of the calls on the stack that ends at `top`, whose thread has ended (I9). The caller does not run on that
/// stack, and has I masked, so that no rendezvous that removes a probe can come in between.
pub fn end_of_stack(top: u64) {
    for instance in &KPROBE_INSTANCES[..USED.load(Relaxed).min(INSTANCES)] {
        let sp = instance.sp.load(Relaxed);
        if sp != 0 && layout::stack_of(sp) == layout::stack_of(top) {
            instance.abandon();
        }
    }
}

/// A registered return probe.
#[repr(C)]
pub struct ReturnProbe {
    /// The instance to be tried first: it is likely to be free.
    pub(super) next: AtomicPtr<Instance>,
    /// The instances that the probe has.
    pub(super) instances: &'static [Instance],
    pub(super) entry: Option<EntryHandler>,
    /// Calls that found no instance free, or whose return came within another handler (rule K5).
    pub(super) missed: AtomicU64,
    /// Calls whose return the entry handler did not want.
    pub(super) declined: AtomicU64,
    /// The probe at the function's entry.
    pub(super) kprobe: AtomicPtr<Kprobe>,
}

impl ReturnProbe {
    /// The probe at the function's entry.
    pub(super) fn kprobe(&self) -> &'static Kprobe {
        // SAFETY: the pointer is set before the return probe is handed out, and the two probes live equally long.
        unsafe { &*self.kprobe.load(Relaxed) }
    }

    /// The address of the function's entry.
    pub fn address(&self) -> u64 {
        self.kprobe().address
    }

    /// How many calls there were whose return was handled, or will be handled.
    pub fn hits(&self) -> u64 {
        // The numbers to be subtracted are read first: calls that come meanwhile must not make the difference negative.
        let not_handled = self.missed.load(Acquire) + self.declined.load(Acquire);
        self.kprobe().hits().saturating_sub(not_handled)
    }

    /// How many calls there were whose return the entry handler did not want.
    pub fn declined(&self) -> u64 {
        self.declined.load(Relaxed)
    }

    /// How many calls there were whose return was not handled, because the call or the return came within a handler
    /// (rule K5), or because no instance was free.
    pub fn missed(&self) -> u64 {
        self.kprobe().missed() + self.missed.load(Relaxed)
    }

    /// How many calls are under way.
    pub fn active(&self) -> usize {
        self.instances.iter().filter(|instance| instance.is_taken()).count()
    }

    /// Frees the instances of calls on the stack of `frame` whose stack frames were dropped. `frame` begins a new call. An older
    /// call that was made with a lower SP, or with the same SP and the same return address, must be over: a function has its
    /// caller's SP again only once the call is over. If `frame` is on none of the kernel's stacks, its SP proves nothing, and
    /// nothing is freed.
    #[cold]
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn free_dropped_calls(&self, frame: &Frame) {
        if !layout::is_on_stack(frame.sp) {
            return;
        }
        let mut index = 0;
        while let Some(instance) = self.instances.get(index) {
            index += 1;
            let (sp, to) = (instance.sp.load(Relaxed), instance.to.load(Relaxed));
            let dropped = sp < frame.sp || sp == frame.sp && to == frame.x[30];
            if layout::stack_of(sp) == layout::stack_of(frame.sp) && to != 0 && dropped {
                instance.abandon();
            }
        }
    }

    /// Takes an instance for a new call when the instance at `next` is not free: any other that is free, or else an
    /// instance that [`free_dropped_calls`](Self::free_dropped_calls) frees.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn take_another_or_dropped(&self, frame: &Frame) -> Option<&Instance> {
        let free = self.take_another(frame.x[30]);
        if free.is_some() {
            return free;
        }
        self.free_dropped_calls(frame);
        self.take_another(frame.x[30])
    }

    /// Takes any instance that is free. The next call will first try the instance behind the taken one.
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

/// Whether a probe was placed by a return probe, at the entry of its function.
pub fn is_entry(kprobe: &Kprobe) -> bool {
    kprobe.pre.is_some_and(|pre| ptr::fn_addr_eq(pre, entered as PreHandler))
}

/// The pre-handler at the function's entry. Never inlined, so that it has one address in the whole kernel: see [`is_entry`].
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn entered(kprobe: &Kprobe, frame: &mut DebugFrame) -> Then {
    // SAFETY: `register_return` has made `data` the address of the return probe, which lives as long as this kprobe.
    let probe = unsafe { &*(kprobe.data as *const ReturnProbe) };
    let to = frame.x[30];
    // SAFETY: `next` always points to an instance of the probe.
    let mut instance = unsafe { &*probe.next.load(Relaxed) };
    // A return address of 0 means that the function was not called and never returns; 0 would also mark the instance as free.
    if to == 0 || !instance.take(to) {
        let Some(other) = probe.take_another_or_dropped(frame) else {
            probe.missed.fetch_add(1, Relaxed);
            return Then::Run;
        };
        instance = other;
    }
    instance.sp.store(frame.sp, Relaxed);
    if let Some(entry) = probe.entry {
        return call_entry_handler(probe, entry, instance, frame);
    }
    frame.x[30] = instance.address.load(Relaxed);
    Then::Run
}

/// The rest of [`entered`] for a return probe with an entry handler: calls the handler, which decides whether the return is wanted.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn call_entry_handler(
    probe: &ReturnProbe,
    entry: EntryHandler,
    instance: &Instance,
    frame: &mut DebugFrame,
) -> Then {
    if entry(probe, instance, frame) && frame.x[30] != 0 {
        // The handler may have changed where the function returns to.
        instance.to.store(frame.x[30], Relaxed);
        frame.x[30] = instance.address.load(Relaxed);
    } else {
        probe.declined.fetch_add(1, Relaxed);
        instance.give_back();
    }
    Then::Run
}
