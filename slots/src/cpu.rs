//! What one CPU knows of its own slots: which it has armed, and which the running context has suspended for a
//! step-over.
//!
//! All functions that take the registers must be called on the CPU that owns the [`CpuSlots`], with debug exceptions
//! masked.

use crate::{
    DebugRegs, Encoding, Kind, Payload, SlotError, SlotId, SlotMask, State, Table, Tables, arm, disarm,
    rearm, suspend,
};

/// The slots that a context has suspended, each by index and generation. Plain data: it goes into the stash (rule M8).
#[derive(Clone, Copy, Debug)]
pub struct Suspended<const B: usize, const W: usize> {
    masks: [SlotMask; 2],
    breakpoints: [u32; B],
    watchpoints: [u32; W],
}

impl<const B: usize, const W: usize> Suspended<B, W> {
    /// No slot.
    pub const fn new() -> Self {
        Suspended { masks: [SlotMask::EMPTY; 2], breakpoints: [0; B], watchpoints: [0; W] }
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

    /// Whether exactly this use of the slot is in the set.
    #[inline]
    pub fn contains(&self, id: SlotId) -> bool {
        self.mask(id.kind).contains(id.index)
            && self.generations(id.kind).get(usize::from(id.index)) == Some(&id.generation)
    }

    /// Adds a slot, in place of another use of it. One whose index the set has no room for (`B`, `W`) is left out.
    #[inline]
    pub fn insert(&mut self, id: SlotId) {
        let generations: &mut [u32] = match id.kind {
            Kind::Breakpoint => &mut self.breakpoints,
            Kind::Watchpoint => &mut self.watchpoints,
        };
        if let Some(generation) = generations.get_mut(usize::from(id.index)) {
            *generation = id.generation;
            self.masks[id.kind as usize] = self.masks[id.kind as usize].with(id.index);
        }
    }

    /// Takes a slot out, if it is in.
    #[inline]
    pub fn remove(&mut self, id: SlotId) {
        if self.contains(id) {
            self.masks[id.kind as usize] = self.masks[id.kind as usize].without(SlotMask::of(id.index));
        }
    }

    /// Takes all slots out.
    #[inline]
    pub fn clear(&mut self) {
        self.masks = [SlotMask::EMPTY; 2];
    }

    /// The slots in the set, breakpoints first.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = SlotId> + '_ {
        [Kind::Breakpoint, Kind::Watchpoint].into_iter().flat_map(move |kind| {
            self.mask(kind).into_iter().map(move |index| SlotId {
                kind,
                index,
                generation: self.generations(kind)[usize::from(index)],
            })
        })
    }

    #[inline]
    const fn generations(&self, kind: Kind) -> &[u32] {
        match kind {
            Kind::Breakpoint => &self.breakpoints,
            Kind::Watchpoint => &self.watchpoints,
        }
    }
}

impl<const B: usize, const W: usize> Default for Suspended<B, W> {
    fn default() -> Self {
        Self::new()
    }
}

/// One CPU's slots.
#[derive(Debug)]
pub struct CpuSlots<const B: usize, const W: usize> {
    armed: [SlotMask; 2],
    suspended: Suspended<B, W>,
}

impl<const B: usize, const W: usize> CpuSlots<B, W> {
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
    pub const fn suspended(&self) -> &Suspended<B, W> {
        &self.suspended
    }

    /// Arms a slot from its record, in the order of rule H1.
    ///
    /// # Errors
    /// [`SlotError::Gone`] if it is not live (any more); nothing is written then.
    pub fn arm<P: Payload>(
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
    #[inline]
    pub fn suspend(&mut self, regs: &mut impl DebugRegs, id: SlotId, encoding: Encoding) {
        suspend(regs, id.kind, id.index, encoding);
        self.suspended.insert(id);
    }

    /// Ends a step-over: re-arms, from their records, the suspended slots that are still live. **No ISB**: the
    /// exception return synchronises, or the caller adds one before it unmasks debug exceptions.
    #[inline]
    pub fn rearm_all<P: Payload>(&mut self, regs: &mut impl DebugRegs, tables: &Tables<P, B, W>) {
        rearm_kind(regs, &tables.breakpoints, &self.suspended.breakpoints, self.rearmable(Kind::Breakpoint));
        rearm_kind(regs, &tables.watchpoints, &self.suspended.watchpoints, self.rearmable(Kind::Watchpoint));
        self.suspended.clear();
    }

    #[inline]
    const fn rearmable(&self, kind: Kind) -> SlotMask {
        self.armed(kind).intersection(self.suspended.mask(kind))
    }

    /// Entry of an interrupt (rule M8): re-arms as [`CpuSlots::rearm_all`] and returns what was suspended, for the
    /// stash. **No ISB**: the caller adds one before it unmasks debug exceptions.
    #[inline]
    pub fn stash<P: Payload>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
    ) -> Suspended<B, W> {
        let stashed = self.suspended;
        self.rearm_all(regs, tables);
        stashed
    }

    /// Exit of an interrupt (rule M8): suspends again what `stashed` names, as far as it still exists. **No ISB**:
    /// the exception return synchronises.
    #[inline]
    pub fn unstash<P: Payload>(
        &mut self,
        regs: &mut impl DebugRegs,
        tables: &Tables<P, B, W>,
        stashed: &Suspended<B, W>,
    ) {
        for id in stashed.iter() {
            // A retired slot counts: this CPU may still have it armed, and its hit has been reported already.
            let control = match id.kind {
                Kind::Breakpoint => existing_control(&tables.breakpoints, id),
                Kind::Watchpoint => existing_control(&tables.watchpoints, id),
            };
            if let (Some(control), true) = (control, self.armed(id.kind).contains(id.index)) {
                regs.write_control(id.kind, id.index, control);
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
    pub fn resync<P: Payload>(
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

#[inline]
fn rearm_kind<P: Payload, const N: usize>(
    regs: &mut impl DebugRegs,
    table: &Table<P, N>,
    generations: &[u32; N],
    slots: SlotMask,
) {
    for n in slots {
        let Some(&generation) = generations.get(usize::from(n)) else { continue };
        if let Some(control) = table.live_control(n, generation) {
            rearm(regs, table.kind(), n, Encoding { value: 0, control });
        }
    }
}

fn existing_control<P: Payload, const N: usize>(table: &Table<P, N>, id: SlotId) -> Option<u32> {
    let live = table.live_control(id.index, id.generation);
    live.or_else(|| table.retired_control(id.index, id.generation))
}

impl<const B: usize, const W: usize> Default for CpuSlots<B, W> {
    fn default() -> Self {
        Self::new()
    }
}
