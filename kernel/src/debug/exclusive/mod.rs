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
//! is counted in [`stats::FREE_RUNS`], and the debugger is told ([`Stepped::Free`]). It always gets on.
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
mod widened;

pub use text::{check, is_in_sequence, is_near, survey};
pub use widened::{Widened, again as widen_again, any as any_widened};

use super::slots::{self, Disposition};
use super::step::{self, Stepped};
use super::{CpuDebug, hit, stats};
use crate::exception::Frame;
use crate::mm::layout;
use ::slots::{Kind, SlotMask, Snapshot, WatchHit};
use memory::Native;
use probe::sequence::{self, Accesses, Done, End, Registers, Stuck};
use probe::{is_load_exclusive, is_store_exclusive};
use rules::step::{Owners, StepError};

/// Rounds of a sequence that waits for another CPU in one step of the debugger.
pub const ROUNDS: u32 = 64;

/// So often in succession an attempt may end with [`End::Doubtful`] at one place before the context runs free once.
const DOUBTS: u32 = 8;

/// Attempts in succession that ended where a store-exclusive could still follow.
#[derive(Clone, Copy)]
pub struct Doubt {
    pc: u64,
    count: u32,
}

impl Doubt {
    /// None.
    pub const NONE: Self = Self { pc: 0, count: 0 };
}

/// What became of a sequence.
pub enum Sequence {
    /// Made: the frame is past it, or at its load-exclusive again.
    Done,
    /// There is no store-exclusive: the load-exclusive can be stepped like any other instruction.
    Plain,
    /// It cannot be made as one step; nothing has changed.
    Stuck(Stuck),
}

/// The instruction at `pc`; 0 where that is not the kernel's text.
#[inline(always)]
pub fn word_at(pc: u64) -> u32 {
    if !(layout::text_start() as u64..layout::text_end() as u64).contains(&pc) {
        return 0;
    }
    // SAFETY: the kernel's text is mapped readable, and `pc` is aligned, since it is about to be executed.
    unsafe { (pc as *const u32).read_volatile() }
}

/// Whether the instruction at `pc` is a load-exclusive.
#[inline(always)]
pub fn is_load(pc: u64) -> bool {
    is_load_exclusive(word_at(pc))
}

/// Slots that were hit in an exclusive sequence, from their exception. False, and nothing done, if the instruction is to be
/// stepped over like any other.
#[cold]
#[inline(never)]
pub fn hit(cpu: &CpuDebug, frame: &mut Frame, kind: Kind, hits: SlotMask) -> bool {
    let word = word_at(frame.pc);
    if is_load_exclusive(word) {
        at_load(cpu, frame, kind, hits);
    } else if kind == Kind::Breakpoint {
        // Refused, unless a test overrode that.
        return false;
    } else if is_store_exclusive(word) {
        at_store(cpu, frame, hits);
    } else {
        at_ordinary(cpu, frame, hits);
    }
    true
}

fn at_load(cpu: &CpuDebug, frame: &mut Frame, kind: Kind, hits: SlotMask) {
    let pc = frame.pc;
    // Of a slot that is widened it is the store that counts, and has counted.
    let quiet =
        if kind == Kind::Watchpoint { store_only(cpu, widened::among(cpu, hits)) } else { SlotMask::EMPTY };
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

/// An ordinary access between the exclusives. The monitor is lost: the sequence is gone on with to its beginning, and made whole
/// there.
fn at_ordinary(cpu: &CpuDebug, frame: &mut Frame, hits: SlotMask) {
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

fn at_store(cpu: &CpuDebug, frame: &mut Frame, hits: SlotMask) {
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
            widened::insert(cpu, record.id);
        }
    }
}

/// Counts a hit of each slot and does what the slot is there for.
fn tell(cpu: &CpuDebug, frame: &mut Frame, kind: Kind, hits: SlotMask) {
    for index in hits {
        if let Some(record) = slots::record(cpu, kind, index) {
            cpu.hits.count(kind, index);
            hit::dispose(frame, &record);
        }
    }
}

/// Makes the sequence whose load-exclusive is at the frame's PC, at most so many rounds of it. Debug context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn run(cpu: &CpuDebug, frame: &mut Frame, rounds: u32) -> Sequence {
    run_counted(cpu, frame, rounds, SlotMask::EMPTY)
}

