//! `test`: the in-kernel tests.

use super::Error;
use crate::debug::slots;
use crate::ktest::{self, everywhere};
use crate::tests::SUITES;
use alloc::string::ToString;
use core::fmt::Write;

/// Runs those whose names contain the filter. Their KTAP goes to the console, whatever `out` is.
pub fn run(filter: Option<&str>, out: &mut dyn Write) -> Result<(), Error> {
    let filter = filter.unwrap_or("");
    let (probes, slots) = (everywhere::others(), slots::list().count());
    if probes + slots != 0 {
        return Err(Error::InTheWay { probes, slots });
    }
    if !ktest::matches(SUITES, filter) {
        return Err(Error::NoSuchTest(filter.to_string()));
    }
    let counts = ktest::run(SUITES, ktest::Choice { filter, ..Default::default() });
    writeln!(out, "{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped)?;
    if counts.failed == 0 { Ok(()) } else { Err(Error::TestsFailed(counts)) }
}
