//! Step-overs that wait until a handler of a signal has returned.
//!
//! A task that has hit a slot executes the instruction once with the slot suspended. If a signal comes first, the handler runs with all slots
//! armed, and the instruction is executed after it, when `rt_sigreturn` goes back to it. Without a note that would be another hit, and with a
//! slot that sends a signal for each hit the program would never get past the instruction. A handler that does not return, or that has the
//! program go on elsewhere, leaves a note that nobody asks for. The next hit of the same instruction with the same stack drops it, or later notes
//! replace it.

use ::slots::{SlotId, Suspended};

/// How many notes a task has room for: as deep as handlers of signals can interrupt one another at watched instructions.
const ROOM: usize = 4;

/// The slots that are to be suspended when the task goes on at `pc` with the stack at `sp`.
#[derive(Clone, Copy)]
pub(super) struct Note {
    pub pc: u64,
    pub sp: u64,
    pub suspended: Suspended,
}

/// The notes of one task, in a ring: the newest is before `next`.
pub(super) struct PutOff {
    notes: [Option<Note>; ROOM],
    next: usize,
    /// Whether there may be a note.
    any: bool,
    /// A handler has returned: perhaps to an instruction that has a note.
    pub due: bool,
}

impl PutOff {
    pub const NONE: Self = Self { notes: [None; ROOM], next: 0, any: false, due: false };

    /// Adds a note. Older ones of the same instruction and stack are of handlers that have left by a jump (longjmp).
    pub fn put(&mut self, note: Note) {
        self.drop_notes(note.pc, note.sp);
        self.any = true;
        self.notes[self.next % ROOM] = Some(note);
        self.next = (self.next + 1) % ROOM;
    }

    /// A slot was hit at an instruction, with this stack: notes of the same place are of handlers that will not return to it any more. If they
    /// stayed, the return of some later handler to the place would take them, and the hit that is due then would be lost.
    #[inline(always)]
    pub fn is_hit(&mut self, pc: u64, sp: u64) {
        if self.any {
            self.drop_notes(pc, sp);
        }
    }

    /// Whether there is no note.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    #[cold]
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn drop_notes(&mut self, pc: u64, sp: u64) {
        for note in &mut self.notes {
            if note.is_some_and(|note| (note.pc, note.sp) == (pc, sp)) {
                *note = None;
            }
        }
        self.any = self.notes.iter().any(Option::is_some);
    }

    /// Takes a slot out of all notes, because its number has a new use.
    pub fn remove(&mut self, id: SlotId) {
        self.notes.iter_mut().flatten().for_each(|note| note.suspended.remove(id));
    }

    /// Takes the newest note of an instruction and a stack; notes that are newer than it are of handlers that have ended.
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    pub fn take(&mut self, pc: u64, sp: u64) -> Option<Suspended> {
        let newest_first = (1..=ROOM).map(|back| (self.next + ROOM - back) % ROOM);
        let at = newest_first
            .into_iter()
            .find(|&at| self.notes[at].is_some_and(|note| (note.pc, note.sp) == (pc, sp)))?;
        self.next = at;
        let suspended = self.notes[at].take().map(|note| note.suspended);
        self.any = self.notes.iter().any(Option::is_some);
        suspended
    }

    /// Forgets all: the program is another one.
    pub fn clear(&mut self) {
        *self = Self::NONE;
    }
}
