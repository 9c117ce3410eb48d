//! The fifth version of the patch that keeps steps out of interrupt handlers.

use super::behaviour::{Behaviours, Reschedules, Stashes};
use super::linux_2020::LINUX_2020;
use super::policy::{Policy, masks, ss};
use crate::table::{Masks, RowId, Ss};

/// Linux with the patch "entry: Skip single stepping into interrupt handlers", version 5. Linux of 2022 treats debug exceptions as
/// Linux of 2020 does.
pub const STASH_V5: Policy = Policy {
    name: "stash-v5",
    title: "linux-2020 with the posted patch: an interrupt clears MDSCR_EL1.SS if SPSR_EL1.SS is set, and switches threads only then.",
    origin: "The patch of December 2022, and the answers of January 2023.",
    cells: &[
        masks(RowId::M3, Masks::Masked),
        masks(RowId::M4, Masks::Masked),
        ss(RowId::M6, Ss::Keep),
        masks(RowId::M11, Masks::Masked),
    ],
    behaviours: Behaviours {
        stashes: Stashes::WithSpsrSs,
        rearms_for_interrupts: false,
        reschedules: Reschedules::WithSpsrSs,
        ..LINUX_2020.behaviours
    },
};
