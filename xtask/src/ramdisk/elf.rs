//! What the packer reads of an ELF file: whether it is an AArch64 program, which dynamic linker it names, which libraries it needs.

use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endian as _, Endianness, LittleEndian};

/// An AArch64 ELF file, as far as its libraries are concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// PT_INTERP: the path of the dynamic linker; None for static programs, and for libraries.
    pub interpreter: Option<String>,
    /// DT_NEEDED: the names of the libraries that this file needs itself.
    pub needed: Vec<String>,
    /// The directories of DT_RUNPATH or, without it, of DT_RPATH, as they are written (`$ORIGIN` is not replaced).
    pub search: Vec<String>,
}

/// Why a file cannot be used. `Display` completes a sentence that begins with the file's name.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The file does not begin like an ELF file.
    NotElf,
    /// The file is for another machine, which the text names.
    Machine(String),
    /// The file is ELF for AArch64, but not a program and no library.
    Unlinked,
    /// The file is damaged: what is wrong with it.
    Damaged(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NotElf => {
                write!(
                    f,
                    "is neither an ELF program nor a script (a script begins with `#!` and its interpreter)"
                )
            }
            Refusal::Machine(machine) => {
                write!(
                    f,
                    "is for {machine}, but Stepwell runs AArch64 programs: compile with aarch64-linux-gnu-gcc"
                )
            }
            Refusal::Unlinked => write!(f, "is an object file or a core dump, not a linked program"),
            Refusal::Damaged(what) => write!(f, "is a damaged ELF file: {what}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Whether the bytes begin like an ELF file.
pub fn is_elf(data: &[u8]) -> bool {
    data.starts_with(&elf::ELFMAG)
}

impl Elf {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When the file is not ELF, not for AArch64, not linked, or damaged.
    pub fn parse(data: &[u8]) -> Result<Self, Refusal> {
        let class = check_ident(data)?;
        let damaged = |error: object::Error| Refusal::Damaged(error.to_string());
        if class != elf::ELFCLASS64 {
            // e_machine stands at the same place in files of 32 and of 64 bits.
            let machine = data.get(18..20).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
            return Err(Refusal::Machine(machine_name(machine, true)));
        }
        let header = FileHeader64::<Endianness>::parse(data).map_err(damaged)?;
        let endian = header.endian().map_err(damaged)?;
        let machine = header.e_machine.get(endian);
        if machine != elf::EM_AARCH64 {
            return Err(Refusal::Machine(machine_name(machine.0, false)));
        }
        if endian.is_big_endian() {
            return Err(Refusal::Machine("big-endian AArch64".into()));
        }
        if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type.get(endian)) {
            return Err(Refusal::Unlinked);
        }
        let header = FileHeader64::<LittleEndian>::parse(data).map_err(damaged)?;
        let segments = header.program_headers(LittleEndian, data).map_err(damaged)?;
        check_loaded(segments, data)?;
        let mut found = Self::default();
        for segment in segments {
            if let Some(path) = segment.interpreter(LittleEndian, data).map_err(damaged)? {
                let path = text(path, "PT_INTERP")?;
                if !path.starts_with('/') {
                    return Err(Refusal::Damaged(format!("PT_INTERP is '{path}', not an absolute path")));
                }
                found.interpreter = Some(path);
            }
            if let Some(dynamic) = segment.dynamic(LittleEndian, data).map_err(damaged)? {
                found.read_dynamic(dynamic, segments, data)?;
            }
        }
        Ok(found)
    }

    fn read_dynamic(
        &mut self,
        dynamic: &[elf::Dyn64<LittleEndian>],
        segments: &[ProgramHeader64<LittleEndian>],
        data: &[u8],
    ) -> Result<(), Refusal> {
        let entries: Vec<_> = dynamic
            .iter()
            .map(|entry| (entry.d_tag(LittleEndian), entry.d_val(LittleEndian)))
            .take_while(|(tag, _)| *tag != elf::DT_NULL)
            .collect();
        let last = |wanted| entries.iter().rev().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let strings = match (last(elf::DT_STRTAB), last(elf::DT_STRSZ)) {
            (Some(address), Some(size)) => strings_at(segments, data, address, size)
                .ok_or_else(|| Refusal::Damaged("DT_STRTAB is not in the file".into()))?,
            _ => &[],
        };
        let name = |offset: u64, what: &str| {
            let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
            let end = rest.and_then(|rest| rest.iter().position(|byte| *byte == 0));
            match (rest, end) {
                (Some(rest), Some(end)) => text(&rest[..end], what),
                _ => Err(Refusal::Damaged(format!("{what} is not in the string table"))),
            }
        };
        for (_, offset) in entries.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED) {
            self.needed.push(name(*offset, "DT_NEEDED")?);
        }
        if let Some(offset) = last(elf::DT_RUNPATH).or_else(|| last(elf::DT_RPATH)) {
            let list = name(offset, "DT_RUNPATH")?;
            self.search = list.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect();
        }
        Ok(())
    }
}

