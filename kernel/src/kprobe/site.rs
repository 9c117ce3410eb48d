//! A *site* has what the kernel knows of one probed address: the instruction, how the instruction runs, and the probes
//! at the address.

use super::probe::{Kprobe, PostHandler, PreHandler, nothing};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use probe::ool::{Copies, branch, brk};
use probe::{Relocatable, Sim};

/// How the displaced instruction runs.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// The engine does to the frame what the instruction would have done to the registers.
    Simulated(Sim),
    /// The CPU executes this instruction in the [`Copies`] at this address.
    OutOfLine(Relocatable, u64),
}

/// The word that the text of a probed address holds while one of its probes is enabled, unless the site is optimised.
const BRK: u32 = brk(probe::ool::KPROBE);

/// In [`Short::run`]: the other bits are the address of a function that simulates the instruction. Functions and copies are
/// aligned, so the two low bits are free.
const SIMULATED: u64 = 1;
/// In [`Short::run`]: the probe has a post-handler.
const POST: u64 = 2;

/// The part of a site that `hit.S` reads. These fields are written before the site is published, or while all other
/// CPUs are held.
#[repr(C)]
struct Short {
    /// The probed address if the site has exactly one probe, that probe is enabled, and `hit.S` can deal with its hits; else 0.
    address: AtomicU64,
    /// The site's only probe, if `address` is not 0.
    probe: AtomicPtr<Kprobe>,
    /// The probe's pre-handler, or 0.
    pre: AtomicUsize,
    /// The address of the [`Copies`], or of the function that simulates the instruction, with the flags [`SIMULATED`]
    /// and [`POST`].
    run: AtomicU64,
    /// The probe's post-handler, or 0.
    post: AtomicUsize,
}

/// A probed address.
#[repr(C, align(64))]
pub struct Site {
    short: Short,
    /// The probed address.
    pub address: u64,
    /// The probed instruction, which the BRK or branch has replaced in the text.
    pub word: u32,
    /// How the probed instruction runs.
    pub how: How,
    /// The address that the instruction always leads to; 0 if that depends on registers.
    pub leads_to: u64,
    /// The address of the site's trampoline, or 0.
    trampoline: AtomicU64,
    /// The first of the site's probes, which are linked in the order of their registration.
    first: AtomicPtr<Kprobe>,
}

/// Offsets for `hit.S`.
pub const PLAIN: usize = offset_of!(Site, short) + offset_of!(Short, address);
pub const PRE: usize = offset_of!(Site, short) + offset_of!(Short, pre);
pub const RUN: usize = offset_of!(Site, short) + offset_of!(Short, run);
pub const POST_HANDLER: usize = offset_of!(Site, short) + offset_of!(Short, post);

impl Site {
    /// A site without probes.
    pub fn new(address: u64, word: u32, how: How) -> Self {
        let short = Short {
            address: AtomicU64::new(0),
            probe: AtomicPtr::new(ptr::null_mut()),
            pre: AtomicUsize::new(0),
            run: AtomicU64::new(0),
            post: AtomicUsize::new(0),
        };
        let leads_to = match how {
            How::Simulated(sim) => sim.leads_to(address).unwrap_or(0),
            How::OutOfLine(..) => address + 4,
        };
        let first = AtomicPtr::new(ptr::null_mut());
        Self { short, address, word, how, leads_to, trampoline: AtomicU64::new(0), first }
    }

    /// The address of the site's trampoline; 0 if it has none.
    #[inline(always)]
    pub fn trampoline(&self) -> u64 {
        self.trampoline.load(Relaxed)
    }

    /// Gives the site a trampoline. The caller holds the registration's lock.
    pub fn set_trampoline(&self, at: u64) {
        self.trampoline.store(at, Relaxed);
    }

    /// Whether the site's text is a branch to its trampoline.
    #[inline(always)]
    pub fn is_optimised(&self) -> bool {
        let short = &self.short;
        // SAFETY: as long as `short.address` is not 0, `short.probe` is a probe that is alive.
        self.trampoline() != 0
            && short.address.load(Relaxed) != 0
            && unsafe { (*short.probe.load(Relaxed)).optimise }
            && short.post.load(Relaxed) == 0
    }

