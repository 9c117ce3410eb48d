//! The table of BRK immediates. Where Linux has a number for the same purpose, this kernel uses the same number.

/// What a BRK is for. This decides which row of the rule table applies: M11, M12 or M7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A WARN or BUG: M11.
    Assertion,
    /// The BRK in place of a probed instruction: M12.
    Kprobe,
    /// The BRK at the end of a copy: M12.
    OutOfLineEnd,
    /// The BRK in place of a return address: M12.
    ReturnProbe,
    /// A stop in the debugger that is compiled into code: M12.
    Debugger,
    /// The BRK that begins a debugger's session with a hook: M12.
    Step,
    /// The BRK of a trampoline that cannot deal with its hit alone (M12b).
    Trampoline,
    /// M12 with a handler that does nothing: benches measure the entry and the exit by it.
    Empty,
}

macro_rules! immediates {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $purpose:ident;)*) => {
        $($(#[$doc])* pub const $name: u16 = $number;)*

        /// All immediates that the kernel uses, each with its use.
        pub const TABLE: &[(u16, Use)] = &[$(($name, Use::$purpose)),*];

        /// What the immediate of the BRK in this ESR_EL1 is for. None if the kernel does not use the immediate: from
        /// EL1, such a BRK is fatal.
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
    /// A BRK whose handler only moves PC behind the BRK. Benches measure entry and exit by it.
    EMPTY = 0x402, Empty;
    /// The context is to be stepped from here on (`debug::session`).
    STEP = 0x403, Step;
    /// An optimised probe's trampoline gives up (`kprobe::optimised`).
    TRAMPOLINE = 0x404, Trampoline;
    /// WARN and BUG (`BUG_BRK_IMM`).
    BUG = 0x800, Assertion;
}
