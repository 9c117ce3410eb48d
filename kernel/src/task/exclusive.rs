//! Exclusive sequences of programs as one step (H9).
//!
//! The return from an exception clears the exclusive monitor, so a program that hits a slot at a load-exclusive, at a store-exclusive or
//! between the two would never get past the sequence by steps. The kernel executes the sequence for the program, by `probe::sequence`, in the
//! second phase of M4, where it may bring in pages. It reaches the program's memory by its own mapping of the same pages. A sequence that
//! cannot be executed so runs free, with the slots suspended, until the program's next exception.

use super::event::Told;
use super::trace::state::Stops;
use super::{Task, user};
use crate::arch::usercopy;
use crate::debug::control::Masked;
use crate::debug::exclusive::Native;
use crate::debug::task::hit::Hits;
use crate::debug::{stats, task};
use crate::exception::Frame;
use crate::space::{Space, Steady};
use probe::sequence::{self, Access, Between, Done, Fault, Memory, Registers, Shape, Stuck};
use probe::{exclusives, is_load_exclusive, is_store_exclusive};
use rules::step::Owners;
use zerocopy::IntoBytes;

/// How many instructions before an ordinary access a load-exclusive is looked for.
const BEHIND: u64 = 32;

/// The instruction at an address of the running task.
fn word(address: u64) -> Option<u32> {
    user::load_word(address).ok()
}

/// Refuses an access that is not aligned to its whole size. Exclusives must be aligned so (DDI 0487 B2, "Alignment of data accesses"), and the
/// program gets its fault when it executes the instruction itself. A pair that begins in front of the end of a page would reach into the
/// page that lies behind it in the linear map, which is anybody's.
fn aligned(address: u64, shape: Shape) -> Result<(), Fault> {
    if address.is_multiple_of(shape.bytes()) { Ok(()) } else { Err(Fault) }
}

/// The memory of a program.
struct Program<'a> {
    space: &'a Space,
}

/// Where the kernel finds the memory at an address that the program may access so.
fn place(steady: &mut Steady<'_>, address: u64, access: maps::Access) -> Option<u64> {
    let address = address & !(0xff << 56);
    steady.place(address, access).ok().map(|place| place as u64)
}

impl Memory for Program<'_> {
    fn word(&self, address: u64) -> Option<u32> {
        word(address)
    }

    fn function(&self, _: u64) -> Option<(u64, u64)> {
        None
    }

    fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault> {
        aligned(address, shape)?;
        let mut steady = self.space.steady();
        Native.load(place(&mut steady, address, maps::Access::Read).ok_or(Fault)?, shape)
    }

    fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        let mut steady = self.space.steady();
        Native.store(place(&mut steady, address, maps::Access::Write).ok_or(Fault)?, size, value)
    }

    fn exchange(
        &mut self,
        address: u64,
        shape: Shape,
        expected: [u64; 2],
        new: [u64; 2],
        between: &Between,
    ) -> Result<bool, Fault> {
        aligned(address, shape)?;
        let mut steady = self.space.steady();
        let at = place(&mut steady, address, maps::Access::Write).ok_or(Fault)?;
        let between = between.mapped(|address, write| {
            place(&mut steady, address, if write { maps::Access::Write } else { maps::Access::Read })
        });
        let between = between.ok_or(Fault)?;
        let _masked = Masked::new();
        Native.exchange(at, shape, expected, new, &between)
    }
}

/// The running task has hit slots at the instruction of `frame`, which is an exclusive, or is perhaps in an exclusive sequence: executes the
/// sequence. Thread context of the task; may sleep.
pub(super) fn run(own: &Task, frame: &mut Frame, hits: &Hits) {
    let (Some(space), Some(at)) = (own.space(), word(frame.pc)) else { return };
    let mut registers = Registers { x: frame.x, sp: frame.sp, pc: frame.pc, pstate: frame.pstate };
    let mut memory = Program { space: &space };
    let hit_at = frame.pc;
    if !is_load_exclusive(at) {
        if !is_store_exclusive(at) && !is_in_sequence(frame.pc) {
            return task::is_in_no_sequence(frame.pc);
        }
        // The store-exclusive of this attempt fails: the program sees that, and goes back to its load-exclusive.
        let (accesses, at_load) = sequence::resume(&mut registers, &mut memory);
        if registers.pc == frame.pc {
            return task::run_free(frame, Owners::STEP_OVER);
        }
        put(own, frame, &registers, accesses.iter(), hits);
        if !at_load {
            return task::stepped_by_hand(hit_at);
        }
    }
    match sequence::attempt(&mut registers, &mut memory) {
        Ok(done) => {
            stats::SEQUENCES.count_shared();
            put(own, frame, &registers, accesses_of(&done), hits);
            task::stepped_by_hand(hit_at);
        }
        // A load-exclusive without a store-exclusive is stepped over like any other load.
        Err(Stuck::NoStore) => {}
        Err(_) => task::run_free(frame, Owners::STEP_OVER),
    }
}

/// The accesses of a sequence: those in between, and those of the exclusives.
fn accesses_of(done: &Done) -> impl Iterator<Item = Access> {
    let exclusive = |write| Access { address: done.address, bytes: done.shape.bytes(), write };
    let store = done.stores.then(|| exclusive(true));
    done.accesses.iter().chain([exclusive(false)]).chain(store)
}

