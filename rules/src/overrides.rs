//! One cell of the table changed by name, such as `M8.ss=keep`.
//!
//! If all tests pass although a cell was changed, no test covers that cell. [`alternatives`] lists the values that can be tried in
//! place of each cell of a row.

use crate::table::{Masks, Row, RowId, Ss};
use core::fmt;

/// A cell of the table, and another value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// The row of the cell.
    pub row: RowId,
    /// The column of the cell, and the other value.
    pub cell: Cell,
}

/// A value, and the column that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// The masks column.
    Masks(Masks),
    /// The MDSCR_EL1.SS column.
    Ss(Ss),
}

/// Which part of an override is not the name of anything in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverrideError {
    /// The table has no row with this name.
    Row,
    /// The column is neither `masks` nor `ss`.
    Column,
    /// The column exists, but has no value with this name.
    Value,
}

const MASKS: [(Masks, &str); 6] = [
    (Masks::Unsaid, "unsaid"),
    (Masks::Masked, "masked"),
    (Masks::UnmaskAll, "open"),
    (Masks::UnmaskDebugAndError, "open-da"),
    (Masks::Inherit, "inherit"),
    (Masks::MaskedThenOpen, "masked-then-open"),
];

const SS: [(Ss, &str); 9] = [
    (Ss::Unsaid, "unsaid"),
    (Ss::Keep, "keep"),
    (Ss::Clear, "clear"),
    (Ss::Stash, "stash"),
    (Ss::CompleteStepOver, "complete"),
    (Ss::Park, "park"),
    (Ss::Decide, "decide"),
    (Ss::Compute, "compute"),
    (Ss::ClearThenSet, "clear-then-set"),
];

impl Masks {
    /// All values, each at the index `value as usize`.
    pub const ALL: &[Masks] = &{
        let mut all = [Masks::Unsaid; MASKS.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = MASKS[i].0;
            i += 1;
        }
        all
    };

    /// The name of the value, as overrides and the rule list write it.
    pub const fn name(self) -> &'static str {
        MASKS[self as usize].1
    }
}

impl Ss {
    /// All values, each at the index `value as usize`.
    pub const ALL: &[Ss] = &{
        let mut all = [Ss::Unsaid; SS.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = SS[i].0;
            i += 1;
        }
        all
    };

    /// The name of the value, as overrides and the rule list write it.
    pub const fn name(self) -> &'static str {
        SS[self as usize].1
    }
}

impl Override {
    /// Reads `row`, `column` and `value` as in `M8`, `ss`, `keep`.
    ///
    /// # Errors
    /// Says which of the three texts is not the name of anything in the table.
    pub fn parse(row: &str, column: &str, value: &str) -> Result<Self, OverrideError> {
        let row = RowId::by_name(row).ok_or(OverrideError::Row)?;
        let cell = match column {
            "masks" => MASKS.iter().find(|(_, name)| *name == value).map(|(masks, _)| Cell::Masks(*masks)),
            "ss" => SS.iter().find(|(_, name)| *name == value).map(|(ss, _)| Cell::Ss(*ss)),
            _ => return Err(OverrideError::Column),
        };
        Ok(Self { row, cell: cell.ok_or(OverrideError::Value)? })
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cell {
            Cell::Masks(masks) => write!(f, "{}.masks={}", self.row, masks.name()),
            Cell::Ss(ss) => write!(f, "{}.ss={}", self.row, ss.name()),
        }
    }
}

impl core::error::Error for OverrideError {}

impl fmt::Display for OverrideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row => f.write_str("no such row; rows are M1 to M16 and M12b"),
            Self::Column => f.write_str("no such column; columns are masks and ss"),
            Self::Value => {
                f.write_str("no such value; masks:")?;
                MASKS.iter().try_for_each(|(_, name)| write!(f, " {name}"))?;
                f.write_str("; ss:")?;
                SS.iter().try_for_each(|(_, name)| write!(f, " {name}"))
            }
        }
    }
}

