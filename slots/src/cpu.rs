//! What one CPU knows of its own slots: what it has armed in each slot, and which slots the running context has suspended for a
//! step-over. If a hit is only to be counted, the CPU needs nothing else: it does not read the records, which all CPUs share.
//!
//! All functions that take the registers must be called on the CPU that owns the [`CpuSlots`], with debug exceptions
//! masked.

use crate::armed::{Slots, Use, key};
use crate::lookup::{Entry, Found};
use crate::table::Reserved;
use crate::{
    Admitted, Counts, Cpus, DebugRegs, Encoding, Kind, Payload, Privilege, SlotError, SlotId, SlotMask,
    Snapshot, State, Suspended, Table, Tables, WatchHit, arm, breakpoint_hits, disarm, watchpoint_hits,
};

/// The number of slots that are reached without selecting a bank ([`Banked`](crate::Banked)). The constant-time functions
/// deal only with slots below this number; for all others their callers take the longer way.
const PLAIN: u8 = 16;

/// One CPU's slots. Belongs to that CPU, as a per-CPU variable that is accessed with debug exceptions masked.
#[derive(Debug)]
pub struct CpuSlots {
    suspended: Suspended,
    breakpoints: Slots,
    watchpoints: Slots,
}

impl CpuSlots {
    /// The slots of a CPU that has armed nothing yet: the state that [`reset_all`](crate::reset_all) leaves.
    pub const fn new() -> Self {
        CpuSlots { suspended: Suspended::new(), breakpoints: Slots::new(), watchpoints: Slots::new() }
    }

    #[inline(always)]
    const fn of(&self, kind: Kind) -> &Slots {
        match kind {
            Kind::Breakpoint => &self.breakpoints,
            Kind::Watchpoint => &self.watchpoints,
        }
    }

    #[inline(always)]
    const fn of_mut(&mut self, kind: Kind) -> &mut Slots {
        match kind {
            Kind::Breakpoint => &mut self.breakpoints,
            Kind::Watchpoint => &mut self.watchpoints,
        }
    }

    /// Says how many slots this CPU has; until then it counts as having 64 of each kind. To be called while nothing is armed.
    pub const fn set_counts(&mut self, counts: Counts) {
        self.breakpoints.all = SlotMask::first(counts.of(Kind::Breakpoint));
        self.breakpoints.free = self.breakpoints.all;
        self.watchpoints.all = SlotMask::first(counts.of(Kind::Watchpoint));
        self.watchpoints.free = self.watchpoints.all;
    }

    /// The slots that this CPU has armed and that are not suspended. A hit is attributed to these slots only.
    #[inline]
    pub const fn matching(&self, kind: Kind) -> SlotMask {
        self.armed(kind).without(self.suspended.mask(kind))
    }

    /// The slots that this CPU has armed, suspended or not. While the sets of both kinds are empty, this CPU needs no MDSCR_EL1.MDE
    /// for its slots (rule H8).
    #[inline]
    pub const fn armed(&self, kind: Kind) -> SlotMask {
        self.of(kind).armed()
    }

    /// Whether a slot is armed that matches accesses at EL1, so that this CPU needs MDSCR_EL1.KDE for its slots (rule H8). The
    /// unprivileged accesses of the kernel (LDTR, STTR) are not counted: where they match a slot for EL0 there is nothing to report.
    pub fn reaches_el1(&self) -> bool {
        [Kind::Breakpoint, Kind::Watchpoint].into_iter().any(|kind| {
            let slots = self.of(kind);
            slots.armed().into_iter().any(|n| slots.encoding(n).privilege() != Privilege::El0)
        })
    }

    /// The id of the use of slot `n` that this CPU has armed; `None` if slot `n` is not armed.
    #[inline]
    pub fn id(&self, kind: Kind, n: u8) -> Option<SlotId> {
        let this = self.of(kind).uses[usize::from(n & 63)];
        let id = SlotId { kind, index: n, record: this.record(), generation: this.generation() };
        self.armed(kind).contains(n).then_some(id)
    }

    /// The record of what this CPU has armed in slot `n`. `None` if nothing is armed there, or the record is gone: a hit of the
    /// slot is then spurious (rule H3). The record's mate is `None` if this CPU has not armed the other half.
    pub fn record<P: Payload, const B: usize, const W: usize>(
        &self,
        tables: &Tables<P, B, W>,
        kind: Kind,
        n: u8,
    ) -> Option<Snapshot<P>> {
        let of = |n| {
            let id = self.id(kind, n)?;
            tables.lookup(kind, id.record).filter(|record| record.id == id)
        };
        let mut record = of(n)?;
        // The slot with the mate's number may be armed for another request by now. Then that request's record does not name slot
        // `n` as its mate.
        record.mate = record.mate.filter(|&mate| of(mate).is_some_and(|other| other.mate == Some(n)));
        Some(record)
    }

