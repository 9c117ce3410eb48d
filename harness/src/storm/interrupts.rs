//! What interrupts do in a storm; and the count of interrupts that set a step aside.
//!
//! During a storm, every interrupt handler of the kernel is called through `around`. It finds out from the length of the stash whether the
//! interrupted context had an owner, and counts that independently of the kernel (M8, M9).

use super::{Due, Random, Round, Storm, Stream, due, fail, place, verdict};
use core::cell::Cell;
use kernel::debug;
use kernel::drivers::gic::{self, Target};
use kernel::exception::Frame;
use kernel::irq::{self, deferred, off, sgi};
use kernel::percpu::{self, PerCpu};
use kernel::{early, sched, smp, time};

/// No handler runs.
const NONE: usize = usize::MAX;
/// On average, one interrupt in this many leaves work for its way out.
const DEFERS: u32 = 3;

/// The values of one CPU, which its handlers use.
struct Depths {
    /// The length of the stash when the running handler began; [`NONE`] if no handler runs.
    handler: Cell<usize>,
    /// While deferred work runs: the length of the stash when the handler began on whose way out the work runs.
    deferred: Cell<usize>,
    interrupts: Cell<Option<Random>>,
    work: Cell<Option<Random>>,
}

static DEPTHS: PerCpu<Depths> = kernel::per_cpu!(Depths {
    handler: Cell::new(NONE),
    deferred: Cell::new(0),
    interrupts: Cell::new(None),
    work: Cell::new(None),
});

/// Puts the storm's handlers in front of the kernel's. Thread context.
pub fn take_over() {
    irq::set_handler(early::boot().platform.timer.virt, |frame| {
        around(frame, time::interrupt);
        verdict::look();
    });
    irq::set_handler(sgi::SLOTS, |frame| around(frame, smp::slots_interrupt));
    irq::set_handler(sgi::RENDEZVOUS, |frame| around(frame, smp::take_part));
    irq::set_handler(sgi::RESCHEDULE, |frame| around(frame, sched::kicked));
    irq::set_handler(sgi::TEST, |frame| around(frame, |_| storm()));
    irq::set_handler(sgi::TEST_NMI, |frame| {
        around(frame, |_| {
            if place::is_open() {
                (place::storm().nmi)();
            }
        });
    });
}

/// Sets the round's random numbers for this CPU's interrupts. Thread context.
pub fn seed(round: &Round) {
    let (cpu, here) = (percpu::index(), DEPTHS.this());
    let _masked = kernel::arch::daif::AllMasked::new();
    here.interrupts.set(Some(round.random(Stream::Interrupts(cpu))));
    here.work.set(Some(round.random(Stream::Deferred(cpu))));
}

/// Calls `handler`, and counts whether the interrupt has set a step aside. NMIs are masked in a handler, so a handler can interrupt
/// another one only while the other one's deferred work runs.
fn around(frame: &mut Frame, handler: impl FnOnce(&mut Frame)) {
    let (cpu, here) = (debug::this(), DEPTHS.this());
    let (length, outer) = (cpu.stash_len.get(), here.handler.get());
    let below = match outer {
        NONE if cpu.in_deferred() => here.deferred.get(),
        NONE => 0,
        length => length,
    };
    match length.wrapping_sub(below) {
        0 => {}
        1 => due(Due::Stashes, 1),
        _ => fail(format_args!("the stash is {length} long in a handler, and was {below} below it")),
    }
    here.handler.set(length);
    handler(frame);
    here.handler.set(outer);
    if outer == NONE && !cpu.in_deferred() {
        here.deferred.set(length);
    }
}

fn storm() {
    let here = DEPTHS.this();
    let Some(mut random) = here.interrupts.get() else { return };
    if place::is_open() {
        act(place::storm(), &mut random);
        if random.one_in(DEFERS) {
            // If there is no room for more work, this handler leaves none.
            let _ = deferred::defer(work);
        }
    }
    here.interrupts.set(Some(random));
}

/// Deferred work. It runs with interrupts on, so other interrupts come meanwhile, whose handlers may leave work too.
fn work() {
    let here = DEPTHS.this();
    let Some(mut random) = here.work.get() else { return };
    if place::is_open() {
        act(place::storm(), &mut random);
    }
    here.work.set(Some(random));
}

fn act(storm: &Storm, random: &mut Random) {
    (storm.interrupt)(random);
}

/// Interrupts one CPU, perhaps this one. Any context.
pub fn signal_cpu(cpu: usize) {
    gic::send_sgi(sgi::TEST, Target::OneCpu(cpu));
}

/// Interrupts all other CPUs. Any context.
pub fn signal_others() {
    if smp::online_count() > 1 {
        gic::send_sgi(sgi::TEST, Target::AllOthers);
    }
}

/// Whether there are NMIs on this machine. Any context.
pub fn nmi() -> bool {
    off::by_priority()
}

/// Interrupts this CPU by an NMI, if there are NMIs; else by an ordinary interrupt. Any context.
pub fn nmi_me() {
    gic::send_sgi(sgi::TEST_NMI, Target::Me);
}
