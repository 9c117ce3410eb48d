//! The records of the slots of one kind, for all CPUs.

use core::marker::PhantomData;

use crate::record::{
    FILLING, FREE, GENERATIONS, LIVE, RETIRED, Record, control_of, generation_of, place, state_of, word,
};
use crate::sync::{AtomicU32, AtomicU64, Ordering, array, constant, fence};
use crate::{Admitted, CpuHits, Cpus, Encoding, Kind, Payload, SlotError, SlotId, Snapshot, State};

/// Slots of a kind that a CPU can have at most.
const SLOTS: usize = if cfg!(loom) { 2 } else { 64 };

/// Records that any slot can have; those behind them are each one slot's of one CPU (see [`own_record`]).
const SHARED: usize = 128;

/// CPUs, and slots of each, that have records of their own: as many as fit the number of a record.
const OWNERS: (u32, u8) = (8, 16);

/// The record that is slot `n`'s of CPU `cpu` alone, if it has one.
#[inline(always)]
const fn own_record<const N: usize>(cpu: u32, n: u8) -> Option<usize> {
    if cpu < OWNERS.0 && n < OWNERS.1 && N == SHARED + (OWNERS.0 * OWNERS.1 as u32) as usize {
        Some(SHARED + (cpu * OWNERS.1 as u32) as usize + n as usize)
    } else {
        None
    }
}

/// The records of the slots of one kind, at most `N` (at most 256). All functions may be called in any context.
///
/// A slot number is one record's on all CPUs that the record is for, so records for different CPUs share it.
#[repr(C)]
pub struct Table<P, const N: usize> {
    records: [Record; N],
    kind: Kind,
    /// By slot number: the CPUs that have it in use.
    taken: [AtomicU64; SLOTS],
    /// The generation of the latest use of any slot.
    generations: AtomicU32,
    payload: PhantomData<fn() -> P>,
}

impl<P: Payload, const N: usize> Table<P, N> {
    constant! {
        /// A table without records.
        pub const fn new(kind: Kind) -> Self {
            const { assert!(N <= 256, "the number of a record must fit its id") };
            Table {
                records: array![Record::new(); N],
                kind,
                taken: array![AtomicU64::new(0); SLOTS],
                generations: AtomicU32::new(0),
                payload: PhantomData,
            }
        }
    }

