//! The auxiliary vector.

use linux_raw_sys::auxvec::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_EXECFN, AT_FLAGS, AT_GID, AT_HWCAP, AT_HWCAP2,
    AT_MINSIGSTKSZ, AT_NULL, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PLATFORM, AT_RANDOM, AT_SECURE,
    AT_SYSINFO_EHDR, AT_UID,
};

use crate::PAGE_SIZE;
use crate::elf::{Image, MapPlan};

/// Linux's USER_HZ on AArch64: the unit of `times()`, in ticks per second.
const CLOCK_TICKS: u64 = 100;

/// The values of the auxiliary vector that do not point into the stack.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AuxValues {
    /// `AT_SYSINFO_EHDR`: where the vDSO's ELF header lies. `None` leaves the entry out.
    pub vdso: Option<u64>,
    /// `AT_MINSIGSTKSZ`: the largest signal frame, in bytes. `None` leaves the entry out.
    pub signal_stack_min: Option<u64>,
    /// `AT_HWCAP`: what the CPU offers.
    pub hwcap: u64,
    /// `AT_HWCAP2`: more of what the CPU offers.
    pub hwcap2: u64,
    /// `AT_PHDR`: where the program's (not the interpreter's) program headers lie.
    pub phdr: u64,
    /// `AT_PHNUM`: how many there are.
    pub phnum: u64,
    /// `AT_BASE`: the load bias of the interpreter, 0 without one.
    pub base: u64,
    /// `AT_ENTRY`: the program's (not the interpreter's) entry.
    pub entry: u64,
    /// `AT_UID`.
    pub uid: u32,
    /// `AT_EUID`.
    pub euid: u32,
    /// `AT_GID`.
    pub gid: u32,
    /// `AT_EGID`.
    pub egid: u32,
    /// `AT_SECURE`: the program was given more rights than its caller has.
    pub secure: bool,
}

impl AuxValues {
    /// The values that follow from the program and where it lies. The others are 0 or left out.
    pub fn of(image: &Image, plan: &MapPlan) -> Self {
        Self { phdr: plan.phdr, phnum: image.phnum().into(), entry: plan.entry, ..Self::default() }
    }

    /// The entries in Linux's order, with `AT_NULL` at the end.
    pub(super) fn entries(&self, at: Pointers) -> impl Iterator<Item = [u64; 2]> {
        [
            (AT_SYSINFO_EHDR, self.vdso),
            (AT_MINSIGSTKSZ, self.signal_stack_min),
            (AT_HWCAP, Some(self.hwcap)),
            (AT_PAGESZ, Some(PAGE_SIZE)),
            (AT_CLKTCK, Some(CLOCK_TICKS)),
            (AT_PHDR, Some(self.phdr)),
            (AT_PHENT, Some(Image::PHENT)),
            (AT_PHNUM, Some(self.phnum)),
            (AT_BASE, Some(self.base)),
            (AT_FLAGS, Some(0)),
            (AT_ENTRY, Some(self.entry)),
            (AT_UID, Some(self.uid.into())),
            (AT_EUID, Some(self.euid.into())),
            (AT_GID, Some(self.gid.into())),
            (AT_EGID, Some(self.egid.into())),
            (AT_SECURE, Some(self.secure.into())),
            (AT_RANDOM, Some(at.random)),
            (AT_HWCAP2, Some(self.hwcap2)),
            (AT_EXECFN, Some(at.path)),
            (AT_PLATFORM, Some(at.platform)),
            (AT_NULL, Some(0)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some([key.into(), value?]))
    }
}

/// The addresses of what the auxiliary vector points to.
#[derive(Clone, Copy)]
pub(super) struct Pointers {
    pub(super) random: u64,
    pub(super) path: u64,
    pub(super) platform: u64,
}
