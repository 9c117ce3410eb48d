//! The sweep's scenarios as a test, so that they can be swept under the probes of [`everywhere`](super::everywhere).

use super::{Ended, Outcome};
use crate::check;
use crate::sweep::{self, Choice, Extent, Scenario};
use kernel::options;
use kernel::sync::SpinLock;

type Scenarios = &'static [&'static [Scenario]];
/// Names of scenarios, each with a reason.
type Reasons = &'static [(&'static str, &'static str)];

/// The scenarios that are swept, and those that are left out, each with the reason.
static SWEPT: SpinLock<Option<(Scenarios, Reasons)>> = SpinLock::new(None);

/// Chooses what is swept. Thread context.
pub fn prepare(scenarios: Scenarios, unfit: Reasons) {
    *SWEPT.lock() = Some((scenarios, unfit));
}

/// How many boundaries of each scenario are tried: under probes a scenario takes hundreds of times as long. A machine that has only a
/// share of what is tried one by one (`share=`) tries this share of them.
const BOUNDARIES: u64 = 64;

fn every_scenario_comes_to_the_same_with_an_interrupt() -> Outcome {
    let (scenarios, unfit) =
        SWEPT.lock().take().ok_or_else(|| Ended::Failed("no scenarios were chosen".into()))?;
    let choice =
        Choice { name: "", from: None, unfit, extent: Extent::Sample(BOUNDARIES, options::get().share) };
    check!(sweep::run(scenarios, choice), "the sweep found violations, printed above");
    Ok(())
}

crate::suite!("probes_sweep": every_scenario_comes_to_the_same_with_an_interrupt);
