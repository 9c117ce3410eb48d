//! Exclusive sequences (rule H9): LDXR or LDAXR, a few instructions, STXR or STLXR, and a branch back to the
//! load-exclusive if the store has failed.
//!
//! The return from every exception clears the exclusive monitor (DDI 0487 B2, "Synchronization and semaphores"), so a
//! sequence that is stepped, or stepped over, one instruction at a time never ends. In this module a whole *attempt* is one step: from the load-exclusive to the
//! store-exclusive and past it, or to where the code leaves the sequence earlier. The handler of the exception at the
//! load-exclusive executes the attempt itself, by `probe::sequence`, and moves the frame past the attempt.
//!
//! # Why in the handler
//!
//! - *Exact*. The handler reaches memory by a native load-exclusive/store-exclusive pair, with nothing between the two
//!   but comparisons and the sequence's own ordinary accesses, so other CPUs that contend for the word see what they
//!   always see. The rest is data processing on registers. `probe::sequence` says why the result is that of the
//!   sequence itself.
//! - *No slot is needed*, and none has to be suspended: debug exceptions are masked while the handler makes the
//!   accesses, so all slots may be in use, and a slot's step-over is over when the handler returns. The alternative, to
//!   let the context run to temporary breakpoints at the exits, would need free slots; and a sequence that waits for a
//!   value would stay on the stash and keep the CPU from rescheduling (M8).
//! - *No text is written*. A copy of the sequence with its exits replaced would need executable memory that is written
//!   in debug context.
//! - *Interrupts need no care*. An attempt is bounded ([`MAX_INSTRUCTIONS`](probe::sequence::MAX_INSTRUCTIONS),
//!   restarted at most [`MAX_RESTARTS`](probe::sequence::MAX_RESTARTS) times). An interrupt that comes meanwhile is
//!   taken when the handler returns, before the debugger is told of the step, as between any two steps (M8, M13).
//!
//! The price: a sequence may only have instructions that `probe::sequence` can execute. These are all general-purpose
//! data processing of Armv8.0, and the ordinary loads and stores of general-purpose registers. The context *runs free*
//! if a sequence has another instruction, if the way to its store-exclusive cannot be followed, or if one of its
//! accesses faults. Until its next exception, a context that runs free is not stepped, and the slots that were hit stay
//! suspended. This exception is an interrupt (at the latest the tick, once interrupts are on), or a fault, whose
//! handler a debugger's step then goes into. [`stats::FREE_RUNS`] counts each free run, and the debugger is told
//! ([`Stepped::Free`]). So the code always makes progress.
//!
//! # What is counted
//!
//! A slot counts one hit for each attempt that accesses the slot's range in the way (load or store) that the slot
//! matches:
//! - A slot that matches loads is hit by the load-exclusive. The store-exclusive of the same attempt is no second hit.
//!   If the code makes another attempt, because the store has failed or because it waits for a value, that is another
//!   hit. If another CPU changes the value before the handler's native pair, the handler restarts the attempt. Such
//!   restarts are no hits: the code never sees them.
//! - A slot that matches stores only is hit by the store-exclusive, even if the store fails. In an attempt that the
//!   handler executes, `account` counts this hit. In an attempt that runs natively, the hit is an exception at the
//!   store-exclusive, which has cleared the monitor. So the store is reported to the code as failed, which the
//!   architecture allows, and the code tries again. All later attempts would fail in the same way. So the handler
//!   *widens* the slot: from then on the slot matches loads too on this CPU. The next load-exclusive therefore hits the
//!   slot, and the handler executes this next attempt. The attempt is made only because the store was reported as
//!   failed, so this slot does not count it. When the attempt has reached its store, or has left the sequence, the slot is
//!   *narrowed*: it matches only stores again. If a load that is no load-exclusive hits a widened slot, the load is
//!   stepped over and not counted.
//! - If some slot is hit at the load-exclusive, the exception's handler executes the whole attempt. So the handler of a
//!   store-only slot on the same word is called when the attempt is over, and sees the registers as they are then.
//! - A slot on another word, which an *ordinary* load or store between the exclusives hits, counts one hit for each
//!   attempt, too. The exception of such a hit clears the monitor, and would do so in every attempt. So [`hit`] executes
//!   the rest of this attempt, whose store fails, and the whole next attempt. The next attempt is made only because of
//!   the hit, so this slot does not count it.
//!
//! A breakpoint on the load-exclusive itself is permitted and counts attempts; a breakpoint behind the load-exclusive
//! in the sequence is refused ([`check`]).

