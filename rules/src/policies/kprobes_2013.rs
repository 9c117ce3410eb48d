//! The first kprobes for arm64.

use super::behaviour::Behaviours;
use super::policy::{Policy, masks};
use crate::table::{Masks, RowId};

/// The product's rules, but the handlers of probes run with D open.
pub const KPROBES_2013: Policy = Policy {
    name: "kprobes-2013",
    title: "D is open while the handlers of a probe run, inside of the debug exception.",
    origin: "The patch of November 2013, \"Kprobes with single stepping support\", which was refused for this.",
    cells: &[masks(RowId::M12, Masks::UnmaskDebugAndError)],
    behaviours: Behaviours::PRODUCT,
};