    /// The slots that the running context has suspended.
    #[inline]
    pub const fn suspended(&self) -> &Suspended {
        &self.suspended
    }

    /// Arms a slot from its record, in the order of rule H1.
    ///
    /// # Errors
    /// [`SlotError::Gone`] if the record is not live; no register is written then.
    pub fn arm<P: Payload, const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        id: SlotId,
    ) -> Result<(), SlotError> {
        let record = tables.live(id).ok_or(SlotError::Gone { id })?;
        self.of_mut(id.kind).take(id.index);
        self.suspended.remove(id);
        self.arm_new(regs, id, record.encoding, record.plain);
        Ok(())
    }

    /// As [`CpuSlots::arm`] for a slot that is not armed, from values that the caller has read from the record just now.
    #[inline(always)]
    pub fn arm_new(&mut self, regs: &mut impl DebugRegs, id: SlotId, encoding: Encoding, plain: bool) {
        let SlotId { kind, index, record, generation } = id;
        self.arm_use(
            regs,
            kind,
            index,
            encoding,
            Use::new(generation, record, Entry::new(index, plain && index < PLAIN)),
        );
    }

    #[inline(always)]
    fn arm_use(&mut self, regs: &mut impl DebugRegs, kind: Kind, n: u8, encoding: Encoding, this: Use) {
        // First write down what a hit needs, then write the registers: from then on the hit can come.
        match kind {
            Kind::Breakpoint => self.breakpoints.put(n, encoding, false, this),
            Kind::Watchpoint => self.watchpoints.put(n, encoding, encoding.is_wide(), this),
        }
        arm(regs, kind, n, encoding);
    }

    /// Reserves a slot for this CPU alone and arms it: what [`Tables::reserve`] and [`CpuSlots::arm`] do, in constant time. `me` is
    /// this CPU's number, and the set of this CPU alone. `admitted` and `table` must be of `kind`.
    ///
    /// **No ISB**: the caller adds one.
    ///
    /// Returns `None` in these cases, and has changed nothing then:
    /// - This CPU has armed all its slots below 16, or somebody else has reserved the lowest slot that it has not armed.
    /// - The request watches more than a doubleword.
    /// - Another slot's address falls into the same bucket of the hash table by which hits find their slots.
    /// - `table` has no record that is set apart for this CPU and slot.
    ///
    /// The caller then takes the longer way ([`Tables::reserve`], [`CpuSlots::arm`]), which also gives the reason if it refuses.
    #[inline(always)]
    pub fn install<P: Payload, const N: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        kind: Kind,
        table: &Table<P, N>,
        admitted: Admitted,
        me: (u32, Cpus),
        payload: P,
    ) -> Option<SlotId> {
        if admitted.encoding().is_wide() {
            return None;
        }
        // `free` has the slots that this CPU has not armed. Another CPU may have reserved one of them for this CPU already:
        // `reserve_own` finds that out.
        let n = self.of(kind).free.0.trailing_zeros() as u8;
        if n >= PLAIN {
            return None;
        }
        let n = n & (PLAIN - 1);
        let encoding = admitted.encoding();
        let slots = self.of_mut(kind);
        let bucket = slots.lookup.free_bucket(key(encoding.value))?;
        let Reserved { record, generation, plain } =
            table.reserve_own(admitted, (me.0, me.1.0), payload, n)?;
        // First write down what a hit needs, then write the registers: from then on the hit can come.
        let entry = Entry::new(n, plain);
        slots.put_without_lookup(n, encoding, Use::new(generation, record, entry));
        slots.lookup.put(bucket, entry);
        regs.write_both(kind, n, encoding.value, encoding.enabled());
        Some(SlotId { kind, index: n, record, generation })
    }

    /// Disarms a slot on this CPU, in the order of rule H1. The slot may be armed, suspended, or neither.
    #[inline]
    pub fn disarm(&mut self, regs: &mut impl DebugRegs, id: SlotId) {
        disarm(regs, id.kind, id.index);
        self.of_mut(id.kind).take(id.index);
        self.suspended.remove(id);
    }

    /// The slot of a breakpoint exception at `pc` (ELR_EL1), if exactly one slot matches, its hits are only to be counted and
    /// stepped over, and no slot is suspended. Takes constant time. `None` does not mean that no slot was hit: ask
    /// [`breakpoint_hits`](Self::breakpoint_hits).
    #[inline(always)]
    pub fn plain_breakpoint(&self, pc: u64) -> Option<u8> {
        self.is_breakpoint(self.breakpoints.lookup.plain(key(pc)), pc)
    }

    /// As [`plain_breakpoint`](Self::plain_breakpoint), for callers who know themselves whether the slot's hits are only to be counted.
    #[inline(always)]
    pub fn only_breakpoint(&self, pc: u64) -> Option<u8> {
        self.is_breakpoint(self.breakpoints.lookup.only(key(pc)), pc)
    }

    #[inline(always)]
    fn is_breakpoint(&self, n: u8, pc: u64) -> Option<u8> {
        (n < PLAIN && self.breakpoints.values[usize::from(n)] == pc && self.suspended.is_empty()).then_some(n)
    }

    /// The slot of a watchpoint exception, under the conditions of [`plain_breakpoint`](Self::plain_breakpoint), from the snapshots
    /// of `ESR_EL1.ISS` and FAR_EL1. It also returns `None` if a watchpoint on more than a doubleword is armed, or if the syndrome
    /// says more than direction and address. `None` does not mean that no slot was hit: ask
    /// [`watchpoint_hits`](Self::watchpoint_hits).
    #[inline(always)]
    pub fn plain_watchpoint(&self, iss: u32, far: u64) -> Option<u8> {
        self.is_watchpoint(self.watchpoints.lookup.plain(key(far & !7)), iss, far)
    }

    /// As [`plain_watchpoint`](Self::plain_watchpoint), for callers who know themselves whether the slot's hits are only to be counted.
    #[inline(always)]
    pub fn only_watchpoint(&self, iss: u32, far: u64) -> Option<u8> {
        self.is_watchpoint(self.watchpoints.lookup.only(key(far & !7)), iss, far)
    }

    #[inline(always)]
    fn is_watchpoint(&self, n: u8, iss: u32, far: u64) -> Option<u8> {
        let slots = &self.watchpoints;
        let found = n < PLAIN
            && slots.values[usize::from(n)] == far & !7
            && Encoding::matches_byte(slots.controls[usize::from(n)], iss, far)
            && WatchHit::is_plain(iss)
            && slots.wide.is_empty()
            && self.suspended.is_empty();
        found.then_some(n)
    }

    /// The slots that a breakpoint exception at `pc` (ELR_EL1) belongs to: all that match. Several slots may be set on one address.
    #[inline]
    pub fn breakpoint_hits(&self, pc: u64) -> SlotMask {
        let slots = &self.breakpoints;
        let matching = self.matching(Kind::Breakpoint);
        match slots.lookup.find(key(pc)) {
            Found::Nobody => SlotMask::EMPTY,
            Found::One(n, _) if slots.values[usize::from(n & 63)] == pc => {
                SlotMask::of(n).intersection(matching)
            }
            Found::One(..) => SlotMask::EMPTY,
            Found::Several => breakpoint_hits(pc, matching.into_iter().map(|n| (n, slots.encoding(n)))),
        }
    }

    /// The slots that a watchpoint exception belongs to (rule H7), as [`watchpoint_hits`] attributes them. Where two slots hold one
    /// request, the slot with the lower number stands for both.
    pub fn watchpoint_hits<P: Payload, const B: usize, const W: usize>(
        &self,
        tables: &Tables<P, B, W>,
        hit: &WatchHit,
    ) -> SlotMask {
        let slots = &self.watchpoints;
        let matching = self.matching(Kind::Watchpoint);
        // If the lookup names one slot, and this slot watches the byte at FAR, no other slot can watch that byte: no armed slot is
        // wide, and every other slot has another doubleword. So there is no need to look at the others.
        if let (true, Some(far)) = (slots.wide.is_empty(), hit.plain_far()) {
            match slots.lookup.find(key(far & !7)) {
                Found::One(n, _)
                    if matching.contains(n)
                        && slots.encoding(n).holds(far)
                        && hit.fits(&slots.encoding(n)) =>
                {
                    return SlotMask::of(n);
                }
                _ => {}
            }
        }
        let hits = watchpoint_hits(hit, matching.into_iter().map(|n| (n, slots.encoding(n))));
        hits.into_iter().fold(SlotMask::EMPTY, |kept, n| {
            let mate = self.record(tables, Kind::Watchpoint, n).and_then(|record| record.mate);
            if mate.is_some_and(|mate| kept.contains(mate)) { kept } else { kept.with(n) }
        })
    }

    /// Suspends the slot `n`, which was hit, together with its [mate](Snapshot::mate) where two slots hold one request: the
    /// instruction would hit the mate next. Then the instruction can run once. Returns the slot's record. None means that the hit
    /// is spurious (rule H3): nothing is suspended, and the instruction simply runs again. **No ISB**: the exception return is a
    /// context synchronisation event.
    pub fn suspend_whole<P: Payload, const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        kind: Kind,
        n: u8,
    ) -> Option<Snapshot<P>> {
        let record = self.record(tables, kind, n)?;
        self.suspend(regs, kind, n);
        if let Some(mate) = record.mate {
            self.suspend(regs, kind, mate);
        }
        Some(record)
    }

    /// Suspends one armed slot, as [`suspend_whole`](Self::suspend_whole) does: for a caller that knows that the slot has no mate.
    #[inline(always)]
    pub fn suspend(&mut self, regs: &mut impl DebugRegs, kind: Kind, n: u8) {
        let slots = self.of(kind);
        regs.write_control(kind, n, slots.controls[usize::from(n & 63)]);
        self.suspended.insert_use(kind, n, slots.uses[usize::from(n & 63)].generation());
    }

    /// Ends a step-over: re-arms the suspended slots that are still armed here, in the use that was suspended. **No ISB**:
    /// the exception return synchronises, or the caller adds one before it unmasks debug exceptions.
    #[inline(always)]
    pub fn rearm_all(&mut self, regs: &mut impl DebugRegs) {
        self.rearm_kind(regs, Kind::Breakpoint);
        self.rearm_kind(regs, Kind::Watchpoint);
        self.suspended.clear();
    }

    #[inline(always)]
    fn rearm_kind(&mut self, regs: &mut impl DebugRegs, kind: Kind) {
        // All slots of the set are still armed in the suspended use: disarming a slot or arming it anew takes it out of the set.
        for n in self.suspended.mask(kind) {
            let control = Encoding::enabled_control(self.of(kind).controls[usize::from(n & 63)]);
            regs.write_control(kind, n, control);
        }
    }

    /// As [`rearm_all`](Self::rearm_all), in constant time, if exactly one slot is suspended and its number is below 16. Otherwise
    /// returns false and changes nothing.
    #[inline(always)]
    pub fn rearm_one(&mut self, regs: &mut impl DebugRegs) -> bool {
        let breakpoint = self.suspended.mask(Kind::Breakpoint).0;
        let watchpoint = self.suspended.mask(Kind::Watchpoint).0;
        let both = breakpoint | watchpoint;
        if !both.is_power_of_two() || breakpoint & watchpoint != 0 || both >= 1 << PLAIN {
            return false;
        }
        let n = both.trailing_zeros() as u8 & (PLAIN - 1);
        let kind = if breakpoint != 0 { Kind::Breakpoint } else { Kind::Watchpoint };
        regs.write_control(kind, n, Encoding::enabled_control(self.of(kind).controls[usize::from(n)]));
        self.suspended.clear();
        true
    }

    /// For the entry of an interrupt (rule M8): re-arms the suspended slots as [`CpuSlots::rearm_all`] does, so that they hit in
    /// the interrupt handler, and returns the set for [`CpuSlots::unstash`]. **No ISB**: the caller adds one before it unmasks
    /// debug exceptions.
    #[inline]
    pub fn stash(&mut self, regs: &mut impl DebugRegs) -> Suspended {
        let stashed = self.suspended;
        self.rearm_all(regs);
        stashed
    }

    /// For the exit of an interrupt (rule M8): suspends the slots of `stashed` again. A slot that was removed meanwhile, or belongs
    /// to another use now, is left as it is. **No ISB**: the exception return is a context synchronisation event.
    #[inline]
    pub fn unstash(&mut self, regs: &mut impl DebugRegs, stashed: &Suspended) {
        for kind in [Kind::Breakpoint, Kind::Watchpoint] {
            for n in self.armed(kind).intersection(stashed.mask(kind)) {
                if stashed.newest(kind).covers(self.of(kind).uses[usize::from(n & 63)].generation()) {
                    self.suspend(regs, kind, n);
                }
            }
        }
    }

    /// For a hit that belongs to no slot (rule H3): writes the registers of the first `count` slots of `kind` anew, and executes
    /// an ISB. A slot that this CPU has armed gets the contents that it was armed with, if its record is live and the slot is not
    /// suspended: a record that only keeps its number for programs does not have them. Every other slot is switched off. So the same hit cannot come again.
    ///
    /// Returns the slots that were switched off because this CPU has not armed them or their record is gone.
    #[cold]
    pub fn resync<P: Payload, const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        kind: Kind,
        count: u8,
    ) -> SlotMask {
        let mut unowned = SlotMask::EMPTY;
        for n in 0..count {
            regs.write_control(kind, n, 0);
            let record = self.record(tables, kind, n);
            match record {
                None => {
                    unowned = unowned.with(n);
                    self.of_mut(kind).take(n);
                    self.suspended.forget(kind, n);
                }
                Some(record) if record.state == State::Live && !self.suspended.contains(record.id) => {
                    let encoding = self.of(kind).encoding(n);
                    regs.write_value(kind, n, encoding.value);
                    regs.write_control(kind, n, encoding.enabled());
                }
                Some(_) => {}
            }
        }
        // From here on the same hit cannot come again (DDI 0487 D2, "Synchronization and debug exceptions").
        regs.isb();
        unowned
    }
}

impl Default for CpuSlots {
    fn default() -> Self {
        Self::new()
    }
}