/// The string table at an address of the loaded file.
fn strings_at<'a>(
    segments: &[ProgramHeader64<LittleEndian>],
    data: &'a [u8],
    address: u64,
    size: u64,
) -> Option<&'a [u8]> {
    segments.iter().filter(|segment| segment.p_type(LittleEndian) == elf::PT_LOAD).find_map(|segment| {
        let offset = address.checked_sub(segment.p_vaddr(LittleEndian))?;
        if offset.checked_add(size)? > segment.p_filesz(LittleEndian) {
            return None;
        }
        let start = usize::try_from(segment.p_offset(LittleEndian).checked_add(offset)?).ok()?;
        data.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    })
}

/// Refuses what has no ELF header. Returns the class: 32 or 64 bits.
fn check_ident(data: &[u8]) -> Result<elf::FileClass, Refusal> {
    if !is_elf(data) {
        return Err(Refusal::NotElf);
    }
    let class = data.get(4).copied().map(elf::FileClass);
    match class {
        Some(class @ (elf::ELFCLASS32 | elf::ELFCLASS64)) => Ok(class),
        _ => Err(Refusal::Damaged("the header names neither 32 nor 64 bits".into())),
    }
}

/// Refuses a file that ends before what is to be loaded of it.
fn check_loaded(segments: &[ProgramHeader64<LittleEndian>], data: &[u8]) -> Result<(), Refusal> {
    for segment in segments.iter().filter(|segment| segment.p_type(LittleEndian) == elf::PT_LOAD) {
        let end = segment.p_offset(LittleEndian).checked_add(segment.p_filesz(LittleEndian));
        if end.is_none_or(|end| end > data.len() as u64) {
            return Err(Refusal::Damaged("it ends in the middle of a segment".into()));
        }
    }
    Ok(())
}

fn text(bytes: &[u8], what: &str) -> Result<String, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Damaged(format!("{what} is not text")))?;
    if text.is_empty() { Err(Refusal::Damaged(format!("{what} is empty"))) } else { Ok(text.to_owned()) }
}

fn machine_name(machine: u16, half: bool) -> String {
    let known = match elf::Machine(machine) {
        elf::EM_X86_64 if half => "x86-64 with 32-bit pointers",
        elf::EM_X86_64 => "x86-64",
        elf::EM_386 => "32-bit x86",
        elf::EM_ARM => "32-bit Arm",
        elf::EM_AARCH64 => "AArch64 with 32-bit pointers",
        elf::EM_RISCV => "RISC-V",
        elf::EM_PPC64 => "64-bit PowerPC",
        elf::EM_S390 => "s390",
        elf::EM_LOONGARCH => "LoongArch",
        _ => return format!("machine {machine}"),
    };
    known.to_owned()
}
