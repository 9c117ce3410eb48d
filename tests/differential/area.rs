//! An area of text in which any one instruction can be executed, and its result be caught.
//!
//! Every word of the area except the instruction under test is a UDF. Wherever the instruction branches to, the next exception
//! saves all registers in its frame. An exception of the instruction itself does the same, and so does a branch to a PC which
//! cannot be executed. A run therefore begins and ends in [`caught`], and only the instruction under test is executed in between.

use super::state::{Came, Registers, State};
use alloc::boxed::Box;
use core::arch::global_asm;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{AcqRel, Acquire, Release},
};
use kernel::debug::record;
use kernel::exception::Frame;
use kernel::mm::{fault, layout};
use kernel::percpu;

/// How many words of UDF the area begins with.
pub const LANDINGS: u64 = 1000;
/// How many words of data for literals follow the words of UDF.
pub const POOL: u64 = 24;

// This text belongs to no function. The registration of a probe also looks at the instructions around the probed one, and here
// those are the same for every sample.
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

/// An unmapped address that most branches in the area can reach: it is in front of the image.
pub fn unmapped() -> u64 {
    layout::image_start() as u64 - 0x4000
}

/// During a run, SP is this many bytes below the SP of [`launch`]. Exceptions of the run are taken below the run's SP; the memory
/// above that SP belongs to the run.
const BELOW: u64 = 10 * 1024;

/// How many doublewords from its SP upwards belong to the run.
pub const STACK: usize = 256;

/// One execution of the word at `slot` from `state`.
struct Run {
    cpu: usize,
    slot: u64,
    state: *const State,
    /// The registers of [`launch`], once the run has begun. `caught` goes back to them at the end.
    home: Option<Registers>,
    /// The registers at the exception that ended the run.
    end: Option<Registers>,
    /// The run's memory at its end, from the SP upwards that the run began with.
    stack: [u64; STACK],
}

static RUN: AtomicPtr<Run> = AtomicPtr::new(core::ptr::null_mut());

/// Runs the word at address `slot` once, from `state`. Thread context. None if the run never began or never ended.
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
    /// [`caught`] takes the fault of the UDF, and sends the context to the instruction under test. At the end of the run, `caught`
    /// sends the context to the RET.
    fn launch() {
        "udf #0xd1ff", "ret"
    }
}

fn caught(frame: &mut Frame) -> bool {
    // SAFETY: `run` has stored the pointer, and does not return before the run is over; only one handler at a time is past the
    // check of the CPU.
    let Some(run) = (unsafe { RUN.load(Acquire).as_mut() }) else { return false };
    let launched = frame.pc == crate::address_of!(launch);
    // A fault elsewhere in the kernel's text, foreseen or not, does not belong to the run: no branch of a run leads there.
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
            record::foreign();
            frame.pstate = frame.pstate & !State::PSTATE | state.pstate;
            frame.move_to(run.slot);
            // SAFETY: this part of the stack is far below everything that is in use, also by this handler.
            unsafe { core::ptr::copy_nonoverlapping(state.stack.as_ptr(), frame.sp as *mut u64, STACK) };
        }
        Some(home) if run.end.is_none() => {
            // SAFETY: the same part of the stack. What the run has pushed is below it.
            run.stack = unsafe { *((home.sp - BELOW) as *const [u64; STACK]) };
            run.end = Some(Registers::of(frame));
            frame.x = home.x;
            frame.sp = home.sp;
            record::foreign();
            frame.pstate = home.pstate;
            frame.move_to(home.pc + 4);
        }
        _ => return false,
    }
    true
}
