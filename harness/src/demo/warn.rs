//! A WARN that returns. Its report runs with the masks of the context that has raised it (M11), also in a debug context (M14).
//!
//! A probe on the function that reports reads the masks that are in force there.

use super::{Finding, Outcome};
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::arch::daif::{self, AllMasked};
use kernel::debug::{bug, stats};
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::kwarn;

/// The masks that the last report ran with.
static REPORTED_WITH: AtomicU64 = AtomicU64::new(0);
static RAISED: AtomicU64 = AtomicU64::new(0);
static RETURNED: AtomicU64 = AtomicU64::new(0);
static INHERITED: AtomicU64 = AtomicU64::new(0);

/// Raises a WARN that names its context, and counts whether it is reported, with which masks, and whether it returns.
macro_rules! warn {
    ($context:ident) => {{
        let masks = daif::read();
        let $context = true;
        RAISED.fetch_add(1, Relaxed);
        kwarn!($context);
        RETURNED.fetch_add(1, Relaxed);
        INHERITED.fetch_add(u64::from(REPORTED_WITH.load(Relaxed) == masks.bits()), Relaxed);
    }};
}

pub fn show() -> Outcome {
    for counter in [&RAISED, &RETURNED, &INHERITED] {
        counter.store(0, Relaxed);
    }
    let counted = stats::WARNINGS.sum();
    let (report, site) = (bug::report as *const () as u64, probed as *const () as u64);
    let probe = kprobe::register(report, Some(read_masks), None)?;
    warn!(with_interrupts_on);
    {
        let _off = IrqOff::new();
        warn!(with_interrupts_off);
    }
    {
        let _masked = AllMasked::new();
        warn!(with_all_masked);
    }
    kprobe::register(site, Some(in_debug_context), None)?;
    probed();
    kprobe::unregister(site)?;
    let reported = probe.hits();
    kprobe::unregister(report)?;
    let counted = stats::WARNINGS.sum() - counted;
    let [raised, returned, inherited] = [&RAISED, &RETURNED, &INHERITED].map(|counter| counter.load(Relaxed));
    Ok(Finding {
        counts: format!(
            "{raised} raised, {reported} reported, {inherited} with the masks of their context, {returned} returned"
        ),
        agree: raised > 0 && [counted, reported, inherited, returned] == [raised; 4],
    })
}

/// A function with a probe. The probe's handler raises a WARN in debug context.
#[inline(never)]
fn probed() {
    core::hint::black_box(());
}

fn in_debug_context(_: &Kprobe, _: &mut DebugFrame) -> Then {
    warn!(in_a_probes_handler);
    Then::Run
}

fn read_masks(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    REPORTED_WITH.store(frame.masks().bits(), Relaxed);
    Then::Run
}
