//! The records of the slots of one kind: one per index, for all CPUs.
//!
//! A record's *state word* holds everything that decides about it (control register, generation, state) and changes
//! in one store; the other words are written only while the state says that nobody may use them, and whoever reads
//! them looks at the state word again afterwards. So a reader in debug context never waits and never acts on a torn
//! record.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::{Admitted, Encoding, Kind, SlotError, SlotMask, WatchHit, watchpoint_hits};

/// What the owner of a slot keeps in its record (disposition, handler, who asked): anything that fits two words.
pub trait Payload: Copy {
    /// The value as two words.
    fn to_words(self) -> [u64; 2];
    /// The value from two words that `to_words` made.
    fn from_words(words: [u64; 2]) -> Self;
}

impl Payload for [u64; 2] {
    #[inline]
    fn to_words(self) -> [u64; 2] {
        self
    }
    #[inline]
    fn from_words(words: [u64; 2]) -> Self {
        words
    }
}

impl Payload for u64 {
    #[inline]
    fn to_words(self) -> [u64; 2] {
        [self, 0]
    }
    #[inline]
    fn from_words(words: [u64; 2]) -> Self {
        words[0]
    }
}

/// A set of CPUs, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpus(pub u64);

impl Cpus {
    /// Every CPU, those that come up later too (rule H5).
    pub const ALL: Cpus = Cpus(u64::MAX);

    /// CPU number `cpu` alone; empty when it is 64 or more.
    pub const fn of(cpu: u32) -> Cpus {
        Cpus(if cpu < 64 { 1 << cpu } else { 0 })
    }

    /// Whether CPU number `cpu` is in the set.
    #[inline]
    pub const fn contains(self, cpu: u32) -> bool {
        self.0 & Cpus::of(cpu).0 != 0
    }
}

/// Names one use of one slot. When the slot is freed and used again, the next use has another generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotId {
    /// The kind of slot.
    pub kind: Kind,
    /// The number of its registers.
    pub index: u8,
    /// Which use of it. 30 bits: an id must not be kept for a thousand million reuses of its slot.
    pub generation: u32,
}

/// What a record says of its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// In use.
    Live,
    /// On the way out: some CPUs may still have it armed, none may arm it again. A hit is not spurious.
    Retired,
}

/// A record as it was at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Snapshot<P> {
    /// The id under which it lives.
    pub id: SlotId,
    /// Live or retired.
    pub state: State,
    /// The register contents.
    pub encoding: Encoding,
    /// The CPUs that it is for.
    pub cpus: Cpus,
    /// What the owner keeps in it.
    pub payload: P,
}

const FREE: u64 = 0;
const FILLING: u64 = 1;
const LIVE: u64 = 2;
const RETIRED: u64 = 3;
const GENERATIONS: u64 = (1 << 30) - 1;

/// State word: control[63:32], generation[31:2], state[1:0].
const fn word(control: u32, generation: u64, state: u64) -> u64 {
    (control as u64) << 32 | (generation & GENERATIONS) << 2 | state
}

const fn state_of(word: u64) -> u64 {
    word & 3
}

const fn generation_of(word: u64) -> u64 {
    word >> 2 & GENERATIONS
}

const fn control_of(word: u64) -> u32 {
    (word >> 32) as u32
}

/// One cache line.
#[repr(align(64))]
struct Record {
    state: AtomicU64,
    value: AtomicU64,
    /// First byte watched and length less one, so that a hit decodes no control register.
    first: AtomicU64,
    span: AtomicU64,
    cpus: AtomicU64,
    payload: [AtomicU64; 2],
    hits: AtomicU64,
}

impl Record {
    const fn new() -> Record {
        Record {
            state: AtomicU64::new(word(0, 0, FREE)),
            value: AtomicU64::new(0),
            first: AtomicU64::new(0),
            span: AtomicU64::new(0),
            cpus: AtomicU64::new(0),
            payload: [const { AtomicU64::new(0) }; 2],
            hits: AtomicU64::new(0),
        }
    }
}

/// The records of the slots of one kind, at most `N` (at most 64). All functions may be called in any context.
pub struct Table<P, const N: usize> {
    kind: Kind,
    records: [Record; N],
    payload: PhantomData<fn() -> P>,
}

impl<P: Payload, const N: usize> Table<P, N> {
    /// A table without records.
    pub const fn new(kind: Kind) -> Self {
        const { assert!(N <= 64, "an index must fit a SlotMask") };
        Table { kind, records: [const { Record::new() }; N], payload: PhantomData }
    }