mod memory;
mod text;

pub use text::{check, is_in_sequence, is_load, is_near, listed, survey, word_at};

use super::client::Stepped;
use super::cpu::MaskedCpu;
use super::{slots, stats, step};
use crate::exception::{DebugFrame, Frame};
use ::slots::{Kind, SlotMask, WatchHit};
pub use memory::Native;
use probe::sequence::{self, Accesses, Done, End, Registers, Stuck};
use probe::{is_load_exclusive, is_store_exclusive};
use rules::step::{Owners, StepError};

/// The most attempts that one step of the debugger executes while the sequence waits for a value from another CPU.
pub const ROUNDS: u32 = 64;

/// How many attempts may end with [`End::Doubtful`] at one PC before another PC's attempt does. After the next such attempt the context
/// runs free once.
const DOUBTS: u32 = 8;

/// What became of a sequence.
pub enum Sequence {
    /// At least one attempt was executed: the frame is past the last attempt, or at the load-exclusive again.
    Done,
    /// No store-exclusive belongs to the load-exclusive, which can be stepped like any other instruction.
    Plain,
    /// The sequence cannot be executed as one step. The frame has not changed, with one exception: if the attempt was
    /// one more than `DOUBTS` permits, and has made ordinary stores, the frame is behind that attempt.
    Stuck(Stuck),
}

/// Deals with slots that were hit in an exclusive sequence, in the handler of their exception. Returns false, and has
/// done nothing, if the instruction is to be stepped over like any other.
#[cold]
#[inline(never)]
pub fn hit(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, hits: SlotMask) -> bool {
    let word = word_at(frame.pc);
    if is_load_exclusive(word) {
        at_load(cpu, frame, kind, hits);
    } else if kind == Kind::Breakpoint {
        // Such a breakpoint is refused, unless a test has overridden rule H9.
        return false;
    } else if is_store_exclusive(word) {
        at_store(cpu, frame, hits);
    } else {
        at_ordinary(cpu, frame, hits);
    }
    true
}

/// The load-exclusive was hit: counts the hits, and executes the attempt.
fn at_load(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, hits: SlotMask) {
    let pc = frame.pc;
    // The hit of a widened slot was counted at the store-exclusive of the last attempt, so it is not counted here.
    let quiet = if kind == Kind::Watchpoint {
        store_only(cpu, slots::widened_among(cpu, hits))
    } else {
        SlotMask::EMPTY
    };
    tell(cpu, frame, kind, hits.without(quiet));
    if frame.pc != pc {
        return;
    }
    let counted = if kind == Kind::Watchpoint { with_mates(cpu, hits) } else { SlotMask::EMPTY };
    let outcome = run_counted(cpu, frame, 1, counted);
    if matches!(outcome, Sequence::Done) {
        return;
    }
    for index in hits {
        slots::suspend_whole(cpu, kind, index);
    }
    // Both calls fail only if D is masked, and D is open in a context that hits slots.
    let _ = match outcome {
        Sequence::Stuck(why) => run_free(cpu, frame, Owners::STEP_OVER, why),
        _ => step::request(cpu, frame, Owners::STEP_OVER),
    };
}

/// An ordinary access between the exclusives has hit. The return from its exception clears the monitor. So this executes the rest
/// of the attempt, whose store-exclusive fails, and then the whole next attempt.
fn at_ordinary(cpu: &MaskedCpu, frame: &mut DebugFrame, hits: SlotMask) {
    let pc = frame.pc;
    tell(cpu, frame, Kind::Watchpoint, hits);
    if frame.pc != pc {
        return;
    }
    let hits = with_mates(cpu, hits);
    let mut registers = registers(frame);
    let (accesses, at_load) = sequence::resume(&mut registers, &mut Native);
    if registers.pc != pc {
        let others = touched_by(cpu, &accesses).without(hits);
        count(cpu, others);
        put(frame, &registers);
        tell_late(cpu, frame, others);
        let moved = frame.pc != registers.pc;
        if moved || !at_load || matches!(run_counted(cpu, frame, 1, hits), Sequence::Done) {
            return;
        }
    }
    for index in hits {
        slots::suspend_whole(cpu, Kind::Watchpoint, index);
    }
    // `run_free` fails only if D is masked, and D is open in a context that hits slots.
    let _ = run_free(cpu, frame, Owners::STEP_OVER, Stuck::Unknown);
}

