//! A target that is executed by a debugger's steps. Each step must land on the next instruction (X2).

use super::code::{Marks, Target, fold, walk};
use core::cell::Cell;
use harness::storm::{Due, due, fail};
use kernel::debug::session::{self, Wish};
use kernel::exception::DebugFrame;
use kernel::percpu::{self, PerCpu};

/// What a CPU steps through. The CPU's thread uses it, and its hook in debug context.
struct Stepper {
    entry: Cell<u64>,
    /// The address that the target returns to; 0 before the target is entered.
    back: Cell<u64>,
    walk: Cell<u64>,
    ended: Cell<bool>,
}

static STEPPERS: PerCpu<Stepper> = kernel::per_cpu!(Stepper {
    entry: Cell::new(0),
    back: Cell::new(0),
    walk: Cell::new(0),
    ended: Cell::new(false),
});

fn hook(frame: &mut DebugFrame) -> Wish {
    due(Due::Hooks, 1);
    let stepper = STEPPERS.this();
    let (entry, back) = (stepper.entry.get(), stepper.back.get());
    if back == 0 {
        if frame.pc != entry {
            return Wish::Step;
        }
        stepper.back.set(frame.x[30]);
    } else if frame.pc == back {
        stepper.ended.set(true);
        return Wish::Run;
    }
    stepper.walk.set(fold(stepper.walk.get(), frame.pc.wrapping_sub(entry)));
    Wish::Step
}

/// Executes the target by a debugger's steps. None if the result is not that of the function, or if the steps did not land on each
/// of its points. Thread context.
pub fn step(target: Target) -> Option<Marks> {
    let stepper = STEPPERS.this();
    stepper.entry.set(target.entry());
    stepper.back.set(0);
    stepper.walk.set(0);
    stepper.ended.set(false);
    let mut marks = None;
    let stepped = session::step_with(hook, || marks = target.run(false));
    due(Due::Brks, 1);
    if stepped.is_err() || !stepper.ended.get() || stepper.walk.get() != walk() {
        fail(format_args!(
            "cpu{}: {target:?}: the steps do not land where they must: {stepped:?}, ended: {}, walk {:x} where {:x} is due",
            percpu::index(),
            stepper.ended.get(),
            stepper.walk.get(),
            walk()
        ));
        return None;
    }
    marks
}
