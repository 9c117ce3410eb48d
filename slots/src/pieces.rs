//! Requests that take one slot or two.

use crate::{Kind, Request, SlotError, SlotId, VaSize};

/// What stands for one thing to watch, in one slot or in two: requests, [admitted](crate::NoProbe::admit_split) ones, and
/// the ids of the slots that were [reserved](crate::Tables::reserve_pieces) for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pieces<T = Request> {
    /// One slot holds it.
    One(T),
    /// Two slots hold it.
    Two(T, T),
}

impl<T: Copy> Pieces<T> {
    /// The first piece, the one of the lower address.
    pub const fn first(&self) -> T {
        match *self {
            Pieces::One(first) | Pieces::Two(first, _) => first,
        }
    }

    /// The pieces, in ascending order of addresses.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<T> {
        let (first, second) = match *self {
            Pieces::One(first) => (first, None),
            Pieces::Two(first, second) => (first, Some(second)),
        };
        core::iter::once(first).chain(second)
    }

    /// Makes something of each piece.
    ///
    /// # Errors
    /// The first that `make` gives.
    pub fn try_map<U, E>(&self, mut make: impl FnMut(T) -> Result<U, E>) -> Result<Pieces<U>, E> {
        Ok(match *self {
            Pieces::One(one) => Pieces::One(make(one)?),
            Pieces::Two(first, second) => Pieces::Two(make(first)?, make(second)?),
        })
    }
}

impl Pieces<SlotId> {
    /// The kind of slots.
    pub const fn kind(&self) -> Kind {
        self.first().kind
    }
}

impl<T> From<T> for Pieces<T> {
    fn from(one: T) -> Self {
        Pieces::One(one)
    }
}

impl Request {
    /// The request as it is where one slot holds it, or else as two requests that together watch exactly the same
    /// bytes.
    ///
    /// An access that touches both halves is one exception, attributed to one of them. [`Snapshot::mate`](crate::Snapshot::mate)
    /// says which other slot to suspend with it, so that it stays one hit.
    ///
    /// On a CPU with addresses of 48 bits; see [`Request::split_for`].
    ///
    /// # Errors
    /// As [`Request::split_for`].
    pub fn split(&self) -> Result<Pieces, SlotError> {
        self.split_for(VaSize::Bits48)
    }

    /// As [`Request::split`], for addresses of any size.
    ///
    /// # Errors
    /// As [`Request::encode_for`] where splitting is no cure, [`SlotError::CannotSplit`] where two slots do not do either.
    pub fn split_for(&self, va: VaSize) -> Result<Pieces, SlotError> {
        let why = match self.encode_for(va) {
            Ok(_) => return Ok(Pieces::One(*self)),
            Err(why) => why,
        };
        let Request::Watchpoint { address, length, access, privilege } = *self else {
            return Err(why);
        };
        if !matches!(
            why,
            SlotError::CrossesDoubleword { .. }
                | SlotError::RangeNotPowerOfTwo { .. }
                | SlotError::Misaligned { .. }
        ) {
            return Err(why);
        }
        let piece = |address, length| Request::Watchpoint { address, length, access, privilege };
        // Every length that one slot can hold, longest first.
        let lengths = (3..=31).rev().map(|n| 1 << n).chain((1..=7).rev());
        for first in lengths.filter(|&first| first < length) {
            let pieces = (piece(address, first), piece(address + first, length - first));
            if pieces.0.encode_for(va).is_ok() && pieces.1.encode_for(va).is_ok() {
                return Ok(Pieces::Two(pieces.0, pieces.1));
            }
        }
        Err(SlotError::CannotSplit { address, length })
    }
}
