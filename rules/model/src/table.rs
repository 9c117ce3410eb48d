//! The rule table as a value.

use rules::overrides::{Cell, Override};
use rules::table::{Row, RowId, TABLE};

/// How many rows the table has.
pub const ROWS: usize = TABLE.len();

/// A whole rule table: the kernel's own, one with other cells, or another policy's.
#[derive(Clone, Debug)]
pub struct Table([Row; ROWS]);

impl Table {
    /// The table that the kernel applies.
    pub fn of_kernel() -> Self {
        Self(core::array::from_fn(|index| TABLE[index]))
    }

    /// A table of these rows, each at the index of its name.
    ///
    /// # Panics
    /// If a row stands at another's index.
    pub fn of_rows(rows: [Row; ROWS]) -> Self {
        assert!(
            rows.iter().enumerate().all(|(index, row)| row.id as usize == index),
            "a row at another's index"
        );
        Self(rows)
    }

    /// The same table with one cell changed.
    #[must_use]
    pub fn with(mut self, change: Override) -> Self {
        let row = &mut self.0[change.row as usize];
        match change.cell {
            Cell::Masks(masks) => row.masks = masks,
            Cell::Ss(ss) => row.ss = ss,
        }
        self
    }

    /// A row.
    pub fn row(&self, id: RowId) -> &Row {
        &self.0[id as usize]
    }
}
