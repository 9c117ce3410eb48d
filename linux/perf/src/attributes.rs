//! `struct perf_event_attr`.

use crate::error::Error;
use crate::read::format_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The structure as of Linux 6.1 (PERF_ATTR_SIZE_VER7 and `sig_data`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Raw {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    bp_addr: u64,
    bp_len: u64,
    branch_sample_type: u64,
    sample_regs_user: u64,
    sample_stack_user: u32,
    clockid: i32,
    sample_regs_intr: u64,
    aux_watermark: u32,
    sample_max_stack: u16,
    reserved_2: u16,
    aux_sample_size: u32,
    reserved_3: u32,
    sig_data: u64,
}

const PERF_TYPE_BREAKPOINT: u32 = 5;
const R: u32 = 1;
const W: u32 = 2;
const X: u32 = 4;

const DISABLED: u64 = 1 << 0;
const INHERIT: u64 = 1 << 1;
const PINNED: u64 = 1 << 2;
const EXCLUDE_USER: u64 = 1 << 4;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HV: u64 = 1 << 6;
const FREQ: u64 = 1 << 10;
const ENABLE_ON_EXEC: u64 = 1 << 12;
const PRECISE_IP: u64 = 3 << 15;
const SAMPLE_ID_ALL: u64 = 1 << 18;
const EXCLUDE_GUEST: u64 = 1 << 20;
const INHERIT_THREAD: u64 = 1 << 35;
const REMOVE_ON_EXEC: u64 = 1 << 36;
const SIGTRAP: u64 = 1 << 37;
/// The flags that change nothing here, or that are done.
const KNOWN: u64 = DISABLED
    | INHERIT
    | PINNED
    | EXCLUDE_USER
    | EXCLUDE_KERNEL
    | EXCLUDE_HV
    | ENABLE_ON_EXEC
    | PRECISE_IP
    | SAMPLE_ID_ALL
    | EXCLUDE_GUEST
    | INHERIT_THREAD
    | REMOVE_ON_EXEC
    | SIGTRAP;

/// The sizes that the structure has had: from PERF_ATTR_SIZE_VER0 on.
const SMALLEST: usize = 64;

/// The accesses that are watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as the names say")]
pub enum Access {
    Read,
    Write,
    ReadWrite,
    Execute,
}

/// What is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    /// The accesses.
    pub access: Access,
    /// The address of the first byte.
    pub address: u64,
    /// How many bytes: 1 to 8 in one doubleword; 4 for an instruction.
    pub length: u64,
}

/// What the attributes ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What is watched.
    pub watch: Watch,
    /// Begins disabled.
    pub disabled: bool,
    /// New threads have the event too; new processes only without `inherit_thread`.
    pub inherit: bool,
    /// As `inherit`, but only threads of the process.
    pub inherit_thread: bool,
    /// Enabled by `execve`.
    pub enable_on_exec: bool,
    /// Removed by `execve`.
    pub remove_on_exec: bool,
    /// Each overflow is a SIGTRAP (TRAP_PERF) of the thread that has hit.
    pub sigtrap: bool,
    /// After how many hits there is an overflow; 0 for never.
    pub period: u64,
    /// What the signal carries.
    pub sig_data: u64,
    /// What a read returns ([`format_of`]).
    pub read_format: u64,
    /// All fields as they were given, for [`modified`](Self::modified).
    given: Raw,
}

impl Attributes {
    /// How many bytes of the structure are to be read, by its field `size`; the structure's later bytes, up to `size`, must be 0.
    ///
    /// # Errors
    /// E2BIG for a size that the structure never had; the caller then writes [`Attributes::SIZE`] into the field.
    pub fn size_of(size: u32) -> Result<usize, Error> {
        match size as usize {
            0 => Ok(SMALLEST),
            size if (SMALLEST..=4096).contains(&size) => Ok(size),
            _ => Err(Error::E2BIG),
        }
    }

    /// The size of the structure that is known here.
    pub const SIZE: usize = size_of::<Raw>();

