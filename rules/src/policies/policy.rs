//! What a policy is.

use super::behaviour::Behaviours;
use crate::overrides::{Cell, Override};
use crate::table::{Masks, Row, RowId, Ss, TABLE};

/// The name of the product's policy.
pub(super) const PRODUCT: &str = "stepwell";

/// A set of rules.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// The name by which the policy is chosen: small letters, digits, `-` and `.`.
    pub name: &'static str,
    /// What the policy is, in one sentence.
    pub title: &'static str,
    /// Where the policy comes from.
    pub origin: &'static str,
    /// The cells in which the policy's table differs from [`TABLE`]. Every other cell is the product's.
    pub cells: &'static [Override],
    /// What the policy does that no cell can express.
    pub behaviours: Behaviours,
}

impl Policy {
    /// A row of the policy's table: that of the product, with the policy's cells in place of its own.
    pub const fn row(&self, id: RowId) -> Row {
        let mut row = TABLE[id as usize];
        let mut i = 0;
        while i < self.cells.len() {
            if self.cells[i].row as u8 == id as u8 {
                match self.cells[i].cell {
                    Cell::Masks(masks) => row.masks = masks,
                    Cell::Ss(ss) => row.ss = ss,
                }
            }
            i += 1;
        }
        row
    }

    /// Whether the policy changes a cell of this row.
    pub const fn changes(&self, row: RowId) -> bool {
        let mut i = 0;
        while i < self.cells.len() {
            if self.cells[i].row as u8 == row as u8 {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Whether this is the product's policy, which changes nothing.
    pub const fn is_product(&self) -> bool {
        same(self.name, PRODUCT)
    }
}

/// Whether two texts are equal, for constants.
pub(super) const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut i = 0;
    while i < one.len() {
        if one[i] != other[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// A cell of the masks column.
pub(super) const fn masks(row: RowId, masks: Masks) -> Override {
    Override { row, cell: Cell::Masks(masks) }
}

/// A cell of the MDSCR_EL1.SS column.
pub(super) const fn ss(row: RowId, ss: Ss) -> Override {
    Override { row, cell: Cell::Ss(ss) }
}