/// `counted`: the watchpoints for which the first round's load has been dealt with.
fn run_counted(cpu: &CpuDebug, frame: &mut Frame, rounds: u32, mut counted: SlotMask) -> Sequence {
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
fn put(frame: &mut Frame, registers: &Registers) {
    frame.x = registers.x;
    frame.sp = registers.sp;
    frame.pstate = registers.pstate;
    frame.move_to(registers.pc);
}

fn tell_late_of(cpu: &CpuDebug, frame: &mut Frame, registers: &Registers, late: SlotMask) {
    put(frame, registers);
    tell_late(cpu, frame, late);
}

/// Does what these slots are there for, when the access is over.
fn tell_late(cpu: &CpuDebug, frame: &mut Frame, late: SlotMask) {
    for index in late {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
            hit::dispose(frame, &record);
        }
    }
}

fn count(cpu: &CpuDebug, hits: SlotMask) {
    for index in hits {
        cpu.hits.count(Kind::Watchpoint, index);
    }
}

/// The watchpoints that ordinary accesses would have hit if D had been open.
fn touched_by(cpu: &CpuDebug, accesses: &Accesses) -> SlotMask {
    accesses.iter().fold(SlotMask::EMPTY, |hits, access| {
        hits.union(slots::touched(cpu, access.address, access.bytes, access.write))
    })
}

fn is_too_doubtful(cpu: &CpuDebug, pc: u64, end: End) -> bool {
    if end != End::Doubtful {
        return false;
    }
    let before = cpu.doubt.get();
    let count = if before.pc == pc { before.count + 1 } else { 1 };
    let too = count > DOUBTS;
    cpu.doubt.set(if too { Doubt::NONE } else { Doubt { pc, count } });
    too
}

/// Counts the attempt for all watchpoints that the hardware did not see it for; says which these are.
fn account(cpu: &CpuDebug, done: &Done, counted: SlotMask) -> SlotMask {
    let touched = |write| slots::touched(cpu, done.address, done.shape.bytes(), write);
    let mut hits = touched(false);
    if done.stores {
        hits = hits.union(touched(true));
    }
    hits = hits.union(touched_by(cpu, &done.accesses));
    let owed = widened::among(cpu, SlotMask::first(64));
    let hits = hits.without(counted).without(owed);
    count(cpu, hits);
    if !owed.is_empty() && (done.stores || done.end != End::Again) {
        let (first, last) = (done.address, done.address + done.shape.bytes() - 1);
        let done = filter(cpu, owed, |record| {
            let (from, to) = record.encoding.watched();
            from <= last && first <= to
        });
        for index in with_mates(cpu, done) {
            if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
                widened::remove(cpu, record.id);
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
pub fn run_free(cpu: &CpuDebug, frame: &mut Frame, owner: Owners, why: Stuck) -> Result<(), StepError> {
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

/// Those of some watchpoints whose record is as asked.
fn filter(cpu: &CpuDebug, slots: SlotMask, wanted: impl Fn(&Snapshot<Disposition>) -> bool) -> SlotMask {
    slots.into_iter().fold(SlotMask::EMPTY, |mask, index| {
        let fits = slots::record(cpu, Kind::Watchpoint, index).is_some_and(|record| wanted(&record));
        if fits { mask.with(index) } else { mask }
    })
}

fn store_only(cpu: &CpuDebug, slots: SlotMask) -> SlotMask {
    filter(cpu, slots, |record| !record.encoding.matches_access(false))
}

/// With the other halves of what [`slots::install_split`] has set.
fn with_mates(cpu: &CpuDebug, slots: SlotMask) -> SlotMask {
    slots.into_iter().fold(slots, |mask, index| {
        let record = slots::record(cpu, Kind::Watchpoint, index);
        match record.and_then(|record| record.mate) {
            Some(mate) => mask.with(mate),
            None => mask,
        }
    })
}

/// A load that only widened slots match, and that is no load-exclusive, is stepped over silently. True if that has been
/// arranged, and other slots' hits with it.
#[cold]
#[inline(never)]
pub fn read_by_others(cpu: &CpuDebug, frame: &mut Frame, hits: SlotMask, how: &WatchHit) -> bool {
    let quiet = store_only(cpu, widened::among(cpu, with_mates(cpu, hits)));
    if quiet.is_empty() || how.write() || is_load(frame.pc) {
        return false;
    }
    // Not suspended: if the instruction stores as well, that is the slot's hit.
    for index in quiet {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index) {
            slots::match_loads(cpu, record.id, false);
        }
    }
    let others = hits.without(quiet);
    if others.is_empty() {
        let _ = step::request(cpu, frame, Owners::STEP_OVER);
    } else {
        hit::each(cpu, frame, Kind::Watchpoint, others);
    }
    true
}
