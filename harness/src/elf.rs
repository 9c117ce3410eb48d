//! ELF files of programs that tests and costs assemble themselves.

use alloc::vec::Vec;

/// Where the text is in the file.
const OFFSET: u64 = 0x1000;

/// An executable file for AArch64 Linux that begins at `entry`: `text` at an address, a multiple of 4 KiB, and behind `data`, another address,
/// so many bytes of zeros that the program can write.
pub fn file((text_at, text): (u64, &[u8]), entry: u64, (data_at, data): (u64, u64)) -> Vec<u8> {
    const EXECUTABLE: u16 = 2;
    const AARCH64: u16 = 183;
    const LOAD: u32 = 1;
    const READ_EXECUTE: u32 = 5;
    const READ_WRITE: u32 = 6;
    let mut file = Vec::new();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    [EXECUTABLE, AARCH64].iter().for_each(|half| put(&half.to_le_bytes()));
    put(&1_u32.to_le_bytes());
    // The program headers follow the ELF header; there are no sections.
    [entry, 64, 0].iter().for_each(|word: &u64| put(&word.to_le_bytes()));
    put(&0_u32.to_le_bytes());
    [64_u16, 56, 2, 0, 0, 0].iter().for_each(|half| put(&half.to_le_bytes()));
    let mut segment = |flags: u32, words: [u64; 6]| {
        put(&LOAD.to_le_bytes());
        put(&flags.to_le_bytes());
        words.iter().for_each(|word| put(&word.to_le_bytes()));
    };
    let length = text.len() as u64;
    segment(READ_EXECUTE, [OFFSET, text_at, text_at, length, length, OFFSET]);
    segment(READ_WRITE, [0, data_at, data_at, 0, data, OFFSET]);
    file.resize(OFFSET as usize, 0);
    file.extend_from_slice(text);
    file
}
