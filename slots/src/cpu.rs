//! What one CPU knows of its own slots: which it has armed, and which the running context has suspended for a
//! step-over.
//!
//! All functions that take the registers must be called on the CPU that owns the [`CpuSlots`], with debug exceptions
//! masked.

use crate::record::Age;
use crate::{
    DebugRegs, Encoding, Kind, Payload, SlotError, SlotId, SlotMask, State, Table, Tables, arm, disarm,
    rearm, suspend,
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
        let kind = id.kind as usize;
        if self.masks[kind].is_empty() || !self.newest[kind].covers(id.generation) {
            self.newest[kind] = Age::of(id.generation);
        }
        self.masks[kind] = self.masks[kind].with(id.index);
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

/// One CPU's slots.
#[derive(Debug)]
pub struct CpuSlots {
    armed: [SlotMask; 2],
    suspended: Suspended,
}

impl CpuSlots {
    /// Nothing armed: as after [`reset_all`](crate::reset_all).
    pub const fn new() -> Self {
        CpuSlots { armed: [SlotMask::EMPTY; 2], suspended: Suspended::new() }
    }

    /// The slots that this CPU has armed and that are not suspended: the ones a hit may be attributed to.
    #[inline]
    pub const fn matching(&self, kind: Kind) -> SlotMask {
        self.armed[kind as usize].without(self.suspended.mask(kind))
    }

    /// The slots that this CPU has armed, suspended or not. Both empty: nothing here needs MDE (rule H8).
    #[inline]
    pub const fn armed(&self, kind: Kind) -> SlotMask {
        self.armed[kind as usize]
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
        let encoding = tables.encoding_of(id).ok_or(SlotError::Gone { id })?;
        arm(regs, id.kind, id.index, encoding);
        self.armed[id.kind as usize] = self.armed[id.kind as usize].with(id.index);
        self.suspended.remove(id);
        Ok(())
    }

    /// Disarms a slot, in the order of rule H1, whether or not it was armed or suspended here.
    pub fn disarm(&mut self, regs: &mut impl DebugRegs, id: SlotId) {
        disarm(regs, id.kind, id.index);
        self.armed[id.kind as usize] = self.armed[id.kind as usize].without(SlotMask::of(id.index));
        self.suspended.remove(id);
    }

    /// Suspends a slot that was hit, so that the instruction can run once. **No ISB**: the exception return
    /// synchronises.
    #[inline(always)]
    pub fn suspend(&mut self, regs: &mut impl DebugRegs, id: SlotId, encoding: Encoding) {
        suspend(regs, id.kind, id.index, encoding);
        self.suspended.insert(id);
    }

    /// Ends a step-over: re-arms, from their records, the suspended slots that are still live. **No ISB**: the
    /// exception return synchronises, or the caller adds one before it unmasks debug exceptions.
    #[inline(always)]
    pub fn rearm_all<P: Payload, const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
    ) {
        self.rearm_kind(Kind::Breakpoint, regs, &tables.breakpoints);
        self.rearm_kind(Kind::Watchpoint, regs, &tables.watchpoints);
        self.suspended.clear();
    }

    #[inline(always)]
    fn rearm_kind<P: Payload, const N: usize>(
        &self,
        kind: Kind,
        regs: &mut impl DebugRegs,
        table: &Table<P, N>,
    ) {
        for n in self.armed(kind).intersection(self.suspended.mask(kind)) {
            if let Some(control) = table.live_control(n, self.suspended.newest(kind)) {
                rearm(regs, kind, n, Encoding { value: 0, control });
            }
        }
    }

    /// Entry of an interrupt (rule M8): re-arms as [`CpuSlots::rearm_all`] and returns what was suspended, for the
    /// stash. **No ISB**: the caller adds one before it unmasks debug exceptions.
    #[inline]
    pub fn stash<P: Payload, const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
    ) -> Suspended {
        let stashed = self.suspended;
        self.rearm_all(regs, tables);
        stashed
    }

    /// Exit of an interrupt (rule M8): suspends again what `stashed` names, as far as it still exists. **No ISB**:
    /// the exception return synchronises.
    #[inline]
    pub fn unstash<P: Payload, const B: usize, const W: usize>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        stashed: &Suspended,
    ) {
        self.unstash_kind(Kind::Breakpoint, regs, &tables.breakpoints, stashed);
        self.unstash_kind(Kind::Watchpoint, regs, &tables.watchpoints, stashed);
    }

    #[inline]
    fn unstash_kind<P: Payload, const N: usize>(
        &mut self,
        kind: Kind,
        regs: &mut impl DebugRegs,
        table: &Table<P, N>,
        stashed: &Suspended,
    ) {
        for n in self.armed(kind).intersection(stashed.mask(kind)) {
            // A retired slot counts: this CPU may still have it armed, and its hit has been reported already.
            if let Some((id, control)) = table.existing(n, stashed.newest(kind)) {
                regs.write_control(kind, n, control);
                self.suspended.insert(id);
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
            let record = tables.lookup(kind, n).filter(|_| self.armed(kind).contains(n));
            match record {
                None => {
                    unowned = unowned.with(n);
                    self.armed[kind as usize] = self.armed[kind as usize].without(SlotMask::of(n));
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
