//! One CPU stops the other CPUs in the middle of code, changes slots and probes in that code, and lets the CPUs go on (H5).

use crate::failed;
use crate::support::{Slot, all_idle, breakpoint_at, on_other_cpus};
use crate::{address_of, needs_several_cpus};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch::barrier::relax;
use kernel::debug::slots;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe;
use kernel::percpu;
use kernel::smp::{self, Stopped};
use kernel::watcher;

specimen! {
    /// Adds 1 to `count` again and again, until `end` is set.
    fn counts(end: *const AtomicBool, count: *const AtomicU64) {
        "2: ldr x9, [x1]",
        "add x9, x9, #1",
        "str x9, [x1]",
        "yield",
        "ldrb w10, [x0]",
        "cbz w10, 2b",
        "ret",
    }
}
const COUNTS_WORDS: u64 = 7;

static END: AtomicBool = AtomicBool::new(false);
static COUNTS: percpu::PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

/// The sum of what all CPUs have counted.
fn counted() -> u64 {
    COUNTS.iter().map(|count| count.load(Relaxed)).sum()
}

/// Runs `body` while all other CPUs run [`counts`].
fn while_others_count(body: impl FnOnce() -> Outcome) -> Outcome {
    END.store(false, Relaxed);
    COUNTS.iter().for_each(|count| count.store(0, Relaxed));
    on_other_cpus(|| counts(&raw const END, COUNTS.this()));
    while smp::online().any(|cpu| cpu != percpu::index() && COUNTS.of(cpu).load(Relaxed) == 0) {
        relax();
    }
    let outcome = body();
    END.store(true, Relaxed);
    all_idle();
    outcome
}

/// Stops the other CPUs, and waits until they have stopped. All of them do stop, because they have interrupts on.
fn stop_all() -> Result<Stopped, Ended> {
    let stopped = smp::stop().map_err(failed)?;
    while !stopped.all_have_stopped() {
        relax();
    }
    Ok(stopped)
}

/// Waits until every other CPU has counted further.
fn go_on() -> Outcome {
    let before: [u64; percpu::MAX_CPUS] = core::array::from_fn(|cpu| COUNTS.of(cpu).load(Relaxed));
    while smp::online().any(|cpu| cpu != percpu::index() && COUNTS.of(cpu).load(Relaxed) == before[cpu]) {
        relax();
    }
    Ok(())
}

/// Ten times, every other CPU is stopped in the code that it is running, and goes on there.
pub fn stopped_cpus_show_where_they_stand_and_go_on() -> Outcome {
    needs_several_cpus!();
    while_others_count(|| {
        for _ in 0..10 {
            let off = IrqOff::new();
            let mut stopped = stop_all()?;
            let before = counted();
            for cpu in smp::online().filter(|cpu| *cpu != percpu::index()) {
                let Some(frame) = stopped.frame(cpu) else { return Err(failed("no frame of a stopped CPU")) };
                let at = frame.pc.wrapping_sub(address_of!(counts)) / 4;
                check!(at < COUNTS_WORDS, "cpu{cpu} stands at {:#x}", frame.pc);
                check_eq!(frame.x[1], COUNTS.of(cpu).as_ptr() as u64);
                // The CPU goes on with the registers as this CPU leaves them in its frame.
                if let Some(frame) = stopped.frame_mut(cpu) {
                    frame.x[12] = 77;
                }
            }
            check!(
                stopped.frame(percpu::index()).is_none(),
                "the CPU that stops the others is not stopped itself"
            );
            (0..1000).for_each(|_| relax());
            check_eq!(counted(), before, "no stopped CPU counts");
            drop(stopped);
            drop(off);
            go_on()?;
            // The code in [`counts`] does not write x12.
            let off = IrqOff::new();
            let stopped = stop_all()?;
            for cpu in smp::online().filter(|cpu| *cpu != percpu::index()) {
                check_eq!(stopped.frame(cpu).map(|frame| frame.x[12]), Some(77));
            }
            drop(stopped);
            drop(off);
            go_on()?;
        }
        Ok(())
    })
}

/// A change of slots or text that waits for the other CPUs does not wait for stopped ones. When these go on, the change is in force
/// for them.
pub fn slots_and_text_change_while_the_others_are_stopped() -> Outcome {
    needs_several_cpus!();
    while_others_count(|| {
        let breakpoint_at_add = breakpoint_at(address_of!(counts) + 4);
        let stopped = stop_all()?;
        let slot = Slot::counting(&breakpoint_at_add)?;
        kprobe::register(address_of!(counts) + 8, None, None).map_err(failed)?;
        check_eq!(slot.hits(), Some(0), "the other CPUs are stopped");
        drop(stopped);
        while slot.hits() < Some(100) {
            relax();
        }
        // Slot and probe are also removed while the other CPUs are stopped.
        let stopped = stop_all()?;
        let (hits, _) = kprobe::unregister(address_of!(counts) + 8).map_err(failed)?;
        let slots = slot.hits();
        drop(slot);
        drop(stopped);
        check!(hits >= 90, "{hits} hits of the probe, {slots:?} of the breakpoint before it");
        go_on()
    })
}

/// A handler in debug context asks for a stop, too, and does not wait until the CPUs have stopped. While another stop is in force,
/// the request is refused, and the error names the CPU that has asked first.
pub fn one_cpu_at_a_time_stops_the_others() -> Outcome {
    needs_several_cpus!();
    static REFUSED: AtomicU64 = AtomicU64::new(u64::MAX);
    fn stops_too(_: &slots::Hit, _: &mut DebugFrame) {
        let owner = smp::stop().map_or_else(|busy| busy.owner as u64, |_| u64::MAX);
        REFUSED.store(owner, Relaxed);
    }
    #[inline(never)]
    extern "C" fn target() {
        core::hint::black_box(());
    }
    while_others_count(|| {
        let slot = Slot::calling(&breakpoint_at(address_of!(target)), watcher!(stops_too))?;
        let stopped = stop_all()?;
        target();
        check_eq!(REFUSED.swap(u64::MAX, Relaxed), percpu::index() as u64);
        check!(stopped.all_have_stopped(), "the refused stop has let no CPU go on");
        drop(stopped);
        go_on()?;
        target();
        check_eq!((slot.hits(), REFUSED.load(Relaxed)), (Some(2), u64::MAX));
        // The stop that the handler has asked for ended with the handler, so all CPUs go on.
        go_on()
    })
}
