//! Which files there are, where they lie, and their modes.

use linux_raw_sys::general::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

const DIRECTORY: u32 = S_IFDIR | 0o555;
const LINK: u32 = S_IFLNK | 0o777;
const FILE: u32 = S_IFREG | 0o444;
const OWN: u32 = S_IFREG | 0o400;

/// A file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// One that always exists.
    Fixed(Fixed),
    /// One of a process, or, with `tid`, of a task below the process's directory `task`.
    Of {
        /// The number of the process. Linux takes a task's number too, and so does [`Name::child`].
        pid: u32,
        /// The number of the task.
        tid: Option<u32>,
        /// Which file.
        entry: Entry,
    },
}

/// What always exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names are in the table below")]
pub enum Fixed {
    /// `/proc`.
    Proc,
    SelfLink,
    ThreadSelf,
    MemInfo,
    Mounts,
    Stat,
    Uptime,
    Version,
    ProcSys,
    ProcSysKernel,
    PidMax,
    /// `/sys`.
    Sys,
    Devices,
    System,
    Cpu,
    CpuOnline,
    CpuPossible,
    CpuPresent,
}

/// The parent, the name and the mode of everything that always exists.
const FIXED: [(Fixed, Option<Fixed>, &str, u32); 18] = [
    (Fixed::Proc, None, "", DIRECTORY),
    (Fixed::SelfLink, Some(Fixed::Proc), "self", LINK),
    (Fixed::ThreadSelf, Some(Fixed::Proc), "thread-self", LINK),
    (Fixed::MemInfo, Some(Fixed::Proc), "meminfo", FILE),
    (Fixed::Mounts, Some(Fixed::Proc), "mounts", LINK),
    (Fixed::Stat, Some(Fixed::Proc), "stat", FILE),
    (Fixed::Uptime, Some(Fixed::Proc), "uptime", FILE),
    (Fixed::Version, Some(Fixed::Proc), "version", FILE),
    (Fixed::ProcSys, Some(Fixed::Proc), "sys", DIRECTORY),
    (Fixed::ProcSysKernel, Some(Fixed::ProcSys), "kernel", DIRECTORY),
    (Fixed::PidMax, Some(Fixed::ProcSysKernel), "pid_max", FILE),
    (Fixed::Sys, None, "", DIRECTORY),
    (Fixed::Devices, Some(Fixed::Sys), "devices", DIRECTORY),
    (Fixed::System, Some(Fixed::Devices), "system", DIRECTORY),
    (Fixed::Cpu, Some(Fixed::System), "cpu", DIRECTORY),
    (Fixed::CpuOnline, Some(Fixed::Cpu), "online", FILE),
    (Fixed::CpuPossible, Some(Fixed::Cpu), "possible", FILE),
    (Fixed::CpuPresent, Some(Fixed::Cpu), "present", FILE),
];

/// What each process or task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names are in the table below")]
pub enum Entry {
    /// `/proc/PID` or `/proc/PID/task/TID` itself.
    Directory,
    Auxv,
    Cmdline,
    Comm,
    Cwd,
    Environ,
    Exe,
    Fds,
    FdInfos,
    Maps,
    Mem,
    Mounts,
    Root,
    Stat,
    Statm,
    Status,
    Tasks,
    /// `fd/N`.
    Fd(u32),
    /// `fdinfo/N`.
    FdInfo(u32),
}

/// The names and modes of what each process and task has. Only a process has `task`.
const ENTRIES: [(Entry, &str, u32); 16] = [
    (Entry::Auxv, "auxv", OWN),
    (Entry::Cmdline, "cmdline", FILE),
    (Entry::Comm, "comm", FILE | 0o200),
    (Entry::Cwd, "cwd", LINK),
    (Entry::Environ, "environ", OWN),
    (Entry::Exe, "exe", LINK),
    (Entry::Fds, "fd", S_IFDIR | 0o500),
    (Entry::FdInfos, "fdinfo", DIRECTORY),
    (Entry::Maps, "maps", FILE),
    (Entry::Mem, "mem", OWN | 0o200),
    (Entry::Mounts, "mounts", FILE),
    (Entry::Root, "root", LINK),
    (Entry::Stat, "stat", FILE),
    (Entry::Statm, "statm", FILE),
    (Entry::Status, "status", FILE),
    (Entry::Tasks, "task", DIRECTORY),
];

/// What the numbers in a directory name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Processes.
    Processes,
    /// The tasks of the process.
    Tasks,
    /// Descriptors.
    Descriptors,
}

/// Inode numbers: the bits of a process's file that say which one it is, and the bit that says that it is a task's.
const WHOSE: u32 = 24;
const OF_TASK: u64 = 1 << 23;
/// The inode number of descriptor 0, less the bits that say whose it is. It is more than all entries have.
const DESCRIPTOR: u64 = 1 << 8;
/// The same for what `fdinfo` has.
const INFO: u64 = 1 << 22;

impl Name {
    /// `/proc`.
    pub const PROC: Self = Self::Fixed(Fixed::Proc);
    /// `/sys`.
    pub const SYS: Self = Self::Fixed(Fixed::Sys);

