//! Sets up the interrupt controller and the handlers of the kernel's own interrupts.

use super::{off, set_handler, sgi};
use crate::drivers::gic;
use crate::{early, mm, options, sched, smp, time};

/// Initialises the controller, chooses how interrupts are switched off, and registers the kernel's handlers. Called once, before
/// `smp::init_cpu`.
///
/// # Panics
/// If the controller cannot be used: the kernel cannot run without interrupts.
pub fn init() {
    let machine = &early::boot().platform;
    let map = |physical: u64, size: u64| mm::map_device(physical as usize, size as usize);
    // SAFETY: the device tree describes the controller, and what `map_device` maps stays mapped.
    if let Err(error) = unsafe { gic::init(&machine.gic, map) } {
        panic!("{error}");
    }
    if options::get().nmi {
        if gic::has_priority_masking() {
            off::use_priority();
        } else {
            log::warn!("nmi=1 needs a GICv3 with one security state; interrupts are masked by PSTATE.I");
        }
    }
    set_handler(machine.timer.virt, time::interrupt);
    set_handler(sgi::SLOTS, smp::slots_interrupt);
    set_handler(sgi::RENDEZVOUS, smp::take_part);
    set_handler(sgi::STOP, smp::park);
    set_handler(sgi::RESCHEDULE, sched::kicked);
}
