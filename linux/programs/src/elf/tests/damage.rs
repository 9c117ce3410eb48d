//! Random bytes and random damage: nothing panics, and what is accepted is within bounds.

use proptest::prelude::*;
use std::vec::Vec;

use super::file::{File, load};
use super::{USER, memory};
use crate::PAGE_SIZE;
use crate::elf::{Image, Role, Source};

/// Reads `bytes` and checks whatever is accepted.
fn check(bytes: &[u8], base: u64) -> Result<(), TestCaseError> {
    for role in [Role::Program, Role::Interpreter] {
        let Ok(image) = Image::read(bytes, role) else { continue };
        prop_assert!(!image.segments().is_empty());
        prop_assert!(image.alignment().is_power_of_two());
        let span = image.span();
        let bias = image.bias_at(base);
        let Ok(plan) = image.plan(bias, USER) else { continue };
        let pages = bias.wrapping_add(span.start)..bias.wrapping_add(span.end);
        prop_assert_eq!(plan.mappings.last().map(|last| last.end()), Some(pages.end));
        prop_assert_eq!(plan.end, pages.end);
        prop_assert!(plan.mappings[0].start >= pages.start);
        prop_assert!(plan.mappings.len() <= 2 * image.segments().len());
        let mut behind = USER.start;
        for mapping in &plan.mappings {
            prop_assert!(mapping.start >= behind && mapping.length > 0);
            prop_assert!(mapping.start.is_multiple_of(PAGE_SIZE) && mapping.length.is_multiple_of(PAGE_SIZE));
            behind = mapping.start.checked_add(mapping.length).unwrap();
            if let Source::File { offset, zero_tail } = mapping.source {
                prop_assert!(offset.is_multiple_of(PAGE_SIZE) && zero_tail < PAGE_SIZE);
                prop_assert!(offset.checked_add(mapping.length).is_some());
                prop_assert!(zero_tail == 0 || offset + mapping.length - PAGE_SIZE < bytes.len() as u64);
            }
        }
        prop_assert!(behind <= USER.end);
        prop_assert!(plan.entry < USER.end);
    }
    Ok(())
}

fn base() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0_u64..1 << 48, Just(0xaaaa_0000_0000)]
}

/// Numbers near what decides.
fn edge() -> impl Strategy<Value = u64> {
    let around =
        prop::sample::select(std::vec![0, 0x1000, 0x4000, 0x1_0000, 1 << 16, 1 << 39, 1 << 48, 1 << 63]);
    prop_oneof![
        any::<u64>(),
        0_u64..0x5000,
        (around, -3_i64..4).prop_map(|(number, change)| number_near(number, change)),
    ]
}

fn number_near(number: u64, change: i64) -> u64 {
    number.wrapping_add_signed(change)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), magic: bool, base in base()) {
        let mut bytes = bytes;
        if magic {
            let start = File::fixed().bytes();
            let count = bytes.len().min(20);
            bytes[..count].copy_from_slice(&start[..count]);
        }
        check(&bytes, base)?;
    }

    #[test]
    fn damaged_files(
        dynamic: bool,
        damage in prop::collection::vec((0_usize..64 + 4 * 56, any::<u8>()), 1..6),
        size in 0_usize..0x4000,
        cut in prop::bool::weighted(0.2),
        base in base(),
    ) {
        let file = if dynamic { File::dynamic() } else { File::fixed() };
        let mut bytes = file.bytes();
        for (at, value) in damage {
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(size);
        }
        check(&bytes, base)?;
    }

    #[test]
    fn numbers_at_the_edges(
        dynamic: bool,
        numbers in prop::collection::vec((0_usize..4, 0_usize..6, edge()), 1..4),
        base in base(),
    ) {
        let mut file = if dynamic { File::dynamic() } else { File::fixed() };
        for (header, field, number) in numbers {
            let count = file.headers.len();
            let header = &mut file.headers[header % count];
            match field {
                0 => header.p_offset = number,
                1 => header.p_vaddr = number,
                2 => header.p_filesz = number,
                3 => header.p_memsz = number,
                4 => header.p_align = number,
                _ => file.entry = number,
            }
        }
        check(&file.bytes(), base)?;
    }

    /// Sorted segments of any size: each byte of memory is what the last segment on its page says.
    #[test]
    fn memory_is_as_the_segments_say(
        sizes in prop::collection::vec((0_u64..0x3000, 0_u64..0x1800, 0_u64..0x1800, 1_u32..8), 1..6),
    ) {
        let mut file = File::fixed();
        file.headers.clear();
        let mut address = 0x40_0000;
        for (gap, file_size, more, flags) in sizes {
            address += gap;
            let memory_size = file_size + more;
            file.headers.push(load(flags, 0x1000 + address % 0x1000, address, file_size, memory_size));
            address += memory_size;
        }
        let bytes = file.bytes();
        let Ok(image) = Image::read(bytes.as_slice(), Role::Program) else { return Ok(()) };
        let plan = image.plan(0, USER).unwrap();
        let span = image.span();
        let real = memory(&plan, &bytes, span.clone());

        // Carries out Linux's steps one after the other.
        let mut model: Vec<Option<u8>> = std::vec![None; (span.end - span.start) as usize];
        for segment in image.segments() {
            let at = |address: u64| (address - span.start) as usize;
            let first = segment.vaddr / PAGE_SIZE * PAGE_SIZE;
            let file_end = segment.vaddr + segment.file_size;
            let end = segment.vaddr + segment.memory_size;
            let mut zero_from = first;
            if segment.file_size != 0 {
                zero_from = file_end.next_multiple_of(PAGE_SIZE);
                for address in first..zero_from {
                    let offset = segment.offset - segment.vaddr % PAGE_SIZE + (address - first);
                    model[at(address)] = Some(bytes.get(offset as usize).copied().unwrap_or(0));
                }
                if segment.memory_size > segment.file_size && segment.protection.bits() & 2 != 0 {
                    model[at(file_end)..at(zero_from)].fill(Some(0));
                }
            }
            if segment.memory_size > segment.file_size {
                let zero_end = end.next_multiple_of(PAGE_SIZE);
                if zero_from < zero_end {
                    model[at(zero_from)..at(zero_end)].fill(Some(0));
                }
            }
        }
        prop_assert!(real == model);
    }
}
