//! Linux for arm64 today.

use super::behaviour::{Behaviours, Delivery, Opens};
use super::policy::{Policy, masks, ss};
use crate::table::{Masks, RowId, Ss};

/// Linux 6.18: BRKs and steps of programs are preemptible since 6.17, hits of slots are not.
pub const LINUX_6_18: Policy = Policy {
    name: "linux-6.18",
    title: "Linux 6.18: BRKs and steps of programs are preemptible, hits of slots are delivered masked; interrupts leave steps live.",
    origin: "The source of Linux 6.18, by reading.",
    cells: &[
        masks(RowId::M4, Masks::Masked),
        ss(RowId::M6, Ss::Keep),
        ss(RowId::M8, Ss::Keep),
        ss(RowId::M9, Ss::Keep),
        masks(RowId::M11, Masks::Masked),
    ],
    behaviours: Behaviours {
        // The row M4 opens nothing here, because it stands for hits as well.
        step: Delivery { preemptible: true, opens: Opens::All },
        hit: Delivery { preemptible: false, opens: Opens::Nothing },
        saves_steps: false,
        ..Behaviours::PRODUCT
    },
};
