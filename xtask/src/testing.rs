//! A tiny ELF writer for unit tests.

/// Where the tests' kernel is linked.
const START: u64 = 0xffff_8000_0000_0000;

/// Builds an ELF with loaded segments, one text section and the linker script's symbols.
pub struct ElfBuilder {
    machine: u16,
    segments: Vec<(u64, Vec<u8>)>,
    end: u64,
}

impl ElfBuilder {
    pub fn new() -> Self {
        Self { machine: 183, segments: Vec::new(), end: 0 }
    }

    pub fn machine(mut self, machine: u16) -> Self {
        self.machine = machine;
        self
    }

    /// Adds a segment at a physical address.
    pub fn segment(mut self, physical: u64, data: &[u8]) -> Self {
        self.segments.push((physical, data.to_vec()));
        self
    }

    /// Sets `__image_end`, as a distance from `__image_start`.
    pub fn end(mut self, end: u64) -> Self {
        self.end = end;
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let headers = 64 + self.segments.len() * 56;
        let mut data = Vec::new();
        let mut programs = Vec::new();
        for (physical, bytes) in &self.segments {
            let at = (headers + data.len()) as u64;
            programs.extend(1u32.to_le_bytes());
            programs.extend(5u32.to_le_bytes());
            for field in [at, START, *physical, bytes.len() as u64, bytes.len() as u64, 4096] {
                programs.extend(field.to_le_bytes());
            }
            data.extend(bytes);
        }
        let names = b"\0.text\0.symtab\0.strtab\0__image_start\0__image_end\0entry\0";
        let symbols_at = headers + data.len();
        // name, info (global function), section 1 or absolute, value
        for (name, info, section, value) in [
            (0, 0, 0, 0),
            (23, 0x10, 0xfff1, START),
            (37, 0x10, 0xfff1, START + self.end),
            (49, 0x12, 1, START + 64),
        ] {
            data.extend(u32::to_le_bytes(name));
            data.extend([info, 0]);
            data.extend(u16::to_le_bytes(section));
            data.extend(u64::to_le_bytes(value));
            data.extend(u64::to_le_bytes(0));
        }
        let names_at = headers + data.len();
        data.extend(names);
        let sections_at = headers + data.len();
        // name, type, flags, address, offset, size, link, info, entry size
        let sections: [[u64; 9]; 4] = [
            [0; 9],
            [1, 1, 6, START, headers as u64, 128, 0, 0, 0],
            [7, 2, 0, 0, symbols_at as u64, 96, 3, 1, 24],
            [15, 3, 0, 0, names_at as u64, names.len() as u64, 0, 0, 0],
        ];
        for [name, kind, flags, address, offset, size, link, info, entry] in sections {
            data.extend((name as u32).to_le_bytes());
            data.extend((kind as u32).to_le_bytes());
            [flags, address, offset, size].iter().for_each(|field| data.extend(field.to_le_bytes()));
            data.extend((link as u32).to_le_bytes());
            data.extend((info as u32).to_le_bytes());
            [8, entry].iter().for_each(|field| data.extend(field.to_le_bytes()));
        }
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        elf.extend(2u16.to_le_bytes());
        elf.extend(self.machine.to_le_bytes());
        elf.extend(1u32.to_le_bytes());
        [START, 64, sections_at as u64].iter().for_each(|field| elf.extend(field.to_le_bytes()));
        elf.extend(0u32.to_le_bytes());
        let count = self.segments.len() as u16;
        [64, 56, count, 64, 4, 3].iter().for_each(|field| elf.extend(field.to_le_bytes()));
        elf.extend(programs);
        elf.extend(data);
        elf
    }
}
