//! Builds, boots, tests and measures Stepwell.

fn main() {}
