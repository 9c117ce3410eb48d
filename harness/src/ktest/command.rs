//! The monitor's command `test`.

use super::{Choice, Suite, everywhere};
use alloc::string::ToString;
use core::fmt::Write;
use kernel::debug::slots;
use kernel::monitor::Error;

/// Runs the tests of `suites` whose names contain the filter. Their KTAP goes to the console, even if `out` is something else. Thread
/// context of the first CPU.
///
/// # Errors
/// When probes, breakpoints or watchpoints are set that would disturb tests, when no test's name contains the filter, or when a test has
/// failed.
pub fn command(suites: &[&Suite], filter: Option<&str>, out: &mut dyn Write) -> Result<(), Error> {
    let filter = filter.unwrap_or("");
    let (probes, slots) = (everywhere::others(), slots::list().count());
    if probes + slots != 0 {
        return Err(Error::InTheWay { probes, slots });
    }
    if !super::matches(suites, filter) {
        return Err(Error::NoSuchTest(filter.to_string()));
    }
    let counts = super::run(suites, Choice { filter, ..Choice::default() });
    writeln!(out, "{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped)?;
    if counts.failed == 0 { Ok(()) } else { Err(Error::TestsFailed(counts.failed)) }
}
