//! Guards that keep interrupts off, by PSTATE.I or by priority. The tests nest guards, and drop them in the wrong order.

use super::seen::Seen;
use super::signal::Signal;
use harness::ktest::{Outcome, clean};
use harness::{check, check_eq, suite};
use kernel::arch::barrier;
use kernel::arch::daif::{self, AllMasked};
use kernel::drivers::gic::{self, PriorityMask};
use kernel::exception::Frame;
use kernel::irq::off::{self, IrqOff};
use kernel::sync::IrqMutex;

suite!("rule-guards":
    the_back_end_is_the_one_chosen,
    guards_nest,
    a_guard_in_a_masked_context_opens_nothing,
    guards_out_of_order_are_noticed_and_interrupts_come_back,
    three_guards_in_every_order,
    a_lock_is_free_before_interrupts_come,
);

static TAKEN: Seen = Seen::new();

fn taken(frame: &mut Frame) {
    TAKEN.note(frame);
}

fn prepare() -> Outcome {
    TAKEN.reset();
    Signal::Irq.prepare(taken)
}

/// How many interrupts have been taken. A pending interrupt that is not held back is taken first.
fn count() -> u64 {
    barrier::isb();
    TAKEN.count()
}

fn the_back_end_is_the_one_chosen() -> Outcome {
    let guard = IrqOff::new();
    let (masks, enabled) = (daif::read().bits(), off::enabled());
    let priority = off::by_priority().then(gic::priority_mask);
    drop(guard);
    check!(!enabled);
    if off::by_priority() {
        check_eq!((masks, priority), (0, Some(PriorityMask::Masked)));
        check_eq!(gic::priority_mask(), PriorityMask::Unmasked);
    } else {
        check_eq!(masks, 0xc0);
    }
    check!(off::enabled());
    check_eq!(daif::read().bits(), 0);
    Ok(())
}

fn guards_nest() -> Outcome {
    prepare()?;
    let outer = IrqOff::new();
    let inner = IrqOff::new();
    Signal::Irq.send();
    let both = count();
    drop(inner);
    let one = (count(), off::enabled());
    drop(outer);
    check_eq!((both, one), (0, (0, false)));
    check_eq!((count(), off::enabled()), (1, true));
    Ok(())
}

fn a_guard_in_a_masked_context_opens_nothing() -> Outcome {
    prepare()?;
    let masked = AllMasked::new();
    let guard = IrqOff::new();
    Signal::Irq.send();
    drop(guard);
    let (during, masks) = (count(), daif::read().bits());
    drop(masked);
    check_eq!((during, masks), (0, 0x3c0));
    check_eq!((count(), off::enabled()), (1, true));
    Ok(())
}

fn guards_out_of_order_are_noticed_and_interrupts_come_back() -> Outcome {
    prepare()?;
    let before = off::out_of_order();
    let outer = IrqOff::new();
    let inner = IrqOff::new();
    Signal::Irq.send();
    drop(outer);
    let early = (count(), off::enabled());
    drop(inner);
    let noticed = off::out_of_order() - before;
    clean::forgive(noticed);
    check_eq!(early, (0, false), "the inner guard still holds");
    check_eq!((count(), off::enabled()), (1, true));
    check_eq!(noticed, 1);
    Ok(())
}

fn three_guards_in_every_order() -> Outcome {
    const ORDERS: [[usize; 3]; 6] = [[2, 1, 0], [2, 0, 1], [1, 2, 0], [1, 0, 2], [0, 2, 1], [0, 1, 2]];
    for (order, wanted) in ORDERS.into_iter().zip([false, true, true, true, true, true]) {
        prepare()?;
        let before = off::out_of_order();
        let mut guards = [const { None }; 3];
        guards.iter_mut().for_each(|guard| *guard = Some(IrqOff::new()));
        Signal::Irq.send();
        let mut early = 0;
        for (number, index) in order.into_iter().enumerate() {
            guards[index] = None;
            if number < 2 {
                early += count() + u64::from(off::enabled());
            }
        }
        let noticed = off::out_of_order() - before;
        clean::forgive(noticed);
        check_eq!(early, 0, "{order:?}");
        check_eq!((count(), off::enabled()), (1, true), "{order:?}");
        check_eq!(noticed != 0, wanted, "{order:?}");
    }
    Ok(())
}

fn a_lock_is_free_before_interrupts_come() -> Outcome {
    static LOCK: IrqMutex<u64> = IrqMutex::new(0);
    fn locks(frame: &mut Frame) {
        TAKEN.note(frame);
        if let Some(mut value) = LOCK.try_lock() {
            *value += 1;
        }
    }
    prepare()?;
    Signal::Irq.prepare(locks)?;
    let guard = LOCK.lock();
    Signal::Irq.send();
    let during = count();
    drop(guard);
    check_eq!((during, count()), (0, 1));
    check_eq!(*LOCK.lock(), 1, "the handler found the lock free");
    Ok(())
}