/// Whether the running task is about to be stepped over a load-exclusive (T2), or over an instruction where a tracer's slot has stopped it,
/// which may be in a sequence. All exceptions are masked.
#[inline(always)]
pub(super) fn is_stepped_next(own: &Task, frame: &Frame) -> bool {
    // Nearly always the instruction says at once that it is stepped as any other.
    own.debug.may_be_stepped(frame)
        && (is_load_exclusive(usercopy::load_instruction(frame.pc)) || own.debug.has_stopped_at(frame.pc))
        && own.debug.is_stepped_next(frame)
}

/// Makes the step of the running task over the load-exclusive at its PC: executes the sequence, so that the step lands behind it. Thread
/// context of the task; may sleep.
///
/// A tracer that is told of a hit at a store-exclusive, or between the exclusives, takes its slot away and steps the instruction. The
/// store-exclusive fails, because the hit was an exception. A step of this one instruction would have the program go round and hit the slot
/// again, without an end; so this step, too, lands behind the sequence.
pub(super) fn step(own: &Task, frame: &mut Frame) {
    if !own.debug.is_step_due(frame) {
        return;
    }
    let at = frame.pc;
    let Some(word) = word(at) else { return own.debug.step_as_plain(at) };
    let goes_round = !is_load_exclusive(word);
    if goes_round && !is_store_exclusive(word) && !is_in_sequence(at) {
        return own.debug.step_as_plain(at);
    }
    step_through(own, frame, word);
}

/// As [`step`], for an exclusive, whose word this is, or an instruction in an exclusive sequence.
#[inline(never)]
fn step_through(own: &Task, frame: &mut Frame, word: u32) {
    let Some(space) = own.space() else { return };
    let at = frame.pc;
    let mut registers = Registers { x: frame.x, sp: frame.sp, pc: frame.pc, pstate: frame.pstate };
    let mut memory = Program { space: &space };
    let none = Hits::none(at);
    let goes_round = !is_load_exclusive(word);
    if goes_round {
        let (accesses, at_load) = sequence::resume(&mut registers, &mut memory);
        if registers.pc == at {
            return own.debug.step_as_plain(at);
        }
        put(own, frame, &registers, accesses.iter(), &none);
        if !at_load {
            return own.debug.has_stepped_by_hand();
        }
    } else if is_stopped(own, &registers, word) {
        // The tracer's slot stops the load, as it would stop any other.
        return own.debug.step_as_plain(at);
    }
    match sequence::attempt(&mut registers, &mut memory) {
        Ok(done) => {
            stats::SEQUENCES.count_shared();
            put(own, frame, &registers, accesses_of(&done), &none);
            own.debug.has_stepped_by_hand();
        }
        // The step has landed on the load-exclusive.
        Err(_) if goes_round => own.debug.has_stepped_by_hand(),
        Err(Stuck::NoStore) => own.debug.step_as_plain(at),
        Err(_) => task::run_free(frame, Owners::empty()),
    }
}

/// Whether the running task's load-exclusive hits a tracer's watchpoint.
fn is_stopped(own: &Task, registers: &Registers, word: u32) -> bool {
    // DDI 0487 C4.1, "Load/store exclusive": size in bits 31 to 30, a pair if bit 21 is set, Rn in bits 9 to 5 (31 is SP).
    let (size, pair) = (word >> 30, word >> 21 & 1 != 0);
    let bytes = if pair { 8 << (size & 1) } else { 1 << size };
    let base = (word >> 5 & 31) as usize;
    let address = registers.x.get(base).map_or(registers.sp, |&address| address);
    own.debug.stops_load(address, bytes)
}

/// Whether the instruction at `pc` is behind a load-exclusive and on the way to its store-exclusive.
fn is_in_sequence(pc: u64) -> bool {
    // The words before `pc`, in one copy. If a page of them cannot be read they are looked at one by one.
    let mut words = [0_u64; BEHIND as usize / 2];
    let first = pc.wrapping_sub(4 * BEHIND);
    if user::read(first, words.as_mut_bytes()).is_err() {
        return is_behind(pc, 0..BEHIND);
    }
    let mut found = false;
    exclusives(&words, |nth| found = found || is_behind(pc, nth as u64..nth as u64 + 1));
    found
}

/// Whether one of the words before `pc`, of which there are [`BEHIND`], is a load-exclusive in whose sequence the instruction at `pc` is. Looks at
/// the words with these numbers.
#[inline(never)]
fn is_behind(pc: u64, numbers: core::ops::Range<u64>) -> bool {
    let first = pc.wrapping_sub(4 * BEHIND);
    numbers.map(|nth| first.wrapping_add(4 * nth)).any(|load| {
        let mut found = false;
        if word(load).is_some_and(is_load_exclusive) {
            sequence::members(word, load, |member| found |= member == pc);
        }
        found
    })
}

/// Has the task go on with these registers, and counts the accesses that were made for it.
fn put(
    own: &Task,
    frame: &mut Frame,
    registers: &Registers,
    accesses: impl Iterator<Item = Access>,
    hits: &Hits,
) {
    (frame.x, frame.sp, frame.pstate) = (registers.x, registers.sp, registers.pstate);
    frame.move_to(registers.pc);
    let mut made = [Access { address: 0, bytes: 0, write: false }; 16];
    let count = made.iter_mut().zip(accesses).map(|(place, access)| *place = access).count();
    let mut told = Told::default();
    own.debug.count_accesses(&made[..count], hits, |this, address| {
        own.report_hit(frame, this, address, &mut told);
    });
    // Not at once: the caller has not done with the task's step.
    if let Some((info, fault)) = told.signal() {
        own.force(frame, info, fault, Stops::Later);
    }
}
