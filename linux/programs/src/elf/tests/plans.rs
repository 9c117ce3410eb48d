//! What images say and which mappings they get.

use elf::abi::PT_LOAD;
use std::vec;

use super::file::{File, R, RW, RWX, RX, header, load, stack};
use super::{USER, memory, plan, read};
use crate::elf::{Image, Kind, Mapping, Protection, Role, Source};

const P_RX: Protection = Protection::READ.union(Protection::EXECUTE);
const P_RW: Protection = Protection::READ.union(Protection::WRITE);

fn file_pages(start: u64, length: u64, protection: Protection, offset: u64, zero_tail: u64) -> Mapping {
    Mapping { start, length, protection, source: Source::File { offset, zero_tail } }
}

fn zeroes(start: u64, length: u64, protection: Protection) -> Mapping {
    Mapping { start, length, protection, source: Source::Anonymous }
}

#[test]
fn static_program() {
    let file = File::fixed();
    let image = read(&file).unwrap();
    assert_eq!(image.kind(), Kind::Fixed);
    assert_eq!((image.entry(), image.phnum(), image.alignment()), (0x40_0100, 3, 0x1_0000));
    assert_eq!((image.interpreter(), image.executable_stack()), (None, false));
    assert_eq!(image.span(), 0x40_0000..0x41_5000);
    assert_eq!(image.bias_at(0x12_3456_7000), 0);

    let plan = image.plan(0, USER).unwrap();
    assert_eq!(
        plan.mappings,
        [
            file_pages(0x40_0000, 0x2000, P_RX, 0, 0),
            file_pages(0x41_1000, 0x2000, P_RW, 0x1000, 0xeed),
            zeroes(0x41_3000, 0x2000, P_RW),
        ]
    );
    assert_eq!((plan.entry, plan.phdr, plan.end), (0x40_0100, 0x40_0040, 0x41_5000));
}

#[test]
fn the_bytes_of_the_segments_are_in_memory() {
    let file = File::fixed();
    let bytes = file.bytes();
    let plan = plan(&file, 0).unwrap();
    let text = memory(&plan, &bytes, 0x40_0000..0x40_1234);
    assert!(text.iter().zip(&bytes).all(|(memory, &file)| *memory == Some(file)));
    let data = memory(&plan, &bytes, 0x41_1ff0..0x41_1ff0 + 0x123);
    assert!(data.iter().zip(&bytes[0x1ff0..]).all(|(memory, &file)| *memory == Some(file)));
    let bss = memory(&plan, &bytes, 0x41_1ff0 + 0x123..0x41_5000);
    assert!(bss.iter().all(|&byte| byte == Some(0)));
    assert!(memory(&plan, &bytes, 0x40_2000..0x41_1000).iter().all(Option::is_none));
}

#[test]
fn dynamic_program_moves() {
    let image = read(&File::dynamic()).unwrap();
    assert_eq!(image.kind(), Kind::PositionIndependent);
    assert_eq!(image.interpreter(), Some(b"/lib/ld-linux-aarch64.so.1".as_slice()));
    assert_eq!(image.span(), 0..0x1_5000);

    let bias = image.bias_at(0xaaaa_aaaa_b000);
    assert_eq!(bias, 0xaaaa_aaaa_0000, "rounded down to the segments' alignment");
    let plan = image.plan(bias, USER).unwrap();
    assert_eq!(plan.mappings[0], file_pages(bias, 0x2000, P_RX, 0, 0));
    assert_eq!((plan.entry, plan.phdr, plan.end), (bias + 0x600, bias + 0x40, bias + 0x1_5000));
}

#[test]
fn a_shared_object_linked_above_zero_moves_down_too() {
    let mut file = File::dynamic();
    for header in &mut file.headers {
        header.p_vaddr += 0x7000_0000;
    }
    file.entry += 0x7000_0000;
    let image = read(&file).unwrap();
    let bias = image.bias_at(0x10_0000);
    assert_eq!(bias, 0x10_0000_u64.wrapping_sub(0x7000_0000));
    let plan = image.plan(bias, USER).unwrap();
    assert_eq!((plan.mappings[0].start, plan.entry, plan.phdr), (0x10_0000, 0x10_0600, 0x10_0040));
}

#[test]
fn an_interpreters_own_interpreter_and_stack_mean_nothing() {
    let mut file = File::dynamic();
    file.headers[0].p_filesz = 1;
    file.headers[3] = stack(RWX);
    let image = Image::read(file.bytes().as_slice(), Role::Interpreter).unwrap();
    assert_eq!((image.interpreter(), image.executable_stack()), (None, false));
}

#[test]
fn the_first_interpreter_and_the_last_stack_count() {
    let mut file = File::dynamic();
    file.headers.push(header(elf::abi::PT_INTERP, R, 0x500, 0x500, 1, 1));
    file.headers.push(stack(RWX));
    let image = read(&file).unwrap();
    assert_eq!(image.interpreter(), Some(b"/lib/ld-linux-aarch64.so.1".as_slice()));
    assert!(image.executable_stack());
}

#[test]
fn the_interpreters_path_ends_at_its_first_nul() {
    let mut file = File::dynamic();
    file.contents[0].1[4] = 0;
    assert_eq!(read(&file).unwrap().interpreter(), Some(b"/lib".as_slice()));
}

#[test]
fn a_file_without_pt_gnu_stack_has_no_executable_stack() {
    let mut file = File::fixed();
    file.headers.pop();
    assert!(!read(&file).unwrap().executable_stack());
}

