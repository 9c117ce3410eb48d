//! What one CPU knows of its own slots: what it has armed in each, and which the running context has suspended for a
//! step-over. A hit is dealt with from here alone, without a look at the records that all CPUs share.
//!
//! All functions that take the registers must be called on the CPU that owns the [`CpuSlots`], with debug exceptions
//! masked.

use crate::lookup::{Found, Keys, Lookup};
use crate::record::Age;
use crate::{
    DebugRegs, Encoding, Kind, Payload, SlotError, SlotId, SlotMask, Snapshot, State, Tables, WatchHit, arm,
    disarm, watchpoint_hits,
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

/// What a CPU has armed in a slot, copied from the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Armed<P> {
    /// The slot, in the use that is armed.
    pub id: SlotId,
    /// The register contents.
    pub encoding: Encoding,
    /// What the owner keeps in the record.
    pub payload: P,
    /// The slot that holds the other half of a request that is split over two, if that is armed too. Both count as one: who
    /// suspends one for a step-over suspends the other, so that an instruction that touches both is one hit.
    pub mate: Option<u8>,
    plain: bool,
}

/// The slots of one kind; what a hit looks at first is apart from the rest.
#[derive(Debug)]
struct Slots<P> {
    armed: SlotMask,
    /// Of these, the ones that match more than a doubleword, which [`Lookup`] does not find.
    wide: SlotMask,
    lookup: Lookup,
    values: [u64; 64],
    controls: [u32; 64],
    generations: [u32; 64],
    armed_as: [Option<Armed<P>>; 64],
}

impl<P: Copy> Slots<P> {
    const fn new() -> Self {
        Slots {
            armed: SlotMask::EMPTY,
            wide: SlotMask::EMPTY,
            lookup: Lookup::new(),
            values: [0; 64],
            controls: [0; 64],
            generations: [0; 64],
            armed_as: [None; 64],
        }
    }

    fn encoding(&self, n: u8) -> Encoding {
        Encoding { value: self.values[usize::from(n & 63)], control: self.controls[usize::from(n & 63)] }
    }

    #[inline]
    fn put(&mut self, armed: Armed<P>) {
        let (id, Encoding { value, control }) = (armed.id, armed.encoding);
        self.take(id.index);
        let n = usize::from(id.index & 63);
        self.values[n] = value;
        self.controls[n] = control;
        self.generations[n] = id.generation;
        self.armed_as[n] = Some(armed);
        self.armed = self.armed.with(id.index);
        if id.kind == Kind::Watchpoint && armed.encoding.is_wide() {
            self.wide = self.wide.with(id.index);
        } else {
            let keys =
                All { armed: self.armed.without(self.wide), values: &self.values, armed_as: &self.armed_as };
            self.lookup.insert(key(value), id.index, armed.plain && id.index < PLAIN, keys);
        }
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
            let keys =
                All { armed: self.armed.without(self.wide), values: &self.values, armed_as: &self.armed_as };
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

struct All<'a, P> {
    armed: SlotMask,
    values: &'a [u64; 64],
    armed_as: &'a [Option<Armed<P>>; 64],
}

impl<P> Keys for All<'_, P> {
    fn each(&self, mut use_: impl FnMut(u64, u8, bool)) {
        for n in self.armed {
            let at = usize::from(n);
            let plain = self.armed_as[at].as_ref().is_some_and(|armed| armed.plain) && n < PLAIN;
            use_(key(self.values[at]), n, plain);
        }
    }
}

/// One CPU's slots. `P` is what the owner of a slot keeps in its record.
#[derive(Debug)]
pub struct CpuSlots<P> {
    suspended: Suspended,
    breakpoints: Slots<P>,
    watchpoints: Slots<P>,
}

impl<P: Payload> CpuSlots<P> {
    /// Nothing armed: as after [`reset_all`](crate::reset_all).
    pub const fn new() -> Self {
        CpuSlots { suspended: Suspended::new(), breakpoints: Slots::new(), watchpoints: Slots::new() }
    }

    #[inline(always)]
    const fn of(&self, kind: Kind) -> &Slots<P> {
        match kind {
            Kind::Breakpoint => &self.breakpoints,
            Kind::Watchpoint => &self.watchpoints,
        }
    }

    #[inline(always)]
    const fn of_mut(&mut self, kind: Kind) -> &mut Slots<P> {
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

    /// What this CPU has armed in slot `n`; `None` so that a hit on it is spurious (rule H3).
    #[inline]
    pub fn armed_as(&self, kind: Kind, n: u8) -> Option<Armed<P>> {
        let slots = self.of(kind);
        let mut armed = slots.armed_as[usize::from(n & 63)].filter(|_| slots.armed.contains(n))?;
        // The other half may be gone, and its slot in another use, which then has no mate, or another one.
        armed.mate = armed.mate.filter(|&mate| {
            let mate = slots.armed_as[usize::from(mate & 63)].filter(|_| slots.armed.contains(mate));
            mate.is_some_and(|mate| mate.mate == Some(n))
        });
        Some(armed)
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
    #[inline]
    pub fn arm<const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        id: SlotId,
    ) -> Result<(), SlotError> {
        let record = tables.live(id).ok_or(SlotError::Gone { id })?;
        self.arm_record(regs, &record);
        Ok(())
    }

    /// As [`CpuSlots::arm`], from a record that was looked up just now.
    #[inline]
    pub fn arm_record(&mut self, regs: &mut impl DebugRegs, record: &Snapshot<P>) {
        let Snapshot { id, encoding, payload, mate, plain, .. } = *record;
        // What a hit needs first, then the registers that let it come.
        self.of_mut(id.kind).put(Armed { id, encoding, payload, mate, plain });
        self.suspended.remove(id);
        arm(regs, id.kind, id.index, encoding);
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
    pub fn watchpoint_hits(&self, hit: &WatchHit) -> SlotMask {
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
            let mate = self.armed_as(Kind::Watchpoint, n).and_then(|armed| armed.mate);
            if mate.is_some_and(|mate| kept.contains(mate)) { kept } else { kept.with(n) }
        })
    }

    /// Suspends an armed slot that was hit, so that the instruction can run once. **No ISB**: the exception return
    /// synchronises.
    #[inline(always)]
    pub fn suspend(&mut self, regs: &mut impl DebugRegs, kind: Kind, n: u8) {
        let slots = self.of(kind);
        regs.write_control(kind, n, slots.controls[usize::from(n & 63)]);
        self.suspended.insert_use(kind, n, slots.generations[usize::from(n & 63)]);
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
                if stashed.newest(kind).covers(self.of(kind).generations[usize::from(n & 63)]) {
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
    pub fn resync<const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        kind: Kind,
        count: u8,
    ) -> SlotMask {
        let mut unowned = SlotMask::EMPTY;
        for n in 0..count {
            regs.write_control(kind, n, 0);
            let armed = self.armed_as(kind, n);
            let record =
                armed.and_then(|armed| tables.lookup(kind, armed.id.record).filter(|r| r.id == armed.id));
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

impl<P: Payload> Default for CpuSlots<P> {
    fn default() -> Self {
        Self::new()
    }
}