/// The store-exclusive has hit. The return from its exception clears the monitor, so the store is reported as failed.
/// The slots that match stores only are widened, so that the next attempt is caught at its load-exclusive.
fn at_store(cpu: &MaskedCpu, frame: &mut DebugFrame, hits: SlotMask) {
    let pc = frame.pc;
    tell(cpu, frame, Kind::Watchpoint, hits);
    if frame.pc != pc {
        return;
    }
    let status = sequence::status_register(word_at(pc));
    if let Some(x) = frame.x.get_mut(status as usize) {
        *x = 1;
    }
    frame.move_to(pc + 4);
    for index in store_only(cpu, with_mates(cpu, hits)) {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
            slots::widen(cpu, record.id);
        }
    }
}

/// Counts a hit of each slot in `hits`, and calls the slot's handler if it has one.
fn tell(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, hits: SlotMask) {
    for index in hits {
        if let Some(record) = slots::record(cpu, kind, index) {
            cpu.hits.count(kind, index);
            slots::dispose(frame, &record);
        }
    }
}

/// Executes the sequence whose load-exclusive is at the frame's PC. As long as the code goes back to the
/// load-exclusive, further attempts follow, up to `rounds` in all. Debug context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn run(cpu: &MaskedCpu, frame: &mut DebugFrame, rounds: u32) -> Sequence {
    run_counted(cpu, frame, rounds, SlotMask::EMPTY)
}

/// As [`run`]. `counted` has the watchpoints whose hit by the first attempt the caller has counted already.
fn run_counted(cpu: &MaskedCpu, frame: &mut DebugFrame, rounds: u32, mut counted: SlotMask) -> Sequence {
    let start = frame.pc;
    let mut registers = registers(frame);
    let mut late = SlotMask::EMPTY;
    let (mut made, mut instructions) = (0, 0);
    let end = loop {
        match sequence::attempt(&mut registers, &mut Native) {
            Err(Stuck::NoStore) if made == 0 => return Sequence::Plain,
            Err(why) if made == 0 => return Sequence::Stuck(why),
            // The attempts before this one count: the last of them has ended at the load-exclusive.
            Err(_) => break End::Again,
            Ok(done) if made == 0 && is_too_doubtful(cpu, start, done.end) => {
                // Ordinary stores cannot be taken back, so the context goes on behind the attempt. Without such stores
                // the attempt has changed nothing, and the context goes on at the load-exclusive.
                if done.accesses.iter().any(|access| access.write) {
                    tell_late_of(cpu, frame, &registers, account(cpu, &done, counted));
                }
                return Sequence::Stuck(Stuck::Unknown);
            }
            Ok(done) => {
                made += 1;
                instructions += done.instructions;
                stats::SEQUENCES.count();
                late = late.union(account(cpu, &done, counted));
                counted = SlotMask::EMPTY;
                if done.end != End::Again || made == rounds {
                    break done.end;
                }
            }
        }
    };
    put(frame, &registers);
    if cpu.owners.get().contains(Owners::DEBUGGER) {
        cpu.stepped.set(match end {
            End::Again => Stepped::Waiting { rounds: made },
            _ => Stepped::Sequence { instructions },
        });
    }
    tell_late(cpu, frame, late);
    Sequence::Done
}

fn registers(frame: &Frame) -> Registers {
    Registers { x: frame.x, sp: frame.sp, pc: frame.pc, pstate: frame.pstate }
}

/// Has the context go on with these registers.
fn put(frame: &mut DebugFrame, registers: &Registers) {
    frame.x = registers.x;
    frame.sp = registers.sp;
    frame.pstate = registers.pstate;
    frame.move_to(registers.pc);
}

/// Has the context go on with `registers`, then calls the handlers of the watchpoints in `late`.
fn tell_late_of(cpu: &MaskedCpu, frame: &mut DebugFrame, registers: &Registers, late: SlotMask) {
    put(frame, registers);
    tell_late(cpu, frame, late);
}

/// Calls the handlers of the watchpoints in `late`, after the access. The hits are counted already.
fn tell_late(cpu: &MaskedCpu, frame: &mut DebugFrame, late: SlotMask) {
    for index in late {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
            slots::dispose(frame, &record);
        }
    }
}

/// Counts a hit of each watchpoint in `hits`.
fn count(cpu: &MaskedCpu, hits: SlotMask) {
    for index in hits {
        cpu.hits.count(Kind::Watchpoint, index);
    }
}

