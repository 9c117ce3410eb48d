//! Linux for arm64 as it was when the discussion began.

use super::behaviour::{Behaviours, Delivery, Opens};
use super::policy::{Policy, masks, ss};
use crate::table::{Masks, RowId, Ss};

/// How Linux delivered each debug exception of a program: `do_debug_exception` switched preemption off; D stayed masked, and only I was
/// opened before the signal (`local_irq_enable` in `send_user_sigtrap`).
const ATOMIC: Delivery = Delivery { preemptible: false, opens: Opens::Interrupts };

/// Linux 5.8, from before the entry code was reworked.
pub const LINUX_2020: Policy = Policy {
    name: "linux-2020",
    title: "Linux 5.8: debug exceptions of programs are delivered with preemption off and D masked; interrupts leave steps live.",
    origin: "The discussion of 2020, which begins with the report of what goes wrong.",
    cells: &[
        masks(RowId::M3, Masks::Masked),
        masks(RowId::M4, Masks::Masked),
        ss(RowId::M6, Ss::Keep),
        ss(RowId::M8, Ss::Keep),
        ss(RowId::M9, Ss::Keep),
        masks(RowId::M11, Masks::Masked),
    ],
    behaviours: Behaviours {
        brk: ATOMIC,
        step: ATOMIC,
        hit: ATOMIC,
        saves_steps: false,
        ..Behaviours::PRODUCT
    },
};
