//! `step`: steps through a context of its own, which waits between two commands at the instruction where the last step has landed.
//!
//! The context is kept as a frame. The command begins a step of the monitor itself. The hook of that step swaps the
//! monitor's frame with the kept frame, and asks for another step. So the exception returns to the kept context, which
//! makes this step. After the last step the hook swaps the frames back. A frame has all registers (rule I7), so nothing
//! else must be swapped.

use super::Error;
use crate::debug::session::{self, Wish};
use crate::debug::stats;
use crate::exception::{DebugFrame, Frame};
use crate::irq::off::IrqOff;
use crate::kprobe;
use crate::mm::layout::{STACK_SHIFT, STACK_SIZE};
use crate::report::symbols::Shown;
use alloc::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt::Write;
use core::hint::black_box;
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use rules::pstate::Daif;

/// The most steps of one command.
const LIMIT: u64 = 10_000;
/// How many of the first steps are shown, and how many of the last ones.
const SHOWN: usize = 32;

/// The code that is stepped through: Collatz sequences, from 27 on, for ever.
extern "C" fn collatz() -> ! {
    let mut start = 27;
    loop {
        let mut n = start;
        while n != 1 {
            n = next(n);
        }
        start += 1;
    }
}

#[inline(never)]
fn next(n: u64) -> u64 {
    if black_box(n).is_multiple_of(2) { n / 2 } else { 3 * n + 1 }
}

/// The context that is stepped through; None before the first step.
pub struct Walk(Option<Context>);

/// A context that does not run, and its stack.
struct Context {
    frame: Box<Frame>,
    stack: Stack,
}

/// A stack aligned to twice its size, of which the upper half is used: the vectors' check for overflow needs that.
struct Stack(*mut u8);

impl Stack {
    const LAYOUT: Layout = match Layout::from_size_align(2 * STACK_SIZE, 2 << STACK_SHIFT) {
        Ok(layout) => layout,
        Err(_) => panic!("a stack's size is a power of two"),
    };

    fn new() -> Self {
        // SAFETY: the size is not 0.
        let bottom = unsafe { alloc(Self::LAYOUT) };
        if bottom.is_null() {
            handle_alloc_error(Self::LAYOUT);
        }
        Self(bottom)
    }

    fn top(&self) -> u64 {
        (self.0.addr() + 2 * STACK_SIZE) as u64
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        {
            let _off = IrqOff::new();
            kprobe::end_of_stack(self.top());
        }
        // SAFETY: allocated by `new` with this layout; the context on the stack never runs again, and owns no memory.
        unsafe { dealloc(self.0, Self::LAYOUT) }
    }
}

impl Context {
    /// A context before its first instruction.
    fn new() -> Self {
        let stack = Stack::new();
        let mut frame = Box::new(Frame::zeroed());
        frame.sp = stack.top();
        frame.pc = collatz as *const () as u64;
        Self { frame, stack }
    }
}

/// The data of the hook, on the monitor's stack while steps are made.
struct Steps {
    /// The frame of the context that does not run: first the kept context's, then the monitor's.
    other: Box<Frame>,
    walking: bool,
    left: u64,
    /// The addresses where the steps have landed. Allocated before the first step, because the hook runs in debug context.
    landed: Vec<u64>,
    in_handler: u64,
    /// The number of interrupts that were taken in the middle of a step. While steps are made, it is the value that the
    /// counter of stashes had before the first step.
    interrupts: u64,
}

/// The data of the steps that the monitor makes now.
static STEPS: AtomicPtr<Steps> = AtomicPtr::new(ptr::null_mut());

impl Walk {
    pub const fn new() -> Self {
        Self(None)
    }

    pub fn step(&mut self, count: u64, out: &mut dyn Write) -> Result<(), Error> {
        if count > LIMIT {
            return Err(Error::TooManySteps { limit: LIMIT });
        }
        let Context { frame, stack } = self.0.take().unwrap_or_else(Context::new);
        let mut steps = Steps {
            other: frame,
            walking: false,
            left: count,
            landed: Vec::with_capacity(count as usize),
            in_handler: 0,
            interrupts: 0,
        };
        STEPS.store(&raw mut steps, Relaxed);
        let result = session::step_with(hook, || ());
        STEPS.store(ptr::null_mut(), Relaxed);
        self.0 = Some(Context { frame: steps.other, stack });
        result?;
        let made = steps.landed.len();
        for (number, &pc) in steps.landed.iter().enumerate() {
            if (SHOWN..made.saturating_sub(SHOWN)).contains(&number) {
                if number == SHOWN {
                    writeln!(out, "        ... {} more ...", made - 2 * SHOWN)?;
                }
                continue;
            }
            write!(out, "  {:>5}  {pc:016x}  ", number + 1)?;
            match kprobe::original(pc) {
                Some(word) => write!(out, "{word:08x}")?,
                None => write!(out, "????????")?,
            }
            writeln!(out, "  {}", Shown(pc))?;
        }
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        writeln!(
            out,
            "  {made} step{}, {} interrupt{} taken in the middle of one, {} landed in an interrupt handler",
            plural(made as u64),
            steps.interrupts,
            plural(steps.interrupts),
            steps.in_handler
        )?;
        if steps.in_handler != 0 {
            return Err(Error::SteppedIntoHandler(steps.in_handler));
        }
        Ok(())
    }
}

/// Called after each step, in debug context. The first call swaps the monitor's context with the kept one. Every later
/// call notes where the step has landed, and the last call swaps the contexts back.
fn hook(frame: &mut DebugFrame) -> Wish {
    let steps = STEPS.load(Relaxed);
    // SAFETY: `step` has stored the pointer, and does not access the data until the steps are over.
    let Some(steps) = (unsafe { steps.as_mut() }) else { return Wish::Run };
    if !steps.walking {
        const NZCV: u64 = 0xf << 28;
        if steps.other.pstate == 0 {
            steps.other.pstate = frame.pstate & !NZCV;
        }
        mem::swap::<Frame>(frame, &mut *steps.other);
        steps.walking = true;
        steps.interrupts = stats::STASHES.here();
        return Wish::Step;
    }
    if frame.masks().contains(Daif::I) {
        steps.in_handler += 1;
    }
    steps.landed.push(frame.pc);
    steps.left -= 1;
    if steps.left != 0 {
        return Wish::Step;
    }
    steps.interrupts = stats::STASHES.here() - steps.interrupts;
    mem::swap::<Frame>(frame, &mut *steps.other);
    Wish::Run
}
