//! Costs in guest instructions.
//!
//! Under `-icount shift=0` with a counter of 1 GHz one tick of CNTVCT_EL0 is one instruction, so what is read here is a count,
//! the same in every run. Each figure is the extra cost of one operation: the loop with it less the loop without it, median
//! of many.

mod reschedule;

use crate::arch::daif;
use crate::debug::slots::{self, Disposition};
use crate::drivers::timer;
use crate::exception::{Frame, brk};
use crate::irq;
use crate::kprobe::{self, Kprobe, PostHandler, PreHandler, Then};
use crate::{early, println, time};
use ::slots::{Access, Cpus, Privilege, Request};
use core::arch::{asm, naked_asm};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

const ROUNDS: usize = 1001;

/// Measures and prints a line `bench: KEY INSTRUCTIONS` a row. `started` is the counter when the kernel could have run its
/// first test.
pub fn run(started: u64) {
    {
        // No tick in the middle of a measurement.
        let _masked = daif::AllMasked::new();
        time::pause();
    }
    let nothing = median(|| ());
    let row = |key: &str, cost: u64| println!("bench: {key} {cost}");
    row("dbg_entry_exit", median(empty_brk) - nothing);
    row("brk_bare", probed(Some(skip), None));
    row("kprobe_ool", probed(Some(run_on), None));
    row("kprobe_pre_post", probed(Some(run_on), Some(after)));
    row("hw_bp_kernel", breakpoint());
    row("hw_wp_kernel", watchpoint());
    row("irq_to_handler", irq_to_handler());
    row("resched_after_step", reschedule::after_step());
    row("boot", started);
    time::resume();
}

/// The median number of instructions between two reads of the counter around `operation`.
#[inline(always)]
fn median(operation: impl Fn()) -> u64 {
    let mut samples = [0; ROUNDS];
    for sample in &mut samples {
        let start = timer::now();
        operation();
        *sample = timer::now() - start;
    }
    samples.sort_unstable();
    samples[ROUNDS / 2]
}

/// A BRK that does nothing but return behind itself: entry and exit code alone.
#[inline(always)]
fn empty_brk() {
    // SAFETY: the handler returns behind it with all registers as they were.
    unsafe { asm!("brk #{}", const brk::EMPTY, options(nostack, preserves_flags)) }
}

/// A function of two instructions, the first of which can be run out of line.
#[unsafe(naked)]
extern "C" fn target() {
    naked_asm!("add x0, x0, #1", "ret")
}

fn skip(_: &Kprobe, frame: &mut Frame) -> Then {
    frame.pc += 4;
    Then::Skip
}

fn run_on(_: &Kprobe, _: &mut Frame) -> Then {
    Then::Run
}

fn after(_: &Kprobe, _: &mut Frame) {}

fn probed(pre: Option<PreHandler>, post: Option<PostHandler>) -> u64 {
    let without = median(|| target());
    let address = target as *const () as u64;
    if let Err(error) = kprobe::register(address, pre, post) {
        panic!("bench: {error}");
    }
    let with = median(|| target());
    if let Err(error) = kprobe::unregister(address) {
        panic!("bench: {error}");
    }
    with - without
}

fn with_slot(request: &Request, operation: impl Fn()) -> u64 {
    let without = median(&operation);
    let id = match slots::install(request, Cpus::ALL, Disposition::Count) {
        Ok(id) => id,
        Err(error) => panic!("bench: {error}"),
    };
    let with = median(&operation);
    let _ = slots::remove(id);
    with - without
}

fn breakpoint() -> u64 {
    let address = target as *const () as u64;
    with_slot(&Request::Breakpoint { address, privilege: Privilege::El1 }, || target())
}

fn watchpoint() -> u64 {
    static WATCHED: AtomicU64 = AtomicU64::new(0);
    let address = &raw const WATCHED as u64;
    let (length, access, privilege) = (8, Access::Write, Privilege::El1);
    with_slot(&Request::Watchpoint { address, length, access, privilege }, || WATCHED.store(1, Relaxed))
}

/// When the device's handler was reached, in counter ticks; 0: not yet.
static REACHED: AtomicU64 = AtomicU64::new(0);

fn reached(_: &mut Frame) {
    REACHED.store(timer::now(), Relaxed);
    timer::stop();
}

/// From the instruction that the timer interrupts to the first one of its handler.
fn irq_to_handler() -> u64 {
    let intid = early::boot().platform.timer.virt;
    irq::set_handler(intid, reached);
    let mut samples = [0; ROUNDS];
    for sample in &mut samples {
        REACHED.store(0, Relaxed);
        let due = timer::arm_after(200);
        while REACHED.load(Relaxed) == 0 {
            crate::arch::barrier::relax();
        }
        *sample = REACHED.load(Relaxed) - due;
    }
    irq::set_handler(intid, time::interrupt);
    samples.sort_unstable();
    samples[ROUNDS / 2]
}
