//! Makes ELF files.

use std::vec::Vec;

use elf::abi::{EM_AARCH64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD};
use elf::segment::ProgramHeader;

/// An ELF file whose parts tests can change. Bytes that no part gives are a pattern.
#[derive(Clone, Debug)]
pub struct File {
    pub ident: [u8; 16],
    pub kind: u16,
    pub machine: u16,
    pub entry: u64,
    pub phoff: u64,
    pub phentsize: u16,
    /// Where it differs from the number of `headers`.
    pub phnum: Option<u16>,
    pub headers: Vec<ProgramHeader>,
    /// Bytes at offsets.
    pub contents: Vec<(u64, Vec<u8>)>,
    pub size: usize,
}

pub const R: u32 = PF_R;
pub const RW: u32 = PF_R | PF_W;
pub const RX: u32 = PF_R | PF_X;
pub const RWX: u32 = PF_R | PF_W | PF_X;

pub fn header(
    p_type: u32,
    p_flags: u32,
    p_offset: u64,
    p_vaddr: u64,
    p_filesz: u64,
    p_memsz: u64,
) -> ProgramHeader {
    ProgramHeader {
        p_type,
        p_flags,
        p_offset,
        p_vaddr,
        p_paddr: p_vaddr,
        p_filesz,
        p_memsz,
        p_align: 0x1_0000,
    }
}

pub fn load(p_flags: u32, p_offset: u64, p_vaddr: u64, p_filesz: u64, p_memsz: u64) -> ProgramHeader {
    header(PT_LOAD, p_flags, p_offset, p_vaddr, p_filesz, p_memsz)
}

pub fn stack(p_flags: u32) -> ProgramHeader {
    header(PT_GNU_STACK, p_flags, 0, 0, 0, 0)
}

impl File {
    pub fn new(kind: u16, entry: u64, headers: Vec<ProgramHeader>) -> Self {
        let mut ident = [0; 16];
        ident[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        Self {
            ident,
            kind,
            machine: EM_AARCH64,
            entry,
            phoff: 64,
            phentsize: 56,
            phnum: None,
            headers,
            contents: Vec::new(),
            size: 0x4000,
        }
    }

    /// As Debian's compiler links a static program.
    pub fn fixed() -> Self {
        let headers = std::vec![
            load(RX, 0, 0x40_0000, 0x1234, 0x1234),
            load(RW, 0x1ff0, 0x41_1ff0, 0x123, 0x2345),
            stack(RW),
        ];
        Self::new(ET_EXEC, 0x40_0100, headers)
    }

    /// As Debian's compiler links a dynamic program.
    pub fn dynamic() -> Self {
        let path = b"/lib/ld-linux-aarch64.so.1\0";
        let length = path.len() as u64;
        let headers = std::vec![
            header(PT_INTERP, R, 0x400, 0x400, length, length),
            load(RX, 0, 0, 0x1234, 0x1234),
            load(RW, 0x1ff0, 0x1_1ff0, 0x123, 0x2345),
            stack(RW),
        ];
        let mut file = Self::new(ET_DYN, 0x600, headers);
        file.contents.push((0x400, path.to_vec()));
        file
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..self.size).map(|at| (at * 7 + at / 256) as u8 | 1).collect();
        let mut header = self.ident.to_vec();
        for half in [self.kind, self.machine] {
            header.extend(half.to_le_bytes());
        }
        header.extend(1_u32.to_le_bytes());
        for word in [self.entry, self.phoff, 0] {
            header.extend(word.to_le_bytes());
        }
        header.extend(0_u32.to_le_bytes());
        let phnum = self.phnum.unwrap_or(self.headers.len() as u16);
        for half in [64, self.phentsize, phnum, 64, 0, 0] {
            header.extend(half.to_le_bytes());
        }
        let mut table = Vec::new();
        for header in &self.headers {
            table.extend(header.p_type.to_le_bytes());
            table.extend(header.p_flags.to_le_bytes());
            for word in [
                header.p_offset,
                header.p_vaddr,
                header.p_paddr,
                header.p_filesz,
                header.p_memsz,
                header.p_align,
            ] {
                table.extend(word.to_le_bytes());
            }
        }
        let parts = [(0, header), (self.phoff, table)];
        for (offset, part) in parts.iter().chain(&self.contents) {
            for (index, &byte) in part.iter().enumerate() {
                // Some tests give offsets that no file has.
                let at = (*offset as usize).checked_add(index);
                if let Some(place) = at.and_then(|at| bytes.get_mut(at)) {
                    *place = byte;
                }
            }
        }
        bytes
    }
}
