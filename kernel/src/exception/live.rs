//! The table as it is applied, which is that of the policy of the build: in release builds its constants, in checked builds a copy
//! in which a boot argument can exchange cells.

use crate::policy::POLICY;
use rules::overrides::{Cell, Override};
use rules::table::{Masks, RowId, Ss, TABLE};

#[cfg(debug_assertions)]
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static MASKS: [AtomicU8; TABLE.len()] = {
    let mut cells = [const { AtomicU8::new(0) }; TABLE.len()];
    let mut i = 0;
    while i < TABLE.len() {
        cells[i] = AtomicU8::new(POLICY.row(TABLE[i].id).masks as u8);
        i += 1;
    }
    cells
};

#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static SS: [AtomicU8; TABLE.len()] = {
    let mut cells = [const { AtomicU8::new(0) }; TABLE.len()];
    let mut i = 0;
    while i < TABLE.len() {
        cells[i] = AtomicU8::new(POLICY.row(TABLE[i].id).ss as u8);
        i += 1;
    }
    cells
};

/// The id of row number `row`, for the functions of `apply`, which are generic over the number.
pub const fn id(row: u8) -> RowId {
    TABLE[row as usize].id
}

/// The masks column of `ROW`. Any context.
#[inline(always)]
pub fn masks<const ROW: u8>() -> Masks {
    #[cfg(debug_assertions)]
    return Masks::ALL[MASKS[ROW as usize].load(Relaxed) as usize];
    #[cfg(not(debug_assertions))]
    const {
        POLICY.row(id(ROW)).masks
    }
}

/// The MDSCR_EL1.SS column of `ROW`. Any context.
#[inline(always)]
pub fn ss<const ROW: u8>() -> Ss {
    #[cfg(debug_assertions)]
    return Ss::ALL[SS[ROW as usize].load(Relaxed) as usize];
    #[cfg(not(debug_assertions))]
    const {
        POLICY.row(id(ROW)).ss
    }
}

/// Whether the policy of the build has other cells in the rows that `hit.S` has built in.
const OTHER_PROBES: bool = POLICY.changes(RowId::M12) || POLICY.changes(RowId::M13);

const _: () = assert!(
    cfg!(debug_assertions) || !OTHER_PROBES,
    "hit.S has the product's rows M12 and M13 built in: build this policy without --release"
);

/// Not 0 if a cell was exchanged. `hit.S`, which has the original cells built in, then leaves all hits to the engine.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
static EXCEPTION_CELLS_EXCHANGED: AtomicU8 = AtomicU8::new(OTHER_PROBES as u8);

/// Exchanges a cell of the table for all CPUs. Called at boot.
///
/// # Errors
/// Release builds have the table compiled in.
pub fn exchange(change: Override) -> Result<(), &'static str> {
    #[cfg(debug_assertions)]
    {
        EXCEPTION_CELLS_EXCHANGED.store(1, Relaxed);
        match change.cell {
            Cell::Masks(masks) => MASKS[change.row as usize].store(masks as u8, Relaxed),
            Cell::Ss(ss) => SS[change.row as usize].store(ss as u8, Relaxed),
        }
        Ok(())
    }
    #[cfg(not(debug_assertions))]
    {
        let (Cell::Masks(_) | Cell::Ss(_)) = change.cell;
        Err("the table is compiled in; build without --release")
    }
}

/// The rows that this kernel applies.
pub const LIVE: [RowId; 14] = [
    RowId::M1,
    RowId::M2,
    RowId::M3,
    RowId::M4,
    RowId::M5,
    RowId::M6,
    RowId::M7,
    RowId::M8,
    RowId::M9,
    RowId::M10,
    RowId::M11,
    RowId::M12,
    RowId::M13,
    RowId::M14,
];
