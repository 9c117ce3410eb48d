//! System registers that `aarch64-cpu` does not name, and the numbered debug registers.

/// Reads a system register by name. Any context.
#[macro_export]
macro_rules! read_sysreg {
    ($name:expr) => {{
        let value: u64;
        // SAFETY: the registers read this way have no side effect on reading.
        unsafe {
            core::arch::asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags))
        }
        value
    }};
}

/// Writes a system register by name. A compiler barrier; an ISB is the caller's.
#[macro_export]
macro_rules! write_sysreg {
    ($name:expr, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: the callers write registers that change no mapping of memory that Rust code uses.
        unsafe {
            core::arch::asm!(concat!("msr ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags))
        }
    }};
}

/// Writes a register whose number is part of its name, such as `DBGBCR3_EL1`.
macro_rules! write_numbered {
    ($prefix:literal, $n:expr, $value:expr) => {
        write_numbered!(@ $prefix, $n, $value, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $prefix:literal, $n:expr, $value:expr, $($i:literal)*) => {
        match $n {
            $($i => write_sysreg!(concat!($prefix, $i, "_el1"), $value),)*
            _ => {}
        }
    };
}

/// Reads a register whose number is part of its name; 0 for a number that there is none of.
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

/// DBGBVR<n>_EL1 and DBGBCR<n>_EL1, for listings.
pub fn read_breakpoint(n: u8) -> (u64, u32) {
    (read_numbered!("dbgbvr", n), read_numbered!("dbgbcr", n) as u32)
}

/// DBGWVR<n>_EL1 and DBGWCR<n>_EL1, for listings.
pub fn read_watchpoint(n: u8) -> (u64, u32) {
    (read_numbered!("dbgwvr", n), read_numbered!("dbgwcr", n) as u32)
}

/// DBGBVR<n>_EL1 (DDI 0487 D24.3.2).
#[inline(always)]
pub fn write_dbgbvr(n: u8, value: u64) {
    write_numbered!("dbgbvr", n, value);
}

/// DBGBCR<n>_EL1 (DDI 0487 D24.3.1).
#[inline(always)]
pub fn write_dbgbcr(n: u8, value: u32) {
    write_numbered!("dbgbcr", n, value as u64);
}

/// DBGWVR<n>_EL1 (DDI 0487 D24.3.12).
#[inline(always)]
pub fn write_dbgwvr(n: u8, value: u64) {
    write_numbered!("dbgwvr", n, value);
}

/// DBGWCR<n>_EL1 (DDI 0487 D24.3.11).
#[inline(always)]
pub fn write_dbgwcr(n: u8, value: u32) {
    write_numbered!("dbgwcr", n, value as u64);
}
