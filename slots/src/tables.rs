//! The tables of both kinds together: every function picks the table by the [`Kind`] of slot.

use crate::sync::constant;
use crate::{Admitted, CpuHits, Cpus, Encoding, Kind, Payload, Pieces, SlotError, SlotId, Snapshot, Table};

/// The records of all slots of the machine: up to `B` of breakpoints and `W` of watchpoints. Meant to be a `static`. All
/// functions may be called in any context, also in a debug exception handler.
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
    constant! {
        /// Tables without records.
        pub const fn new() -> Self {
            Tables { breakpoints: Table::new(Kind::Breakpoint), watchpoints: Table::new(Kind::Watchpoint) }
        }
    }

    /// Reserves a slot of the kind asked for: [`Table::reserve`]. `limit` is the number of slots of that kind that every CPU has.
    ///
    /// # Errors
    /// Those of [`Table::reserve`].
    #[inline]
    pub fn reserve(
        &self,
        admitted: Admitted,
        cpus: Cpus,
        payload: P,
        limit: u8,
    ) -> Result<SlotId, SlotError> {
        by_kind!(self, admitted.kind(), table => table.reserve(admitted, cpus, payload, limit))
    }

    /// As [`Tables::reserve`], for a request that may take two slots: either all of it is reserved, or nothing.
    ///
    /// # Errors
    /// Those of [`Table::reserve`]; [`SlotError::NeedsTwo`] if the request takes two slots and only one is free.
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

    /// Begins the removal of a slot: [`Table::retire`].
    ///
    /// # Errors
    /// Those of [`Table::retire`].
    pub fn retire(&self, id: SlotId) -> Result<(), SlotError> {
        by_kind!(self, id.kind, table => table.retire(id))
    }

    /// Ends the removal of a slot: [`Table::free`].
    ///
    /// # Errors
    /// Those of [`Table::free`].
    pub fn free(&self, id: SlotId) -> Result<(), SlotError> {
        by_kind!(self, id.kind, table => table.free(id))
    }

    /// The record of that kind and number, live or retired: [`Table::lookup`].
    #[inline]
    pub fn lookup(&self, kind: Kind, record: u8) -> Option<Snapshot<P>> {
        by_kind!(self, kind, table => table.lookup(record))
    }

    /// The record of a live slot: [`Table::live`].
    #[inline]
    pub fn live(&self, id: SlotId) -> Option<Snapshot<P>> {
        by_kind!(self, id.kind, table => table.live(id))
    }

    /// The register contents of a live slot: [`Table::encoding_of`].
    #[inline]
    pub fn encoding_of(&self, id: SlotId) -> Option<Encoding> {
        by_kind!(self, id.kind, table => table.encoding_of(id))
    }

    /// The hits of a live slot on several CPUs: [`Table::hits`].
    pub fn hits<'a>(&self, id: SlotId, counts: impl Iterator<Item = &'a CpuHits>) -> Option<u64> {
        by_kind!(self, id.kind, table => table.hits(id, counts))
    }

    /// All records, breakpoints first.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot<P>> + '_ {
        self.breakpoints.iter().chain(self.watchpoints.iter())
    }

    /// The live slots of both kinds that are for CPU number `cpu`: [`Table::for_cpu`].
    pub fn for_cpu(&self, cpu: u32) -> impl Iterator<Item = SlotId> + '_ {
        self.breakpoints.for_cpu(cpu).chain(self.watchpoints.for_cpu(cpu))
    }
}

impl<P: Payload, const B: usize, const W: usize> Default for Tables<P, B, W> {
    fn default() -> Self {
        Self::new()
    }
}