    /// What attributes ask for. `bytes` has as many bytes as [`size_of`](Self::size_of) says.
    ///
    /// # Errors
    /// E2BIG if bytes that are not known here are not 0; ENOENT for other types than PERF_TYPE_BREAKPOINT; EINVAL, EOPNOTSUPP for what
    /// cannot be had.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut whole = [0; size_of::<Raw>()];
        let known = bytes.len().min(whole.len());
        whole[..known].copy_from_slice(&bytes[..known]);
        if bytes[known..].iter().any(|&byte| byte != 0) {
            return Err(Error::E2BIG);
        }
        let mut raw = Raw::read_from_bytes(&whole).map_err(|_| Error::EINVAL)?;
        // A size of 0 stands for that of the first version.
        raw.size = known as u32;
        if raw.kind != PERF_TYPE_BREAKPOINT {
            return Err(Error::ENOENT);
        }
        let has = |flag| raw.flags & flag != 0;
        let invalid = (raw.flags & !KNOWN != 0 && !has(FREQ))
            || has(FREQ)
            || raw.reserved_2 != 0
            || raw.reserved_3 != 0
            || (has(SIGTRAP) && !has(REMOVE_ON_EXEC))
            || (has(REMOVE_ON_EXEC) && has(ENABLE_ON_EXEC))
            || (has(INHERIT_THREAD) && !has(INHERIT))
            || raw.sample_period >> 63 != 0;
        if invalid {
            return Err(Error::EINVAL);
        }
        // There is no ring buffer to put samples into.
        if raw.sample_type != 0 && !has(SIGTRAP) {
            return Err(Error::EOPNOTSUPP);
        }
        format_of(raw.read_format)?;
        Ok(Self {
            watch: Watch::parse(raw.bp_type, raw.bp_addr, raw.bp_len)?,
            disabled: has(DISABLED),
            inherit: has(INHERIT),
            inherit_thread: has(INHERIT_THREAD),
            enable_on_exec: has(ENABLE_ON_EXEC),
            remove_on_exec: has(REMOVE_ON_EXEC),
            sigtrap: has(SIGTRAP),
            period: raw.sample_period,
            sig_data: raw.sig_data,
            read_format: raw.read_format,
            given: raw,
        })
    }

    /// What an event with these attributes becomes by PERF_EVENT_IOC_MODIFY_ATTRIBUTES: what it watches, whether it is disabled, and what
    /// its signals carry may change.
    ///
    /// # Errors
    /// EINVAL if any other field differs.
    pub fn modified(&self, new: &Self) -> Result<Self, Error> {
        let Raw { bp_type, bp_addr, bp_len, sig_data, flags, .. } = new.given;
        let flags = self.given.flags & !DISABLED | flags & DISABLED;
        let same = Raw { bp_type, bp_addr, bp_len, sig_data, flags, ..self.given } == new.given;
        if same { Ok(*new) } else { Err(Error::EINVAL) }
    }
}

