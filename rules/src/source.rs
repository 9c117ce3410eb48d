//! Where rules come from: discussions of kernel developers, the architecture, trials, other systems.

use core::fmt;

/// A discussion on a public mailing list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discussion {
    /// The subject line, without `Re:`.
    pub subject: &'static str,
    /// The mailing list.
    pub list: &'static str,
    /// The months of its first and its last message that count here.
    pub date: &'static str,
}

/// A report that debug exceptions leave preemption off, and the longest discussion of how arm64 should mask exceptions.
pub const PREEMPTION: Discussion = Discussion {
    subject: "[PATCH] arm64: don't preempt_disable in do_debug_exception",
    list: "linux-arm-kernel",
    date: "June to November 2020",
};

/// A patch that keeps single steps out of interrupt handlers, and why it is not enough.
pub const INTERRUPTS: Discussion = Discussion {
    subject: "[PATCH v5 1/2] arm64: entry: Skip single stepping into interrupt handlers",
    list: "linux-kernel",
    date: "December 2022 to January 2023",
};

/// Banked debug registers, and in which order slots and their records change.
pub const BANKS: Discussion = Discussion {
    subject: "[PATCH V3 7/7] arm64/hw_breakpoint: Enable FEAT_Debugv8p9",
    list: "linux-arm-kernel, linux-kernel",
    date: "December 2024 to April 2026",
};

/// The first kprobes for arm64, and exceptions within debug exceptions.
pub const KPROBES: Discussion = Discussion {
    subject: "[PATCH RFC 2/6] arm64: Kprobes with single stepping support",
    list: "linux-arm-kernel",
    date: "November 2013",
};

/// The same questions on x86: a debug exception (#DB) within a #DB, and NMIs between two of them.
pub const X86: Discussion = Discussion {
    subject: "[PATCH v3 6/6] x86/entry/64: Remove TRACE_IRQS_*_DEBUG",
    list: "linux-kernel",
    date: "July 2019",
};

/// All discussions, in the order of their years.
pub const DISCUSSIONS: &[&Discussion] = &[&KPROBES, &X86, &PREEMPTION, &INTERRUPTS, &BANKS];

/// One source of a rule, with what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A discussion, and a summary of who said what there about the subject of the rule.
    Discussion(&'static Discussion, &'static str),
    /// A section of the Arm Architecture Reference Manual (DDI 0487), and what the section says.
    Architecture(&'static str),
    /// What was tried on which machine or in which test, and with which result.
    Tried(&'static str),
    /// What another operating system or library does, or what has gone wrong in it.
    Practice(&'static str),
    /// The rule, or a part of the rule, has no outside source. The text says what the rule follows from.
    Own(&'static str),
}

impl Source {
    /// What the source says.
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Discussion(_, text)
            | Self::Architecture(text)
            | Self::Tried(text)
            | Self::Practice(text)
            | Self::Own(text) => text,
        }
    }
}

impl fmt::Display for Discussion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\", {}, {}", self.subject, self.list, self.date)
    }
}
