//! A probed address: its instruction, how that runs, the probes that are on it.

use super::{Kprobe, PostHandler, PreHandler};
use crate::exception::Frame;
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
    /// On the frame.
    Simulated(Sim),
    /// In the [`Copies`] at this address, made of this instruction.
    OutOfLine(Relocatable, u64),
}

/// The text of a site with a probe that is on.
const BRK: u32 = brk(probe::ool::KPROBE);

/// Does the instruction of a site on the frame.
pub type Run = extern "C" fn(&Site, &mut Frame);

/// In [`Short::run`]: the rest is a [`Run`]. Functions and copies are aligned, so these bits are free.
pub const SIMULATED: u64 = 1;
/// In [`Short::run`]: there is a post-handler.
pub const POST: u64 = 2;

/// What `hit.S` knows of a site. Written before the site is published or while all CPUs are held.
#[repr(C)]
struct Short {
    /// The address if the site has one probe, which is enabled, and `hit.S` can deal with it; else 0.
    address: AtomicU64,
    /// That probe.
    probe: AtomicPtr<Kprobe>,
    /// Its pre-handler, or 0.
    pre: AtomicUsize,
    /// [`Copies`] or a [`Run`], with [`SIMULATED`] and [`POST`].
    run: AtomicU64,
    /// Its post-handler, or 0.
    post: AtomicUsize,
}

/// A probed address.
#[repr(C, align(64))]
pub struct Site {
    short: Short,
    /// Where it is.
    pub address: u64,
    /// The instruction that the BRK stands for.
    pub word: u32,
    /// How that runs.
    pub how: How,
    /// Where the instruction leads to, if that is always the same; else 0.
    pub leads_to: u64,
    /// Its trampoline, or 0.
    trampoline: AtomicU64,
    /// The probes, in the order of their registration.
    first: AtomicPtr<Kprobe>,
}

/// Offsets for `hit.S`.
pub const PLAIN: usize = offset_of!(Site, short) + offset_of!(Short, address);
pub const PRE: usize = offset_of!(Site, short) + offset_of!(Short, pre);
pub const RUN: usize = offset_of!(Site, short) + offset_of!(Short, run);
pub const POST_HANDLER: usize = offset_of!(Site, short) + offset_of!(Short, post);

impl Site {
    /// One without probes.
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

    /// Its trampoline; 0 if it has none.
    #[inline(always)]
    pub fn trampoline(&self) -> u64 {
        self.trampoline.load(Relaxed)
    }

    /// Gives it a trampoline, under the registration's lock.
    pub fn set_trampoline(&self, at: u64) {
        self.trampoline.store(at, Relaxed);
    }

    /// Whether its text is a branch to its trampoline.
    #[inline(always)]
    pub fn is_optimised(&self) -> bool {
        let short = &self.short;
        // SAFETY: a probe that the short way has is alive.
        self.trampoline() != 0
            && short.address.load(Relaxed) != 0
            && unsafe { (*short.probe.load(Relaxed)).optimise }
            && short.post.load(Relaxed) == 0
    }

    /// The word that is to be in its text. Behind [`shorten`](Self::shorten).
    pub fn text(&self) -> u32 {
        if self.enabled().next().is_none() {
            self.word
        } else if self.is_optimised() {
            branch(self.address, self.trampoline()).unwrap_or(BRK)
        } else {
            BRK
        }
    }

    /// Its copies, if it has any.
    #[inline(always)]
    pub fn copies(&self) -> Option<u64> {
        match self.how {
            How::OutOfLine(_, copies) => Some(copies),
            How::Simulated(_) => None,
        }
    }

    /// The first of its probes, whose [`Kprobe::next`] is the next. For debug context, where no call is wanted; as for `probes`.
    #[inline(always)]
    pub fn first(&self) -> Option<&'static Kprobe> {
        // SAFETY: as in `probes`.
        unsafe { self.first.load(Acquire).as_ref() }
    }

    /// Its probes. Any context; the references must not outlive the masked section they were got in, or the registration's lock.
    #[inline(always)]
    pub fn probes(&self) -> impl Iterator<Item = &'static Kprobe> {
        // SAFETY: a linked probe is alive; it is unlinked, and dropped, while all CPUs are held and none is in debug context.
        let get = |at: &AtomicPtr<Kprobe>| unsafe { at.load(Acquire).as_ref() };
        core::iter::successors(get(&self.first), move |probe| get(&probe.next))
    }

    /// Those whose handlers run.
    #[inline(always)]
    pub fn enabled(&self) -> impl Iterator<Item = &'static Kprobe> {
        self.probes().filter(|probe| probe.enabled.load(Relaxed))
    }

    /// Adds a probe behind the others. One caller at a time.
    pub fn link(&self, probe: &'static Kprobe) {
        let last = self.probes().last().map_or(&self.first, |last| &last.next);
        last.store(ptr::from_ref(probe).cast_mut(), Release);
    }

    /// Takes a probe off. While all CPUs are held.
    pub fn unlink(&self, probe: &Kprobe) {
        let mut link = &self.first;
        while !ptr::eq(link.load(Acquire), probe) {
            // SAFETY: as in `probes`.
            let Some(here) = (unsafe { link.load(Acquire).as_ref() }) else { return };
            link = &here.next;
        }
        link.store(probe.next.load(Acquire), Release);
    }

    /// Decides whether `hit.S` deals with it. Before it is published, or while all CPUs are held.
    pub fn shorten(&self) {
        let short = &self.short;
        short.address.store(0, Relaxed);
        let mut probes = self.probes();
        let (Some(probe), None) = (probes.next(), probes.next()) else { return };
        let post = probe.post.map_or(0, |post| post as usize);
        let run = match self.how {
            How::OutOfLine(_, copies) => copies | if post == 0 { 0 } else { POST },
            // The longer way knows when the post-handler of a simulated instruction is due.
            How::Simulated(_) if post != 0 => return,
            How::Simulated(sim) => super::engine::runner(sim) as usize as u64 | SIMULATED,
        };
        if !probe.enabled.load(Relaxed) {
            return;
        }
        short.probe.store(ptr::from_ref(probe).cast_mut(), Relaxed);
        let pre = if probe.optimise { probe.pre.or(Some(super::optimised::nothing)) } else { probe.pre };
        short.pre.store(pre.map_or(0, |pre| pre as usize), Relaxed);
        short.run.store(run, Relaxed);
        short.post.store(post, Relaxed);
        short.address.store(self.address, Relaxed);
    }
}

const _: () = assert!(size_of::<PreHandler>() == 8 && size_of::<PostHandler>() == 8 && Copies::BYTES > 3);
