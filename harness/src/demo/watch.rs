//! A watchpoint on this CPU's tick counter, which the timer interrupt writes.

use super::tick::{self, Counting, Counts};
use super::{Finding, Outcome};
use ::slots::{Access, Cpus, Privilege, Request};
use alloc::format;
use kernel::debug::slots::{self, Disposition};
use kernel::{percpu, smp, time};

pub fn show() -> Outcome {
    let _counting = Counting::start();
    let cpu = percpu::index();
    let request = Request::Watchpoint {
        address: core::ptr::from_ref(time::TICKS.of(cpu)) as u64,
        length: 8,
        access: Access::Write,
        privilege: Privilege::El1,
    };
    let id = slots::install(&request, Cpus::ALL, Disposition::Count)?;
    let now = || smp::rendezvous(|| (Counts::here(), slots::hits(id).unwrap_or(0)));
    let (since, hits_before) = now();
    tick::wait();
    let (until, hits) = now();
    slots::remove(id)?;
    let Counts { interrupts, ticks } = until.since(since);
    let hits = hits - hits_before;
    Ok(Finding {
        counts: format!(
            "time::TICKS of cpu{cpu}: {interrupts} timer interrupts write it, {hits} hits; {ticks} ticks"
        ),
        agree: interrupts > 0 && hits == interrupts && ticks >= interrupts,
    })
}
