//! Each check of checked builds must end the kernel when its rule is broken on purpose.

use super::need;
use crate::rules::{code, signal};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use kernel::arch::daif::{self, AllMasked};
use kernel::arch::mdscr;
use kernel::debug::slots::Hit;
use kernel::debug::{self, control};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::{self, sgi};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::{sched, watcher};

/// Hits a probe on `code::line` that has this handler.
fn with_probe(handler: kprobe::PreHandler) {
    if need(kprobe::register(code::line as *const () as u64, Some(handler), None)).is_some() {
        code::line();
    }
}

pub fn i1_returning_with_d_masked_and_i_open() {
    fn masks_d(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.pstate = frame.pstate & !0x3c0 | 0x200;
        frame.pc += 4;
        Then::Skip
    }
    with_probe(masks_d);
}

pub fn i2_mdscr_written_with_d_open() {
    mdscr::write(mdscr::read());
}

/// MDSCR_EL1.KDE is clear, so no step exception is taken: only MDSCR_EL1.SS itself is wrong, and the check must see that.
pub fn i2_ss_without_an_owner() {
    fn sets_ss(_: &mut Frame) {
        let _masked = AllMasked::new();
        // SAFETY: D is masked for as long as `_masked` lives. The end of a `Masked` would correct the register.
        control::force(unsafe { debug::masked() }, mdscr::SS);
    }
    irq::set_handler(sgi::TEST, sets_ss);
    signal::Signal::Irq.send();
    kernel::arch::barrier::isb();
}

pub fn i3_returning_with_exceptions_open() {
    signal::Signal::Irq.send();
    kernel::arch::barrier::isb();
}

pub fn i5_switching_in_a_debug_context() {
    fn switches(_: &Hit, _: &mut DebugFrame) {
        debug::check_switchable();
    }
    if need(signal::breakpoint_in_line(watcher!(switches))).is_some() {
        code::line();
    }
}

pub fn i5_switching_with_a_step_set_aside() {
    fn switches(_: &mut Frame) {
        debug::check_switchable();
    }
    irq::set_handler(sgi::TEST, switches);
    signal::arm(signal::Signal::Irq);
    if need(signal::breakpoint_in_line(watcher!(signal::interrupt))).is_some() {
        code::line();
    }
}

pub fn mdscr_written_behind_the_rules() {
    let masked = AllMasked::new();
    mdscr::write(mdscr::KDE);
    code::warn();
    drop(masked);
}

/// Unmasks FIQ. No FIQ comes on this machine, so the handler that calls this reaches its end, where the check is.
fn open_fiq() {
    const F: u64 = 0b0001;
    daif::clear::<F>();
}

pub fn an_irq_handler_opens_fiq() {
    fn opens(_: &mut Frame) {
        open_fiq();
    }
    irq::set_handler(sgi::TEST, opens);
    signal::Signal::Irq.send();
    kernel::arch::barrier::isb();
}

pub fn a_breakpoint_handler_opens_fiq() {
    fn opens(_: &Hit, _: &mut DebugFrame) {
        open_fiq();
    }
    if need(signal::breakpoint_in_line(watcher!(opens))).is_some() {
        code::line();
    }
}

fn opens_in_probe(_: &Kprobe, _: &mut DebugFrame) -> Then {
    open_fiq();
    Then::Run
}

pub fn a_probe_handler_opens_fiq() {
    with_probe(opens_in_probe);
}

pub fn a_nested_handler_opens_fiq() {
    static ONCE: AtomicBool = AtomicBool::new(false);
    fn calls(_: &Kprobe, _: &mut DebugFrame) -> Then {
        if !ONCE.swap(true, Relaxed) {
            code::branch();
        }
        Then::Run
    }
    if need(kprobe::register(code::branch as *const () as u64, Some(opens_in_probe), None)).is_some() {
        with_probe(calls);
    }
}

/// A lock that may have to be waited for.
static SLEEPING: sched::Mutex<u64> = sched::Mutex::new(0);

pub fn sleeps_with_preemption_off() {
    let _off = sched::preempt::Off::new();
    *SLEEPING.lock() += 1;
}

pub fn sleeps_with_interrupts_off() {
    let _off = kernel::irq::off::IrqOff::new();
    *SLEEPING.lock() += 1;
}

pub fn sleeps_in_a_probe() {
    fn takes_a_lock(_: &Kprobe, _: &mut DebugFrame) -> Then {
        *SLEEPING.lock() += 1;
        Then::Run
    }
    with_probe(takes_a_lock);
}
