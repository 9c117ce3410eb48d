//! WARN (M11): the code that raises a WARN goes on after it, and the report runs with the masks of that code.

use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::arch::daif;
use kernel::debug::stats;
use kernel::kwarn;

suite!("assertions": warn_returns, warn_keeps_masks);

fn warn_returns() -> Outcome {
    let before = stats::WARNINGS.sum();
    check!(kwarn!(before < u64::MAX));
    check!(!kwarn!(before == u64::MAX));
    check_eq!(stats::WARNINGS.sum() - before, 1);
    Ok(())
}

fn warn_keeps_masks() -> Outcome {
    let masked = daif::AllMasked::new();
    let before = daif::read();
    kwarn!(true);
    let after = daif::read();
    drop(masked);
    check_eq!(after, before);
    Ok(())
}