    /// The word that the site's text is to hold. The caller has called [`shorten`](Self::shorten) since the probes have
    /// changed.
    pub fn text(&self) -> u32 {
        if self.enabled().next().is_none() {
            self.word
        } else if self.is_optimised() {
            branch(self.address, self.trampoline()).unwrap_or(BRK)
        } else {
            BRK
        }
    }

    /// The address of the site's copies, if its instruction runs out of line.
    #[inline(always)]
    pub fn copies(&self) -> Option<u64> {
        match self.how {
            How::OutOfLine(_, copies) => Some(copies),
            How::Simulated(_) => None,
        }
    }

    /// The first of the site's probes; [`Kprobe::next`] leads to the others. For debug context, where an iterator's calls would
    /// land in text that can be probed. The reference lives as long as those of [`probes`](Self::probes).
    #[inline(always)]
    pub fn first(&self) -> Option<&'static Kprobe> {
        // SAFETY: as in `probes`.
        unsafe { self.first.load(Acquire).as_ref() }
    }

    /// The site's probes. The caller has all exceptions masked, or holds the registration's lock, for as long as it
    /// uses the references.
    #[inline(always)]
    pub fn probes(&self) -> impl Iterator<Item = &'static Kprobe> {
        // SAFETY: a linked probe is alive; it is unlinked, and dropped, while all CPUs are held and none is in debug context.
        let get = |at: &AtomicPtr<Kprobe>| unsafe { at.load(Acquire).as_ref() };
        core::iter::successors(get(&self.first), move |probe| get(&probe.next))
    }

    /// The site's probes that are enabled. The caller has to do the same as for [`probes`](Self::probes).
    #[inline(always)]
    pub fn enabled(&self) -> impl Iterator<Item = &'static Kprobe> {
        self.probes().filter(|probe| probe.enabled.load(Relaxed))
    }

    /// Adds a probe behind the others. The caller holds the registration's lock.
    pub fn link(&self, probe: &'static Kprobe) {
        let last = self.probes().last().map_or(&self.first, |last| &last.next);
        last.store(ptr::from_ref(probe).cast_mut(), Release);
    }

    /// Takes a probe off the site. All other CPUs are held.
    pub fn unlink(&self, probe: &Kprobe) {
        let mut link = &self.first;
        while !ptr::eq(link.load(Acquire), probe) {
            // SAFETY: as in `probes`.
            let Some(here) = (unsafe { link.load(Acquire).as_ref() }) else { return };
            link = &here.next;
        }
        link.store(probe.next.load(Acquire), Release);
    }

    /// Decides whether `hit.S` deals with the site's hits. `simulator` is asked for the address of the code that `hit.S` calls to
    /// simulate an instruction. To be called before the site is published, or while all other CPUs are held.
    pub fn shorten(&self, simulator: fn(Sim) -> usize) {
        let short = &self.short;
        short.address.store(0, Relaxed);
        let mut probes = self.probes();
        let (Some(probe), None) = (probes.next(), probes.next()) else { return };
        let post = probe.post.map_or(0, |post| post as usize);
        let run = match self.how {
            How::OutOfLine(_, copies) => copies | if post == 0 { 0 } else { POST },
            // The engine knows when the post-handler of a simulated instruction is due, `hit.S` does not.
            How::Simulated(_) if post != 0 => return,
            How::Simulated(sim) => simulator(sim) as u64 | SIMULATED,
        };
        if !probe.enabled.load(Relaxed) {
            return;
        }
        short.probe.store(ptr::from_ref(probe).cast_mut(), Relaxed);
        let pre = if probe.optimise { probe.pre.or(Some(nothing)) } else { probe.pre };
        short.pre.store(pre.map_or(0, |pre| pre as usize), Relaxed);
        short.run.store(run, Relaxed);
        short.post.store(post, Relaxed);
        short.address.store(self.address, Relaxed);
    }
}

const _: () = assert!(size_of::<PreHandler>() == 8 && size_of::<PostHandler>() == 8 && Copies::BYTES > 3);