    fn fixed(of: Fixed) -> &'static (Fixed, Option<Fixed>, &'static str, u32) {
        let found = FIXED.iter().find(|(fixed, ..)| *fixed == of);
        // Every value is in the table: a test looks.
        found.unwrap_or(&FIXED[0])
    }

    fn of_entry(of: Entry) -> Option<&'static (Entry, &'static str, u32)> {
        ENTRIES.iter().find(|(entry, ..)| *entry == of)
    }

    /// Type and permission bits, as `st_mode` has them. A link in `fd` shows besides how the file is open, which is the kernel's to add.
    pub fn mode(self) -> u32 {
        match self {
            Self::Fixed(fixed) => Self::fixed(fixed).3,
            Self::Of { entry: Entry::Directory, .. } => DIRECTORY,
            Self::Of { entry: Entry::Fd(_), .. } => S_IFLNK,
            Self::Of { entry, .. } => Self::of_entry(entry).map_or(FILE, |(.., mode)| *mode),
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(self) -> bool {
        self.mode() & S_IFMT == S_IFDIR
    }

    /// Whether it is a symbolic link.
    pub fn is_link(self) -> bool {
        self.mode() & S_IFMT == S_IFLNK
    }

    /// The inode number: that of no other file of the same mount.
    pub fn number(self) -> u64 {
        match self {
            Self::Fixed(fixed) => fixed as u64 + 1,
            Self::Of { pid, tid, entry } => {
                let which = match entry {
                    Entry::Directory => 0,
                    Entry::Fd(number) => DESCRIPTOR + u64::from(number),
                    Entry::FdInfo(number) => INFO + u64::from(number),
                    _ => 1 + ENTRIES.iter().position(|(other, ..)| *other == entry).unwrap_or(0) as u64,
                };
                u64::from(tid.unwrap_or(pid)) << WHOSE | if tid.is_some() { OF_TASK } else { 0 } | which
            }
        }
    }

    /// What the numbers in the directory name; None if there are none.
    pub fn numbers(self) -> Option<Numbers> {
        match self {
            Self::Fixed(Fixed::Proc) => Some(Numbers::Processes),
            Self::Of { entry: Entry::Tasks, .. } => Some(Numbers::Tasks),
            Self::Of { entry: Entry::Fds | Entry::FdInfos, .. } => Some(Numbers::Descriptors),
            _ => None,
        }
    }

    /// What a number in the directory names; None if numbers name nothing there. No process or task is number 0.
    pub fn numbered(self, number: u32) -> Option<Self> {
        Some(match (self, self.numbers()?) {
            (_, Numbers::Processes | Numbers::Tasks) if number == 0 => return None,
            (_, Numbers::Processes) => Self::Of { pid: number, tid: None, entry: Entry::Directory },
            (Self::Of { pid, .. }, Numbers::Tasks) => {
                Self::Of { pid, tid: Some(number), entry: Entry::Directory }
            }
            (Self::Of { pid, tid, entry: Entry::FdInfos }, _) => {
                Self::Of { pid, tid, entry: Entry::FdInfo(number) }
            }
            (Self::Of { pid, tid, .. }, _) => Self::Of { pid, tid, entry: Entry::Fd(number) },
            _ => return None,
        })
    }

    /// What the directory has besides numbers, in the order of a listing.
    pub fn children(self) -> impl Iterator<Item = (&'static str, Self)> {
        let fixed = FIXED
            .iter()
            .filter(move |(_, parent, ..)| matches!(self, Self::Fixed(fixed) if *parent == Some(fixed)));
        let entries = ENTRIES.iter().filter_map(move |&(entry, name, _)| match self {
            Self::Of { tid: Some(_), entry: Entry::Directory, .. } if entry == Entry::Tasks => None,
            Self::Of { pid, tid, entry: Entry::Directory } => Some((name, Self::Of { pid, tid, entry })),
            _ => None,
        });
        fixed.map(|&(fixed, _, name, _)| (name, Self::Fixed(fixed))).chain(entries)
    }

    /// What the directory has under a name. Whether a process, a task or a descriptor with a number exists is the kernel's to say.
    pub fn child(self, name: &[u8]) -> Option<Self> {
        match number(name) {
            Some(number) => self.numbered(number),
            None => self.children().find(|(child, _)| child.as_bytes() == name).map(|(_, child)| child),
        }
    }

    /// The directory that has it; None for the root of a mount.
    pub fn parent(self) -> Option<Self> {
        Some(match self {
            Self::Fixed(fixed) => Self::Fixed(Self::fixed(fixed).1?),
            Self::Of { tid: None, entry: Entry::Directory, .. } => Self::PROC,
            Self::Of { pid, tid: Some(_), entry: Entry::Directory } => {
                Self::Of { pid, tid: None, entry: Entry::Tasks }
            }
            Self::Of { pid, tid, entry: Entry::Fd(_) } => Self::Of { pid, tid, entry: Entry::Fds },
            Self::Of { pid, tid, entry: Entry::FdInfo(_) } => Self::Of { pid, tid, entry: Entry::FdInfos },
            Self::Of { pid, tid, .. } => Self::Of { pid, tid, entry: Entry::Directory },
        })
    }

    /// What its directory has it under: a word, or a number.
    pub fn last(self) -> (&'static str, Option<u32>) {
        match self {
            Self::Fixed(fixed) => (Self::fixed(fixed).2, None),
            Self::Of { pid, tid, entry: Entry::Directory } => ("", Some(tid.unwrap_or(pid))),
            Self::Of { entry: Entry::Fd(number) | Entry::FdInfo(number), .. } => ("", Some(number)),
            Self::Of { entry, .. } => (Self::of_entry(entry).map_or("", |(_, name, _)| *name), None),
        }
    }
}

/// A number as Linux takes it for a process: digits without a zero in front.
fn number(name: &[u8]) -> Option<u32> {
    let plain = name == b"0" || !name.starts_with(b"0");
    if !plain || name.is_empty() || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(name).ok()?.parse().ok()
}
