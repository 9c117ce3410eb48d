//! What one CPU knows of its own slots: what it has armed in each, and which the running context has suspended for a
//! step-over. A hit is dealt with from here alone, without a look at the records that all CPUs share.
//!
//! All functions that take the registers must be called on the CPU that owns the [`CpuSlots`], with debug exceptions
//! masked.

use crate::lookup::{Found, Keys, Lookup};
use crate::record::Age;
use crate::table::Reserved;
use crate::{
    Admitted, Cpus, DebugRegs, Encoding, Kind, Payload, SlotError, SlotId, SlotMask, Snapshot, State, Table,
    Tables, WatchHit, arm, disarm, watchpoint_hits,
};

/// The slots that a context has suspended. Plain data: it goes into the stash (rule M8), and is as small for 64 slots as
/// for 4.
///
/// Which *use* of an index is meant follows from the newest generation in the set. Generations of a table's records only
/// grow, and a slot is used anew only after this CPU has disarmed it, which takes it out of the set, or, if the set is set
/// aside then, comes after all of its members were put in. So a record that is newer than the newest member is another use.
#[derive(Clone, Copy, Debug)]
pub struct Suspended {
    masks: [SlotMask; 2],
    newest: [Age; 2],
}

impl Suspended {
    /// No slot.
    pub const fn new() -> Self {
        Suspended { masks: [SlotMask::EMPTY; 2], newest: [Age::OLDEST; 2] }
    }

    /// Whether no slot is suspended.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.masks[0].0 | self.masks[1].0 == 0
    }

    /// The indices suspended, of one kind.
    #[inline]
    pub const fn mask(&self, kind: Kind) -> SlotMask {
        self.masks[kind as usize]
    }

    /// Whether the slot is in the set, in the use that `id` names or, for an id whose slot is gone, in a later one.
    #[inline]
    pub const fn contains(&self, id: SlotId) -> bool {
        self.mask(id.kind).contains(id.index) && self.newest(id.kind).covers(id.generation)
    }

    /// Adds a slot that this CPU has armed.
    #[inline]
    pub const fn insert(&mut self, id: SlotId) {
        self.insert_use(id.kind, id.index, id.generation);
    }

    #[inline(always)]
    pub(crate) const fn insert_use(&mut self, kind: Kind, n: u8, generation: u32) {
        let kind = kind as usize;
        if self.masks[kind].is_empty() || !self.newest[kind].covers(generation) {
            self.newest[kind] = Age::of(generation);
        }
        self.masks[kind] = self.masks[kind].with(n);
    }

    /// Takes a slot out, if it is in.
    #[inline]
    pub const fn remove(&mut self, id: SlotId) {
        if self.contains(id) {
            self.masks[id.kind as usize] = self.mask(id.kind).without(SlotMask::of(id.index));
        }
    }

    /// Takes all slots out.
    #[inline]
    pub const fn clear(&mut self) {
        self.masks = [SlotMask::EMPTY; 2];
    }

    /// What the uses in the set are not newer than.
    #[inline]
    pub(crate) const fn newest(&self, kind: Kind) -> Age {
        self.newest[kind as usize]
    }
}

impl Default for Suspended {
    fn default() -> Self {
        Self::new()
    }
}

/// Which use of a slot is armed, as a word: its generation, the number of its record, whether it is not plain.
#[derive(Clone, Copy, Debug)]
struct Use(u64);

impl Use {
    #[inline(always)]
    const fn new(generation: u32, record: u8, plain: bool) -> Use {
        Use(generation as u64 | (record as u64) << 32 | (!plain as u64) << 40)
    }

    #[inline(always)]
    const fn generation(self) -> u32 {
        self.0 as u32
    }

    const fn record(self) -> u8 {
        (self.0 >> 32) as u8
    }

    const fn plain(self) -> bool {
        self.0 >> 40 == 0
    }
}

