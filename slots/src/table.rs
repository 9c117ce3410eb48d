//! The records of the slots of one kind: one per index, for all CPUs.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use crate::record::{
    Age, FILLING, FREE, GENERATIONS, LIVE, RETIRED, Record, control_of, generation_of, state_of, word,
};
use crate::{
    Admitted, Cpus, Encoding, Kind, Payload, SlotError, SlotId, SlotMask, Snapshot, State, WatchHit,
    watchpoint_hits,
};

/// The records of the slots of one kind, at most `N` (at most 64). All functions may be called in any context.
pub struct Table<P, const N: usize> {
    kind: Kind,
    records: [Record; N],
    /// The generation of the latest use of any index.
    generations: AtomicU32,
    payload: PhantomData<fn() -> P>,
}

impl<P: Payload, const N: usize> Table<P, N> {
    /// A table without records.
    pub const fn new(kind: Kind) -> Self {
        const { assert!(N <= 64, "an index must fit a SlotMask") };
        Table {
            kind,
            records: [const { Record::new() }; N],
            generations: AtomicU32::new(0),
            payload: PhantomData,
        }
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
        if cpus.0 == 0 {
            return Err(SlotError::NoCpu);
        }
        let claim = self.claim(admitted, limit).ok_or(self.full(limit))?;
        let id = claim.publish(cpus, payload, None);
        fence(Ordering::SeqCst);
        Ok(id)
    }

    /// As [`Table::reserve`], for a request split over two slots: both are reserved, or neither, and no record of
    /// neither was ever seen. They are each other's [mates](Table::mate).
    ///
    /// # Errors
    /// As `reserve`; [`SlotError::NeedsTwo`] if only one is free.
    ///
    /// # Panics
    /// As `reserve`.
    pub fn reserve_pair(
        &self,
        pair: [Admitted; 2],
        cpus: Cpus,
        payload: P,
        limit: u8,
    ) -> Result<[SlotId; 2], SlotError> {
        if cpus.0 == 0 {
            return Err(SlotError::NoCpu);
        }
        let first = self.claim(pair[0], limit).ok_or(self.full(limit))?;
        let second = self.claim(pair[1], limit).ok_or(SlotError::NeedsTwo { kind: self.kind })?;
        let (at, mate) = (first.index, second.index);
        let ids = [first.publish(cpus, payload, Some(mate)), second.publish(cpus, payload, Some(at))];
        fence(Ordering::SeqCst);
        Ok(ids)
    }

    fn full(&self, limit: u8) -> SlotError {
        SlotError::NoFreeSlot { kind: self.kind, total: limit.min(N as u8) }
    }

    /// Takes a free index, which is given back if the claim is dropped.
    fn claim(&self, admitted: Admitted, limit: u8) -> Option<Claim<'_, P, N>> {
        assert!(
            admitted.kind() == self.kind,
            "a {} does not go into the other kind's table",
            admitted.kind()
        );
        let encoding = admitted.encoding();
        self.records.iter().enumerate().take(limit.into()).find_map(|(index, record)| {
            let free = record.state.load(Ordering::Relaxed);
            let filling = word(0, generation_of(free), FILLING);
            let taken = state_of(free) == FREE
                && record.state.compare_exchange(free, filling, Ordering::Acquire, Ordering::Relaxed).is_ok();
            taken.then(|| Claim { table: self, index: index as u8, encoding })
        })
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

    /// The control register, E clear, of a slot that is live and no newer than `newest`: in one load.
    #[inline]
    pub(crate) fn live_control(&self, index: u8, newest: Age) -> Option<u32> {
        let now = self.records.get(usize::from(index))?.state.load(Ordering::Acquire);
        newest.covers_word(now, LIVE).then_some(control_of(now))
    }

    /// The same of one that is live or retired, with its id.
    #[inline]
    pub(crate) fn existing(&self, index: u8, newest: Age) -> Option<(SlotId, u32)> {
        let now = self.records.get(usize::from(index))?.state.load(Ordering::Acquire);
        let exists = newest.covers_word(now, LIVE) || newest.covers_word(now, RETIRED);
        exists.then_some((self.id(index, generation_of(now)), control_of(now)))
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

    /// The record of the other half of a request that is split over two slots, of which `id` is one; `None` for a slot on
    /// its own. Both halves count as one: who suspends one for a step-over suspends the other, so that an instruction
    /// that touches both is one hit.
    #[inline]
    pub fn mate(&self, id: SlotId) -> Option<Snapshot<P>> {
        let mate = self.records.get(usize::from(id.index))?.mate.load(Ordering::Relaxed);
        if mate == 0 { None } else { self.still_mate(id, mate) }
    }

    /// A half may be gone and its index in another use, which then has no mate, or another one.
    #[cold]
    fn still_mate(&self, id: SlotId, mate: u32) -> Option<Snapshot<P>> {
        let index = (mate - 1) as u8;
        let record = self.lookup(index)?;
        let back = self.records[usize::from(index)].mate.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let same = self.lookup(index).is_some_and(|again| again.id == record.id);
        (same && back == u32::from(id.index) + 1).then_some(record)
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
                offset <= record.span.load(Ordering::Relaxed).into()
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
        let hits =
            watchpoint_hits(&hit, armed.into_iter().map(|n| (n, self.stored(&self.records[usize::from(n)]))));
        // Of a pair the lower one stands for both.
        hits.into_iter().fold(SlotMask::EMPTY, |kept, n| {
            let mate = self.records[usize::from(n)].mate.load(Ordering::Relaxed);
            if mate != 0 && kept.contains((mate - 1) as u8) { kept } else { kept.with(n) }
        })
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

/// An index taken, whose record nobody sees yet.
struct Claim<'a, P: Payload, const N: usize> {
    table: &'a Table<P, N>,
    index: u8,
    encoding: Encoding,
}

impl<P: Payload, const N: usize> Claim<'_, P, N> {
    fn record(&self) -> &Record {
        &self.table.records[usize::from(self.index)]
    }

    fn publish(self, cpus: Cpus, payload: P, mate: Option<u8>) -> SlotId {
        let record = self.record();
        // After the index was taken, so that no set of suspended slots that an earlier use is in has a newer member.
        let earlier = self.table.generations.fetch_add(1, Ordering::Relaxed);
        let generation = (u64::from(earlier) + 1) & GENERATIONS;
        // Whoever sees one of the stores below sees at least FILLING when it looks at the state again.
        fence(Ordering::Release);
        let (first, last) = self.encoding.watched();
        record.value.store(self.encoding.value, Ordering::Relaxed);
        record.first.store(first, Ordering::Relaxed);
        record.span.store((last - first) as u32, Ordering::Relaxed);
        record.mate.store(mate.map_or(0, |index| u32::from(index) + 1), Ordering::Relaxed);
        record.cpus.store(cpus.0, Ordering::Relaxed);
        for (to, from) in record.payload.iter().zip(payload.to_words()) {
            to.store(from, Ordering::Relaxed);
        }
        record.hits.store(0, Ordering::Relaxed);
        record.state.store(word(self.encoding.control, generation, LIVE), Ordering::Release);
        let id = self.table.id(self.index, generation);
        // The index is the record's from here on.
        core::mem::forget(self);
        id
    }
}

impl<P: Payload, const N: usize> Drop for Claim<'_, P, N> {
    fn drop(&mut self) {
        let state = &self.record().state;
        state.store(word(0, generation_of(state.load(Ordering::Relaxed)), FREE), Ordering::Release);
    }
}
