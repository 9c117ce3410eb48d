//! What takes one slot or two.

use crate::{Kind, Request, SlotId};

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
