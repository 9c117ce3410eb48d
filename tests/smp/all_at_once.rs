//! The common debug paths, on all CPUs at the same time.

use crate::failed;
use crate::steps::trace::trace;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me, on_every_cpu, watchpoint_at};
use crate::{address_of, needs_several_cpus};
use ::slots::Access;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::session::{self, Wish};
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::percpu::PerCpu;
use kernel::smp;

const ROUNDS: u64 = 200;

fn everybodys() -> u64 {
    ROUNDS * smp::online_count() as u64
}

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "add x0, x0, #2", "ret"
    }

    fn rounds(n: u64) {
        "1: subs x0, x0, #1", "b.ne 1b", "ret"
    }
}

static CELL: AtomicU64 = AtomicU64::new(0);

fn calls() -> Outcome {
    for n in 0..ROUNDS {
        check_eq!(target(n), n + 3);
        CELL.store(n, Relaxed);
    }
    Ok(())
}

/// Rule X1: no hit of any CPU is lost.
pub fn a_slot_on_every_cpu_counts_every_hit() -> Outcome {
    needs_several_cpus!();
    let breakpoint = Slot::counting(&breakpoint_at(address_of!(target)))?;
    let watchpoint = Slot::counting(&watchpoint_at(&raw const CELL as u64, 8, Access::Write))?;
    on_every_cpu(calls)?;
    check_eq!((breakpoint.hits(), watchpoint.hits()), (Some(everybodys()), Some(everybodys())));
    Ok(())
}

pub fn every_cpu_steps_its_own_code() -> Outcome {
    needs_several_cpus!();
    on_every_cpu(|| {
        let n = 50 + 10 * kernel::percpu::index() as u64;
        let trace = trace(address_of!(rounds), || rounds(n))?;
        check!(trace.complete);
        check_eq!(trace.steps as u64, 2 * n + 1);
        for (index, word) in trace.words().into_iter().enumerate() {
            check_eq!(word, if index as u64 == 2 * n { 2 } else { index as i64 % 2 });
        }
        check_eq!(kernel::arch::mdscr::read(), kernel::arch::mdscr::TDCC);
        Ok(())
    })
}

static PRES: AtomicU64 = AtomicU64::new(0);
static POSTS: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(1, Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    POSTS.fetch_add(1, Relaxed);
}

pub fn a_probe_on_every_cpu_counts_every_execution() -> Outcome {
    needs_several_cpus!();
    PRES.store(0, Relaxed);
    POSTS.store(0, Relaxed);
    kprobe::register(address_of!(target), Some(pre), Some(post)).map_err(failed)?;
    let result = on_every_cpu(calls);
    check_eq!(kprobe::unregister(address_of!(target)), Ok((everybodys(), 0)));
    check_eq!((PRES.load(Relaxed), POSTS.load(Relaxed)), (everybodys(), everybodys()));
    result
}

/// How many steps each CPU has made in `target`.
static STEPS: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

/// A breakpoint, a watchpoint, a probe and steps are in the same code, and interrupts run through it, too.
pub fn slots_steps_and_probes_on_every_cpu_at_once() -> Outcome {
    needs_several_cpus!();
    fn count(frame: &mut DebugFrame) -> Wish {
        let entry = address_of!(target);
        if (entry..entry + 12).contains(&frame.pc) {
            STEPS.this().fetch_add(1, Relaxed);
            interrupt_me();
        }
        Wish::Step
    }
    fn handler(_: &mut Frame) {
        target(INTERRUPTS.fetch_add(1, Relaxed));
    }
    fn work() -> Outcome {
        for n in 0..ROUNDS / 4 {
            let mut result = 0;
            session::step_with(count, || result = target(n)).map_err(failed)?;
            check_eq!(result, n + 3);
            CELL.store(n, Relaxed);
        }
        check_eq!(STEPS.this().load(Relaxed), ROUNDS / 4 * 3);
        Ok(())
    }
    STEPS.iter().for_each(|steps| steps.store(0, Relaxed));
    for counter in [&INTERRUPTS, &PRES, &POSTS] {
        counter.store(0, Relaxed);
    }
    let _interrupt = OnDemand::new(handler);
    let breakpoint = Slot::counting(&breakpoint_at(address_of!(target)))?;
    let second = Slot::counting(&breakpoint_at(address_of!(target) + 4))?;
    let watchpoint = Slot::counting(&watchpoint_at(&raw const CELL as u64, 8, Access::Write))?;
    kprobe::register(address_of!(target), Some(pre), Some(post)).map_err(failed)?;
    let result = on_every_cpu(work);
    let counts = kprobe::unregister(address_of!(target));
    result?;
    let calls = everybodys() / 4;
    let interrupts = INTERRUPTS.load(Relaxed);
    check_eq!(interrupts, 3 * calls, "one interrupt a step");
    check_eq!(counts, Ok((calls + interrupts, 0)));
    check_eq!((breakpoint.hits(), second.hits()), (Some(calls + interrupts), Some(calls + interrupts)));
    check_eq!(watchpoint.hits(), Some(calls));
    check_eq!((PRES.load(Relaxed), POSTS.load(Relaxed)), (calls + interrupts, calls + interrupts));
    Ok(())
}
