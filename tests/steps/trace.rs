//! Records the instructions that a function executes, one step after the other.

use crate::failed;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use harness::ktest::Ended;
use kernel::debug::session::{self, Wish};
use kernel::exception::{DebugFrame, Frame};
use kernel::percpu::PerCpu;
use rules::pstate::Daif;

const LENGTH: usize = 128;

struct Recorder {
    entry: AtomicU64,
    /// The address that the function returns to; 0 before the function is entered.
    back: AtomicU64,
    steps: AtomicUsize,
    ended: AtomicBool,
    pcs: [AtomicU64; LENGTH],
    masks: [AtomicU64; LENGTH],
    each: AtomicUsize,
}

static RECORDER: PerCpu<Recorder> = kernel::per_cpu!(Recorder {
    entry: AtomicU64::new(0),
    back: AtomicU64::new(0),
    steps: AtomicUsize::new(0),
    ended: AtomicBool::new(false),
    pcs: [const { AtomicU64::new(0) }; LENGTH],
    masks: [const { AtomicU64::new(0) }; LENGTH],
    each: AtomicUsize::new(0),
});

/// What was recorded between a function's entry and its return.
pub struct Trace {
    /// The address of the function's first instruction.
    pub entry: u64,
    /// The PC and the masks at each step. Only the first [`LENGTH`] steps are kept.
    pub pcs: Vec<(u64, Daif)>,
    /// How many steps there were.
    pub steps: usize,
    /// Whether the function was stepped to its return.
    pub complete: bool,
}

impl Trace {
    /// The PCs as numbers of words from the entry.
    pub fn words(&self) -> Vec<i64> {
        self.pcs.iter().map(|(pc, _)| pc.wrapping_sub(self.entry) as i64 / 4).collect()
    }
}

/// A function that is called at each recorded step, in debug context.
pub type Each = fn(&Frame);

fn nothing(_: &Frame) {}

fn record(frame: &mut DebugFrame) -> Wish {
    let recorder = RECORDER.this();
    let back = recorder.back.load(Relaxed);
    if back == 0 {
        if frame.pc != recorder.entry.load(Relaxed) {
            return Wish::Step;
        }
        recorder.back.store(frame.x[30], Relaxed);
    } else if frame.pc == back {
        recorder.ended.store(true, Relaxed);
        return Wish::Run;
    }
    let step = recorder.steps.fetch_add(1, Relaxed);
    if step < LENGTH {
        recorder.pcs[step].store(frame.pc, Relaxed);
        recorder.masks[step].store(frame.masks().bits(), Relaxed);
    }
    // SAFETY: `trace_with` stored an `Each`.
    let each: Each = unsafe { core::mem::transmute(recorder.each.load(Relaxed)) };
    each(frame);
    // A function under test is never in no-probe text, so a step there has landed in an exception's handler. That ends the trace.
    if in_no_probe_text(frame.pc) { Wish::Run } else { Wish::Step }
}

/// Whether `pc` is in no-probe text, where the handlers of exceptions begin.
pub fn in_no_probe_text(pc: u64) -> bool {
    use kernel::mm::layout::{noprobe_text_end, noprobe_text_start};
    (noprobe_text_start() as u64..noprobe_text_end() as u64).contains(&pc)
}

/// Steps through `body`, which calls the function at `entry`, and records the steps of that function. Calls `each` at each of them.
pub fn trace_with(entry: u64, each: Each, body: impl FnOnce()) -> Result<Trace, Ended> {
    let recorder = RECORDER.this();
    recorder.entry.store(entry, Relaxed);
    recorder.back.store(0, Relaxed);
    recorder.steps.store(0, Relaxed);
    recorder.ended.store(false, Relaxed);
    recorder.each.store(each as usize, Relaxed);
    session::step_with(record, body).map_err(failed)?;
    let steps = recorder.steps.load(Relaxed);
    let recorded = recorder.pcs.iter().zip(&recorder.masks).take(steps);
    Ok(Trace {
        entry,
        pcs: recorded.map(|(pc, masks)| (pc.load(Relaxed), Daif::of(masks.load(Relaxed)))).collect(),
        steps,
        complete: recorder.ended.load(Relaxed),
    })
}

/// Like [`trace_with`], but calls nothing at the steps.
pub fn trace(entry: u64, body: impl FnOnce()) -> Result<Trace, Ended> {
    trace_with(entry, nothing, body)
}
