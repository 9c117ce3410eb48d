//! States as words, in which the explorer compares and keeps them.

use crate::broken::Broken;
use crate::state::{
    Code, Context, Cpu, Next, OutOfLine, Phase, Progress, Section, Slots, State, Stepping, THREADS, Thread,
};
use rules::pstate::Daif;
use rules::step::Owners;

/// A state as words, in which states are compared and kept.
pub type Packed = Box<[u64]>;

/// Appends fields to a word, the first field lowest.
#[derive(Default)]
struct Bits(u64, u32);

impl Bits {
    fn put(&mut self, value: u64, width: u32) {
        debug_assert!(value < 1 << width && self.1 + width <= 64);
        self.0 |= value << self.1;
        self.1 += width;
    }

    fn take(&mut self, width: u32) -> u64 {
        let value = self.0 >> self.1 & ((1 << width) - 1);
        self.1 += width;
        value
    }

    fn put_stepping(&mut self, stepping: Stepping) {
        self.put(stepping.owners.bits().into(), 4);
        self.put(stepping.suspended.0.into(), 2);
    }

    fn take_stepping(&mut self) -> Stepping {
        Stepping { owners: self.take_owners(), suspended: Slots(self.take(2) as u8) }
    }

    fn put_masks(&mut self, masks: Daif) {
        self.put(masks.bits() >> 6, 4);
    }

    fn take_masks(&mut self) -> Daif {
        Daif::of(self.take(4) << 6)
    }

    fn take_owners(&mut self) -> Owners {
        Owners::from_bits_truncate(self.take(4) as u8)
    }

    fn take_bool(&mut self) -> bool {
        self.take(1) != 0
    }
}

const CODES: [Code; 15] = [
    Code::Program,
    Code::Thread,
    Code::Irq,
    Code::Nmi,
    Code::Step,
    Code::Breakpoint,
    Code::Watchpoint,
    Code::Probe,
    Code::Trap,
    Code::Warn,
    Code::Debugger,
    Code::Fault,
    Code::Svc,
    Code::Brk,
    Code::Panic,
];
const PHASES: [Phase; 5] = [Phase::Body, Phase::Deferred, Phase::WayOut, Phase::Moved, Phase::Client];
const SECTIONS: [Section; 3] = [Section::None, Section::Interrupts, Section::All];
const NEXTS: [Next; 3] = [Next::Any, Next::AtBreakpoint, Next::AtWatchpoint];
const PROGRESSES: [Progress; 3] = [Progress::None, Progress::Asked, Progress::Due];

impl Context {
    fn word(&self) -> u64 {
        let mut bits = Bits::default();
        bits.put(self.code as u64, 4);
        bits.put(self.row as u64, 5);
        bits.put_masks(self.masks);
        bits.put(self.ss.into(), 1);
        bits.put(self.phase as u64, 3);
        bits.put(self.section as u64, 2);
        bits.put(self.stashed.into(), 1);
        bits.put(self.parked.bits().into(), 4);
        bits.put(self.copy.is_some().into(), 1);
        let copy = self.copy.unwrap_or(OutOfLine { masks: Daif::empty(), kept: Owners::empty(), ran: false });
        bits.put_masks(copy.masks);
        bits.put(copy.kept.bits().into(), 4);
        bits.put(copy.ran.into(), 1);
        bits.put(self.uprobe.into(), 1);
        bits.put(self.next as u64, 2);
        self.steps.iter().for_each(|&step| bits.put(step as u64, 2));
        bits.0
    }

    fn of_word(word: u64) -> Self {
        let mut bits = Bits(word, 0);
        Self {
            code: CODES[bits.take(4) as usize],
            row: rules::table::TABLE[bits.take(5) as usize].id,
            masks: bits.take_masks(),
            ss: bits.take_bool(),
            phase: PHASES[bits.take(3) as usize],
            section: SECTIONS[bits.take(2) as usize],
            stashed: bits.take_bool(),
            parked: bits.take_owners(),
            copy: {
                let there = bits.take_bool();
                let copy =
                    OutOfLine { masks: bits.take_masks(), kept: bits.take_owners(), ran: bits.take_bool() };
                there.then_some(copy)
            },
            uprobe: bits.take_bool(),
            next: NEXTS[bits.take(2) as usize],
            steps: core::array::from_fn(|_| PROGRESSES[bits.take(2) as usize]),
        }
    }
}

impl State {
    /// The state as words. States are equal exactly if their words are.
    pub fn pack(&self) -> Packed {
        let mut words = Vec::with_capacity(16);
        let mut all = Bits::default();
        all.put(self.installed.0.into(), 2);
        all.put(self.noted.map_or(0, |broken| broken as u64 + 1), 6);
        self.threads.iter().for_each(|thread| all.put(thread.len.into(), 4));
        words.push(all.0);
        for cpu in &self.cpus {
            let mut bits = Bits::default();
            bits.put(cpu.running.map_or(0, |thread| u64::from(thread) + 1), 2);
            bits.put(cpu.owners.bits().into(), 4);
            bits.put(cpu.suspended.0.into(), 2);
            bits.put(cpu.ss.into(), 1);
            bits.put(cpu.debt.into(), 1);
            bits.put(cpu.reschedule.into(), 1);
            bits.put(cpu.sgi.into(), 1);
            bits.put(cpu.stash_len.into(), 3);
            cpu.stash.iter().for_each(|&entry| bits.put_stepping(entry));
            words.push(bits.0);
        }
        for thread in self.threads.iter().filter(|thread| thread.len != 0) {
            let mut bits = Bits::default();
            bits.put(thread.saved.is_some().into(), 1);
            bits.put_stepping(thread.saved.unwrap_or_default());
            bits.put_stepping(thread.held);
            bits.put(thread.asked.into(), 1);
            bits.put(thread.withdrawn.into(), 1);
            bits.put(thread.wants.into(), 1);
            words.push(bits.0);
            words.extend(thread.contexts().iter().map(Context::word));
        }
        words.into()
    }

    /// The state that [`pack`](Self::pack) has made words of.
    pub fn unpack(words: &[u64]) -> Self {
        let mut words = words.iter().copied();
        let mut word = || Bits(words.next().unwrap_or_default(), 0);
        let mut all = word();
        let installed = Slots(all.take(2) as u8);
        let noted = all.take(6).checked_sub(1).map(|n| Broken::ALL[n as usize]);
        let lengths: [u8; THREADS] = core::array::from_fn(|_| all.take(4) as u8);
        let cpus = core::array::from_fn(|_| {
            let mut bits = word();
            Cpu {
                running: bits.take(2).checked_sub(1).map(|thread| thread as u8),
                owners: bits.take_owners(),
                suspended: Slots(bits.take(2) as u8),
                ss: bits.take_bool(),
                debt: bits.take_bool(),
                reschedule: bits.take_bool(),
                sgi: bits.take_bool(),
                stash_len: bits.take(3) as u8,
                stash: core::array::from_fn(|_| bits.take_stepping()),
            }
        });
        let threads = lengths.map(|len| {
            if len == 0 {
                return Thread::NONE;
            }
            let mut bits = word();
            let saved = bits.take_bool();
            let stepping = bits.take_stepping();
            let mut thread = Thread {
                len,
                saved: saved.then_some(stepping),
                held: bits.take_stepping(),
                asked: bits.take_bool(),
                withdrawn: bits.take_bool(),
                wants: bits.take_bool(),
                ..Thread::NONE
            };
            for context in &mut thread.stack[..usize::from(len)] {
                *context = Context::of_word(word().0);
            }
            thread
        });
        Self { cpus, threads, installed, noted }
    }
}