#[test]
fn pages_of_zeroes_are_writable_and_the_tail_of_read_only_pages_stays() {
    let mut file = File::fixed();
    file.headers[1] = load(RX, 0x1ff0, 0x41_1ff0, 0x123, 0x2345);
    let plan = plan(&file, 0).unwrap();
    assert_eq!(plan.mappings[1], file_pages(0x41_1000, 0x2000, P_RX, 0x1000, 0));
    assert_eq!(plan.mappings[2], zeroes(0x41_3000, 0x2000, P_RW | Protection::EXECUTE));
}

#[test]
fn no_tail_is_zeroed_without_bss_or_at_a_pages_end() {
    let mut file = File::fixed();
    file.headers[1] = load(RW, 0x1ff0, 0x41_1ff0, 0x123, 0x123);
    assert_eq!(plan(&file, 0).unwrap().mappings[1..], [file_pages(0x41_1000, 0x2000, P_RW, 0x1000, 0)]);
    file.headers[1] = load(RW, 0x1ff0, 0x41_1ff0, 0x1010, 0x1011);
    let expected = [file_pages(0x41_1000, 0x2000, P_RW, 0x1000, 0), zeroes(0x41_3000, 0x1000, P_RW)];
    assert_eq!(plan(&file, 0).unwrap().mappings[1..], expected);
}

#[test]
fn a_tail_within_one_page_is_zeroed_to_the_pages_end() {
    let mut file = File::fixed();
    file.headers[1] = load(RW, 0x1100, 0x41_1100, 0x10, 0x20);
    assert_eq!(plan(&file, 0).unwrap().mappings[1..], [file_pages(0x41_1000, 0x1000, P_RW, 0x1000, 0xef0)]);
}

#[test]
fn segments_without_bytes_in_the_file_are_zeroes() {
    let mut file = File::fixed();
    // The offset means nothing then, and may be incongruent to the address.
    file.headers[1] = load(R, 0x77, 0x41_1ff0, 0, 0x20);
    assert_eq!(plan(&file, 0).unwrap().mappings[1..], [zeroes(0x41_1000, 0x2000, P_RW)]);
}

#[test]
fn the_later_segment_gets_a_shared_page() {
    let mut file = File::fixed();
    file.headers[1] = load(RW, 0x1234, 0x40_1234, 0x100, 0x100);
    let plan = plan(&file, 0).unwrap();
    let expected =
        [file_pages(0x40_0000, 0x1000, P_RX, 0, 0), file_pages(0x40_1000, 0x1000, P_RW, 0x1000, 0)];
    assert_eq!(plan.mappings, expected);
}

#[test]
fn a_mapping_that_loses_its_only_page_is_left_out() {
    let headers = vec![
        load(RX, 0, 0x40_0000, 0x1000, 0x1000),
        load(RW, 0x1010, 0x40_1010, 0x10, 0xff0),
        load(R, 0x1100, 0x40_2100, 0x10, 0x10),
        load(RW, 0x1200, 0x40_2200, 0x10, 0x10),
    ];
    let mut file = File::fixed();
    file.headers = headers;
    let expected = [
        file_pages(0x40_0000, 0x1000, P_RX, 0, 0),
        file_pages(0x40_1000, 0x1000, P_RW, 0x1000, 0xfe0),
        file_pages(0x40_2000, 0x1000, P_RW, 0x1000, 0),
    ];
    assert_eq!(plan(&file, 0).unwrap().mappings, expected);
}

#[test]
fn a_zeroed_tail_goes_with_its_page() {
    let mut file = File::fixed();
    file.headers = vec![load(RW, 0, 0x40_0000, 0x1800, 0x1900), load(RX, 0x1980, 0x40_1980, 0x10, 0x10)];
    let expected =
        [file_pages(0x40_0000, 0x1000, P_RW, 0, 0), file_pages(0x40_1000, 0x1000, P_RX, 0x1000, 0)];
    assert_eq!(plan(&file, 0).unwrap().mappings, expected);
}

#[test]
fn segments_of_no_bytes_only_count_for_the_alignment() {
    let mut file = File::fixed();
    file.headers[2] = header(PT_LOAD, RW, 0, 0, 0, 0);
    file.headers[2].p_align = 0x20_0000;
    let image = read(&file).unwrap();
    assert_eq!((image.segments().len(), image.alignment()), (2, 0x20_0000));
}

#[test]
fn the_largest_alignment_counts() {
    let mut file = File::fixed();
    file.headers[0].p_align = 0x20_0000;
    assert_eq!(read(&file).unwrap().alignment(), 0x20_0000);
}

#[test]
fn alignments_that_are_no_power_of_two_are_ignored() {
    let mut file = File::fixed();
    file.headers[0].p_align = 0x3000;
    file.headers[1].p_align = 0;
    assert_eq!(read(&file).unwrap().alignment(), 0x1000);
}

#[test]
fn program_headers_that_no_segment_holds_are_at_the_load_bias() {
    let mut file = File::dynamic();
    file.phoff = 0x3000;
    assert_eq!(plan(&file, 0x50_0000).unwrap().phdr, 0x50_0000);
}

#[test]
fn pages_behind_the_end_of_the_file_are_mapped() {
    let mut file = File::fixed();
    file.headers[0] = load(RX, 0, 0x40_0000, 0x8234, 0x8234);
    assert_eq!(plan(&file, 0).unwrap().mappings[0].length, 0x9000);
}
