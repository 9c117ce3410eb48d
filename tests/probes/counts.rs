//! Exact counts of hits, and what handlers may change.

use crate::address_of;
use crate::failed;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::{percpu, time};

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "add x0, x0, #2", "ret"
    }
}

static PRE: AtomicU64 = AtomicU64::new(0);
static POST: AtomicU64 = AtomicU64::new(0);
/// How often a handler has seen a frame that it should not have seen.
static WRONG: AtomicU64 = AtomicU64::new(0);

fn pre(probe: &Kprobe, frame: &mut DebugFrame) -> Then {
    PRE.fetch_add(1, Relaxed);
    WRONG.fetch_add(u64::from(frame.pc != probe.address || !frame.masks().is_empty()), Relaxed);
    Then::Run
}

fn post(probe: &Kprobe, frame: &mut DebugFrame) {
    POST.fetch_add(1, Relaxed);
    WRONG.fetch_add(u64::from(frame.pc != probe.address + 4 || !frame.masks().is_empty()), Relaxed);
}

pub fn both_handlers_run_once_a_call() -> Outcome {
    for counter in [&PRE, &POST, &WRONG] {
        counter.store(0, Relaxed);
    }
    let address = address_of!(target);
    check_eq!(target(0), 3);
    let probe = kprobe::register(address, Some(pre), Some(post)).map_err(failed)?;
    for n in 1..=100 {
        check_eq!(target(n), n + 3);
        check_eq!((probe.hits(), probe.missed()), (n, 0));
        check_eq!((PRE.load(Relaxed), POST.load(Relaxed)), (n, n));
    }
    check_eq!(kprobe::unregister(address), Ok((100, 0)));
    check_eq!(target(0), 3);
    check_eq!((PRE.load(Relaxed), POST.load(Relaxed), WRONG.load(Relaxed)), (100, 100, 0));
    Ok(())
}

pub fn a_probe_without_handlers_counts() -> Outcome {
    let address = address_of!(target) + 4;
    kprobe::register(address, None, None).map_err(failed)?;
    for n in 0..100 {
        check_eq!(target(n), n + 3);
    }
    check_eq!(kprobe::unregister(address), Ok((100, 0)));
    Ok(())
}

pub fn a_pre_handler_can_skip_the_instruction() -> Outcome {
    fn skip(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.pc += 4;
        Then::Skip
    }
    fn return_at_once(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.x[0] = 77;
        frame.pc = frame.x[30];
        Then::Skip
    }
    POST.store(0, Relaxed);
    let address = address_of!(target);
    kprobe::register(address, Some(skip), Some(post)).map_err(failed)?;
    let skipped = [target(0), target(5)];
    check_eq!(kprobe::unregister(address), Ok((2, 0)));
    check_eq!(skipped, [2, 7]);
    kprobe::register(address, Some(return_at_once), Some(post)).map_err(failed)?;
    let returned = target(5);
    check_eq!(kprobe::unregister(address), Ok((1, 0)));
    check_eq!(returned, 77);
    check_eq!(POST.load(Relaxed), 0, "no post-handler behind a skip");
    Ok(())
}

specimen! {
    /// Fills x1 to x30 with `value`, executes the probed NOP, and returns the sum of x0 to x30.
    fn all_registers(value: u64) -> u64 {
        "stp x29, x30, [sp, #-96]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
        "mov x\\n, x0",
        ".endr",
        "nop",
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
        "add x0, x0, x\\n",
        ".endr",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp x29, x30, [sp], #96",
        "ret",
    }
}

/// Rule I7: a handler can change callee-saved registers, too. A return path that restores only a part of the frame would lose these
/// changes.
pub fn handlers_can_change_every_register() -> Outcome {
    const NOP: u64 = 36 * 4;
    fn change(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        for (n, x) in frame.x.iter_mut().enumerate() {
            WRONG.fetch_add(u64::from(*x != 1000), Relaxed);
            *x = 1 << n;
        }
        Then::Run
    }
    fn change_again(_: &Kprobe, frame: &mut DebugFrame) {
        for x in &mut frame.x {
            *x *= 2;
        }
    }
    WRONG.store(0, Relaxed);
    let address = address_of!(all_registers) + NOP;
    check_eq!(all_registers(1000), 31_000);
    kprobe::register(address, Some(change), Some(change_again)).map_err(failed)?;
    let sum = all_registers(1000);
    check_eq!(kprobe::unregister(address), Ok((1, 0)));
    check_eq!((sum, WRONG.load(Relaxed)), (((1 << 31) - 1) * 2, 0));
    Ok(())
}

pub fn a_probe_on_the_timers_path_sees_every_tick() -> Outcome {
    static CALLS: [AtomicU64; percpu::MAX_CPUS] = [const { AtomicU64::new(0) }; percpu::MAX_CPUS];
    static PASSED: AtomicU64 = AtomicU64::new(0);
    fn count(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        CALLS[percpu::index()].fetch_add(1, Relaxed);
        if percpu::index() == 0 {
            PASSED.fetch_add(frame.x[0], Relaxed);
        }
        Then::Run
    }
    let pause = || {
        let _off = IrqOff::new();
        time::pause();
    };
    CALLS.iter().for_each(|calls| calls.store(0, Relaxed));
    PASSED.store(0, Relaxed);
    pause();
    let before = time::ticks();
    kprobe::register(address_of!(time::account), Some(count), None).map_err(failed)?;
    time::resume();
    while CALLS[0].load(Relaxed) < 10 {
        kernel::irq::off::wait();
    }
    pause();
    let ticks = time::ticks() - before;
    let counts = kprobe::unregister(address_of!(time::account));
    time::resume();
    let calls: u64 = CALLS.iter().map(|calls| calls.load(Relaxed)).sum();
    check_eq!(counts, Ok((calls, 0)), "every CPU's ticks");
    check_eq!(PASSED.load(Relaxed), ticks, "every tick of this CPU");
    check!(ticks >= 10);
    Ok(())
}
