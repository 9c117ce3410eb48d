//! From a file to an [`Image`].

use alloc::vec::Vec;

use elf::abi::{EM_AARCH64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{Class, ELF64_EHDR_TAILSIZE, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};
use linux_raw_sys::general::PATH_MAX;

use super::{ElfError, Flaw, Image, Kind, Protection, Role, Segment};
use crate::read_at::read_full;
use crate::{PAGE_SIZE, ReadAt, page_floor, push};

/// The bytes of an ELF header: `e_ident`, then the rest.
const IDENT_SIZE: usize = elf::abi::EI_NIDENT;
const HEADER_SIZE: usize = IDENT_SIZE + ELF64_EHDR_TAILSIZE;

/// Linux takes at most one page of program headers.
const HEADERS_MAX: usize = PAGE_SIZE as usize;

impl Image {
    /// Reads and checks the headers of `file`.
    ///
    /// Allocates the list of segments (at most 73) and the path of the interpreter (at most 4 KiB), and for the time of the call a
    /// page for the program headers.
    pub fn read(file: &(impl ReadAt + ?Sized), role: Role) -> Result<Self, ElfError> {
        read(file, role).map_err(|flaw| ElfError { role, flaw })
    }
}

fn read(file: &(impl ReadAt + ?Sized), role: Role) -> Result<Image, Flaw> {
    let header = read_header(file)?;
    let kind = match header.e_type {
        ET_EXEC => Kind::Fixed,
        ET_DYN => Kind::PositionIndependent,
        other => return Err(Flaw::WrongType(other)),
    };
    if header.e_machine != EM_AARCH64 {
        return Err(Flaw::WrongMachine(header.e_machine));
    }
    let table = read_program_headers(file, &header)?;
    // The iterator ends at a header that the crate cannot parse. There is none: the table has a whole number of headers.
    let headers = SegmentTable::new(LittleEndian, Class::ELF64, &table);

    let mut image = Image {
        segments: Vec::new(),
        role,
        kind,
        entry: header.e_entry,
        interpreter: None,
        phdr: 0,
        phnum: header.e_phnum,
        executable_stack: false,
        alignment: PAGE_SIZE,
    };
    for (index, program_header) in (0..).zip(headers.iter()) {
        match program_header.p_type {
            PT_LOAD => image.add_segment(index, &program_header, header.e_phoff, file.size())?,
            PT_INTERP if role == Role::Program && image.interpreter.is_none() => {
                image.interpreter = Some(read_interpreter(file, &program_header)?);
            }
            PT_GNU_STACK if role == Role::Program => {
                image.executable_stack = program_header.p_flags & PF_X != 0
            }
            _ => {}
        }
    }
    if image.segments.is_empty() {
        return Err(Flaw::NoSegments);
    }
    Ok(image)
}

pub(super) fn read_header(file: &(impl ReadAt + ?Sized)) -> Result<FileHeader<LittleEndian>, Flaw> {
    let mut bytes = [0; HEADER_SIZE];
    if read_full(file, 0, &mut bytes)? != HEADER_SIZE {
        return Err(Flaw::HeaderPastEnd);
    }
    let ident = parse_ident::<LittleEndian>(&bytes[..IDENT_SIZE]).map_err(|_| Flaw::NotElf)?;
    if ident.1 != Class::ELF64 {
        return Err(Flaw::NotElf);
    }
    FileHeader::parse_tail(ident, &bytes[IDENT_SIZE..]).map_err(|_| Flaw::NotElf)
}

pub(super) fn read_program_headers(
    file: &(impl ReadAt + ?Sized),
    header: &FileHeader<LittleEndian>,
) -> Result<Vec<u8>, Flaw> {
    if u64::from(header.e_phentsize) != Image::PHENT {
        return Err(Flaw::HeaderSize(header.e_phentsize));
    }
    let size = usize::from(header.e_phnum) * usize::from(header.e_phentsize);
    if size == 0 || size > HEADERS_MAX {
        return Err(Flaw::HeaderCount(header.e_phnum));
    }
    let mut table = zeroed(size)?;
    if read_full(file, header.e_phoff, &mut table)? != size {
        return Err(Flaw::HeadersPastEnd);
    }
    Ok(table)
}

fn read_interpreter(file: &(impl ReadAt + ?Sized), header: &ProgramHeader) -> Result<Vec<u8>, Flaw> {
    let length = header.p_filesz;
    if !(2..=u64::from(PATH_MAX)).contains(&length) {
        return Err(Flaw::InterpreterLength(length));
    }
    let mut path = zeroed(length as usize)?;
    if read_full(file, header.p_offset, &mut path)? != path.len() {
        return Err(Flaw::InterpreterPastEnd);
    }
    if path.last() != Some(&0) {
        return Err(Flaw::InterpreterWithoutNul);
    }
    // Linux takes the path for a C string.
    let end = path.iter().position(|&byte| byte == 0).unwrap_or(0);
    path.truncate(end);
    Ok(path)
}

fn zeroed(size: usize) -> Result<Vec<u8>, Flaw> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Flaw::NoMemory)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

impl Image {
    /// Checks the `PT_LOAD` that is program header number `index`, and notes it. `phoff` is where the program headers lie in the file.
    fn add_segment(
        &mut self,
        index: u16,
        header: &ProgramHeader,
        phoff: u64,
        file_size: u64,
    ) -> Result<(), Flaw> {
        let &ProgramHeader { p_vaddr, p_offset, p_filesz, p_memsz, p_flags, p_align, .. } = header;
        if p_filesz > p_memsz {
            return Err(Flaw::FileLargerThanMemory(index));
        }
        p_vaddr.checked_add(p_memsz).ok_or(Flaw::SegmentOverflow(index))?;
        if p_align.is_power_of_two() {
            self.alignment = self.alignment.max(p_align);
        }
        if p_memsz == 0 {
            return Ok(());
        }
        if self.segments.last().is_some_and(|before| p_vaddr < before.end()) {
            return Err(Flaw::Order(index));
        }

        let mut protection = Protection::empty();
        protection.set(Protection::READ, p_flags & PF_R != 0);
        protection.set(Protection::WRITE, p_flags & PF_W != 0);
        protection.set(Protection::EXECUTE, p_flags & PF_X != 0);

        if p_filesz != 0 {
            let file_end = p_offset.checked_add(p_filesz).filter(|&end| i64::try_from(end).is_ok());
            let file_end = file_end.ok_or(Flaw::SegmentOverflow(index))?;
            if !(p_offset ^ p_vaddr).is_multiple_of(PAGE_SIZE) {
                return Err(Flaw::Misaligned(index));
            }
            // Pages behind the end of a file can be mapped but not written to, neither by the program (SIGBUS) nor by the kernel.
            let zeroes = protection.contains(Protection::WRITE)
                && p_memsz > p_filesz
                && !file_end.is_multiple_of(PAGE_SIZE);
            if zeroes && page_floor(file_end) >= file_size {
                return Err(Flaw::ZeroTailPastEnd(index));
            }
            if (p_offset..file_end).contains(&phoff) {
                // No overflow: the sum lies below `p_vaddr + p_filesz`.
                self.phdr = p_vaddr + (phoff - p_offset);
            }
        }
        let segment = Segment {
            vaddr: p_vaddr,
            offset: p_offset,
            file_size: p_filesz,
            memory_size: p_memsz,
            protection,
        };
        push(&mut self.segments, segment)?;
        Ok(())
    }
}
