//! Handlers that record the order in which they are called.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::exception::DebugFrame;
use kernel::kprobe::{Instance, Kprobe, ReturnProbe, Then};

/// Decimal digits, the latest the lowest.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// What `call` returns, and the digits that were noted in it, the latest the lowest. One at a time.
pub fn of<T>(call: impl FnOnce() -> T) -> (T, u64) {
    NOTED.store(0, Relaxed);
    let result = call();
    (result, NOTED.load(Relaxed))
}

/// Any context, on one CPU at a time.
pub fn note(digit: u64) {
    NOTED.store(NOTED.load(Relaxed) * 10 + digit, Relaxed);
}

/// A pre-handler.
pub fn pre<const N: u64>(_: &Kprobe, _: &mut DebugFrame) -> Then {
    note(N);
    Then::Run
}

/// A post-handler.
pub fn post<const N: u64>(_: &Kprobe, _: &mut DebugFrame) {
    note(N);
}

/// A return probe's handler of calls.
pub fn entered<const N: u64>(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) -> bool {
    note(N);
    true
}

/// A return probe's handler of returns.
pub fn returned<const N: u64>(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    note(N);
}