/// The slots of one kind.
#[derive(Debug)]
struct Slots {
    armed: SlotMask,
    /// Of these, the ones that match more than a doubleword, which [`Lookup`] does not find.
    wide: SlotMask,
    lookup: Lookup,
    values: [u64; 64],
    controls: [u32; 64],
    uses: [Use; 64],
}

impl Slots {
    const fn new() -> Self {
        Slots {
            armed: SlotMask::EMPTY,
            wide: SlotMask::EMPTY,
            lookup: Lookup::new(),
            values: [0; 64],
            controls: [0; 64],
            uses: [Use::new(0, 0, false); 64],
        }
    }

    fn encoding(&self, n: u8) -> Encoding {
        Encoding { value: self.values[usize::from(n & 63)], control: self.controls[usize::from(n & 63)] }
    }

    /// `n` is below 64 and not armed.
    #[inline(always)]
    fn put(&mut self, n: u8, encoding: Encoding, wide: bool, this: Use) {
        self.put_unfound(n, encoding, this);
        if wide {
            self.wide = self.wide.with(n);
        } else if let Some(bucket) = self.lookup.free_bucket(key(encoding.value)) {
            self.lookup.put(bucket, n & 63, this.plain());
        } else {
            self.rebuild();
        }
    }

    /// All but what finds it.
    #[inline(always)]
    fn put_unfound(&mut self, n: u8, Encoding { value, control }: Encoding, this: Use) {
        let at = usize::from(n & 63);
        self.values[at] = value;
        self.controls[at] = control;
        self.uses[at] = this;
        self.armed = SlotMask(self.armed.0 | 1 << at);
    }

    #[cold]
    #[inline(never)]
    fn rebuild(&mut self) {
        let keys = All { armed: self.armed.without(self.wide), values: &self.values, uses: &self.uses };
        self.lookup.rebuild(keys);
    }

    #[inline]
    fn take(&mut self, n: u8) {
        if !self.armed.contains(n) {
            return;
        }
        self.armed = self.armed.without(SlotMask::of(n));
        if self.wide.contains(n) {
            self.wide = self.wide.without(SlotMask::of(n));
        } else {
            let keys = All { armed: self.armed.without(self.wide), values: &self.values, uses: &self.uses };
            self.lookup.remove(key(self.values[usize::from(n & 63)]), n, keys);
        }
    }
}

/// The shortest way is for the slots that need no bank to be selected.
const PLAIN: u8 = 16;

/// What [`Lookup`] finds a slot by: the instruction of a breakpoint, the doubleword of a watchpoint.
#[inline(always)]
const fn key(address: u64) -> u64 {
    address >> 2
}

struct All<'a> {
    armed: SlotMask,
    values: &'a [u64; 64],
    uses: &'a [Use; 64],
}

impl Keys for All<'_> {
    fn each(&self, mut use_: impl FnMut(u64, u8, bool)) {
        for n in self.armed {
            let at = usize::from(n);
            use_(key(self.values[at]), n, self.uses[at].plain());
        }
    }
}

/// One CPU's slots.
#[derive(Debug)]
pub struct CpuSlots {
    suspended: Suspended,
    breakpoints: Slots,
    watchpoints: Slots,
}

impl CpuSlots {
    /// Nothing armed: as after [`reset_all`](crate::reset_all).
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

    /// The slots that this CPU has armed and that are not suspended: the ones a hit may be attributed to.
    #[inline]
    pub const fn matching(&self, kind: Kind) -> SlotMask {
        self.armed(kind).without(self.suspended.mask(kind))
    }

    /// The slots that this CPU has armed, suspended or not. Both empty: nothing here needs MDE (rule H8).
    #[inline]
    pub const fn armed(&self, kind: Kind) -> SlotMask {
        self.of(kind).armed
    }

    /// The id of what this CPU has armed in slot `n`.
    #[inline]
    pub fn id(&self, kind: Kind, n: u8) -> Option<SlotId> {
        let this = self.of(kind).uses[usize::from(n & 63)];
        let id = SlotId { kind, index: n, record: this.record(), generation: this.generation() };
        self.armed(kind).contains(n).then_some(id)
    }

