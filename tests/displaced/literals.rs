//! A literal that a simulated instruction reads hits the watchpoints that the instruction would have hit (K1, X1).

use super::{How, POSTS, Probe, masked};
use crate::differential::simd;
use crate::failed;
use crate::support::{Slot, nothing_left, watchpoint_at};
use ::slots::{Access, Cpus};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch::daif;
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::slots::{Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::watcher;
use rules::pstate::Daif;

/// A function that loads the literal 16 bytes after its first instruction, and returns X0 plus 2.
macro_rules! loads {
    ($($name:ident = $word:literal, $bytes:literal;)*) => {
        $(
            specimen! {
                fn $name(x0: u64) -> u64 {
                    concat!(".inst ", $word),
                    "add x0, x0, #1",
                    "add x0, x0, #1",
                    "ret",
                    ".quad 0x00000000fffffff0, 5",
                }
            }
        )*
        /// Each function with the name of its load and the number of bytes that the load reads.
        static LOADS: &[(&str, extern "C" fn(u64) -> u64, u64)] = &[$((stringify!($name), $name, $bytes)),*];
    };
}

loads! {
    word = 0x18000080, 4; // ldr w0
    double = 0x58000080, 8; // ldr x0
    signed_word = 0x98000080, 4; // ldrsw x0
    single = 0x1c000080, 4; // ldr s0
    vector_double = 0x5c000080, 8; // ldr d0
    quad = 0x9c000080, 16; // ldr q0
}

const ROUNDS: u64 = 10;

/// A watchpoint on the last word of the `bytes` bytes that `load` reads.
fn watched(
    load: extern "C" fn(u64) -> u64,
    bytes: u64,
    access: Access,
    what: Disposition,
) -> Result<Slot, Ended> {
    let literal = load as *const () as u64 + 16;
    Slot::on(&watchpoint_at(literal + bytes - 4, 4, access), Cpus::ALL, what)
}

static SEEN: AtomicU64 = AtomicU64::new(0);
static MASKS: AtomicU64 = AtomicU64::new(0);

fn look(_: &Hit, frame: &mut DebugFrame) {
    SEEN.store(frame.pc, Relaxed);
    MASKS.store(frame.masks().bits(), Relaxed);
}

pub fn a_simulated_literal_hits_its_watchpoints_once_an_attempt() -> Outcome {
    const MASKED: [Daif; 4] = [Daif::empty(), Daif::I.union(Daif::F), Daif::I, Daif::all()];
    const CALLS: u64 = ROUNDS * MASKED.len() as u64;
    simd::allow(true);
    for &(name, load, bytes) in LOADS {
        let at = load as *const () as u64;
        for how in How::ALL {
            SEEN.store(0, Relaxed);
            let slots = [
                watched(load, bytes, Access::Read, Disposition::Count)?,
                watched(load, bytes, Access::ReadWrite, Disposition::Call(watcher!(look)))?,
                watched(load, bytes, Access::Write, Disposition::Call(watcher!(look)))?,
            ];
            let expected = load(7);
            let probe = Probe::on(at, how)?;
            let mut hits = 1;
            let before = slots.each_ref().map(Slot::hits);
            check_eq!(
                before,
                [Some(hits), Some(hits), Some(0)],
                "a registration reads text, and no slot sees that"
            );
            for masks in MASKED {
                let mut after = Daif::empty();
                for _ in 0..ROUNDS {
                    let result = masked(masks, || {
                        let result = load(7);
                        after = daif::read();
                        result
                    });
                    check_eq!((result, after), (expected, masks), "{name}, {how:?}");
                    hits += u64::from(!masks.contains(Daif::D));
                    let due = [Some(hits), Some(hits), Some(0)];
                    check_eq!(slots.each_ref().map(Slot::hits), due, "{name}, {how:?}, {masks}");
                }
                if !masks.contains(Daif::D) {
                    check_eq!(MASKS.load(Relaxed), masks.bits(), "{name}, {how:?}");
                }
            }
            check_eq!(probe.remove(CALLS), (CALLS, 0));
            let posts = if how == How::Post { CALLS } else { 0 };
            check_eq!((SEEN.load(Relaxed), POSTS.load(Relaxed)), (at, posts), "{name}, {how:?}");
        }
    }
    Ok(())
}

static TOLD: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ENTRY: AtomicU64 = AtomicU64::new(0);

/// This client notes one number for each stop: the index of the word, plus 100 for a slot, plus 1000 for each post-handler that
/// has run. At the first two stops it asks for one step.
static CLIENT: Client = Client { tell: client, data: 0 };

fn client(_: &Client, stop: Stop, frame: &mut DebugFrame) -> Resume {
    let count = COUNT.fetch_add(1, Relaxed);
    if let Some(told) = TOLD.get(count) {
        let word = frame.pc.wrapping_sub(ENTRY.load(Relaxed)) / 4;
        let slot = if matches!(stop, Stop::Slot(_)) { 100 } else { 0 };
        told.store(slot + word + 1000 * POSTS.load(Relaxed), Relaxed);
    }
    if count < 2 { Resume::Step(Plan::One) } else { Resume::Run }
}

pub fn a_simulated_literal_stops_where_the_instruction_would() -> Outcome {
    simd::allow(true);
    for &(name, load, bytes) in LOADS {
        let at = load as *const () as u64;
        ENTRY.store(at, Relaxed);
        for how in How::ALL {
            COUNT.store(0, Relaxed);
            debugger::register(&CLIENT).map_err(failed)?;
            let outcome = watched(load, bytes, Access::Read, Disposition::STOP).and_then(|slot| {
                let probe = Probe::on(at, how)?;
                load(1);
                check_eq!((probe.remove(1), slot.hits()), ((1, 0), Some(1)), "{name}, {how:?}");
                Ok(())
            });
            debugger::unregister();
            outcome?;
            nothing_left()?;
            let told: Vec<u64> =
                TOLD.iter().take(COUNT.load(Relaxed)).map(|told| told.load(Relaxed)).collect();
            let posts = if how == How::Post { 1000 } else { 0 };
            check_eq!(told, [100, 1 + posts, 2 + posts], "{name}, {how:?}");
        }
    }
    Ok(())
}

/// If the watchpoint's handler moves the context, the instruction is not done, and the post-handler is not called.
pub fn a_simulated_literals_watchpoint_can_move_the_context() -> Outcome {
    fn skips(_: &Hit, frame: &mut DebugFrame) {
        let pc = frame.pc;
        frame.move_to(pc + 8);
    }
    simd::allow(true);
    for &(name, load, bytes) in LOADS {
        for how in How::ALL {
            let slot = watched(load, bytes, Access::Read, Disposition::Call(watcher!(skips)))?;
            let probe = Probe::on(load as *const () as u64, how)?;
            for n in 1..=ROUNDS {
                check_eq!((load(n), slot.hits()), (n + 1, Some(n)), "{name}, {how:?}");
            }
            check_eq!((probe.remove(ROUNDS), POSTS.load(Relaxed)), ((ROUNDS, 0), 0), "{name}, {how:?}");
            check!(kernel::kprobe::depth() == 0);
        }
    }
    Ok(())
}
