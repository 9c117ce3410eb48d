//! BRK immediates: a static table, with Linux's numbers where it has one.

/// What a BRK is for; decides between M11, M12 and M7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// WARN, BUG: M11.
    Assertion,
    /// M12.
    Kprobe,
    /// M12.
    OutOfLineEnd,
    /// M12.
    ReturnProbe,
    /// M12.
    Debugger,
    /// M12.
    Step,
    /// M12b, where a trampoline does not suffice.
    Trampoline,
    /// M12, and nothing else.
    Empty,
}

macro_rules! immediates {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $purpose:ident;)*) => {
        $($(#[$doc])* pub const $name: u16 = $number;)*

        /// The table.
        pub const TABLE: &[(u16, Use)] = &[$(($name, Use::$purpose)),*];

        /// What the immediate of this ESR_EL1 is for; None: nobody's, fatal from EL1.
        #[inline(always)]
        pub const fn lookup(esr: u64) -> Option<Use> {
            match esr as u16 {
                $($name => Some(Use::$purpose),)*
                _ => None,
            }
        }
    };
}

immediates! {
    /// A kprobe (`KPROBES_BRK_IMM`).
    KPROBE = 0x004, Kprobe;
    /// The end of an out-of-line copy (`KPROBES_BRK_SS_IMM`).
    OOL_END = 0x006, OutOfLineEnd;
    /// A return probe (`KRETPROBES_BRK_IMM`).
    KRETPROBE = 0x007, ReturnProbe;
    /// A debugger's compiled-in breakpoint (`KGDB_COMPILED_DBG_BRK_IMM`).
    DEBUGGER = 0x401, Debugger;
    /// Returns behind itself: what entry and exit cost.
    EMPTY = 0x402, Empty;
    /// The context is to be stepped from here on (`debug::session`).
    STEP = 0x403, Step;
    /// An optimised probe's trampoline gives up (`kprobe::optimised`).
    TRAMPOLINE = 0x404, Trampoline;
    /// WARN and BUG (`BUG_BRK_IMM`).
    BUG = 0x800, Assertion;
}
