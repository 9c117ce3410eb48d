//! How the policy of the build has debug exceptions of programs delivered ([`BEHAVIOURS`](crate::policy::BEHAVIOURS)). In the
//! product the table says all (M3, M4), and nothing is done here.

use crate::arch::daif;
use crate::debug::control::Masked;
use crate::sched::preempt;
use rules::policies::behaviour::{Delivery, Opens};

/// Delivers by `act`, as `how` says. Thread context.
#[inline(always)]
pub fn deliver(how: Delivery, act: impl FnOnce()) {
    let _off = (!how.preemptible).then(preempt::Off::new);
    match how.opens {
        Opens::Nothing => {}
        Opens::Interrupts => daif::clear::<{ daif::IF }>(),
        Opens::All => {
            // The end of the section pays what is owed to MDSCR_EL1, before D opens (I2).
            drop(Masked::new());
            daif::clear::<{ daif::ALL }>();
        }
    }
    act();
}
