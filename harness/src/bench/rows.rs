//! Costs of single operations. A figure is the difference between a loop with the operation and the same loop without it, as the median
//! of many samples.

use super::many::{MANY, Many};
use super::place::{
    after, branch, empty_brk, install, on_target, on_watched, remove, run_on, skip, target, with_optimised,
    with_others, with_probe, with_return_probe, with_slot, write_watched,
};
use super::samples::{Cost, Series, series};
use super::{REACHED, reached, wait, with_timer, without_tick};
use super::{delivery, reschedule};
use ::slots::{Request, SlotId};
use core::sync::atomic::Ordering::Relaxed;
use kernel::arch::barrier;
use kernel::drivers::gic::{self, Target};
use kernel::drivers::timer;
use kernel::irq::{self, sgi};
use kernel::println;

/// Measures, and prints a line `bench: KEY INSTRUCTIONS` for each row. `started` is the counter when the kernel was ready for its first
/// test.
pub fn run(started: u64) {
    without_tick(|| {
        let first_install = first_install();
        probes();
        many();
        slots_and_interrupts(first_install);
        row("resched_after_step", reschedule::after_step(|sample| series(sample).median));
        row("wake_in_delivery", delivery::wake_in_second_phase());
        row("boot", started);
    });
}

/// Measures only the rows that consist of samples: a log of all the other rows would be long.
pub fn run_sampled() {
    without_tick(|| {
        let first_install = first_install();
        probes();
        slots_and_interrupts(first_install);
    });
}

fn row(key: &str, cost: u64) {
    println!("bench: {key} {cost}");
}

fn probes() {
    Cost::of(series(|| timed(empty_brk)), nothing()).print("dbg_entry_exit");
    extra(|| target(), |timed| with_probe(target, skip, None, timed)).print("brk_bare");
    extra(|| branch(), |timed| with_probe(branch, run_on, None, timed)).print("kprobe_sim");
    extra(|| target(), |timed| with_probe(target, run_on, None, timed)).print("kprobe_ool");
    extra(|| target(), |timed| with_probe(target, run_on, Some(after), timed)).print("kprobe_pre_post");
    extra(|| target(), |timed| with_return_probe(target, timed)).print("kretprobe");
    extra(|| target(), |timed| with_optimised(target, run_on, timed)).print("probe_optimised");
}

/// The rows that are measured while there are 0, 1000 or 50000 other probes.
fn many() {
    let mut many = Many::new();
    let hit = |key| extra(|| target(), |timed| with_probe(target, run_on, None, timed)).print(key);
    row("kprobe_register_first", many.grow(1));
    many.grow(1_000);
    hit("kprobe_ool_1000");
    row("kprobe_register_50000", many.grow(MANY));
    hit("kprobe_ool_50000");
}

/// The cost of the first slot since boot.
fn first_install() -> u64 {
    let (cost, id) = install_timed(&on_target());
    remove(id);
    cost
}

fn slots_and_interrupts(first_install: u64) {
    breakpoint().print("hw_bp_kernel");
    with_others(1, breakpoint).print("hw_bp_kernel_full");
    watchpoint().print("hw_wp_kernel");
    with_others(1, watchpoint).print("hw_wp_kernel_full");
    let without = nothing();
    row("slot_install_first", first_install - without.median);
    Cost::of(slot_install(&on_target()), without).print("slot_install");
    Cost::of(slot_install(&on_watched()), without).print("slot_install_wp");
    Cost::of(with_others(1, || slot_install(&on_target())), without).print("slot_install_full");
    Cost::of(slot_remove(&on_target()), without).print("slot_remove");
    Cost::whole(irq_to_handler()).print("irq_to_handler");
    Cost::whole(with_others(0, irq_to_handler)).print("irq_to_handler_armed");
    Cost::of(irq_self_ipi(), without).print("irq_self_ipi");
}

/// Samples of no operation.
fn nothing() -> Series {
    series(|| timed(|| ()))
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
fn extra(operation: impl Fn(), place: impl FnOnce(&dyn Fn() -> Series) -> Series) -> Cost {
    let cost = || series(|| timed(&operation));
    let without = cost();
    Cost::of(place(&cost), without)
}

fn breakpoint() -> Cost {
    extra(|| target(), |timed| with_slot(&on_target(), timed))
}

fn watchpoint() -> Cost {
    extra(write_watched, |timed| with_slot(&on_watched(), timed))
}

/// What it costs to set a slot on this CPU alone.
fn slot_install(request: &Request) -> Series {
    series(|| {
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

fn slot_remove(request: &Request) -> Series {
    series(|| {
        let id = install(request);
        timed(|| remove(id))
    })
}

/// Instructions from the moment when the timer is due to the first instruction of the interrupt's handler.
fn irq_to_handler() -> Series {
    with_timer(reached, || {
        series(|| {
            REACHED.store(0, Relaxed);
            let due = timer::arm_after(200);
            wait() - due
        })
    })
}

/// The cost of an interrupt that this CPU sends to itself, with the return from the handler.
fn irq_self_ipi() -> Series {
    irq::set_handler(sgi::TEST, |_| REACHED.store(1, Relaxed));
    series(|| {
        REACHED.store(0, Relaxed);
        let cost = timed(|| {
            gic::send_sgi(sgi::TEST, Target::Me);
            barrier::isb();
        });
        assert!(REACHED.load(Relaxed) != 0, "bench: the interrupt comes late");
        cost
    })
}
