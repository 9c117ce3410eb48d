//! Hardware debug exceptions as NMIs.

use super::behaviour::{Behaviours, Delivery, Opens};
use super::policy::{Policy, masks};
use crate::table::{Masks, RowId};

/// The context of an NMI: everything is masked, and nothing may sleep.
const NMI_CONTEXT: Delivery = Delivery { preemptible: false, opens: Opens::Nothing };

/// The product's rules, but breakpoints, watchpoints and steps are NMIs, from programs too. BRKs are not.
pub const NMI: Policy = Policy {
    name: "nmi",
    title: "Breakpoints, watchpoints and steps are treated as NMIs, from programs too; BRKs are not.",
    origin: "Considered in the discussion of 2020: \"treat this like an NMI instead\", \"align with x86 and treat those as true NMIs\".",
    cells: &[masks(RowId::M4, Masks::Masked)],
    behaviours: Behaviours { step: NMI_CONTEXT, hit: NMI_CONTEXT, ..Behaviours::PRODUCT },
};
