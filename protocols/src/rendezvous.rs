//! CPUs held still while one changes what they might be executing (rule K3).

use crate::sync::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
    constant,
};

/// One CPU holds the others.
#[derive(Debug)]
pub struct Rendezvous {
    /// Number of the latest round.
    round: AtomicU64,
    /// Number of the latest round that is over.
    over: AtomicU64,
    /// CPUs that stand still in this round.
    arrived: AtomicUsize,
    /// CPUs that have gone on from it.
    gone: AtomicUsize,
}

impl Rendezvous {
    constant! {
        /// Nobody is held.
        pub const fn new() -> Self {
            Rendezvous {
                round: AtomicU64::new(0),
                over: AtomicU64::new(0),
                arrived: AtomicUsize::new(0),
                gone: AtomicUsize::new(0),
            }
        }
    }

    /// Runs `change` while `others` CPUs stand still, and returns when they have all gone on. One CPU at a time may call this.
    ///
    /// `tell` interrupts the other CPUs, so that each calls [`Self::take_part`]; what this CPU wrote before must be visible to a CPU
    /// that the interrupt reaches. `wait` runs again and again while this waits.
    #[inline(always)]
    pub fn hold<R>(
        &self,
        others: usize,
        tell: impl FnOnce(),
        mut wait: impl FnMut(),
        change: impl FnOnce() -> R,
    ) -> R {
        self.arrived.store(0, Relaxed);
        self.gone.store(0, Relaxed);
        let round = self.round.fetch_add(1, Release) + 1;
        if others > 0 {
            tell();
            while self.arrived.load(Acquire) < others {
                wait();
            }
        }
        let result = change();
        self.over.store(round, Release);
        while self.gone.load(Acquire) < others {
            wait();
        }
        result
    }

    /// Stands still until the round is over, then runs `synchronise`, which makes the CPU forget what it has fetched. Does nothing if
    /// no round is on. `wait` runs again and again while this waits.
    #[inline(always)]
    pub fn take_part(&self, mut wait: impl FnMut(), synchronise: impl FnOnce()) {
        let round = self.round.load(Acquire);
        if self.over.load(Acquire) == round {
            return;
        }
        self.arrived.fetch_add(1, Release);
        while self.over.load(Acquire) < round {
            wait();
        }
        synchronise();
        self.gone.fetch_add(1, Release);
    }
}

impl Default for Rendezvous {
    fn default() -> Self {
        Self::new()
    }
}
