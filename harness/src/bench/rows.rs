//! Costs of single operations. A figure is the difference between a loop with the operation and the same loop without it, as the median
//! of many samples.

use super::many::{MANY, Many};
use super::place::{
    after, branch, empty_brk, install, on_target, on_watched, remove, run_on, skip, target, with_optimised,
    with_others, with_probe, with_return_probe, with_slot, write_watched,
};
use super::{REACHED, reached, wait, with_timer, without_tick};
use super::{delivery, reschedule};
use ::slots::{Request, SlotId};
use core::sync::atomic::Ordering::Relaxed;
use kernel::arch::barrier;
use kernel::drivers::gic::{self, Target};
use kernel::drivers::timer;
use kernel::irq::{self, sgi};
use kernel::println;

const ROUNDS: usize = 1001;

/// Measures, and prints a line `bench: KEY INSTRUCTIONS` for each row. `started` is the counter when the kernel was ready for its first
/// test.
pub fn run(started: u64) {
    without_tick(|| {
        let nothing = median(|| timed(|| ()));
        let (first_install, id) = install_timed(&on_target());
        remove(id);
        let row = |key: &str, cost: u64| println!("bench: {key} {cost}");
        row("dbg_entry_exit", median(|| timed(empty_brk)) - nothing);
        row("brk_bare", extra(|| target(), |timed| with_probe(target, skip, None, timed)));
        row("kprobe_sim", extra(|| branch(), |timed| with_probe(branch, run_on, None, timed)));
        row("kprobe_ool", extra(|| target(), |timed| with_probe(target, run_on, None, timed)));
        row("kprobe_pre_post", extra(|| target(), |timed| with_probe(target, run_on, Some(after), timed)));
        row("kretprobe", extra(|| target(), |timed| with_return_probe(target, timed)));
        row("probe_optimised", extra(|| target(), |timed| with_optimised(target, run_on, timed)));
        // The next four rows are measured while there are 0, 1000 or 50000 other probes.
        let mut many = Many::new();
        let hit = || extra(|| target(), |timed| with_probe(target, run_on, None, timed));
        row("kprobe_register_first", many.grow(1));
        many.grow(1_000);
        row("kprobe_ool_1000", hit());
        row("kprobe_register_50000", many.grow(MANY));
        row("kprobe_ool_50000", hit());
        drop(many);
        row("hw_bp_kernel", breakpoint());
        row("hw_bp_kernel_full", with_others(1, breakpoint));
        row("hw_wp_kernel", watchpoint());
        row("hw_wp_kernel_full", with_others(1, watchpoint));
        row("slot_install_first", first_install - nothing);
        row("slot_install", slot_install(&on_target()) - nothing);
        row("slot_install_wp", slot_install(&on_watched()) - nothing);
        row("slot_install_full", with_others(1, || slot_install(&on_target())) - nothing);
        row("slot_remove", slot_remove(&on_target()) - nothing);
        row("irq_to_handler", irq_to_handler());
        row("irq_to_handler_armed", with_others(0, irq_to_handler));
        row("irq_self_ipi", irq_self_ipi() - nothing);
        row("resched_after_step", reschedule::after_step(median));
        row("wake_in_delivery", delivery::wake_in_second_phase());
        row("boot", started);
    });
}

/// The median of many samples.
#[inline(always)]
fn median(mut sample: impl FnMut() -> u64) -> u64 {
    let mut samples = [0; ROUNDS];
    for place in &mut samples {
        *place = sample();
    }
    samples.sort_unstable();
    samples[ROUNDS / 2]
}

/// The instructions of `operation`, between two reads of the counter.
#[inline(always)]
fn timed(operation: impl FnOnce()) -> u64 {
    let start = timer::now();
    operation();
    timer::now() - start
}

/// How much more `operation` costs with a probe or slot than without. `place` sets the probe or slot, and calls its argument to
/// measure.
#[inline(always)]
fn extra(operation: impl Fn(), place: impl FnOnce(&dyn Fn() -> u64) -> u64) -> u64 {
    let cost = || median(|| timed(&operation));
    let without = cost();
    place(&cost) - without
}

fn breakpoint() -> u64 {
    extra(|| target(), |timed| with_slot(&on_target(), timed))
}

fn watchpoint() -> u64 {
    extra(write_watched, |timed| with_slot(&on_watched(), timed))
}

/// What it costs to set a slot on this CPU alone.
fn slot_install(request: &Request) -> u64 {
    median(|| {
        let (cost, id) = install_timed(request);
        remove(id);
        cost
    })
}

#[inline(always)]
fn install_timed(request: &Request) -> (u64, SlotId) {
    let start = timer::now();
    let id = install(request);
    (timer::now() - start, id)
}

fn slot_remove(request: &Request) -> u64 {
    median(|| {
        let id = install(request);
        timed(|| remove(id))
    })
}

/// Instructions from the moment when the timer is due to the first instruction of the interrupt's handler.
fn irq_to_handler() -> u64 {
    with_timer(reached, || {
        median(|| {
            REACHED.store(0, Relaxed);
            let due = timer::arm_after(200);
            wait() - due
        })
    })
}

/// The cost of an interrupt that this CPU sends to itself, with the return from the handler.
fn irq_self_ipi() -> u64 {
    irq::set_handler(sgi::TEST, |_| REACHED.store(1, Relaxed));
    median(|| {
        REACHED.store(0, Relaxed);
        let cost = timed(|| {
            gic::send_sgi(sgi::TEST, Target::Me);
            barrier::isb();
        });
        assert!(REACHED.load(Relaxed) != 0, "bench: the interrupt comes late");
        cost
    })
}