/// The watchpoints that ordinary accesses would have hit if D had been open.
fn touched_by(cpu: &MaskedCpu, accesses: &Accesses) -> SlotMask {
    accesses.iter().fold(SlotMask::EMPTY, |hits, access| {
        hits.union(slots::touched(cpu, access.address, access.bytes, access.write))
    })
}

/// Whether the context is to run free, because more than [`DOUBTS`] attempts at `pc` have ended with
/// [`End::Doubtful`], and none at another PC since. `end` is the end of the latest of these attempts.
fn is_too_doubtful(cpu: &MaskedCpu, pc: u64, end: End) -> bool {
    if end != End::Doubtful {
        return false;
    }
    let (before, count) = cpu.doubt.get();
    let count = if before == pc { count + 1 } else { 1 };
    let too = count > DOUBTS;
    cpu.doubt.set(if too { (0, 0) } else { (pc, count) });
    too
}

/// Counts an attempt for the watchpoints that its accesses would have hit if D had been open, and returns these
/// watchpoints. Left out are the watchpoints in `counted`, and widened watchpoints, whose hit was counted at the
/// store-exclusive that was reported as failed. If this attempt has reached its store or has left the sequence, the
/// widened watchpoints on the word of the exclusives are narrowed.
fn account(cpu: &MaskedCpu, done: &Done, counted: SlotMask) -> SlotMask {
    let touched = |write| slots::touched(cpu, done.address, done.shape.bytes(), write);
    let mut hits = touched(false);
    if done.stores {
        hits = hits.union(touched(true));
    }
    hits = hits.union(touched_by(cpu, &done.accesses));
    let widened = slots::widened_among(cpu, SlotMask::first(64));
    let hits = hits.without(counted).without(widened);
    count(cpu, hits);
    if !widened.is_empty() && (done.stores || done.end != End::Again) {
        let (first, last) = (done.address, done.address + done.shape.bytes() - 1);
        let done = slots::filter(cpu, widened, |record| {
            let (from, to) = record.encoding.watched();
            from <= last && first <= to
        });
        for index in with_mates(cpu, done) {
            if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
                slots::narrow(cpu, record.id);
            }
        }
    }
    hits
}

/// Has the context run free: the context goes on, without being stepped, until its next exception. Debug context.
///
/// # Errors
/// The context has D masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn run_free(cpu: &MaskedCpu, frame: &mut DebugFrame, owner: Owners, why: Stuck) -> Result<(), StepError> {
    stats::FREE_RUNS.count();
    let mut owners = cpu.owners.get();
    frame.pstate = owners.run_free(owner, frame.pstate)?;
    cpu.set_owners(owners);
    cpu.free_from.set(frame.pc);
    if owners.contains(Owners::DEBUGGER) {
        cpu.stepped.set(Stepped::Free(why));
    }
    Ok(())
}

/// Those of the watchpoints in `among` whose records match stores only.
fn store_only(cpu: &MaskedCpu, among: SlotMask) -> SlotMask {
    slots::filter(cpu, among, |record| !record.encoding.matches_access(false))
}

/// The watchpoints in `hits`, and for each that is one of two slots with one range ([`slots::install_split`]) the other
/// slot.
fn with_mates(cpu: &MaskedCpu, hits: SlotMask) -> SlotMask {
    hits.into_iter().fold(hits, |mask, index| {
        let record = slots::record(cpu, Kind::Watchpoint, index);
        match record.and_then(|record| record.mate) {
            Some(mate) => mask.with(mate),
            None => mask,
        }
    })
}

/// Returns the slots among `hits`, the hits of one watchpoint exception, that count the hit. A widened slot does not
/// count a load that is no load-exclusive, since the slot matches this load only because it is widened. Such a slot is
/// set to match no loads until slots are re-armed, so that the load can be stepped over. The slot is not suspended: if
/// the same instruction also stores, its store has to hit the slot.
#[cold]
#[inline(never)]
pub fn without_quiet(cpu: &MaskedCpu, pc: u64, hits: SlotMask, how: &WatchHit) -> SlotMask {
    let quiet = store_only(cpu, slots::widened_among(cpu, with_mates(cpu, hits)));
    if quiet.is_empty() || how.write() || is_load(pc) {
        return hits;
    }
    for index in quiet {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
            slots::match_loads(cpu, record.id, false);
        }
    }
    hits.without(quiet)
}

/// How many bytes DC ZVA zeroes (DCZID_EL0.BS).
#[inline(always)]
pub fn zva_block() -> u64 {
    4 << (crate::read_sysreg!("dczid_el0") & 0xf)
}
