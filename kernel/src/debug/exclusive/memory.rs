//! What `probe::sequence` needs of the kernel to execute a sequence: its text, its functions, and native accesses to
//! memory.

use crate::arch::{barrier, uaccess};
use crate::kprobe;
use crate::report::symbols;
use core::arch::asm;
use core::mem::offset_of;
use probe::sequence::{Between, Check, Fault, Memory, Shape, Store};

/// The kernel's address space. The accesses are made in debug context, with D masked, so they hit no watchpoint.
pub struct Native;

impl Memory for Native {
    #[inline(always)]
    fn word(&self, address: u64) -> Option<u32> {
        kprobe::original(address)
    }

    fn function(&self, address: u64) -> Option<(u64, u64)> {
        symbols::extent(address)
    }

    fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault> {
        let load = |address| load(address, shape.size).map_err(|uaccess::Fault| Fault);
        let first = load(address)?;
        let second = if shape.pair { load(address + u64::from(shape.size))? } else { 0 };
        // The two loads of a pair need not be atomic together, because `exchange` compares both values again.
        barrier::load_acquire();
        Ok([first, second])
    }

    fn store(&mut self, address: u64, size: u8, value: u64) -> Result<(), Fault> {
        let store = match size {
            1 => store_8,
            2 => store_16,
            4 => store_32,
            _ => store_64,
        };
        if store(address, value) == STORED { Ok(()) } else { Err(Fault) }
    }

    fn exchange(
        &mut self,
        address: u64,
        shape: Shape,
        expected: [u64; 2],
        new: [u64; 2],
        between: &Between,
    ) -> Result<bool, Fault> {
        let exchange = match (shape.size, shape.pair) {
            (1, _) => exchange_8,
            (2, _) => exchange_16,
            (4, false) => exchange_32,
            (_, false) => exchange_64,
            (4, true) => exchange_pair_32,
            (_, true) => exchange_pair_64,
        };
        match exchange(address, expected, new, between.checks(), between.stores()) {
            STORED => Ok(true),
            FAULTED => Err(Fault),
            _ => Ok(false),
        }
    }
}

/// A result of the assembly functions below: everything was stored. The result 1 says that the store-exclusive has not
/// stored: it has failed, or it was not reached, because a load gave another value than expected.
const STORED: u64 = 0;
/// A result of the assembly functions below: an access has faulted.
const FAULTED: u64 = 2;

/// Loads a value of `size` bytes, zero-extended.
#[inline(always)]
fn load(address: u64, size: u8) -> Result<u64, uaccess::Fault> {
    match size {
        1 => uaccess::read_u8(address).map(u64::from),
        2 => uaccess::read_u16(address).map(u64::from),
        4 => uaccess::read_u32(address).map(u64::from),
        _ => uaccess::read_u64(address),
    }
}

macro_rules! stores {
    ($($name:ident, $store:literal;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $name(address: u64, value: u64) -> u64 {
            let outcome: u64;
            // SAFETY: the interrupted code was about to store this there; a fault goes to label 3 by the table of
            // `exception::extable`.
            unsafe {
                asm!(
                    "mov {outcome}, #0",
                    concat!("2: ", $store),
                    "b 4f",
                    "3: mov {outcome}, #2",
                    "4:",
                    ".pushsection .ex_table, \"a\"",
                    ".quad 2b, 3b",
                    ".popsection",
                    address = in(reg) address,
                    value = in(reg) value,
                    outcome = out(reg) outcome,
                    options(nostack, preserves_flags),
                );
            }
            outcome
        }
    )*};
}

stores! {
    store_8, "strb {value:w}, [{address}]";
    store_16, "strh {value:w}, [{address}]";
    store_32, "str {value:w}, [{address}]";
    store_64, "str {value}, [{address}]";
}

const _: () = assert!(
    offset_of!(Check, address) == 0 && offset_of!(Check, mask) == 8 && offset_of!(Check, value) == 16,
    "the exchanges load a check by LDP and LDR"
);
const _: () = assert!(
    offset_of!(Store, address) == 0 && offset_of!(Store, value) == 8 && offset_of!(Store, size) == 16,
    "the exchanges load a store by LDP and LDR"
);

