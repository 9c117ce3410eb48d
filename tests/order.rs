//! Handlers that record the order in which they are called.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::exception::DebugFrame;
use kernel::kprobe::{Instance, Kprobe, ReturnProbe, Then};

/// The digits that were noted, as one decimal number; the latest digit is the lowest.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// Runs `call`. Returns its result and the digits that were noted meanwhile, the latest as the lowest. There is one number for all,
/// so only one call of this may be under way.
pub fn of<T>(call: impl FnOnce() -> T) -> (T, u64) {
    NOTED.store(0, Relaxed);
    let result = call();
    (result, NOTED.load(Relaxed))
}

/// Notes `digit`. Works in every context, but on one CPU at a time only.
pub fn note(digit: u64) {
    NOTED.store(NOTED.load(Relaxed) * 10 + digit, Relaxed);
}

/// A pre-handler that notes N.
pub fn pre<const N: u64>(_: &Kprobe, _: &mut DebugFrame) -> Then {
    note(N);
    Then::Run
}

/// A post-handler that notes N.
pub fn post<const N: u64>(_: &Kprobe, _: &mut DebugFrame) {
    note(N);
}

/// The handler that a return probe calls at the function's entry; it notes N.
pub fn entered<const N: u64>(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) -> bool {
    note(N);
    true
}

/// The handler that a return probe calls at the function's return; it notes N.
pub fn returned<const N: u64>(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    note(N);
}
