//! The product's rules.

use super::behaviour::Behaviours;
use super::policy::{PRODUCT, Policy};

/// The product: the table and the behaviours that all other policies are compared with.
pub const STEPWELL: Policy = Policy {
    name: PRODUCT,
    title: "The product's rules.",
    origin: "rules/src/table.rs",
    cells: &[],
    behaviours: Behaviours::PRODUCT,
};
