//! Text and memory as a sequence sees them: the native accesses.

use crate::arch::{barrier, uaccess};
use crate::kprobe;
use crate::report::symbols;
use core::arch::asm;
use probe::sequence::{Fault, Memory, Shape};

/// The kernel's address space. Its accesses are made in debug context, with D masked: no watchpoint sees them.
pub struct Native;

impl Memory for Native {
    #[inline(always)]
    fn word(&self, address: u64) -> Option<u32> {
        kprobe::original(address)
    }

    fn function(&self, address: u64) -> Option<(u64, u64)> {
        let symbol = symbols::at(address)?;
        (symbol.size != 0).then_some((symbol.address, symbol.address + symbol.size))
    }

    fn load(&mut self, address: u64, shape: Shape) -> Result<[u64; 2], Fault> {
        let load = |address| load(address, shape.size).map_err(|uaccess::Fault| Fault);
        let first = load(address)?;
        let second = if shape.pair { load(address + u64::from(shape.size))? } else { 0 };
        // A load of a pair need not be atomic: `exchange` compares both.
        barrier::load_acquire();
        Ok([first, second])
    }

    fn exchange(
        &mut self,
        address: u64,
        shape: Shape,
        expected: [u64; 2],
        new: [u64; 2],
    ) -> Result<bool, Fault> {
        let exchange = match (shape.size, shape.pair) {
            (1, _) => exchange_8,
            (2, _) => exchange_16,
            (4, false) => exchange_32,
            (_, false) => exchange_64,
            (4, true) => exchange_pair_32,
            (_, true) => exchange_pair_64,
        };
        match exchange(address, expected, new) {
            STORED => Ok(true),
            FAULTED => Err(Fault),
            _ => Ok(false),
        }
    }
}

/// What the functions of [`exchange`] return, besides 1 for another value or a failed store.
const STORED: u64 = 0;
const FAULTED: u64 = 2;

/// A load of so many bytes.
#[inline(always)]
fn load(address: u64, size: u8) -> Result<u64, uaccess::Fault> {
    match size {
        1 => uaccess::read_u8(address).map(u64::from),
        2 => uaccess::read_u16(address).map(u64::from),
        4 => uaccess::read_u32(address).map(u64::from),
        _ => uaccess::read_u64(address),
    }
}

macro_rules! exchanges {
    ($($name:ident, $load:literal, $store:literal;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $name(address: u64, expected: [u64; 2], new: [u64; 2]) -> u64 {
            let outcome: u64;
            // SAFETY: what it stores is what the interrupted code was about to store there; a fault goes to label 5 by the
            // table of `exception::extable`. No exception can come between the two exclusives: all are masked, and BRK and
            // probes are refused here.
            unsafe {
                asm!(
                    "mov {outcome}, #1",
                    concat!("2: ", $load),
                    "cmp {first}, {expected_first}",
                    "ccmp {second}, {expected_second}, #0, eq",
                    "b.ne 4f",
                    concat!("3: ", $store),
                    "b 6f",
                    "4: clrex",
                    "b 6f",
                    "5: mov {outcome}, #2",
                    "6:",
                    ".pushsection .ex_table, \"a\"",
                    ".quad 2b, 5b",
                    ".quad 3b, 5b",
                    ".popsection",
                    address = in(reg) address,
                    expected_first = in(reg) expected[0],
                    expected_second = in(reg) expected[1],
                    new_first = in(reg) new[0],
                    new_second = in(reg) new[1],
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

// `new_second` is named everywhere since an operand must be used.
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
