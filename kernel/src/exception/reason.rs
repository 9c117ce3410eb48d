//! Why the kernel ends: what [`fatal`](super::fatal()) is told.

/// Where an assertion stands in the source, and what it does.
pub struct Site {
    /// The source file.
    pub file: &'static str,
    /// The line in the source file.
    pub line: u32,
    /// The condition of the WARN as written, or the text of the BUG.
    pub text: &'static str,
    /// Whether the assertion is a BUG, which ends the kernel, and not a WARN.
    pub fatal: bool,
}

/// Why the kernel ends.
#[derive(Clone, Copy)]
pub enum Reason {
    /// A BRK with an immediate that the kernel does not use, or at an address where the kernel has put no such BRK.
    UnknownBrk,
    /// A `kbug!`.
    Bug(&'static Site),
    /// A synchronous exception that nothing fixes up.
    Fault,
    /// An SVC, which nobody serves from EL1.
    Svc,
    /// The stack ran into its guard.
    StackOverflow,
    /// Probes hit inside probes' handlers, deeper than there is room for (K5).
    ProbesTooDeep,
    /// SError from EL1.
    SError,
    /// The exception has interrupted a context that runs on SP_EL0, which the kernel never uses.
    OnSpEl0,
    /// The exception came from AArch32 state, in which nothing runs.
    FromAarch32,
}
