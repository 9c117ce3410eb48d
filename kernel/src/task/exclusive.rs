//! Exclusive sequences of programs as one step (H9).
//!
//! The return from an exception clears the exclusive monitor, so a program that hits a slot at a load-exclusive, at a store-exclusive or
//! between the two would never get past the sequence by steps. The kernel executes the sequence for the program, by `probe::sequence`, in the
//! second phase of M4, where it may bring in pages. It reaches the program's memory by its own mapping of the same pages. A sequence that
//! cannot be executed so runs free, with the slots suspended, until the program's next exception.

use super::{Task, user};
use crate::debug::control::Masked;
use crate::debug::exclusive::Native;
use crate::debug::task::hit::Hits;
use crate::debug::{stats, task};
use crate::exception::Frame;
use crate::mm::layout::PAGE;
use crate::mm::pages::Page;
use crate::space::{Space, TOP};
use maps::Prot;
use probe::sequence::{self, Access, Between, Done, Fault, Memory, Registers, Shape, Stuck};
use probe::{is_load_exclusive, is_store_exclusive};
use rules::step::Owners;

/// How many instructions before an ordinary access a load-exclusive is looked for.
const BEHIND: u64 = 32;

/// The instruction at an address of the running task.
fn word(address: u64) -> Option<u32> {
    user::load_word(address).ok()
}

/// The memory of a program.
struct Program<'a> {
    space: &'a Space,
}

impl Program<'_> {
    /// The page of an address, if the program itself may access it, and the offset in the page.
    fn page(&self, address: u64, write: bool) -> Option<(Page, usize)> {
        let address = address & !(0xff << 56);
        if address >= TOP {
            return None;
        }
        let wanted = if write { Prot::WRITE } else { Prot::READ };
        let may =
            self.space.look(|maps| maps.find(address).is_some_and(|mapping| mapping.prot.contains(wanted)));
        let page = may.then(|| self.space.page_for_tracer(address, write).ok()).flatten()?;
        Some((page, (address % PAGE as u64) as usize))
    }
}

impl Memory for Program<'_> {
    fn word(&self, address: u64) -> Option<u32> {
        word(address)
    }

    fn function(&self, _: u64) -> Option<(u64, u64)> {
        None
    }

    fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault> {
        let (page, offset) = self.page(address, false).ok_or(Fault)?;
        Native.load((page.address() as usize + offset) as u64, shape)
    }

    fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        let (page, offset) = self.page(address, true).ok_or(Fault)?;
        Native.store((page.address() as usize + offset) as u64, size, value)
    }

    fn exchange(
        &mut self,
        address: u64,
        shape: Shape,
        expected: [u64; 2],
        new: [u64; 2],
        between: &Between,
    ) -> Result<bool, Fault> {
        let (page, offset) = self.page(address, true).ok_or(Fault)?;
        // The pages of the accesses in between, which stay as long as they are held here.
        let mut held: [Option<Page>; 16] = [const { None }; 16];
        let mut places = held.iter_mut();
        let between = between.mapped(|address, write| {
            let (page, offset) = self.page(address, write)?;
            let at = (page.address() as usize + offset) as u64;
            *places.next()? = Some(page);
            Some(at)
        });
        let between = between.ok_or(Fault)?;
        let _masked = Masked::new();
        Native.exchange((page.address() as usize + offset) as u64, shape, expected, new, &between)
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
            return;
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

/// Whether the running task is about to be stepped over a load-exclusive (T2). All exceptions are masked.
pub(super) fn is_stepped_next(own: &Task, frame: &Frame) -> bool {
    own.debug.is_stepped_next(frame) && word(frame.pc).is_some_and(is_load_exclusive)
}

/// Makes the step of the running task over the load-exclusive at its PC: executes the sequence, so that the step lands behind it. Thread
/// context of the task; may sleep.
pub(super) fn step(own: &Task, frame: &mut Frame) {
    let Some(space) = own.space() else { return };
    if !own.debug.is_step_due(frame) {
        return;
    }
    let mut registers = Registers { x: frame.x, sp: frame.sp, pc: frame.pc, pstate: frame.pstate };
    match sequence::attempt(&mut registers, &mut Program { space: &space }) {
        Ok(done) => {
            stats::SEQUENCES.count_shared();
            put(own, frame, &registers, accesses_of(&done), &Hits::none(frame.pc));
        }
        Err(Stuck::NoStore) => own.debug.step_as_plain(frame.pc),
        Err(_) => task::run_free(frame, Owners::empty()),
    }
}

/// Whether the instruction at `pc` is behind a load-exclusive and on the way to its store-exclusive.
fn is_in_sequence(pc: u64) -> bool {
    (1..BEHIND).map(|back| pc.wrapping_sub(4 * back)).any(|load| {
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
    own.debug.count_accesses(&made[..count], hits, |this, address| own.report_hit(frame, this, address));
}