    /// The record of what this CPU has armed in slot `n`; `None` so that a hit on it is spurious (rule H3). Its mate is `None`
    /// if the other half is not armed (any more).
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
        // Its number may be in another use, which then has no mate, or another one.
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
    /// [`SlotError::Gone`] if it is not live (any more); nothing is written then.
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

    /// As [`CpuSlots::arm`], for a record that was reserved, or looked up, just now, of a slot that is not armed.
    #[inline(always)]
    pub fn arm_new(&mut self, regs: &mut impl DebugRegs, id: SlotId, encoding: Encoding, plain: bool) {
        let SlotId { kind, index, record, generation } = id;
        self.arm_use(regs, kind, index, encoding, Use::new(generation, record, plain && index < PLAIN));
    }

    #[inline(always)]
    fn arm_use(&mut self, regs: &mut impl DebugRegs, kind: Kind, n: u8, encoding: Encoding, this: Use) {
        // What a hit needs first, then the registers that let it come.
        match kind {
            Kind::Breakpoint => self.breakpoints.put(n, encoding, false, this),
            Kind::Watchpoint => self.watchpoints.put(n, encoding, encoding.is_wide(), this),
        }
        arm(regs, kind, n, encoding);
    }

    /// Reserves a slot of this CPU alone, number `me`, which is given as a set too, and arms it: in one go, and in constant time, what
    /// [`Tables::reserve`] and [`CpuSlots::arm`] do. `admitted` and `table` are of `kind`.
    ///
    /// `None`, and nothing done, where these are needed: all slots may be in use, or the free one is above 15, or it watches
    /// more than a doubleword, or [`Lookup`] has no place for it as it is.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one that is inlined, for its speed")]
    pub fn install<P: Payload, const N: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        kind: Kind,
        table: &Table<P, N>,
        admitted: Admitted,
        me: (u32, Cpus),
        payload: P,
        limit: u8,
    ) -> Option<SlotId> {
        if admitted.encoding().is_wide() {
            return None;
        }
        // What is armed here is not free; what else is not, others have reserved for this CPU too.
        let n = (!self.armed(kind).0).trailing_zeros() as u8;
        if n >= limit || n >= PLAIN {
            return None;
        }
        let n = n & (PLAIN - 1);
        let encoding = admitted.encoding();
        let slots = self.of_mut(kind);
        let bucket = slots.lookup.free_bucket(key(encoding.value))?;
        let Reserved { record, generation, plain } =
            table.reserve_own(admitted, (me.0, me.1.0), payload, n)?;
        // What a hit needs first, then the registers that let it come.
        slots.put_unfound(n, encoding, Use::new(generation, record, plain));
        slots.lookup.put(bucket, n, plain);
        arm(regs, kind, n, encoding);
        Some(SlotId { kind, index: n, record, generation })
    }

    /// Disarms a slot, in the order of rule H1, whether or not it was armed or suspended here.
    #[inline]
    pub fn disarm(&mut self, regs: &mut impl DebugRegs, id: SlotId) {
        disarm(regs, id.kind, id.index);
        self.of_mut(id.kind).take(id.index);
        self.suspended.remove(id);
    }

    /// The slot that alone matches an instruction address, if its hit needs nothing but to be counted and stepped over, and
    /// nothing is suspended. In constant time; `None` says nothing.
    #[inline(always)]
    pub fn plain_breakpoint(&self, pc: u64) -> Option<u8> {
        let n = self.breakpoints.lookup.plain(key(pc));
        (n < PLAIN && self.breakpoints.values[usize::from(n)] == pc && self.suspended.is_empty()).then_some(n)
    }

    /// The same for an access, from the snapshots of `ESR_EL1.ISS` and FAR_EL1.
    #[inline(always)]
    pub fn plain_watchpoint(&self, iss: u32, far: u64) -> Option<u8> {
        let slots = &self.watchpoints;
        let n = slots.lookup.plain(key(far & !7));
        let found = n < PLAIN
            && slots.values[usize::from(n)] == far & !7
            && Encoding::matches_byte(slots.controls[usize::from(n)], iss, far)
            && WatchHit::is_plain(iss)
            && slots.wide.is_empty()
            && self.suspended.is_empty();
        found.then_some(n)
    }

    /// The slots that a breakpoint exception at `pc` (ELR_EL1) belongs to: all that match, several may.
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
            Found::Several => matching
                .into_iter()
                .filter(|&n| slots.values[usize::from(n)] == pc)
                .fold(SlotMask::EMPTY, SlotMask::with),
        }
    }

    /// The slots that a watchpoint exception belongs to (rule H7): see [`watchpoint_hits`]. Of two that are one the lower
    /// stands for both.
    pub fn watchpoint_hits<P: Payload, const B: usize, const W: usize>(
        &self,
        tables: &Tables<P, B, W>,
        hit: &WatchHit,
    ) -> SlotMask {
        let slots = &self.watchpoints;
        let matching = self.matching(Kind::Watchpoint);
        // One slot may be found at once that holds FAR, and nobody else can then.
        if slots.wide.is_empty()
            && let Some(far) = hit.plain_far()
            && let Found::One(n, _) = slots.lookup.find(key(far & !7))
            && matching.contains(n)
            && slots.encoding(n).holds(far)
            && slots.encoding(n).matches_access(hit.write())
        {
            return SlotMask::of(n);
        }
        let hits = watchpoint_hits(hit, matching.into_iter().map(|n| (n, slots.encoding(n))));
        hits.into_iter().fold(SlotMask::EMPTY, |kept, n| {
            let mate = self.record(tables, Kind::Watchpoint, n).and_then(|record| record.mate);
            if mate.is_some_and(|mate| kept.contains(mate)) { kept } else { kept.with(n) }
        })
    }

    /// Suspends an armed slot that was hit, so that the instruction can run once. **No ISB**: the exception return
    /// synchronises.
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
        for kind in [Kind::Breakpoint, Kind::Watchpoint] {
            // A slot that was disarmed or armed anew was taken out of the set then.
            for n in self.suspended.mask(kind) {
                regs.write_control(
                    kind,
                    n,
                    Encoding::enabled_control(self.of(kind).controls[usize::from(n & 63)]),
                );
            }
        }
        self.suspended.clear();
    }

    /// The same where one slot is suspended, in the shortest way. False, and nothing done, for any other state.
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

    /// Entry of an interrupt (rule M8): re-arms as [`CpuSlots::rearm_all`] and returns what was suspended, for the
    /// stash. **No ISB**: the caller adds one before it unmasks debug exceptions.
    #[inline]
    pub fn stash(&mut self, regs: &mut impl DebugRegs) -> Suspended {
        let stashed = self.suspended;
        self.rearm_all(regs);
        stashed
    }

    /// Exit of an interrupt (rule M8): suspends again what `stashed` names, as far as it still exists. **No ISB**:
    /// the exception return synchronises.
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

    /// After a hit that nothing accounts for (rule H3): makes the first `count` slots of `kind` what the records and
    /// this CPU's own sets say, everything else off, and executes an ISB. Whatever caused the hit cannot cause it
    /// again.
    ///
    /// Returns the slots that were switched off because no record, or no arming by this CPU, stands behind them.
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
                }
                Some(record) if record.state == State::Live && !self.suspended.contains(record.id) => {
                    regs.write_value(kind, n, record.encoding.value);
                    regs.write_control(kind, n, record.encoding.enabled());
                }
                Some(_) => {}
            }
        }
        regs.isb();
        unowned
    }
}

impl Default for CpuSlots {
    fn default() -> Self {
        Self::new()
    }
}
