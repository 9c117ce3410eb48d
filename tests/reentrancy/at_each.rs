//! Runs an operation once for each of its instructions, with a probe on that instruction whose handler calls another operation.
//!
//! Masking D, A, I and F does not keep a BRK away (rule I8), so the instructions of masked sections are tried like all others. To
//! find the instructions, the operation is first run with a counting probe on every instruction of the functions that it can call.
//!
//! An operation has hundreds of instructions, and each needs a run of its own. So machines that run the same suites share them: the
//! boot argument `share=` says which of them this machine tries.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use harness::ktest::{Ended, Outcome};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then, Wanted};
use kernel::mm::layout;
use kernel::options;
use kernel::percpu;
use kernel::report::symbols::{self, Kind, Shown, Symbol};

/// An operation, and what a probe's handler does in the middle of it.
pub struct Subject {
    /// The operation. Its own instructions and those of all functions that it calls by name are tried.
    pub outer: fn(),
    /// What the handler does, in debug context (rule M12).
    pub nested: fn(),
    /// Functions that `outer` reaches by other ways than a call by name: the beginnings of their symbols' names.
    pub also: &'static [&'static str],
    /// Puts everything into the state that each run of `outer` begins with.
    pub prepare: fn(),
    /// Checks the result of a run of `outer`. The argument says how often `nested` was called in the middle of that run.
    pub check: fn(u64) -> Outcome,
}

/// How many hits of one probe call `nested` in one run. Further hits, which a loop can make, do nothing.
const CALLS: u64 = 3;
/// No subject has more instructions than this: a longer one would take too long.
const MOST: usize = 40_000;

/// On which CPU the handler acts; `usize::MAX`: on none.
static ARMED: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The address of the probe whose handler acts.
static CHOSEN: AtomicU64 = AtomicU64::new(0);
static NESTED: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static CALLED: AtomicU64 = AtomicU64::new(0);

fn act(probe: &Kprobe, _: &mut DebugFrame) -> Then {
    if probe.address == CHOSEN.load(Relaxed)
        && ARMED.load(Acquire) == percpu::index()
        && CALLED.load(Relaxed) < CALLS
    {
        CALLED.fetch_add(1, Relaxed);
        // SAFETY: `try_each` stored it, and it is a `fn()`.
        let nested: fn() = unsafe { core::mem::transmute(NESTED.load(Relaxed)) };
        nested();
    }
    Then::Run
}

/// Tries every instruction of this machine's share. Fails if the operation has fewer than `least` instructions, because a subject
/// whose code is no longer found would pass otherwise.
pub fn try_each(subject: &Subject, least: usize) -> Outcome {
    let share = options::get().share;
    let all = executed(subject)?;
    let executed: Vec<u64> =
        share.boundaries(0, all.len() as u64).filter_map(|index| all.get(index as usize).copied()).collect();
    let least = (least / share.of() as usize).max(1);
    NESTED.store(subject.nested as *mut (), Relaxed);
    // All probes are placed once. From then on only [`CHOSEN`] changes, which costs nothing.
    let wanted = executed.iter().map(|&address| Wanted { pre: Some(act), ..Wanted::at(address) });
    let probes = kprobe::register_all(wanted).map_err(crate::failed)?;
    let mut tried = 0;
    let mut outcome = Ok(());
    for &address in &executed {
        (subject.prepare)();
        CHOSEN.store(address, Relaxed);
        CALLED.store(0, Relaxed);
        ARMED.store(percpu::index(), Release);
        (subject.outer)();
        ARMED.store(usize::MAX, Release);
        let called = CALLED.load(Relaxed);
        tried += usize::from(called != 0);
        outcome = (subject.check)(called).map_err(|ended| match ended {
            Ended::Failed(why) => {
                Ended::Failed(format!("{called} times in the middle of it, at {}: {why}", Shown(address)))
            }
            skipped @ Ended::Skipped(_) => skipped,
        });
        if outcome.is_err() {
            break;
        }
    }
    kprobe::remove_all(&probes);
    outcome?;
    if tried < least {
        let found = executed.len();
        return Err(Ended::Failed(format!("{tried} instructions tried of {found}, {least} are too few")));
    }
    Ok(())
}

/// The instructions that one run of the operation executes, as far as they can be probed.
fn executed(subject: &Subject) -> Result<Vec<u64>, Ended> {
    let functions = functions(subject);
    let instructions =
        || functions.iter().flat_map(|&(start, end)| (start..end).step_by(4)).filter(|&at| can_be_probed(at));
    if instructions().count() > MOST {
        return Err(Ended::Failed(format!("{} instructions are too many", instructions().count())));
    }
    let probes = kprobe::register_possible(instructions().map(Wanted::at), |_, _| ());
    let executions = |probe: &Kprobe| probe.hits() + probe.missed();
    (subject.prepare)();
    // The memory is allocated before the counts are read, because the probes may be in the allocator.
    let mut before = Vec::with_capacity(probes.len());
    before.extend(probes.iter().map(|probe| executions(probe)));
    (subject.outer)();
    let mut after = Vec::with_capacity(probes.len());
    after.extend(probes.iter().map(|probe| (probe.address, executions(probe))));
    kprobe::remove_all(&probes);
    (subject.check)(0)?;
    let hit = after.iter().zip(&before).filter(|((_, after), before)| after != *before);
    Ok(hit.map(|(&(address, _), _)| address).collect())
}

fn can_be_probed(address: u64) -> bool {
    (layout::noprobe_text_end() as u64..layout::text_end() as u64).contains(&address)
}

/// The start and the end of each function that the operation may run.
fn functions(subject: &Subject) -> BTreeSet<(u64, u64)> {
    let range = |symbol: Symbol| (symbol.address, symbol.address + symbol.size);
    let mut left: Vec<(u64, u64)> = symbols::all()
        .filter(|symbol| {
            symbol.kind == Kind::Text && subject.also.iter().any(|name| symbol.name.starts_with(name))
        })
        .map(range)
        .collect();
    left.extend(symbols::at(subject.outer as *const () as u64).map(range));
    let mut known = BTreeSet::new();
    while let Some((start, end)) = left.pop() {
        if !known.insert((start, end)) {
            continue;
        }
        for at in (start..end).step_by(4) {
            let target = kprobe::original(at).and_then(|word| branch(at, word));
            if let Some(target) = target.filter(|to| !(start..end).contains(to) && can_be_probed(*to)) {
                left.extend(symbols::at(target).filter(|symbol| is_followed(symbol.name)).map(range));
            }
        }
    }
    known
}

/// Whether a function's instructions are tried, too. Functions that end the kernel, and those that format its report, are left out.
fn is_followed(name: &str) -> bool {
    let ends = ["core::panicking", "core::fmt", "<core::fmt", "kernel::exception", "core::str", "alloc::fmt"];
    !ends.iter().any(|end| name.starts_with(end)) && !name.contains("as core::fmt::")
}

/// Where a B or BL at `at` goes (DDI 0487 C6.2).
fn branch(at: u64, word: u32) -> Option<u64> {
    let offset = i64::from((word << 6) as i32 >> 6) * 4;
    (word & 0x7c00_0000 == 0x1400_0000).then(|| at.wrapping_add_signed(offset))
}