    /// The kind of slots it is for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes a slot number below `limit` (the number of slots that every CPU has) that is free on the CPUs of `cpus`, fills a
    /// record and publishes it in one store (rule H1). The slot is then live, and to be armed on the CPUs of `cpus`.
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
    #[inline]
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
        let claim = self.claim(admitted, cpus, limit).ok_or(self.full(limit))?;
        let id = claim.publish(payload, None);
        fence(Ordering::SeqCst);
        Ok(id)
    }

    /// As [`Table::reserve`] for CPU `cpu` alone, whose bit is `bit`, which calls it, and slot `n`, which it has not armed. `None`, and nothing
    /// done, if that takes more than this: `n` is taken all the same, or has no record of its own.
    #[inline(always)]
    pub(crate) fn reserve_own(
        &self,
        admitted: Admitted,
        (cpu, bit): (u32, u64),
        payload: P,
        n: u8,
    ) -> Option<Reserved> {
        let record = own_record::<N>(cpu, n)?;
        if self.taken[usize::from(n & 63)].fetch_or(bit, Ordering::Acquire) & bit != 0 {
            return None;
        }
        let plain = admitted.plain() && payload.is_plain();
        let place = place(n, None, admitted.plain());
        let generation = self.fill(&self.records[record & 255], admitted.encoding(), bit, place, payload);
        Some(Reserved { record: record as u8, generation, plain })
    }

    /// Fills a record that is the caller's, and publishes it.
    #[inline(always)]
    fn fill(&self, record: &Record, encoding: Encoding, cpus: u64, place: u32, payload: P) -> u32 {
        // After the number was taken, so that no set of suspended slots that an earlier use is in has a newer member.
        let earlier = self.generations.fetch_add(1, Ordering::Relaxed);
        let generation = (u64::from(earlier) + 1) & GENERATIONS;
        // Whoever sees one of the stores below sees that the record is nobody's when it looks at the state again.
        fence(Ordering::Release);
        record.value.store(encoding.value, Ordering::Relaxed);
        record.cpus.store(cpus, Ordering::Relaxed);
        record.place.store(place, Ordering::Relaxed);
        record.payload.store(payload.to_word(), Ordering::Relaxed);
        record.state.store(word(encoding.control, generation, LIVE), Ordering::Release);
        generation as u32
    }

    /// As [`Table::reserve`], for a request split over two slots: both are reserved, or neither, and no record of
    /// neither was ever seen. They are each other's mates ([`Snapshot::mate`]).
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
        let first = self.claim(pair[0], cpus, limit).ok_or(self.full(limit))?;
        let second = self.claim(pair[1], cpus, limit).ok_or(SlotError::NeedsTwo { kind: self.kind })?;
        let (at, mate) = (first.slot.number, second.slot.number);
        let ids = [first.publish(payload, Some(mate)), second.publish(payload, Some(at))];
        fence(Ordering::SeqCst);
        Ok(ids)
    }

    fn full(&self, limit: u8) -> SlotError {
        SlotError::NoFreeSlot { kind: self.kind, total: limit.min(N.min(SLOTS) as u8) }
    }

    /// Takes a slot number and a record, which are given back if the claim is dropped.
    #[inline(always)]
    fn claim(&self, admitted: Admitted, cpus: Cpus, limit: u8) -> Option<Claim<'_, P, N>> {
        assert!(
            admitted.kind() == self.kind,
            "a {} does not go into the other kind's table",
            admitted.kind()
        );
        let slot = self.claim_slot(cpus, limit)?;
        self.claim_record(admitted, slot)
    }

    fn claim_record<'a>(
        &'a self,
        admitted: Admitted,
        slot: ClaimedSlot<'a, P, N>,
    ) -> Option<Claim<'a, P, N>> {
        self.records
            .iter()
            .take(SHARED)
            .enumerate()
            .find_map(|(index, record)| {
                let free = record.state.load(Ordering::Relaxed);
                let filling = word(0, generation_of(free), FILLING);
                (state_of(free) == FREE
                    && record
                        .state
                        .compare_exchange(free, filling, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok())
                .then_some(index as u8)
            })
            .map(|index| Claim { slot, index, admitted })
    }

    #[inline(always)]
    fn claim_slot(&self, cpus: Cpus, limit: u8) -> Option<ClaimedSlot<'_, P, N>> {
        for (number, taken) in self.taken.iter().enumerate().take(limit.into()) {
            let mut by = taken.load(Ordering::Relaxed);
            while by & cpus.0 == 0 {
                match taken.compare_exchange_weak(by, by | cpus.0, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => return Some(ClaimedSlot { table: self, number: number as u8, cpus }),
                    Err(now) => by = now,
                }
            }
        }
        None
    }

    /// Begins the removal: from now on no CPU arms the slot. Each that has it armed then calls
    /// [`CpuSlots::disarm`](crate::CpuSlots::disarm); until it has, hits of it there are this record's.
    ///
    /// # Errors
    /// [`SlotError::Gone`] if it is not live: of several callers one succeeds.
    pub fn retire(&self, id: SlotId) -> Result<(), SlotError> {
        self.change(id, LIVE, RETIRED).map_err(|_| SlotError::Gone { id })
    }

    /// Ends the removal, after *every* CPU that the slot is for has cleared its control register and executed an ISB
    /// (rule H1). The slot number may be reserved again at once.
    ///
    /// # Errors
    /// [`SlotError::NotRetired`] if it is live, [`SlotError::Gone`] if it is neither.
    pub fn free(&self, id: SlotId) -> Result<(), SlotError> {
        // Read while it is this use's.
        let cpus = self.record(id).map_or(0, |record| record.cpus.load(Ordering::Relaxed));
        self.change(id, RETIRED, FREE).map_err(|now| match now {
            LIVE => SlotError::NotRetired { id },
            _ => SlotError::Gone { id },
        })?;
        // The number last: whoever takes it finds a record.
        self.taken[usize::from(id.index)].fetch_and(!cpus, Ordering::Release);
        Ok(())
    }

    /// The record of a number, live or retired.
    ///
    /// Lock-free: it reads again only if the record was given to another use meanwhile, which cannot be for a slot
    /// that is armed on the calling CPU.
    #[inline]
    pub fn lookup(&self, record: u8) -> Option<Snapshot<P>> {
        let number = record;
        let record = self.records.get(usize::from(record))?;
        loop {
            let before = record.state.load(Ordering::Acquire);
            let state = match state_of(before) {
                LIVE => State::Live,
                RETIRED => State::Retired,
                _ => return None,
            };
            let value = record.value.load(Ordering::Relaxed);
            let cpus = record.cpus.load(Ordering::Relaxed);
            let place = record.place.load(Ordering::Relaxed);
            let payload = record.payload.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if record.state.load(Ordering::Relaxed) == before {
                let payload = P::from_word(payload);
                let mate = (place >> 8) as u8;
                return Some(Snapshot {
                    id: self.id(place as u8, number, generation_of(before)),
                    state,
                    encoding: Encoding { value, control: control_of(before) },
                    cpus: Cpus(cpus),
                    payload,
                    mate: mate.checked_sub(1),
                    plain: place >> 16 & 1 == 0 && mate == 0 && payload.is_plain(),
                });
            }
        }
    }

    /// The record of a live slot; `None` once it is retired. What a CPU must ask before it arms.
    #[inline]
    pub fn live(&self, id: SlotId) -> Option<Snapshot<P>> {
        let record = self.lookup(id.record)?;
        (record.id == id && record.state == State::Live).then_some(record)
    }

    /// The register contents of a live slot.
    #[inline]
    pub fn encoding_of(&self, id: SlotId) -> Option<Encoding> {
        self.live(id).map(|record| record.encoding)
    }

    /// The hits of a live slot on the CPUs whose counts are given, by number; `None` once it is retired.
    pub fn hits<'a>(&self, id: SlotId, counts: impl Iterator<Item = &'a CpuHits>) -> Option<u64> {
        let cpus = self.live(id)?.cpus;
        let mut hits = 0;
        for (cpu, of) in (0..).zip(counts) {
            if cpus.contains(cpu) {
                hits += of.of(id.kind, id.index);
            }
        }
        fence(Ordering::Acquire);
        self.live(id).map(|_| hits)
    }

    /// All records, live and retired, by slot number as long as none was reserved out of order: for listings.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot<P>> + '_ {
        (0..N).filter_map(|record| self.lookup(record as u8))
    }

    /// The live slots that are for CPU number `cpu`: what it arms when it comes up (rule H5), after it has entered
    /// the set of online CPUs.
    pub fn for_cpu(&self, cpu: u32) -> impl Iterator<Item = SlotId> + '_ {
        fence(Ordering::SeqCst);
        self.iter().filter(move |r| r.state == State::Live && r.cpus.contains(cpu)).map(|r| r.id)
    }

    fn id(&self, index: u8, record: u8, generation: u64) -> SlotId {
        SlotId { kind: self.kind, index, record, generation: generation as u32 }
    }

    fn record(&self, id: SlotId) -> Option<&Record> {
        self.records.get(usize::from(id.record)).filter(|_| id.kind == self.kind)
    }

    /// Moves the record of `id` from one state to another; otherwise the state it is in, FREE for another generation.
    fn change(&self, id: SlotId, from: u64, to: u64) -> Result<(), u64> {
        let record = self.record(id).ok_or(FREE)?;
        let now = record.state.load(Ordering::Relaxed);
        if generation_of(now) != u64::from(id.generation)
            || record.place.load(Ordering::Relaxed) as u8 != id.index
        {
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

/// What is new of a slot that was reserved, and whether its record is [plain](Snapshot::plain).
pub(crate) struct Reserved {
    pub(crate) record: u8,
    pub(crate) generation: u32,
    pub(crate) plain: bool,
}

/// A slot number taken on some CPUs.
struct ClaimedSlot<'a, P: Payload, const N: usize> {
    table: &'a Table<P, N>,
    number: u8,
    cpus: Cpus,
}

impl<P: Payload, const N: usize> Drop for ClaimedSlot<'_, P, N> {
    fn drop(&mut self) {
        self.table.taken[usize::from(self.number)].fetch_and(!self.cpus.0, Ordering::Release);
    }
}

/// A slot number, and a record that nobody sees yet.
struct Claim<'a, P: Payload, const N: usize> {
    slot: ClaimedSlot<'a, P, N>,
    index: u8,
    admitted: Admitted,
}

impl<'a, P: Payload, const N: usize> Claim<'a, P, N> {
    fn record(&self) -> &'a Record {
        &self.slot.table.records[usize::from(self.index)]
    }

    #[inline(always)]
    fn publish(self, payload: P, mate: Option<u8>) -> SlotId {
        let table = self.slot.table;
        let place = place(self.slot.number, mate, self.admitted.plain());
        let generation =
            table.fill(self.record(), self.admitted.encoding(), self.slot.cpus.0, place, payload);
        let id = table.id(self.slot.number, self.index, generation.into());
        // Slot number and record are taken from here on.
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
