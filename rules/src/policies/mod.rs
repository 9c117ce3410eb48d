//! Policies: whole sets of rules that a kernel can be built with, to compare what they do.
//!
//! [`STEPWELL`] is the product. Each of the other policies is what somebody else does or has proposed. It says how it differs from
//! the product in *cells* of the table, and in *behaviours* where the table has no column for the difference. The crate only
//! holds the data; the kernel that is built with a policy applies it.
//!
//! A policy is one file in this folder, with one static [`Policy`], which is listed in [`ALL`].
//!
//! ```
//! use stepwell_rules::policies;
//! use stepwell_rules::table::{RowId, Ss};
//!
//! let policy = policies::by_name("linux-6.18").unwrap();
//! // Linux does nothing about MDSCR_EL1.SS at an interrupt.
//! assert_eq!(policy.row(RowId::M8).ss, Ss::Keep);
//! assert_eq!(policies::STEPWELL.row(RowId::M8).ss, Ss::Stash);
//! ```

pub mod behaviour;
mod freebsd_mask;
mod kprobes_2013;
mod linux_2020;
mod linux_6_18;
mod nmi;
mod policy;
mod rt_patch;
mod stash_v5;
mod stepwell;
#[cfg(test)]
mod tests;

pub use freebsd_mask::FREEBSD_MASK;
pub use kprobes_2013::KPROBES_2013;
pub use linux_6_18::LINUX_6_18;
pub use linux_2020::LINUX_2020;
pub use nmi::NMI;
pub use policy::Policy;
pub use rt_patch::RT_PATCH;
pub use stash_v5::STASH_V5;
pub use stepwell::STEPWELL;

use policy::same;

/// All policies; the product's is the first one.
pub const ALL: &[&Policy] =
    &[&STEPWELL, &LINUX_2020, &RT_PATCH, &STASH_V5, &LINUX_6_18, &FREEBSD_MASK, &NMI, &KPROBES_2013];

/// The policy with this name.
pub const fn by_name(name: &str) -> Option<&'static Policy> {
    let mut i = 0;
    while i < ALL.len() {
        if same(ALL[i].name, name) {
            return Some(ALL[i]);
        }
        i += 1;
    }
    None
}

/// The policy that a kernel is built with: `name` is the value of a variable of the build's environment. Without a name it is the
/// product's.
///
/// # Panics
/// If no policy has this name. For a constant that is an error of the compiler.
pub const fn chosen(name: Option<&str>) -> &'static Policy {
    match name {
        None => &STEPWELL,
        Some(name) => match by_name(name) {
            Some(policy) => policy,
            None => panic!("no policy in rules/src/policies has the name that the build asks for"),
        },
    }
}
