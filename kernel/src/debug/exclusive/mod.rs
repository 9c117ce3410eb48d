//! Exclusive sequences (rule H9): LDXR or LDAXR, a few instructions, STXR or STLXR, and back if that failed.
//!
//! Every exception clears the exclusive monitor (DDI 0487 B2.12.2), so a sequence that is stepped, or stepped over, one
//! instruction at a time never ends. Here it is one step: the handler of the exception at the load-exclusive makes the whole
//! attempt itself, in `probe::sequence`, and moves the frame past it.
//!
//! # Why in the handler
//!
//! - *Exact*. What reaches memory is a native load-exclusive/store-exclusive pair with nothing between them but a comparison,
//!   so other CPUs that contend for the word see what they always see; the rest is data processing on registers. See
//!   `probe::sequence` for why that is the same as the sequence itself.
//! - *No slot is needed*, not even suspended: debug exceptions are masked while the handler makes the accesses, so all slots
//!   may be in use, and a slot's step-over is over when the handler returns. Running to temporary breakpoints at the exits
//!   would need free slots, and a sequence that waits in place would keep the stash alive and the CPU from rescheduling (M8).
//! - *No text is written*. A copy with its exits replaced would need memory that is executable and written in debug context.
//! - *Interrupts need nothing*. An attempt is bounded ([`MAX_INSTRUCTIONS`](probe::sequence::MAX_INSTRUCTIONS), restarted at
//!   most [`MAX_RESTARTS`](probe::sequence::MAX_RESTARTS) times); one that comes meanwhile is taken on return: before the
//!   debugger is told, as between any two steps (M8, M13).
//!
//! What it costs: an instruction in a sequence must be one that `probe::sequence` knows, which is all general-purpose data
//! processing of Armv8.0 and the ordinary loads and stores of general-purpose registers. Another one, or a way to the store-exclusive that cannot be followed, or an
//! exclusive that faults, has the context *run free*: unstepped, its hit slots suspended, until its next exception (an
//! interrupt, at the latest the tick once interrupts are on; a fault, whose handler a debugger's step then goes into). That
//! is counted in [`stats::FREE_RUNS`], and the debugger is told ([`Stepped::Free`]). So the code always makes progress.
//!
//! # What is counted
//!
//! A slot's hits are *attempts* at a sequence in which an access of the slot's kind is made to its range:
//! - A slot that matches loads is hit by the load-exclusive. The store-exclusive of the same attempt is no second hit. An
//!   attempt that is made again, because its store failed or it waits for a value, is another hit. The handler's own restarts
//!   (another CPU was quicker between its load and its pair) are not: the code never sees them.
//! - A slot for stores only is hit by the store-exclusive, if that is reached; also by one that fails. By then the exception
//!   has cleared the monitor, so the store fails, as it may, and the code tries again. So that this ends, the slot matches
//!   loads too from then on, on this CPU (it is *widened*): the next load-exclusive is caught and its attempt made as above.
//!   That attempt was forced, and is not counted again. Other loads that a widened slot catches are stepped over silently.
//! - A store-only slot beside another one that caught the load is told when the attempt is over, its handler with the
//!   registers as they are then.
//!
//! - A slot on another word, which an *ordinary* load or store between the exclusives hits, is hit once an attempt, too. Its
//!   exception has cleared the monitor by then, and would in every attempt to come; so the rest of this attempt, whose store
//!   fails, and the next one are made here ([`hit`]). The next one was forced, and is not counted again.
//!
//! A breakpoint on the load-exclusive itself is permitted and counts attempts; one behind it in the sequence is refused
//! ([`check`]).

mod memory;
mod text;

pub use text::{check, is_in_sequence, is_load, is_near, survey, word_at};

use super::client::Stepped;
use super::cpu::MaskedCpu;
use super::{slots, stats, step};
use crate::exception::{DebugFrame, Frame};
use ::slots::{Kind, SlotMask, WatchHit};
use memory::Native;
use probe::sequence::{self, Accesses, Done, End, Registers, Stuck};
use probe::{is_load_exclusive, is_store_exclusive};
use rules::step::{Owners, StepError};

/// Rounds of a sequence that waits for another CPU in one step of the debugger.
pub const ROUNDS: u32 = 64;

/// So often in succession an attempt may end with [`End::Doubtful`] at one place before the context runs free once.
const DOUBTS: u32 = 8;

/// What became of a sequence.
pub enum Sequence {
    /// Made: the frame is past it, or at its load-exclusive again.
    Done,
    /// There is no store-exclusive: the load-exclusive can be stepped like any other instruction.
    Plain,
    /// It cannot be made as one step; nothing has changed.
    Stuck(Stuck),
}

/// Deals with slots that were hit in an exclusive sequence, in the handler of their exception. False, and nothing done, if the
/// instruction is to be stepped over like any other.
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