impl Watch {
    fn parse(kind: u32, address: u64, length: u64) -> Result<Self, Error> {
        let access = match kind {
            R => Access::Read,
            W => Access::Write,
            kind if kind == R | W => Access::ReadWrite,
            X => Access::Execute,
            _ => return Err(Error::EINVAL),
        };
        if access == Access::Execute {
            // Linux takes any length here, because tools pass the size of a `long`, and watches one instruction.
            let right = (1..=8).contains(&length) && address.is_multiple_of(4);
            return if right { Ok(Self { access, address, length: 4 }) } else { Err(Error::EINVAL) };
        }
        let right = (1..=8).contains(&length) && address % 8 + length <= 8;
        if right { Ok(Self { access, address, length }) } else { Err(Error::EINVAL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(change: impl FnOnce(&mut Raw)) -> [u8; Attributes::SIZE] {
        let mut raw = Raw::read_from_bytes(&[0; Attributes::SIZE]).unwrap();
        (raw.kind, raw.size) = (PERF_TYPE_BREAKPOINT, Attributes::SIZE as u32);
        (raw.bp_type, raw.bp_addr, raw.bp_len) = (R | W, 0x1000, 8);
        change(&mut raw);
        raw.as_bytes().try_into().unwrap()
    }

    fn parse(change: impl FnOnce(&mut Raw)) -> Result<Attributes, Error> {
        Attributes::parse(&raw(change))
    }

    #[test]
    fn the_layout_is_that_of_the_header() {
        use core::mem::offset_of;
        assert_eq!(Attributes::SIZE, 128);
        assert_eq!(
            [
                offset_of!(Raw, flags),
                offset_of!(Raw, bp_type),
                offset_of!(Raw, bp_addr),
                offset_of!(Raw, bp_len),
                offset_of!(Raw, clockid),
                offset_of!(Raw, sample_max_stack),
                offset_of!(Raw, aux_sample_size),
                offset_of!(Raw, sig_data)
            ],
            [40, 52, 56, 64, 92, 108, 112, 120]
        );
    }

    #[test]
    fn what_was_asked_for_is_returned() {
        let asked = parse(|raw| {
            raw.flags = DISABLED | INHERIT | SIGTRAP | REMOVE_ON_EXEC;
            (raw.sample_period, raw.sig_data, raw.read_format) = (3, 0xabc, 1);
            (raw.bp_type, raw.bp_addr, raw.bp_len) = (W, 0x2004, 4);
        });
        let watch = Watch { access: Access::Write, address: 0x2004, length: 4 };
        assert_eq!(
            asked,
            Ok(Attributes {
                watch,
                disabled: true,
                inherit: true,
                inherit_thread: false,
                enable_on_exec: false,
                remove_on_exec: true,
                sigtrap: true,
                period: 3,
                sig_data: 0xabc,
                read_format: 1,
                given: asked.unwrap().given,
            })
        );
    }

    #[test]
    fn an_event_is_moved_and_else_stays_what_it_is() {
        let old = parse(|raw| (raw.flags, raw.sample_period) = (DISABLED | PINNED, 1)).unwrap();
        let new = parse(|raw| {
            (raw.flags, raw.sample_period, raw.sig_data) = (PINNED, 1, 7);
            (raw.bp_type, raw.bp_addr, raw.bp_len) = (X, 0x3000, 4);
        });
        assert_eq!(old.modified(&new.unwrap()), new);
        assert_eq!(new.unwrap().modified(&old), Ok(old));
        let refused: [fn(&mut Raw); 4] = [
            |raw| raw.sample_period = 2,
            |raw| raw.flags = DISABLED,
            |raw| raw.read_format = 1,
            |raw| raw.wakeup_events = 1,
        ];
        for (number, change) in refused.into_iter().enumerate() {
            let new = parse(|raw| {
                (raw.flags, raw.sample_period) = (DISABLED | PINNED, 1);
                change(raw);
            });
            assert_eq!(old.modified(&new.unwrap()), Err(Error::EINVAL), "number {number}");
        }
    }

    #[test]
    fn an_older_and_shorter_structure_has_zeros_behind_its_end() {
        let bytes = raw(|raw| raw.sig_data = 5);
        assert_eq!(Attributes::size_of(72), Ok(72));
        assert_eq!(Attributes::parse(&bytes[..72]).map(|asked| asked.sig_data), Ok(0));
        assert_eq!(Attributes::size_of(0), Ok(64));
        assert_eq!(Attributes::size_of(63), Err(Error::E2BIG));
        assert_eq!(Attributes::size_of(4097), Err(Error::E2BIG));
    }

    #[test]
    fn a_newer_and_longer_structure_may_only_have_zeros_there() {
        let mut bytes = [0; 136];
        bytes[..128].copy_from_slice(&raw(|_| ()));
        assert!(Attributes::parse(&bytes).is_ok());
        bytes[135] = 1;
        assert_eq!(Attributes::parse(&bytes), Err(Error::E2BIG));
    }

    #[test]
    fn a_watch_lies_in_one_doubleword() {
        for length in 1..=8 {
            for offset in 0..8 {
                let fits = offset + length <= 8;
                let asked = parse(|raw| (raw.bp_addr, raw.bp_len) = (0x1000 + offset, length));
                assert_eq!(asked.is_ok(), fits, "{length} bytes at {offset}");
            }
        }
        for length in [0, 9, u64::MAX] {
            assert_eq!(parse(|raw| raw.bp_len = length), Err(Error::EINVAL));
        }
    }

    #[test]
    fn an_instruction_is_four_bytes_whatever_the_length_says() {
        let asked = parse(|raw| (raw.bp_type, raw.bp_len) = (X, 8));
        assert_eq!(asked.map(|asked| asked.watch.length), Ok(4));
        assert_eq!(parse(|raw| (raw.bp_type, raw.bp_addr) = (X, 0x1002)), Err(Error::EINVAL));
        assert_eq!(parse(|raw| raw.bp_type = X | R), Err(Error::EINVAL));
        assert_eq!(parse(|raw| raw.bp_type = 0), Err(Error::EINVAL));
    }

    #[test]
    fn what_linux_refuses_is_refused() {
        let refused: [fn(&mut Raw); 8] = [
            |raw| raw.flags = SIGTRAP,
            |raw| raw.flags = REMOVE_ON_EXEC | ENABLE_ON_EXEC,
            |raw| raw.flags = INHERIT_THREAD,
            |raw| raw.flags = FREQ,
            |raw| raw.flags = 1 << 63,
            |raw| raw.sample_period = 1 << 63,
            |raw| raw.reserved_2 = 1,
            |raw| raw.read_format = 8,
        ];
        for (number, change) in refused.into_iter().enumerate() {
            assert_eq!(parse(change), Err(Error::EINVAL), "number {number}");
        }
        assert_eq!(parse(|raw| raw.kind = 0), Err(Error::ENOENT));
        assert_eq!(parse(|raw| raw.sample_type = 1), Err(Error::EOPNOTSUPP));
    }
}
