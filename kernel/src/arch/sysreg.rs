//! System registers that `aarch64-cpu` does not name, and the numbered debug registers.

/// Reads a system register by name. Any context.
#[macro_export]
macro_rules! read_sysreg {
    ($name:expr) => {{
        let value: u64;
        // SAFETY: the callers only read registers whose reads have no side effects.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags))
        }
        value
    }};
}

/// Writes a system register by name. The write is a compiler barrier. If an ISB is needed, the caller executes it.
#[macro_export]
macro_rules! write_sysreg {
    ($name:expr, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the callers write no register that changes the mapping of memory that Rust code uses.
        unsafe {
            core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags))
        }
    }};
}

/// Writes a register whose number, 0 to 15, is part of its name, such as `DBGBCR3_EL1`, by a branch into a table of
/// writes. This is shorter than what the compiler makes of a `match`. The write is a compiler barrier; the caller
/// executes the ISB.
macro_rules! write_numbered {
    ($prefix:literal, $n:expr, $value:expr) => {
        write_numbered!(@ $prefix, $n, $value, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $prefix:literal, $n:expr, $value:expr, $($i:literal)*) => {{
        let (n, value): (u64, u64) = (u64::from($n & 15), $value);
        // SAFETY: branches to one of the sixteen writes, and from there to the end. The registers watch no memory that Rust code
        // relies on.
        unsafe {
            core::arch::asm!(
                "adr {place}, 2f",
                "add {place}, {place}, {n}, lsl #3",
                "br {place}",
                "2:",
                $(concat!("msr ", $prefix, $i, "_el1, {value}\n b 3f"),)*
                "3:",
                n = in(reg) n,
                value = in(reg) value,
                place = out(reg) _,
                options(nostack, preserves_flags)
            )
        }
    }};
}

/// Writes two registers of the same number, `$first` before `$second`, as `write_numbered` does.
macro_rules! write_numbered_pair {
    ($first:literal, $second:literal, $n:expr, $values:expr) => {
        write_numbered_pair!(@ $first, $second, $n, $values, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $first:literal, $second:literal, $n:expr, $values:expr, $($i:literal)*) => {{
        let (n, (first, second)): (u64, (u64, u64)) = (u64::from($n & 15), $values);
        // SAFETY: as `write_numbered`.
        unsafe {
            core::arch::asm!(
                "adr {place}, 2f",
                "add {place}, {place}, {n}, lsl #4",
                "br {place}",
                "2:",
                $(
                    concat!("msr ", $first, $i, "_el1, {first}"),
                    concat!("msr ", $second, $i, "_el1, {second}\n b 3f\n nop"),
                )*
                "3:",
                n = in(reg) n,
                first = in(reg) first,
                second = in(reg) second,
                place = out(reg) _,
                options(nostack, preserves_flags)
            )
        }
    }};
}

/// Reads a register whose number is part of its name; 0 if the number is above 15.
macro_rules! read_numbered {
    ($prefix:literal, $n:expr) => {
        read_numbered!(@ $prefix, $n, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $prefix:literal, $n:expr, $($i:literal)*) => {
        match $n {
            $($i => read_sysreg!(concat!($prefix, $i, "_el1")),)*
            _ => 0,
        }
    };
}

/// Reads DBGBVR<n>_EL1 of the selected bank.
#[unsafe(link_section = ".noprobe.text")]
pub fn read_dbgbvr(n: u8) -> u64 {
    read_numbered!("dbgbvr", n)
}

/// Reads DBGBCR<n>_EL1 of the selected bank.
#[unsafe(link_section = ".noprobe.text")]
pub fn read_dbgbcr(n: u8) -> u32 {
    read_numbered!("dbgbcr", n) as u32
}

/// Reads DBGWVR<n>_EL1 of the selected bank.
#[unsafe(link_section = ".noprobe.text")]
pub fn read_dbgwvr(n: u8) -> u64 {
    read_numbered!("dbgwvr", n)
}

/// Reads DBGWCR<n>_EL1 of the selected bank.
#[unsafe(link_section = ".noprobe.text")]
pub fn read_dbgwcr(n: u8) -> u32 {
    read_numbered!("dbgwcr", n) as u32
}

/// Writes MDSELR_EL1, by its encoding: assemblers know its name only if the architecture is v8.9 or later. UNDEFINED without
/// FEAT_Debugv8p9.
#[inline(always)]
pub fn write_mdselr(value: u64) {
    write_sysreg!("s2_0_c0_c4_2", value);
}

/// Writes DBGBVR<n>_EL1 (DDI 0487 D24.3.2).
#[inline(always)]
pub fn write_dbgbvr(n: u8, value: u64) {
    write_numbered!("dbgbvr", n, value);
}

/// Writes DBGBCR<n>_EL1 (DDI 0487 D24.3.1).
#[inline(always)]
pub fn write_dbgbcr(n: u8, value: u32) {
    write_numbered!("dbgbcr", n, value as u64);
}

/// Writes DBGWVR<n>_EL1 (DDI 0487 D24.3.12).
#[inline(always)]
pub fn write_dbgwvr(n: u8, value: u64) {
    write_numbered!("dbgwvr", n, value);
}

/// Writes DBGWCR<n>_EL1 (DDI 0487 D24.3.11).
#[inline(always)]
pub fn write_dbgwcr(n: u8, value: u32) {
    write_numbered!("dbgwcr", n, value as u64);
}

/// Writes DBGBVR<n>_EL1, then DBGBCR<n>_EL1.
#[inline(always)]
pub fn write_dbgb(n: u8, value: u64, control: u32) {
    write_numbered_pair!("dbgbvr", "dbgbcr", n, (value, control.into()));
}

/// Writes DBGWVR<n>_EL1, then DBGWCR<n>_EL1.
#[inline(always)]
pub fn write_dbgw(n: u8, value: u64, control: u32) {
    write_numbered_pair!("dbgwvr", "dbgwcr", n, (value, control.into()));
}
