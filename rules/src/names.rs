//! The names of the values in the table's columns, for lists and documents made from it.

use crate::table::{Context, Origin};
use core::fmt;

impl Origin {
    /// All values, in the order of their codes.
    pub const ALL: &[Origin] = &[Origin::El0, Origin::El1, Origin::Any];

    /// The name of the value: the architecture's, or `any`.
    pub const fn name(self) -> &'static str {
        match self {
            Origin::El0 => "EL0",
            Origin::El1 => "EL1",
            Origin::Any => "any",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Context {
    /// All values, in the order of their codes.
    pub const ALL: &[Context] = &[
        Context::None,
        Context::Preemptible,
        Context::IrqFromEl0,
        Context::Inherit,
        Context::Irq,
        Context::Nmi,
        Context::Debug,
        Context::Panic,
    ];

    /// The name of the value.
    pub const fn name(self) -> &'static str {
        match self {
            Context::None => "none",
            Context::Preemptible => "preemptible",
            Context::IrqFromEl0 => "irq-from-el0",
            Context::Inherit => "inherit",
            Context::Irq => "irq",
            Context::Nmi => "nmi",
            Context::Debug => "debug",
            Context::Panic => "panic",
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
