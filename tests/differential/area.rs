//! An area of text in which any one instruction can be executed, and its result be caught.
//!
//! Every word of the area except the instruction under test is a UDF. Wherever the instruction branches to, the next exception saves all
//! registers in its frame. So does an exception of the instruction itself, and that of a PC which cannot be executed. A run
//! therefore begins and ends in [`caught`], and only the instruction is executed in between.

use super::state::{Came, Registers, State};
use alloc::boxed::Box;
use core::arch::global_asm;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire, Release},
};
use kernel::exception::Frame;
use kernel::mm::{fault, layout};
use kernel::percpu;

/// Words of UDF in the area.
pub const LANDINGS: u64 = 1000;
/// Words of data behind them, for literals.
pub const POOL: u64 = 24;

// No function: what surrounds an instruction is looked at when a probe is placed, and here it is the same for all.
global_asm!(
    ".pushsection .text.differential, \"ax\"",
    ".balign 4096",
    ".globl differential_area",
    "differential_area:",
    ".set n, 0",
    ".rept {LANDINGS}",
    ".inst n", // udf #n
    ".set n, n + 1",
    ".endr",
    ".rept {POOL} / 4",
    ".quad 0x8badf00dcafe0000, 0x7ffffffe80000001",
    ".endr",
    ".popsection",
    LANDINGS = const LANDINGS,
    POOL = const POOL,
);

/// The address of a word of the area.
pub fn word(index: u64) -> u64 {
    unsafe extern "C" {
        static differential_area: u32;
    }
    (&raw const differential_area).addr() as u64 + index * 4
}

/// Where nothing is mapped, in reach of most branches from the area: in front of the image.
pub fn unmapped() -> u64 {
    layout::image_start() as u64 - 0x4000
}

/// SP of what is run is this much below that of who runs it: exceptions are taken on it, and the memory above it is the run's.
const BELOW: u64 = 10 * 1024;

/// Doublewords of memory that is the run's, from its SP up.
pub const STACK: usize = 256;

/// A run.
struct Run {
    cpu: usize,
    slot: u64,
    state: *const State,
    /// Of who runs it, while it runs.
    home: Option<Registers>,
    /// What it came to.
    end: Option<Registers>,
    /// The memory above where SP was, then.
    stack: [u64; STACK],
}

static RUN: AtomicPtr<Run> = AtomicPtr::new(core::ptr::null_mut());

/// Runs the word at `slot` once, from `state`. Thread context. None if it never began.
#[inline(never)]
pub fn run(slot: u64, state: &State) -> Option<Came> {
    let mut run =
        Box::new(Run { cpu: percpu::index(), slot, state, home: None, end: None, stack: [0; STACK] });
    state.put();
    RUN.store(&raw mut *run, Release);
    fault::catch(Some(caught));
    launch();
    fault::catch(None);
    RUN.swap(core::ptr::null_mut(), AcqRel);
    let sp = run.home?.sp - BELOW;
    Some(Came::new(run.end?, sp, &run.stack))
}

specimen! {
    /// Its fault begins the run; the end of the run is its return.
    fn launch() {
        "udf #0xd1ff", "ret"
    }
}

fn caught(frame: &mut Frame) -> bool {
    // SAFETY: `run` stored it, and stays until the run is over; only one handler at a time is past the check of the CPU.
    let Some(run) = (unsafe { RUN.load(Acquire).as_mut() }) else { return false };
    let launched = frame.pc == crate::address_of!(launch);
    // What faults elsewhere in the kernel's text, foreseen or not, is not the run: no branch of it leads there.
    let text = layout::text_start() as u64..layout::text_end() as u64;
    let area = word(0)..word(LANDINGS + POOL);
    if run.cpu != percpu::index() || (text.contains(&frame.pc) && !area.contains(&frame.pc) && !launched) {
        return false;
    }
    match run.home {
        None if launched => {
            run.home = Some(Registers::of(frame));
            // SAFETY: as for `run` itself.
            let state = unsafe { &*run.state };
            frame.x = state.x;
            frame.sp -= BELOW;
            frame.pstate = frame.pstate & !State::PSTATE | state.pstate;
            frame.move_to(run.slot);
            // SAFETY: this much of the stack is far below all that is in use, of this handler too.
            unsafe { core::ptr::copy_nonoverlapping(state.stack.as_ptr(), frame.sp as *mut u64, STACK) };
        }
        Some(home) if run.end.is_none() => {
            // SAFETY: as above; what the run has pushed is below.
            run.stack = unsafe { *((home.sp - BELOW) as *const [u64; STACK]) };
            run.end = Some(Registers::of(frame));
            frame.x = home.x;
            frame.sp = home.sp;
            frame.pstate = home.pstate;
            frame.move_to(home.pc + 4);
        }
        _ => return false,
    }
    true
}
