//! Requests that take one slot or two.

use crate::{Kind, Request, SlotError, SlotId, VaSize};

/// One thing to watch, with one value for each slot that it takes. The values are requests,
/// [admitted requests](crate::NoProbe::admit_split), or the ids of the slots that were [reserved](crate::Tables::reserve_pieces).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pieces<T = Request> {
    /// The thing to watch takes one slot.
    One(T),
    /// The thing to watch takes two slots. The first value is for the lower addresses.
    Two(T, T),
}

impl<T: Copy> Pieces<T> {
    /// The piece with the lower address, or the only piece.
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

    /// Replaces each piece by what `make` makes of it.
    ///
    /// # Errors
    /// The first error that `make` returns.
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
    /// The request itself if one slot can hold it, or else two requests that together watch exactly the same bytes, on a CPU with
    /// addresses of 48 bits. For other CPUs see [`Request::split_for`].
    ///
    /// An access that touches the bytes of both slots is one exception, which is attributed to one of the two.
    /// [`Snapshot::mate`](crate::Snapshot::mate) says which other slot must be suspended too, so that the access stays one hit.
    ///
    /// # Errors
    /// As [`Request::split_for`].
    pub fn split(&self) -> Result<Pieces, SlotError> {
        self.split_for(VaSize::Bits48)
    }

    /// As [`Request::split`], for addresses of any size.
    ///
    /// # Errors
    /// Those of [`Request::encode_for`] if two slots would have the same problem; [`SlotError::CannotSplit`] if two slots cannot
    /// hold the range either.
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
