//! Code and data that are hit, and the probes and slots that are set on them during a measurement.

use ::slots::{Access, Cpus, Kind, Privilege, Request, SlotId};
use alloc::vec::Vec;
use core::arch::{asm, naked_asm};
use core::fmt::Display;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::slots::{self, Disposition};
use kernel::exception::{DebugFrame, brk};
use kernel::kprobe::{
    self, Instance, Kprobe, PostHandler, PreHandler, ReturnProbe, Then, Wanted, WantedReturn,
};
use kernel::percpu;

/// A BRK whose handler does nothing but go on behind it, so that only the entry and exit code is measured.
#[inline(always)]
pub fn empty_brk() {
    // SAFETY: the handler goes on behind the BRK, and leaves all registers as they were.
    unsafe { asm!("brk #{}", const brk::EMPTY, options(nostack, preserves_flags)) }
}

/// A function of two instructions. A probe runs the first one out of line.
#[unsafe(naked)]
pub extern "C" fn target() {
    naked_asm!("add x0, x0, #1", "ret")
}

/// A function of two instructions. A probe simulates the first one.
#[unsafe(naked)]
pub extern "C" fn branch() {
    naked_asm!("b 2f", "2: ret")
}

/// Text and data that are never executed or written, for slots that are never hit.
#[unsafe(naked)]
extern "C" fn elsewhere() {
    naked_asm!(".rept 64", "nop", ".endr", "ret")
}
static ELSEWHERE: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

static WATCHED: AtomicU64 = AtomicU64::new(0);

/// Writes the word that [`on_watched`] watches.
#[inline(always)]
pub fn write_watched() {
    WATCHED.store(1, Relaxed);
}

/// A pre-handler that skips the instruction.
pub fn skip(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    frame.pc += 4;
    Then::Skip
}

/// A pre-handler that does nothing.
pub fn run_on(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Then::Run
}

/// A post-handler that does nothing.
pub fn after(_: &Kprobe, _: &mut DebugFrame) {}

/// Returns the value of `result`. Without that value nothing can be measured.
///
/// # Panics
/// On an error.
pub fn must<T>(result: Result<T, impl Display>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("bench: {error}"),
    }
}

/// Runs `work` with a probe on the first instruction of `function`.
pub fn with_probe<R>(
    function: extern "C" fn(),
    pre: PreHandler,
    post: Option<PostHandler>,
    work: impl FnOnce() -> R,
) -> R {
    let address = function as *const () as u64;
    must(kprobe::register(address, Some(pre), post));
    let result = work();
    must(kprobe::unregister(address));
    result
}

/// Runs `work` with an optimised probe on the first instruction of `function`.
pub fn with_optimised<R>(function: extern "C" fn(), pre: PreHandler, work: impl FnOnce() -> R) -> R {
    let wanted = Wanted { pre: Some(pre), optimise: Some(true), ..Wanted::at(function as *const () as u64) };
    let probes = must(kprobe::register_all([wanted]));
    assert!(probes[0].how() == "optimised", "bench: the probe is {}", probes[0].how());
    let result = work();
    kprobe::remove_all(&probes);
    result
}

/// Runs `work` with a return probe on `function`, whose handler does nothing.
pub fn with_return_probe<R>(function: extern "C" fn(), work: impl FnOnce() -> R) -> R {
    fn returned(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {}
    let (address, instances) = (function as *const () as u64, kprobe::DEFAULT_INSTANCES);
    let wanted = WantedReturn { address, entry: None, handler: returned, instances };
    let probe = must(kprobe::register_return(&wanted));
    let result = work();
    kprobe::remove_return(probe);
    result
}

/// A breakpoint on [`target`].
pub fn on_target() -> Request {
    Request::Breakpoint { address: target as *const () as u64, privilege: Privilege::El1 }
}

/// A watchpoint on what [`write_watched`] writes.
pub fn on_watched() -> Request {
    watch(&WATCHED)
}

fn watch(word: &AtomicU64) -> Request {
    let (length, access, privilege) = (8, Access::Write, Privilege::El1);
    Request::Watchpoint { address: core::ptr::from_ref(word) as u64, length, access, privilege }
}

/// Sets a slot on this CPU alone.
pub fn install(request: &Request) -> SlotId {
    must(slots::install(request, Cpus::of(percpu::index() as u32), Disposition::Count))
}

/// Removes a slot that [`install`] has set.
pub fn remove(id: SlotId) {
    must(slots::remove(id));
}

/// Runs `work` with a slot set on all CPUs.
pub fn with_slot<R>(request: &Request, work: impl FnOnce() -> R) -> R {
    let id = must(slots::install(request, Cpus::ALL, Disposition::Count));
    let result = work();
    remove(id);
    result
}

/// Runs `work` while all slots of the CPU are in use except `spare` of each kind. None of the slots in use is hit.
pub fn with_others<R>(spare: u8, work: impl FnOnce() -> R) -> R {
    let set = |kind, request: &dyn Fn(usize) -> Request| {
        let count = slots::count(kind) - spare;
        (0..usize::from(count)).map(|n| install(&request(n))).collect::<Vec<_>>()
    };
    let code = elsewhere as *const () as u64;
    let breakpoint = |n| Request::Breakpoint { address: code + 4 * n as u64, privilege: Privilege::El1 };
    let breakpoints = set(Kind::Breakpoint, &breakpoint);
    let watchpoints = set(Kind::Watchpoint, &|n| watch(&ELSEWHERE[n]));
    let result = work();
    breakpoints.into_iter().chain(watchpoints).for_each(remove);
    result
}
