//! What a signal says about its cause: Linux's `siginfo_t`.
//!
//! The layout is that of 64-bit Linux: signal, errno and code (4 bytes each), 4 bytes of padding, then at byte 16 a union of which
//! Linux carries 32 bytes; the rest of the 128 bytes is zero.

use linux_raw_sys::general as raw;
use zerocopy::IntoBytes;

use crate::{ActionFlags, Error, Signal};

/// A signal and what it says about its cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// The signal.
    pub signal: Signal,
    /// `si_errno`, 0 almost always.
    pub errno: i32,
    /// `si_code`: what caused the signal. Positive codes are the kernel's own.
    pub code: i32,
    /// The part of `siginfo_t` that depends on the cause.
    pub fields: Fields,
}

/// The part of `siginfo_t` that depends on the cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fields {
    /// `kill`, `tkill`, `tgkill`: who sent the signal. Also signals of the kernel (SI_KERNEL), with zeros.
    Kill {
        /// The sender's process number.
        pid: i32,
        /// The sender's real user number.
        uid: u32,
    },
    /// A signal with a value (SI_QUEUE, SI_MESGQ, SI_ASYNCIO).
    Queued {
        /// The sender's process number.
        pid: i32,
        /// The sender's real user number.
        uid: u32,
        /// `si_value`.
        value: u64,
    },
    /// A POSIX timer's expiry (SI_TIMER). The queue holds at most one of each timer.
    Timer {
        /// The timer's number, `si_timerid`.
        id: i32,
        /// How often the timer expired again while this signal was pending.
        overrun: i32,
        /// The value that the timer's creator asked for.
        value: u64,
    },
    /// A child ended, stopped or continued (the codes CLD_*).
    Child {
        /// The child.
        pid: i32,
        /// The child's real user number.
        uid: u32,
        /// The exit status or the signal, by the code.
        status: i32,
        /// User time in ticks of 1/100 s.
        utime: i64,
        /// System time in ticks of 1/100 s.
        stime: i64,
    },
    /// A fault or a debug exception (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP).
    Fault {
        /// The address that faulted, or the instruction's.
        address: u64,
    },
    /// An event of `perf_event_open` with `sigtrap` set (code TRAP_PERF).
    Perf {
        /// The address accessed or executed.
        address: u64,
        /// `perf_event_attr.sig_data`.
        data: u64,
        /// `perf_event_attr.type`.
        kind: u32,
        /// TRAP_PERF_FLAG_*.
        flags: u32,
    },
    /// SIGIO for a file (the codes POLL_*).
    Poll {
        /// The events, as `poll` returns them.
        band: i64,
        /// The file descriptor.
        fd: i32,
    },
    /// SIGSYS of a seccomp filter.
    Sys {
        /// The instruction after the system call.
        address: u64,
        /// The system call's number.
        syscall: i32,
        /// AUDIT_ARCH_*.
        arch: u32,
    },
    /// The union as a user program passed it. Delivery gives the receiver these bytes unchanged.
    Raw([u64; 4]),
}

impl Fields {
    /// The union of `siginfo_t`.
    #[inline]
    fn words(&self) -> [u64; 4] {
        let process = |pid: i32, uid| two(pid.cast_unsigned(), uid);
        match *self {
            Self::Kill { pid, uid } => [process(pid, uid), 0, 0, 0],
            Self::Queued { pid, uid, value } => [process(pid, uid), value, 0, 0],
            Self::Timer { id, overrun, value } => [process(id, overrun.cast_unsigned()), value, 0, 0],
            Self::Child { pid, uid, status, utime, stime } => [
                process(pid, uid),
                status.cast_unsigned().into(),
                utime.cast_unsigned(),
                stime.cast_unsigned(),
            ],
            Self::Fault { address } => [address, 0, 0, 0],
            Self::Perf { address, data, kind, flags } => [address, data, two(kind, flags), 0],
            Self::Poll { band, fd } => [band.cast_unsigned(), fd.cast_unsigned().into(), 0, 0],
            Self::Sys { address, syscall, arch } => [address, two(syscall.cast_unsigned(), arch), 0, 0],
            Self::Raw(union) => union,
        }
    }
}

/// Two words of 32 bits in one, the first at the lower address.
#[inline]
fn two(first: u32, second: u32) -> u64 {
    u64::from(first) | u64::from(second) << 32
}

impl Info {
    /// The size of `siginfo_t`.
    pub const SIZE: usize = raw::SI_MAX_SIZE as usize;
    /// How many bytes of `siginfo_t` Linux carries from the sender to the receiver.
    pub(crate) const CARRIED: usize = 48;

    /// A signal that a process sends by `kill` (SI_USER).
    pub const fn kill(signal: Signal, pid: i32, uid: u32) -> Self {
        Self { signal, errno: 0, code: raw::SI_USER as i32, fields: Fields::Kill { pid, uid } }
    }

    /// A signal that a thread sends by `tkill` or `tgkill` (SI_TKILL).
    pub const fn tkill(signal: Signal, pid: i32, uid: u32) -> Self {
        Self { signal, errno: 0, code: raw::SI_TKILL, fields: Fields::Kill { pid, uid } }
    }

