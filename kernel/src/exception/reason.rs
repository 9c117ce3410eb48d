//! Why the kernel ends: what [`fatal`](super::fatal()) is told.

/// Where an assertion stands and what it does.
pub struct Site {
    /// Source file.
    pub file: &'static str,
    /// Line in it.
    pub line: u32,
    /// The assertion as written, or the text given.
    pub text: &'static str,
    /// BUG: does not return.
    pub fatal: bool,
}

/// Why the kernel ends.
#[derive(Clone, Copy)]
pub enum Reason {
    /// A BRK whose immediate is nobody's.
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
    /// Taken with SP_EL0 as stack pointer, which the kernel never uses.
    OnSpEl0,
    /// From EL0, where nothing runs.
    FromEl0,
    /// From AArch32, which nothing runs in.
    FromAarch32,
}
