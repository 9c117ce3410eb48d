use bitflags::bitflags;
use linux_raw_sys::general::{PROT_EXEC, PROT_READ, PROT_WRITE};

bitflags! {
    /// The permissions that a program asked for. The bits are Linux's PROT_READ, PROT_WRITE and PROT_EXEC.
    ///
    /// What the page tables grant is more, see [`Prot::allows`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prot: u32 {
        /// PROT_READ.
        const READ = PROT_READ;
        /// PROT_WRITE.
        const WRITE = PROT_WRITE;
        /// PROT_EXEC.
        const EXEC = PROT_EXEC;
    }
}

/// What a program or a system call does to a byte of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load, or a copy from user memory.
    Read,
    /// A store, or a copy to user memory.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Prot {
    /// The permissions in the `prot` argument of mmap, which ignores all other bits.
    pub const fn from_mmap(bits: u64) -> Self {
        Self::from_bits_truncate(bits as u32)
    }

    /// Whether a mapping of this permission lets a program do this.
    ///
    /// Any permission implies reading. AArch64 has no write-only pages, so PROT_WRITE implies reading. PROT_EXEC alone is
    /// readable too, as Linux has it on CPUs without FEAT_PAN3 (Linux: EPAN): there PAN does not
    /// protect an execute-only page from the kernel's own loads, so Linux gives no execute-only pages.
    pub const fn allows(self, access: Access) -> bool {
        match access {
            Access::Read => !self.is_empty(),
            Access::Write => self.contains(Self::WRITE),
            Access::Execute => self.contains(Self::EXEC),
        }
    }
}
