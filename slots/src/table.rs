//! The records of the slots of one kind, for all CPUs.

use core::marker::PhantomData;

use crate::record::{
    FILLING, FREE, GENERATIONS, LIVE, RETIRED, Record, control_of, generation_of, place, state_of, word,
};
use crate::sync::{AtomicU32, AtomicU64, Ordering, array, constant, fence};
use crate::{Admitted, CpuHits, Cpus, Encoding, Kind, Payload, SlotError, SlotId, Snapshot, State};

/// The most slots of a kind that a CPU can have. The model checker `loom` is given 2, because it tries every order of accesses.
const SLOTS: usize = if cfg!(loom) { 2 } else { 64 };

/// The records with numbers below this one are for any slot. Each other record is reserved for one slot of one CPU (see
/// [`own_record`]), so that [`CpuSlots::install`](crate::CpuSlots::install) need not search.
const SHARED: usize = 128;

/// How many CPUs have such reserved records, and for how many slots each: 8 * 16 = 128, which together with [`SHARED`] are all
/// numbers that 8 bits can hold.
const OWNERS: (u32, u8) = (8, 16);

/// The record that is reserved for slot `n` of CPU `cpu`. `None` if the number of the CPU or of the slot is too high, or if the
/// table has fewer than 256 records: such a table reserves none.
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
/// A record has the same slot number on all CPUs that it is for. Two records can have the same slot number if they have no CPU in
/// common.
#[repr(C)]
pub struct Table<P, const N: usize> {
    records: [Record; N],
    kind: Kind,
    /// For each slot number: the CPUs on which a record uses that slot.
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

    /// The kind of slots that the records of this table are for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes a slot number below `limit` (the number of slots that every CPU has) that is free on all CPUs of `cpus`, fills a
    /// record and publishes it in one store (rule H1). The slot is then live; each CPU of `cpus` is to arm it.
    ///
    /// A CPU that comes up at the same time is not missed. That CPU enters the set of online CPUs and then calls
    /// [`Table::for_cpu`]. The caller of `reserve` reads the set of online CPUs after `reserve` has returned. Each of the two
    /// executes a full barrier between its store and its load. So the new CPU finds the record, or the caller finds the new CPU in
    /// the set, or both.
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

    /// As [`Table::reserve`], for the calling CPU `cpu` alone, whose bit in a set of CPUs is `bit`, and for slot `n`, which this
    /// CPU has not armed. `None` if slot `n` has no record reserved for it, or is taken already; nothing has changed then.
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

    /// Fills a record that the caller has claimed, and publishes the record.
    #[inline(always)]
    fn fill(&self, record: &Record, encoding: Encoding, cpus: u64, place: u32, payload: P) -> u32 {
        // A set of suspended slots tells an earlier use of this slot number from this one by the generation of its newest member.
        // So this use must be newer than every member. It is, because the caller took the slot number before: the earlier use had
        // been disarmed by then.
        let earlier = self.generations.fetch_add(1, Ordering::Relaxed);
        let generation = (u64::from(earlier) + 1) & GENERATIONS;
        // `lookup` reads the state again at its end. If it has read one of the words stored below, then thanks to this fence it
        // finds that the state has changed since, and does not use the word.
        fence(Ordering::Release);
        record.value.store(encoding.value, Ordering::Relaxed);
        record.cpus.store(cpus, Ordering::Relaxed);
        record.place.store(place, Ordering::Relaxed);
        record.payload.store(payload.to_word(), Ordering::Relaxed);
        record.state.store(word(encoding.control, generation, LIVE), Ordering::Release);
        generation as u32
    }

    /// As [`Table::reserve`], for a request that takes two slots. Either both are reserved, or none is and no other CPU has seen a
    /// record. Each of the two is the other's mate ([`Snapshot::mate`]).
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

    /// Begins the removal: from now on no CPU arms the slot. Each CPU that has armed the slot must then call
    /// [`CpuSlots::disarm`](crate::CpuSlots::disarm). Until a CPU has done so, it may still take hits of the slot, which belong to
    /// this record.
    ///
    /// # Errors
    /// [`SlotError::Gone`] if the record is not live. If several callers retire one id, exactly one of them succeeds.
    pub fn retire(&self, id: SlotId) -> Result<(), SlotError> {
        self.change(id, LIVE, RETIRED).map_err(|_| SlotError::Gone { id })
    }

    /// Ends the removal, after *every* CPU that the slot is for has cleared its control register and executed an ISB
    /// (rule H1). The slot number may be reserved again at once.
    ///
    /// # Errors
    /// [`SlotError::NotRetired`] if the record is still live, [`SlotError::Gone`] if it is neither live nor retired.
    pub fn free(&self, id: SlotId) -> Result<(), SlotError> {
        // Read before the record becomes free: afterwards another use may overwrite the word.
        let cpus = self.record(id).map_or(0, |record| record.cpus.load(Ordering::Relaxed));
        self.change(id, RETIRED, FREE).map_err(|now| match now {
            LIVE => SlotError::NotRetired { id },
            _ => SlotError::Gone { id },
        })?;
        // The slot number is given back after the record, so that a caller that takes the number also finds a free record.
        self.taken[usize::from(id.index)].fetch_and(!cpus, Ordering::Release);
        Ok(())
    }

    /// The record with the number `record`, live or retired. `None` if the record is free, or is being filled.
    ///
    /// Lock-free: the function reads again only if the record's state word changed while it read. A record is given to another use
    /// only after every CPU has disarmed the slot, so for a slot that the calling CPU has armed this happens at most once, when the
    /// record is retired.
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

    /// The record of a live slot; `None` once it is retired. A CPU must ask this before it arms the slot.
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

    /// The sum of a live slot's hits on all CPUs that the slot is for. `counts` yields the counts of CPU 0, CPU 1 and so on.
    /// `None` once the slot is retired.
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

    /// All records, live and retired, for listings. They come in the order of record numbers, not of slot numbers.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot<P>> + '_ {
        (0..N).filter_map(|record| self.lookup(record as u8))
    }

    /// The live slots that are for CPU number `cpu`. A CPU that comes up arms these slots (rule H5), after it has entered the set
    /// of online CPUs.
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

    /// Moves the record of `id` from the state `from` to the state `to`. The error is the state that the record is in; FREE, if the
    /// record belongs to another use now.
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
        // One use's record only goes from live to retired to free. So if the exchange fails, another CPU has moved the record on,
        // and this use will never be in the state `from` again.
        let change = record.state.compare_exchange(now, next, Ordering::AcqRel, Ordering::Relaxed);
        change.map(|_| ()).map_err(|_| FREE)
    }
}

/// What [`Table::reserve_own`] has reserved: number and generation of the record, and whether the record is
/// [plain](Snapshot::plain).
pub(crate) struct Reserved {
    pub(crate) record: u8,
    pub(crate) generation: u32,
    pub(crate) plain: bool,
}

/// A slot number that is taken on some CPUs. Dropping this value gives the number back.
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

/// A slot number that is taken, and a record that no other CPU sees yet. Dropping this value gives both back.
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
        // The record is published, so dropping the claim must not give slot number and record back.
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
