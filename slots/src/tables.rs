//! The two tables together, addressed by kind.

use crate::{
    Admitted, Cpus, Encoding, Kind, Payload, Pieces, SlotError, SlotId, SlotMask, Snapshot, Table, WatchHit,
};

/// The records of all slots of the machine: up to `B` breakpoints and `W` watchpoints. Made for a `static`; all
/// functions may be called in any context, debug context too.
pub struct Tables<P, const B: usize, const W: usize> {
    /// The breakpoints' records.
    pub breakpoints: Table<P, B>,
    /// The watchpoints' records.
    pub watchpoints: Table<P, W>,
}

macro_rules! by_kind {
    ($self:ident, $kind:expr, $table:ident => $do:expr) => {
        match $kind {
            Kind::Breakpoint => {
                let $table = &$self.breakpoints;
                $do
            }
            Kind::Watchpoint => {
                let $table = &$self.watchpoints;
                $do
            }
        }
    };
}

impl<P: Payload, const B: usize, const W: usize> Tables<P, B, W> {
    /// Tables without records.
    pub const fn new() -> Self {
        Tables { breakpoints: Table::new(Kind::Breakpoint), watchpoints: Table::new(Kind::Watchpoint) }
    }

    /// See [`Table::reserve`]; `limit` is the number of slots of the kind asked for.
    ///
    /// # Errors
    /// As there.
    pub fn reserve(
        &self,
        admitted: Admitted,
        cpus: Cpus,
        payload: P,
        limit: u8,
    ) -> Result<SlotId, SlotError> {
        by_kind!(self, admitted.kind(), table => table.reserve(admitted, cpus, payload, limit))
    }

    /// As [`Tables::reserve`], for a request that may be split over two slots: all of it is reserved, or nothing.
    ///
    /// # Errors
    /// As there; [`SlotError::NeedsTwo`] if it needs two slots and only one is free.
    pub fn reserve_pieces(
        &self,
        pieces: Pieces<Admitted>,
        cpus: Cpus,
        payload: P,
        limit: u8,
    ) -> Result<Pieces<SlotId>, SlotError> {
        match pieces {
            Pieces::One(one) => self.reserve(one, cpus, payload, limit).map(Pieces::One),
            Pieces::Two(first, second) => {
                by_kind!(self, first.kind(), table => table.reserve_pair([first, second], cpus, payload, limit))
                    .map(|[first, second]| Pieces::Two(first, second))
            }
        }
    }

    /// See [`Table::mate`].
    #[inline]
    pub fn mate(&self, id: SlotId) -> Option<Snapshot<P>> {
        by_kind!(self, id.kind, table => table.mate(id))
    }

    /// See [`Table::retire`].
    ///
    /// # Errors
    /// As there.
    pub fn retire(&self, id: SlotId) -> Result<(), SlotError> {
        by_kind!(self, id.kind, table => table.retire(id))
    }

    /// See [`Table::free`].
    ///
    /// # Errors
    /// As there.
    pub fn free(&self, id: SlotId) -> Result<(), SlotError> {
        by_kind!(self, id.kind, table => table.free(id))
    }

    /// See [`Table::lookup`].
    #[inline]
    pub fn lookup(&self, kind: Kind, index: u8) -> Option<Snapshot<P>> {
        by_kind!(self, kind, table => table.lookup(index))
    }

    /// See [`Table::encoding_of`].
    #[inline]
    pub fn encoding_of(&self, id: SlotId) -> Option<Encoding> {
        by_kind!(self, id.kind, table => table.encoding_of(id))
    }

    /// See [`Table::count_hit`].
    #[inline]
    pub fn count_hit(&self, kind: Kind, index: u8) {
        by_kind!(self, kind, table => table.count_hit(index));
    }

    /// See [`Table::hits`].
    pub fn hits(&self, id: SlotId) -> Option<u64> {
        by_kind!(self, id.kind, table => table.hits(id))
    }

    /// All records, breakpoints first.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot<P>> + '_ {
        self.breakpoints.iter().chain(self.watchpoints.iter())
    }

    /// See [`Table::for_cpu`].
    pub fn for_cpu(&self, cpu: u32) -> impl Iterator<Item = SlotId> + '_ {
        self.breakpoints.for_cpu(cpu).chain(self.watchpoints.for_cpu(cpu))
    }

    /// See [`Table::breakpoint_hits`].
    #[inline]
    pub fn breakpoint_hits(&self, pc: u64, armed: SlotMask, limit: u8) -> SlotMask {
        self.breakpoints.breakpoint_hits(pc, armed, limit)
    }

    /// See [`Table::watchpoint_hits`].
    #[inline]
    pub fn watchpoint_hits(&self, hit: &WatchHit, armed: SlotMask, limit: u8) -> SlotMask {
        self.watchpoints.watchpoint_hits(hit, armed, limit)
    }
}

impl<P: Payload, const B: usize, const W: usize> Default for Tables<P, B, W> {
    fn default() -> Self {
        Self::new()
    }
}