    /// A signal of the kernel without details (SI_KERNEL), such as SIGINT from the terminal.
    pub const fn kernel(signal: Signal) -> Self {
        Self { signal, errno: 0, code: raw::SI_KERNEL as i32, fields: Fields::Kill { pid: 0, uid: 0 } }
    }

    /// A fault at `address`. `code` is one of SEGV_*, BUS_*, ILL_*, FPE_*, TRAP_*.
    pub const fn fault(signal: Signal, code: u32, address: u64) -> Self {
        Self { signal, errno: 0, code: code as i32, fields: Fields::Fault { address } }
    }

    /// The signal of an event as it is if its receiver blocks it: it says that it does not come at the access (TRAP_PERF_FLAG_ASYNC).
    #[must_use]
    pub fn asynchronous(mut self) -> Self {
        if let Fields::Perf { flags, .. } = &mut self.fields {
            *flags |= raw::TRAP_PERF_FLAG_ASYNC;
        }
        self
    }

    /// Whether the kernel itself made the signal because of what the receiving thread did: such signals are delivered first.
    pub(crate) fn is_synchronous(&self) -> bool {
        self.code > raw::SI_USER as i32 && crate::SigSet::SYNCHRONOUS.contains(self.signal)
    }

    /// The 128 bytes of `siginfo_t`.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..Self::CARRIED].copy_from_slice(self.words().as_bytes());
        bytes
    }

    #[inline]
    fn words(&self) -> [u64; Self::CARRIED / 8] {
        let mut words = [0; Self::CARRIED / 8];
        words[0] = two(self.signal.number(), self.errno.cast_unsigned());
        words[1] = self.code.cast_unsigned().into();
        [words[2], words[3], words[4], words[5]] = self.fields.words();
        words
    }

    /// What `rt_sigqueueinfo` and `rt_tgsigqueueinfo` take from a user program. `signal` is the call's own argument and replaces
    /// `si_signo`. `own` says whether the receiver is the caller's own process.
    ///
    /// # Errors
    /// [`Error::TooBig`] if `si_code` is unknown and bytes behind the first 48 are set. [`Error::Permission`] if the code claims
    /// that the kernel or `tkill` sent the signal, and the receiver is another process.
    pub fn from_user(signal: Signal, bytes: &[u8; Self::SIZE], own: bool) -> Result<Self, Error> {
        let info = Self::decode(signal, bytes)?;
        if (info.code >= 0 || info.code == raw::SI_TKILL) && !own {
            return Err(Error::Permission);
        }
        Ok(info)
    }

    /// A `siginfo_t` that a user program may choose freely, as a debugger does with PTRACE_SETSIGINFO.
    ///
    /// # Errors
    /// [`Error::TooBig`] if `si_code` is unknown and bytes behind the first 48 are set.
    pub fn decode(signal: Signal, bytes: &[u8; Self::SIZE]) -> Result<Self, Error> {
        let (errno, code) = (i32::from_le_bytes(get(bytes, 4)), i32::from_le_bytes(get(bytes, 8)));
        if !is_known(signal, code) && bytes[Self::CARRIED..].iter().any(|byte| *byte != 0) {
            return Err(Error::TooBig);
        }
        Ok(Self { signal, errno, code, fields: Fields::Raw(zerocopy::transmute!(get::<32>(bytes, 16))) })
    }

    /// The bytes of `siginfo_t` that are not 0 for a handler with these flags. Without SA_EXPOSE_TAGBITS the top byte of a fault's user address is
    /// cleared. Linux leaves the address of a hit watchpoint as it is. What a user program passed ([`Fields::Raw`]) stays as it is too.
    #[inline(always)]
    pub fn encode_for(&self, flags: ActionFlags) -> [u8; Self::CARRIED] {
        let mut words = self.words();
        let watched = self.signal == Signal::SIGTRAP && self.code == raw::TRAP_HWBKPT as i32;
        let has_address = matches!(self.fields, Fields::Fault { .. } | Fields::Perf { .. });
        if has_address && !watched && !flags.contains(ActionFlags::EXPOSE_TAGBITS) {
            // Bit 55 tells user addresses (TTBR0_EL1) from the kernel's; copied upwards it leaves a kernel address unchanged.
            words[2] &= ((words[2] << 8).cast_signed() >> 8).cast_unsigned();
        }
        zerocopy::transmute!(words)
    }
}

/// Whether Linux knows which fields of the union a signal with this code has.
fn is_known(signal: Signal, code: i32) -> bool {
    if code == raw::SI_KERNEL as i32 {
        return true;
    }
    if code > raw::SI_USER as i32 {
        let last = match signal {
            Signal::SIGILL => raw::NSIGILL,
            Signal::SIGFPE => raw::NSIGFPE,
            Signal::SIGSEGV => raw::NSIGSEGV,
            Signal::SIGBUS => raw::NSIGBUS,
            Signal::SIGTRAP => raw::NSIGTRAP,
            Signal::SIGCHLD => raw::NSIGCHLD,
            Signal::SIGSYS => raw::NSIGSYS,
            _ => raw::NSIGPOLL,
        };
        return code <= last as i32;
    }
    code >= raw::SI_DETHREAD || code == raw::SI_ASYNCNL
}

fn get<const N: usize>(bytes: &[u8; Info::SIZE], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}
