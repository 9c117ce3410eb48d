//! The policy that this kernel is built with.
//!
//! The product is built with the policy `stepwell`. The variable STEPWELL_RULES in the environment of the build chooses another one,
//! for study (`--rules` and `lab` of `cargo xtask`). The rule table of the policy is applied by [`exception::apply`](crate::exception::apply);
//! what else the policy does differently is in [`BEHAVIOURS`], which the parts of the kernel that are concerned ask. It is a
//! constant, so in the product the compiler decides every branch on it, and the other side of the branch is not in the image.

use rules::policies::behaviour::Behaviours;
use rules::policies::{self, Policy};

/// The policy of this build.
pub const POLICY: &Policy = policies::chosen(option_env!("STEPWELL_RULES"));

/// What the policy does that is no cell of the table.
pub const BEHAVIOURS: &Behaviours = &POLICY.behaviours;

/// Logs which policy this is, unless it is the product's. Called at boot, when the log works.
pub fn log() {
    if !POLICY.is_product() {
        log::warn!("built with the rules of {}, for study: {}", POLICY.name, POLICY.title);
    }
}
