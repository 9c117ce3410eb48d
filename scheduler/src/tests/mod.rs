//! Tests of the rules, and of random operations.

mod rig;
mod run;