fn at_load(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, hits: SlotMask) {
    let pc = frame.pc;
    // A widened slot was hit by the store of the last attempt, which is counted already: this load is not.
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
    // D is open in a context that hits slots, so neither can fail.
    let _ = match outcome {
        Sequence::Stuck(why) => run_free(cpu, frame, Owners::STEP_OVER, why),
        _ => step::request(cpu, frame, Owners::STEP_OVER),
    };
}

/// An ordinary access between the exclusives was hit. Its exception has cleared the monitor: makes the rest of this attempt, whose
/// store-exclusive fails, and then a whole one.
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
    // D is open in a context that hits slots, so this cannot fail.
    let _ = run_free(cpu, frame, Owners::STEP_OVER, Stuck::Unknown);
}

/// The store-exclusive was hit. Its exception has cleared the monitor: has it fail, and widens the slots that match stores only, so that
/// the next attempt is caught at its load-exclusive.
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

/// Counts a hit of each slot and does what the slot is there for.
fn tell(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, hits: SlotMask) {
    for index in hits {
        if let Some(record) = slots::record(cpu, kind, index) {
            cpu.hits.count(kind, index);
            slots::dispose(frame, &record);
        }
    }
}

/// Makes the sequence whose load-exclusive is at the frame's PC, at most so many rounds of it. Debug context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn run(cpu: &MaskedCpu, frame: &mut DebugFrame, rounds: u32) -> Sequence {
    run_counted(cpu, frame, rounds, SlotMask::EMPTY)
}

/// As [`run`]. `counted`: the watchpoints whose hit by the first round the caller has counted.
fn run_counted(cpu: &MaskedCpu, frame: &mut DebugFrame, rounds: u32, mut counted: SlotMask) -> Sequence {
    let start = frame.pc;
    let mut registers = registers(frame);
    let mut late = SlotMask::EMPTY;
    let (mut made, mut instructions) = (0, 0);
    let end = loop {
        match sequence::attempt(&mut registers, &mut Native) {
            Err(Stuck::NoStore) if made == 0 => return Sequence::Plain,
            Err(why) if made == 0 => return Sequence::Stuck(why),
            // The last round's end stands.
            Err(_) => break End::Again,
            Ok(done) if made == 0 && is_too_doubtful(cpu, start, done.end) => {
                // What ordinary stores have changed cannot be taken back: the context goes on behind them.
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

/// The context goes on with these registers.
fn put(frame: &mut DebugFrame, registers: &Registers) {
    frame.x = registers.x;
    frame.sp = registers.sp;
    frame.pstate = registers.pstate;
    frame.move_to(registers.pc);
}

fn tell_late_of(cpu: &MaskedCpu, frame: &mut DebugFrame, registers: &Registers, late: SlotMask) {
    put(frame, registers);
    tell_late(cpu, frame, late);
}

/// Does what these slots are there for, behind the access.
fn tell_late(cpu: &MaskedCpu, frame: &mut DebugFrame, late: SlotMask) {
    for index in late {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
            slots::dispose(frame, &record);
        }
    }
}

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

/// Whether so many attempts in succession at `pc`, with this one, have ended in doubt that the context is to run free.
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

/// Counts the attempt for all watchpoints that the hardware did not see it for; says which these are.
fn account(cpu: &MaskedCpu, done: &Done, counted: SlotMask) -> SlotMask {
    let touched = |write| slots::touched(cpu, done.address, done.shape.bytes(), write);
    let mut hits = touched(false);
    if done.stores {
        hits = hits.union(touched(true));
    }
    hits = hits.union(touched_by(cpu, &done.accesses));
    let owed = slots::widened_among(cpu, SlotMask::first(64));
    let hits = hits.without(counted).without(owed);
    count(cpu, hits);
    if !owed.is_empty() && (done.stores || done.end != End::Again) {
        let (first, last) = (done.address, done.address + done.shape.bytes() - 1);
        let done = slots::filter(cpu, owed, |record| {
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

/// Has the context run on, unstepped, until its next exception. Debug context.
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

fn store_only(cpu: &MaskedCpu, among: SlotMask) -> SlotMask {
    slots::filter(cpu, among, |record| !record.encoding.matches_access(false))
}

/// With the other halves of what [`slots::install_split`] has set.
fn with_mates(cpu: &MaskedCpu, hits: SlotMask) -> SlotMask {
    hits.into_iter().fold(hits, |mask, index| {
        let record = slots::record(cpu, Kind::Watchpoint, index);
        match record.and_then(|record| record.mate) {
            Some(mate) => mask.with(mate),
            None => mask,
        }
    })
}

/// Of a watchpoint exception's hits those that are to be told. A widened slot that matches the access for being widened only is not:
/// a load that is no load-exclusive. Such slots match no loads until slots are armed again, so that the load can be stepped over; they
/// are not suspended, since an instruction that stores as well hits them with its store.
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
