//! Registration at every byte of a function: only the addresses of instructions are accepted (rule K2).

use crate::failed;
use alloc::vec::Vec;
use core::hint::black_box;
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::uaccess;
use kernel::kprobe::{self, ProbeError};
use kernel::report::place::Place;
use kernel::report::symbols::SymbolError;
use kernel::time;
use probe::Class;

/// A function that the compiler translates: it has a call, a loop, the address of a literal, and a division.
#[inline(never)]
fn compiled(n: u64) -> u64 {
    let mut sum = black_box(n) | 0x626f_756e;
    for step in 1..black_box(5) {
        sum = (sum.rotate_left(7) / step) ^ (time::ticks() / u64::MAX);
    }
    sum
}

specimen! {
    /// Instructions that can be probed, mixed with instructions that cannot.
    fn assembled(n: u64) -> u64 {
        "cbz x0, 2f",
        "1: ldxr x2, [x1]",
        "stxr w3, x2, [x1]",
        "cbnz w3, 1b",
        "mrs x2, daif",
        "2: add x0, x0, #41",
        "adr x2, 2b",
        "bti c",
        "b 3f",
        "udf #0",
        "3: ret"
    }
}

pub fn only_instructions_of_a_function_that_can_be_probed_are_accepted() -> Outcome {
    let words = |at: u64, size: u64| -> Vec<Option<u32>> {
        (at..at + size).step_by(4).map(|at| uaccess::read_u32(at).ok()).collect()
    };
    let compiled = compiled as fn(u64) -> u64;
    check!(compiled(1) == compiled(1));
    let mut accepted = [0; 2];
    for (name, accepted) in
        ["probes::boundaries::compiled", "probes::boundaries::assembled"].into_iter().zip(&mut accepted)
    {
        let function = Place::named(name, 0).map_err(failed)?;
        let (start, symbol) = (function.address, function.symbol.ok_or_else(|| failed("no symbol"))?);
        let text = words(start, symbol.size);
        check!(symbol.size >= 40, "{name} has {} bytes", symbol.size);
        // A place between two instructions is refused for its address alone, so a few of these places are enough.
        for offset in (0..symbol.size).filter(|offset| offset % 4 == 0 || *offset < 12) {
            let address = Place::named(name, offset).map_err(failed)?.address;
            check_eq!(address, start + offset);
            let read = kprobe::original;
            let expected = if offset % 4 != 0 {
                Err(ProbeError::Unaligned(address))
            } else {
                match probe::classify_at(read, address, start, start + symbol.size) {
                    Class::Refuse(reason) => Err(ProbeError::Refused(address, reason)),
                    _ => Ok(address),
                }
            };
            let registered = kprobe::register(address, None, None).map(|probe| probe.address);
            if registered.is_ok() {
                *accepted += 1;
                check_eq!(kprobe::unregister(address), Ok((0, 0)));
            }
            check_eq!(registered, expected, "{name}+{offset:#x}");
        }
        for offset in [symbol.size, symbol.size + 1] {
            let beyond = SymbolError::Beyond { symbol: symbol.name, offset, size: symbol.size };
            check_eq!(Place::named(name, offset), Err(beyond));
        }
        check_eq!(words(start, symbol.size), text, "{name} is as it was");
    }
    // CBZ, CBNZ, ADD, ADR, BTI, B and RET are accepted. The exclusives, the MRS of DAIF and the UDF are refused.
    check_eq!(accepted[1], 7);
    check!(accepted[0] > 8, "{} of compiled", accepted[0]);
    check_eq!(assembled(0), 41);
    Ok(())
}