    /// The kind of slots it is for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes a free index below `limit` (the number of slots that every CPU has), fills its record and publishes it
    /// in one store (rule H1). The slot is then live, and to be armed on the CPUs of `cpus`.
    ///
    /// A CPU that comes up at the same time either is seen by a caller that reads the set of online CPUs after this
    /// returns, or, if it enters that set before it calls [`Table::for_cpu`], sees this record there: both sides have
    /// a full barrier between.
    ///
    /// # Errors
    /// [`SlotError::NoFreeSlot`], [`SlotError::NoCpu`].
    ///
    /// # Panics
    /// If `admitted` is of the other kind; [`Tables::reserve`](crate::Tables::reserve) cannot get that wrong.
    pub fn reserve(
        &self,
        admitted: Admitted,
        cpus: Cpus,
        payload: P,
        limit: u8,
    ) -> Result<SlotId, SlotError> {
        assert!(
            admitted.kind() == self.kind,
            "a {} does not go into the other kind's table",
            admitted.kind()
        );
        if cpus.0 == 0 {
            return Err(SlotError::NoCpu);
        }
        let encoding = admitted.encoding();
        for (index, record) in self.records.iter().enumerate().take(limit.into()) {
            let free = record.state.load(Ordering::Relaxed);
            if state_of(free) != FREE {
                continue;
            }
            let generation = generation_of(free).wrapping_add(1) & GENERATIONS;
            let filling = word(0, generation, FILLING);
            if record.state.compare_exchange(free, filling, Ordering::Acquire, Ordering::Relaxed).is_err() {
                continue;
            }
            // Whoever sees one of the stores below sees at least FILLING when it looks at the state again.
            fence(Ordering::Release);
            let (first, last) = encoding.watched();
            record.value.store(encoding.value, Ordering::Relaxed);
            record.first.store(first, Ordering::Relaxed);
            record.span.store(last - first, Ordering::Relaxed);
            record.cpus.store(cpus.0, Ordering::Relaxed);
            for (to, from) in record.payload.iter().zip(payload.to_words()) {
                to.store(from, Ordering::Relaxed);
            }
            record.hits.store(0, Ordering::Relaxed);
            record.state.store(word(encoding.control, generation, LIVE), Ordering::Release);
            fence(Ordering::SeqCst);
            return Ok(self.id(index as u8, generation));
        }
        Err(SlotError::NoFreeSlot { kind: self.kind, total: limit.min(N as u8) })
    }

    /// Begins the removal: from now on no CPU arms or re-arms the slot. Each then calls [`disarm`](crate::disarm).
    ///
    /// # Errors
    /// [`SlotError::Gone`] if it is not live: of several callers one succeeds.
    pub fn retire(&self, id: SlotId) -> Result<(), SlotError> {
        self.change(id, LIVE, RETIRED).map_err(|_| SlotError::Gone { id })
    }

    /// Ends the removal, after *every* CPU that the slot is for has cleared its control register and executed an ISB
    /// (rule H1). The index may be reserved again at once.
    ///
    /// # Errors
    /// [`SlotError::NotRetired`] if it is live, [`SlotError::Gone`] if it is neither.
    pub fn free(&self, id: SlotId) -> Result<(), SlotError> {
        self.change(id, RETIRED, FREE).map_err(|now| match now {
            LIVE => SlotError::NotRetired { id },
            _ => SlotError::Gone { id },
        })
    }

