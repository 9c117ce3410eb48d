//! BRK immediates: a static table, with Linux's numbers where it has one.

/// A kprobe (`KPROBES_BRK_IMM`).
pub const KPROBE: u16 = 0x004;
/// The end of an out-of-line copy (`KPROBES_BRK_SS_IMM`).
pub const OOL_END: u16 = 0x006;
/// A return probe (`KRETPROBES_BRK_IMM`).
pub const KRETPROBE: u16 = 0x007;
/// A debugger's compiled-in breakpoint (`KGDB_COMPILED_DBG_BRK_IMM`).
pub const DEBUGGER: u16 = 0x401;
/// Returns behind itself: what entry and exit cost.
pub const EMPTY: u16 = 0x402;
/// WARN and BUG (`BUG_BRK_IMM`).
pub const BUG: u16 = 0x800;

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
    /// M12, and nothing else.
    Empty,
}

/// The table.
pub const TABLE: [(u16, Use); 6] = [
    (KPROBE, Use::Kprobe),
    (OOL_END, Use::OutOfLineEnd),
    (KRETPROBE, Use::ReturnProbe),
    (DEBUGGER, Use::Debugger),
    (EMPTY, Use::Empty),
    (BUG, Use::Assertion),
];

/// What the immediate of this ESR_EL1 is for; None: nobody's, fatal from EL1.
#[inline(always)]
pub fn lookup(esr: u64) -> Option<Use> {
    let immediate = esr as u16;
    TABLE.iter().find(|(number, _)| *number == immediate).map(|(_, purpose)| *purpose)
}
