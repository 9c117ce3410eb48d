//! AArch64 ELF programs: check the headers, then list the mappings to make.
//!
//! [`Image::read`] checks a file and keeps what `execve` needs of it. The kernel chooses where the image lies ([`Image::bias_at`];
//! only position-independent images can move), and [`Image::plan`] lists the mappings to make there.
//!
//! Checks, their errors and the layout are those of Linux's `fs/binfmt_elf.c` with 4 KiB pages (a version from 6.7 on, whose
//! `elf_load` treats each segment by itself), with these differences:
//!
//! - Linux finds bad segments after it has given up the old program, and kills the process. Here they are found before, and `execve`
//!   fails with the error number that Linux had in hand.
//! - Linux does not look at the class, the byte order and the version in `e_ident`; such files are refused here.
//! - Linux maps segments that are not in ascending order, or that overlap, one over the other. The ELF specification demands ascending
//!   order, no linker breaks the rule, and nobody can say what such a file means, so it is refused here. Two segments may still share
//!   a page, as files linked without padding do: the later segment's mapping wins, as on Linux.
//! - A file without any loadable segment is refused. Linux would start it and end it by SIGSEGV.

mod error;
mod plan;
mod read;
mod symbols;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::program as test_program;

pub use error::{ElfError, Flaw};
pub use plan::{MapPlan, Mapping, Source};
pub use symbols::{Function, NAME_MAX, function_at};

use alloc::vec::Vec;
use core::ops::Range;

use linux_raw_sys::general::{PROT_EXEC, PROT_READ, PROT_WRITE};

use crate::{page_ceil, page_floor};

bitflags::bitflags! {
    /// How memory may be accessed, with the bits of `PROT_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Protection: u32 {
        /// Loads.
        const READ = PROT_READ;
        /// Stores.
        const WRITE = PROT_WRITE;
        /// Instruction fetches.
        const EXECUTE = PROT_EXEC;
    }
}

/// What an ELF file is used for. Linux gives other error numbers for an interpreter than for a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The file that `execve` was asked to run, or a script's interpreter.
    Program,
    /// The file that the `PT_INTERP` of a program names. Its own `PT_INTERP` and `PT_GNU_STACK` mean nothing and are not looked at.
    Interpreter,
}

/// Whether an image can lie anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `ET_EXEC`: only at the addresses that the file gives. The load bias is 0.
    Fixed,
    /// `ET_DYN`: a position-independent executable or a shared object, at any load bias.
    PositionIndependent,
}

/// A loadable segment (`PT_LOAD`) of at least one byte in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The first address, before the load bias is added.
    pub vaddr: u64,
    /// Where the segment's bytes begin in the file.
    pub offset: u64,
    /// How many bytes come from the file.
    pub file_size: u64,
    /// How many bytes the segment has in memory, at least `file_size`. The bytes behind `file_size` are zero.
    pub memory_size: u64,
    /// How the program may access the segment.
    pub protection: Protection,
}

impl Segment {
    /// The address behind the segment. Does not overflow: [`Image::read`] refuses segments whose sum does.
    fn end(&self) -> u64 {
        self.vaddr.saturating_add(self.memory_size)
    }
}

/// What `execve` needs of an ELF file whose headers passed every check that does not depend on where the image lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    segments: Vec<Segment>,
    role: Role,
    kind: Kind,
    entry: u64,
    interpreter: Option<Vec<u8>>,
    phdr: u64,
    phnum: u16,
    executable_stack: bool,
    alignment: u64,
}

impl Image {
    /// The size of one program header in bytes: the value of `AT_PHENT`.
    pub const PHENT: u64 = 56;

    /// The loadable segments, in ascending order of address, without overlap (two may share a page). At least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the image can lie anywhere.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address of the first instruction, before the load bias is added. May lie outside every segment: the program then ends by
    /// SIGSEGV, as on Linux.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The path of the interpreter (`PT_INTERP`), without its NUL. May be empty, which `open` answers with ENOENT. Always `None` for
    /// [`Role::Interpreter`].
    pub fn interpreter(&self) -> Option<&[u8]> {
        self.interpreter.as_deref()
    }

    /// The number of program headers: the value of `AT_PHNUM`.
    pub fn phnum(&self) -> u16 {
        self.phnum
    }

    /// Whether `PT_GNU_STACK` asks for a stack that can be executed. A file without `PT_GNU_STACK` does not get one on AArch64.
    pub fn executable_stack(&self) -> bool {
        self.executable_stack
    }

    /// The alignment that the segments ask for, in bytes: a power of two, at least [`PAGE_SIZE`](crate::PAGE_SIZE).
    pub fn alignment(&self) -> u64 {
        self.alignment
    }

    /// The pages from the first to the last segment, before the load bias is added. Its length is the room that a
    /// position-independent image needs. The end saturates for images that no [`plan`](Self::plan) will accept.
    pub fn span(&self) -> Range<u64> {
        let start = self.segments.first().map_or(0, |first| page_floor(first.vaddr));
        let end = self.segments.last().map_or(0, Segment::end);
        start..page_ceil(end).unwrap_or(page_floor(u64::MAX))
    }

    /// The load bias that puts the first page at `base`, rounded down to [`alignment`](Self::alignment): what is added, modulo 2^64,
    /// to every address of the file. Always 0 for [`Kind::Fixed`]. Choose `base` with [`span`](Self::span)'s length and the alignment
    /// as room, because the rounding can go below a `base` that is not aligned.
    pub fn bias_at(&self, base: u64) -> u64 {
        match self.kind {
            Kind::Fixed => 0,
            Kind::PositionIndependent => (base & !(self.alignment - 1)).wrapping_sub(self.span().start),
        }
    }

    fn error(&self, flaw: Flaw) -> ElfError {
        ElfError { role: self.role, flaw }
    }
}
