//! The two tables together, addressed by kind.

use crate::sync::constant;
use crate::{Admitted, CpuHits, Cpus, Encoding, Kind, Payload, Pieces, SlotError, SlotId, Snapshot, Table};

/// The records of all slots of the machine: of up to `B` breakpoints and `W` watchpoints. Made for a `static`; all
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
    constant! {
        /// Tables without records.
        pub const fn new() -> Self {
            Tables { breakpoints: Table::new(Kind::Breakpoint), watchpoints: Table::new(Kind::Watchpoint) }
        }
    }

    /// See [`Table::reserve`]; `limit` is the number of slots of the kind asked for.
    ///
    /// # Errors
    /// As there.
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
    pub fn lookup(&self, kind: Kind, record: u8) -> Option<Snapshot<P>> {
        by_kind!(self, kind, table => table.lookup(record))
    }

    /// See [`Table::live`].
    #[inline]
    pub fn live(&self, id: SlotId) -> Option<Snapshot<P>> {
        by_kind!(self, id.kind, table => table.live(id))
    }

    /// See [`Table::encoding_of`].
    #[inline]
    pub fn encoding_of(&self, id: SlotId) -> Option<Encoding> {
        by_kind!(self, id.kind, table => table.encoding_of(id))
    }

    /// See [`Table::hits`].
    pub fn hits<'a>(&self, id: SlotId, counts: impl Iterator<Item = &'a CpuHits>) -> Option<u64> {
        by_kind!(self, id.kind, table => table.hits(id, counts))
    }

    /// All records, breakpoints first.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot<P>> + '_ {
        self.breakpoints.iter().chain(self.watchpoints.iter())
    }

    /// See [`Table::for_cpu`].
    pub fn for_cpu(&self, cpu: u32) -> impl Iterator<Item = SlotId> + '_ {
        self.breakpoints.for_cpu(cpu).chain(self.watchpoints.for_cpu(cpu))
    }
}

impl<P: Payload, const B: usize, const W: usize> Default for Tables<P, B, W> {
    fn default() -> Self {
        Self::new()
    }
}