/// The other values that can be tried in each column of a row.
///
/// Some values are left out where they would not change what the machine does:
///
/// - `keep` in place of `decide`, because both do nothing on the way in.
/// - `inherit` in row M14, which always interrupts a debug context, where everything is masked already (M10, M12).
/// - `inherit` in place of `open` in the rows M2 and M3: a program has nothing masked (X3).
/// - `stash` in place of `clear-then-set` in the rows M2 to M5: both take the owners off the CPU and give them back on the way out.
///
/// `unsaid`, `decide` and `compute` on the way in do what `keep` does, and `unsaid` and `masked-then-open` do what `masked` does: in a row
/// that does not have such a value itself it is tried by the other name.
pub fn alternatives(row: &Row) -> impl Iterator<Item = Override> + use<> {
    const MASKS: [Masks; 4] = [Masks::Masked, Masks::UnmaskAll, Masks::UnmaskDebugAndError, Masks::Inherit];
    const ENTRY: [Ss; 5] = [Ss::Keep, Ss::Clear, Ss::Stash, Ss::CompleteStepOver, Ss::Park];
    const RETURN: [Ss; 2] = [Ss::Keep, Ss::Clear];
    let (id, masks, ss) = (row.id, row.masks, row.ss);
    let of_masks = MASKS
        .iter()
        .filter(move |&&value| masks != Masks::Unsaid && value != masks)
        .filter(move |&&value| !(id as u8 == RowId::M14 as u8 && value == Masks::Inherit))
        .filter(move |&&value| !(masks == Masks::UnmaskAll && value == Masks::Inherit))
        .map(move |&value| Override { row: id, cell: Cell::Masks(value) });
    let values: &[Ss] = if ss == Ss::Compute { &RETURN } else { &ENTRY };
    let of_ss = values
        .iter()
        .filter(move |&&value| ss != Ss::Unsaid && value != ss)
        .filter(move |&&value| !(ss == Ss::Decide && value == Ss::Keep))
        .filter(move |&&value| !(ss == Ss::ClearThenSet && id as u8 != RowId::M1 as u8 && value == Ss::Stash))
        .map(move |&value| Override { row: id, cell: Cell::Ss(value) });
    of_masks.chain(of_ss)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn codes_and_names_agree() {
        for (index, masks) in Masks::ALL.iter().enumerate() {
            assert_eq!(*masks as usize, index);
        }
        for (index, ss) in Ss::ALL.iter().enumerate() {
            assert_eq!(*ss as usize, index);
        }
    }

    #[test]
    fn what_is_shown_is_what_is_read() {
        for row in TABLE {
            for change in alternatives(row) {
                let text = change.to_string();
                let (id, rest) = text.split_once('.').unwrap();
                let (column, value) = rest.split_once('=').unwrap();
                assert_eq!(Override::parse(id, column, value), Ok(change));
            }
        }
    }

    #[test]
    fn an_alternative_changes_the_cell() {
        for row in TABLE {
            for change in alternatives(row) {
                match change.cell {
                    Cell::Masks(masks) => assert_ne!(masks, row.masks),
                    Cell::Ss(ss) => assert_ne!(ss, row.ss),
                }
            }
        }
    }

    #[test]
    fn errors_say_which_part_is_wrong() {
        assert_eq!(Override::parse("M99", "ss", "keep"), Err(OverrideError::Row));
        assert_eq!(Override::parse("M8", "sss", "keep"), Err(OverrideError::Column));
        assert_eq!(Override::parse("M8", "ss", "kept"), Err(OverrideError::Value));
        assert!(OverrideError::Value.to_string().contains("stash"));
    }

    /// The alternatives of a row, as text, in order.
    fn list(id: RowId) -> String {
        alternatives(id.row()).map(|change| change.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_alternatives_of_each_kind_of_row_are_these() {
        assert_eq!(
            list(RowId::M8),
            "M8.masks=masked M8.masks=open M8.masks=inherit M8.ss=keep M8.ss=clear M8.ss=complete M8.ss=park"
        );
        // No `M10.ss=keep`: on the way in `decide` and `keep` are the same.
        assert_eq!(
            list(RowId::M10),
            "M10.masks=open M10.masks=open-da M10.masks=inherit M10.ss=clear M10.ss=stash M10.ss=complete M10.ss=park"
        );
        // On a return SS can only be computed, kept or cleared.
        assert_eq!(
            list(RowId::M13),
            "M13.masks=open M13.masks=open-da M13.masks=inherit M13.ss=keep M13.ss=clear"
        );
        // No `M14.masks=inherit`: M14 interrupts masked code, so `inherit` and `masked` are the same.
        assert_eq!(
            list(RowId::M14),
            "M14.masks=open M14.masks=open-da M14.ss=clear M14.ss=stash M14.ss=complete M14.ss=park"
        );
        // A column with the value `unsaid` has no alternative.
        assert_eq!(list(RowId::M12b), "M12b.masks=open M12b.masks=open-da M12b.masks=inherit");
        assert_eq!(list(RowId::M1), "M1.ss=keep M1.ss=clear M1.ss=stash M1.ss=complete M1.ss=park");
        // No `M2.masks=inherit`: a program has nothing masked. No `M2.ss=stash`: it does what `clear-then-set` does.
        assert_eq!(
            list(RowId::M2),
            "M2.masks=masked M2.masks=open-da M2.ss=keep M2.ss=clear M2.ss=complete M2.ss=park"
        );
        assert_eq!(
            list(RowId::M4),
            "M4.masks=masked M4.masks=open M4.masks=open-da M4.masks=inherit M4.ss=keep M4.ss=clear M4.ss=complete M4.ss=park"
        );
        assert_eq!(
            list(RowId::M6),
            "M6.masks=masked M6.masks=open M6.masks=open-da M6.ss=keep M6.ss=clear M6.ss=stash M6.ss=park"
        );
    }

    #[test]
    fn every_value_of_every_column_is_read_by_its_name() {
        for masks in Masks::ALL {
            let read = Override::parse("M2", "masks", masks.name());
            assert_eq!(read, Ok(Override { row: RowId::M2, cell: Cell::Masks(*masks) }));
        }
        for ss in Ss::ALL {
            let read = Override::parse("M16", "ss", ss.name());
            assert_eq!(read, Ok(Override { row: RowId::M16, cell: Cell::Ss(*ss) }));
        }
        // A column does not accept the names of the other column's values.
        assert_eq!(Override::parse("M2", "masks", "keep"), Err(OverrideError::Value));
        assert_eq!(Override::parse("M2", "ss", "inherit"), Err(OverrideError::Value));
    }

    #[test]
    fn an_error_lists_what_there_is() {
        assert_eq!(OverrideError::Row.to_string(), "no such row; rows are M1 to M16 and M12b");
        assert_eq!(OverrideError::Column.to_string(), "no such column; columns are masks and ss");
        assert_eq!(
            OverrideError::Value.to_string(),
            "no such value; masks: unsaid masked open open-da inherit masked-then-open; ss: unsaid keep clear stash complete park decide compute clear-then-set"
        );
    }
}
