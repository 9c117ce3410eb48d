//! The names of the values in the table's columns, for lists and documents that are made from the table.

use crate::table::{Context, Origin};
use core::fmt;

impl Origin {
    /// All values, each at the index `value as usize`.
    pub const ALL: &[Origin] = &[Origin::El0, Origin::El1, Origin::Any];

    /// The architecture's name of the exception level, or `any`.
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
    /// All values, each at the index `value as usize`.
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

    /// The name of the value as lists show it, such as `irq-from-el0`.
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