macro_rules! exchanges {
    ($($name:ident, $load:literal, $store:literal;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $name(address: u64, expected: [u64; 2], new: [u64; 2], checks: &[Check], stores: &[Store]) -> u64 {
            let outcome: u64;
            // SAFETY: the assembly loads and stores what the interrupted code was about to load and store. If an access
            // faults, the table of `exception::extable` leads to label 5. No other exception can come between the two
            // exclusives: D, A, I and F are masked, and no probe's BRK can be in no-probe text.
            unsafe {
                asm!(
                    "mov {outcome}, #1",
                    concat!("2: ", $load),
                    "cmp {first}, {expected_first}",
                    "ccmp {second}, {expected_second}, #0, eq",
                    "b.ne 4f",
                    // The ordinary loads are made again. For each of them a `Check` has the address of its doubleword,
                    // a mask of the bits that were loaded, and their value.
                    "cbz {checks_left}, 22f",
                    "20: ldp {at}, {bits}, [{checks}], #16",
                    "ldr {value}, [{checks}], #8",
                    "21: ldr {at}, [{at}]",
                    "eor {at}, {at}, {value}",
                    "tst {at}, {bits}",
                    "b.ne 4f",
                    "sub {checks_left}, {checks_left}, #1",
                    "cbnz {checks_left}, 20b",
                    // The ordinary stores are made, each with the instruction for its size.
                    "22: cbz {stores_left}, 3f",
                    "23: ldp {at}, {value}, [{stores}], #16",
                    "ldr {bits}, [{stores}], #8",
                    "tbnz {bits}, #3, 25f",
                    "tbnz {bits}, #2, 26f",
                    "tbnz {bits}, #1, 27f",
                    "24: strb {value:w}, [{at}]",
                    "b 28f",
                    "25: str {value}, [{at}]",
                    "b 28f",
                    "26: str {value:w}, [{at}]",
                    "b 28f",
                    "27: strh {value:w}, [{at}]",
                    "28: sub {stores_left}, {stores_left}, #1",
                    "cbnz {stores_left}, 23b",
                    concat!("3: ", $store),
                    "b 6f",
                    "4: clrex",
                    "b 6f",
                    "5: mov {outcome}, #2",
                    "6:",
                    ".pushsection .ex_table, \"a\"",
                    ".quad 2b, 5b",
                    ".quad 3b, 5b",
                    ".quad 21b, 5b",
                    ".quad 24b, 5b",
                    ".quad 25b, 5b",
                    ".quad 26b, 5b",
                    ".quad 27b, 5b",
                    ".popsection",
                    address = in(reg) address,
                    expected_first = in(reg) expected[0],
                    expected_second = in(reg) expected[1],
                    new_first = in(reg) new[0],
                    new_second = in(reg) new[1],
                    checks = inout(reg) checks.as_ptr() => _,
                    checks_left = inout(reg) checks.len() => _,
                    stores = inout(reg) stores.as_ptr() => _,
                    stores_left = inout(reg) stores.len() => _,
                    at = out(reg) _,
                    bits = out(reg) _,
                    value = out(reg) _,
                    first = out(reg) _,
                    second = inout(reg) expected[1] => _,
                    outcome = out(reg) outcome,
                    options(nostack),
                );
            }
            outcome
        }
    )*};
}

// `asm!` refuses an operand that the template does not name, so the stores of a single value name `new_second` in a
// comment.
exchanges! {
    exchange_8, "ldaxrb {first:w}, [{address}]", "stlxrb {outcome:w}, {new_first:w}, [{address}] // {new_second}";
    exchange_16, "ldaxrh {first:w}, [{address}]", "stlxrh {outcome:w}, {new_first:w}, [{address}] // {new_second}";
    exchange_32, "ldaxr {first:w}, [{address}]", "stlxr {outcome:w}, {new_first:w}, [{address}] // {new_second}";
    exchange_64, "ldaxr {first}, [{address}]", "stlxr {outcome:w}, {new_first}, [{address}] // {new_second}";
    exchange_pair_32, "ldaxp {first:w}, {second:w}, [{address}]",
        "stlxp {outcome:w}, {new_first:w}, {new_second:w}, [{address}]";
    exchange_pair_64, "ldaxp {first}, {second}, [{address}]",
        "stlxp {outcome:w}, {new_first}, {new_second}, [{address}]";
}
