//! Tests with ELF files made here.

mod damage;
mod errors;
mod file;
mod plans;
mod symbols;

use std::ops::Range;
use std::vec::Vec;

use super::{ElfError, Flaw, Image, MapPlan, Role};
use file::File;

/// The user's addresses with 48 bits, as on Linux.
const USER: Range<u64> = 0x1_0000..1 << 48;

fn read(file: &File) -> Result<Image, Flaw> {
    let result = Image::read(file.bytes().as_slice(), Role::Program);
    result.map_err(|ElfError { role, flaw }| {
        assert_eq!(role, Role::Program);
        flaw
    })
}

fn plan(file: &File, bias: u64) -> Result<MapPlan, Flaw> {
    read(file)?.plan(bias, USER).map_err(|error| error.flaw)
}

/// The bytes of a dynamic program, for the tests of other modules.
pub fn program() -> Vec<u8> {
    File::dynamic().bytes()
}

/// What memory holds after a plan was carried out, as far as the image says: the bytes from `start` on, `None` where nothing is mapped.
fn memory(plan: &MapPlan, file: &[u8], addresses: Range<u64>) -> Vec<Option<u8>> {
    addresses
        .map(|address| {
            let mapping =
                plan.mappings.iter().find(|mapping| (mapping.start..mapping.end()).contains(&address))?;
            Some(match mapping.source {
                super::Source::File { zero_tail, .. } if mapping.end() - address <= zero_tail => 0,
                super::Source::File { offset, .. } => {
                    file.get((offset + (address - mapping.start)) as usize).copied().unwrap_or(0)
                }
                super::Source::Anonymous => 0,
            })
        })
        .collect()
}