    /// The record of slot `index`, live or retired; `None` if there is none, so that a hit on it is spurious (rule H3).
    ///
    /// Lock-free: it reads again only if the record was given to another use meanwhile, which cannot be for a slot
    /// that is armed on the calling CPU.
    #[inline]
    pub fn lookup(&self, index: u8) -> Option<Snapshot<P>> {
        let record = self.records.get(usize::from(index))?;
        loop {
            let before = record.state.load(Ordering::Acquire);
            let state = match state_of(before) {
                LIVE => State::Live,
                RETIRED => State::Retired,
                _ => return None,
            };
            let value = record.value.load(Ordering::Relaxed);
            let cpus = record.cpus.load(Ordering::Relaxed);
            let payload = [0, 1].map(|i| record.payload[i].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if record.state.load(Ordering::Relaxed) == before {
                return Some(Snapshot {
                    id: self.id(index, generation_of(before)),
                    state,
                    encoding: Encoding { value, control: control_of(before) },
                    cpus: Cpus(cpus),
                    payload: P::from_words(payload),
                });
            }
        }
    }

    /// The register contents of a live slot; `None` once it is retired. What a CPU must ask before it arms or re-arms.
    #[inline]
    pub fn encoding_of(&self, id: SlotId) -> Option<Encoding> {
        let record = self.lookup(id.index)?;
        (record.id == id && record.state == State::Live).then_some(record.encoding)
    }

    /// The control register, E clear, of a live slot: [`Table::encoding_of`] in one load.
    #[inline]
    pub(crate) fn live_control(&self, index: u8, generation: u32) -> Option<u32> {
        self.control_if(index, generation, LIVE)
    }

    /// The same of a retired slot.
    #[inline]
    pub(crate) fn retired_control(&self, index: u8, generation: u32) -> Option<u32> {
        self.control_if(index, generation, RETIRED)
    }

    #[inline]
    fn control_if(&self, index: u8, generation: u32, state: u64) -> Option<u32> {
        let now = self.records.get(usize::from(index))?.state.load(Ordering::Acquire);
        (now as u32 == word(0, generation.into(), state) as u32).then_some(control_of(now))
    }

    /// Counts one hit of slot `index`, for the use that the calling CPU has armed.
    #[inline]
    pub fn count_hit(&self, index: u8) {
        if let Some(record) = self.records.get(usize::from(index)) {
            record.hits.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The hits counted so far; `None` when this use of the slot is gone.
    pub fn hits(&self, id: SlotId) -> Option<u64> {
        let hits = self.records.get(usize::from(id.index))?.hits.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        self.lookup(id.index).filter(|record| record.id == id).map(|_| hits)
    }

    /// All records, live and retired, by index: for listings.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot<P>> + '_ {
        (0..N as u8).filter_map(|index| self.lookup(index))
    }

    /// The live slots that are for CPU number `cpu`: what it arms when it comes up (rule H5), after it has entered
    /// the set of online CPUs.
    pub fn for_cpu(&self, cpu: u32) -> impl Iterator<Item = SlotId> + '_ {
        fence(Ordering::SeqCst);
        self.iter().filter(move |r| r.state == State::Live && r.cpus.contains(cpu)).map(|r| r.id)
    }

    /// As [`breakpoint_hits`](crate::breakpoint_hits), straight from the records; the cost depends on `limit`, not on
    /// how many are armed.
    ///
    /// `armed` are the slots armed and not suspended on this CPU.
    #[inline]
    pub fn breakpoint_hits(&self, pc: u64, armed: SlotMask, limit: u8) -> SlotMask {
        // No look at the state: a slot that is armed here keeps its record until this CPU has disarmed it.
        self.scan(limit, |record| record.value.load(Ordering::Relaxed) == pc).intersection(armed)
    }

    /// As [`watchpoint_hits`](crate::watchpoint_hits), straight from the records; the cost depends on `limit`, not on
    /// how many are armed, when FAR is in a watched range.
    ///
    /// `armed` are the slots armed and not suspended on this CPU.
    #[inline]
    pub fn watchpoint_hits(&self, hit: &WatchHit, armed: SlotMask, limit: u8) -> SlotMask {
        if let Some(far) = hit.plain_far() {
            let in_range = |record: &Record| {
                let offset = far.wrapping_sub(record.first.load(Ordering::Relaxed));
                offset <= record.span.load(Ordering::Relaxed)
            };
            let mut exact = self.scan(limit, in_range).intersection(armed);
            for n in exact {
                let record = &self.records[usize::from(n)];
                if !self.stored(record).matches_access(hit.write()) {
                    exact = exact.without(SlotMask::of(n));
                }
            }
            if !exact.is_empty() {
                return exact;
            }
        }
        self.inexact(*hit, armed, limit)
    }

    /// By value: a hit passed by reference would be built in memory on the short path too.
    #[cold]
    fn inexact(&self, hit: WatchHit, armed: SlotMask, limit: u8) -> SlotMask {
        let count = limit.min(N as u8);
        let armed = armed.intersection(SlotMask::first(count));
        watchpoint_hits(&hit, armed.into_iter().map(|n| (n, self.stored(&self.records[usize::from(n)]))))
    }

    /// The records below `limit` that match; from the last to the first, which saves computing each bit's place.
    #[inline]
    fn scan(&self, limit: u8, matches: impl Fn(&Record) -> bool) -> SlotMask {
        let count = usize::from(limit).min(N);
        let records = self.records[..count].iter().rev();
        SlotMask(records.fold(0, |mask, record| mask << 1 | u64::from(matches(record))))
    }

    #[inline]
    fn stored(&self, record: &Record) -> Encoding {
        let control = control_of(record.state.load(Ordering::Relaxed));
        Encoding { value: record.value.load(Ordering::Relaxed), control }
    }

    fn id(&self, index: u8, generation: u64) -> SlotId {
        SlotId { kind: self.kind, index, generation: generation as u32 }
    }

    /// Moves the record of `id` from one state to another; otherwise the state it is in, FREE for another generation.
    fn change(&self, id: SlotId, from: u64, to: u64) -> Result<(), u64> {
        let (Some(record), true) = (self.records.get(usize::from(id.index)), id.kind == self.kind) else {
            return Err(FREE);
        };
        let now = record.state.load(Ordering::Relaxed);
        if generation_of(now) != u64::from(id.generation) {
            return Err(FREE);
        }
        if state_of(now) != from {
            return Err(state_of(now));
        }
        let control = if to == FREE { 0 } else { control_of(now) };
        let next = word(control, generation_of(now), to);
        match record.state.compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(other) if generation_of(other) == u64::from(id.generation) => Err(state_of(other)),
            Err(_) => Err(FREE),
        }
    }
}
