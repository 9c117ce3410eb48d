//! Records where a debugger's steps through a function land.

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use harness::ktest::Ended;
use kernel::debug::session::{self, Wish};
use kernel::exception::DebugFrame;

const ROOM: usize = 64;

static PCS: [AtomicU64; ROOM] = [const { AtomicU64::new(0) }; ROOM];
static LEN: AtomicUsize = AtomicUsize::new(0);
static FROM: AtomicU64 = AtomicU64::new(0);
static TO: AtomicU64 = AtomicU64::new(0);

/// Runs `body` by single steps. Returns the PCs of the steps from the first one that lands in `range` to the first one after it
/// that lands outside, which is the last of the list. So a step that lands in an interrupt's handler ends the list.
pub fn trace(range: Range<u64>, body: impl FnOnce()) -> Result<Vec<u64>, Ended> {
    FROM.store(range.start, Relaxed);
    TO.store(range.end, Relaxed);
    LEN.store(0, Relaxed);
    session::step_with(follow, body).map_err(crate::failed)?;
    let len = LEN.load(Relaxed).min(ROOM);
    Ok(PCS[..len].iter().map(|pc| pc.load(Relaxed)).collect())
}

/// The hook of [`trace`]. It is called after each step.
pub fn follow(frame: &mut DebugFrame) -> Wish {
    let inside = (FROM.load(Relaxed)..TO.load(Relaxed)).contains(&frame.pc);
    let len = LEN.load(Relaxed);
    if len == 0 && !inside {
        return Wish::Step;
    }
    if let Some(pc) = PCS.get(len) {
        pc.store(frame.pc, Relaxed);
    }
    LEN.store(len + 1, Relaxed);
    if inside { Wish::Step } else { Wish::Run }
}
