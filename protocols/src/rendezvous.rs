//! One CPU holds all others while it changes text that they might be executing (rule K3).
//!
//! The CPU that holds ([`Rendezvous::hold`]) begins a round and interrupts the others. Each of them says that it has arrived and
//! waits ([`Rendezvous::take_part`]). When all have arrived, the first CPU makes its change and declares the round over. The
//! others go on, and the first CPU returns when all of them have gone on.

use crate::sync::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
    constant,
};

/// The state of the rounds, shared by all CPUs.
#[derive(Debug)]
pub struct Rendezvous {
    /// The number of the latest round that was begun.
    round: AtomicU64,
    /// The number of the latest round that is over.
    over: AtomicU64,
    /// How many CPUs have arrived in this round.
    arrived: AtomicUsize,
    /// How many CPUs have left this round.
    gone: AtomicUsize,
}

impl Rendezvous {
    constant! {
        /// The state in which no CPU is held.
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
    /// `tell` must interrupt the other CPUs, so that each calls [`Self::take_part`], and must make sure that a CPU which the
    /// interrupt reaches sees all that this CPU wrote before. `wait` is called repeatedly while this CPU waits.
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

    /// Waits until the current round is over, then runs `synchronise`, which must discard instructions that this CPU has fetched (ISB).
    /// Returns at once if no round is under way. `wait` is called repeatedly while this CPU waits.
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
