//! Reading a frame in `rt_sigreturn`.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{
    END_SIZE, ESR_MAGIC, EXTRA_MAGIC, ExtraRecord, FPSIMD_MAGIC, FRAME_SIZE, Fpsimd, FpsimdRecord, Head,
    RECORDS_AT, RECORDS_SIZE, RecordHead, Registers, check_pstate,
};
use crate::{SigSet, Stack};

/// Linux refuses frames larger than this, with the extra records.
const LARGEST_FRAME: u64 = 256 * 1024;

/// What a frame asks for.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The registers. `pstate` has passed [`check_pstate`]; PC and SP are any numbers, which at EL0 at worst fault.
    pub registers: Registers,
    /// The FP and SIMD registers.
    pub fpsimd: Fpsimd,
    /// The mask, without SIGKILL and SIGSTOP.
    pub blocked: SigSet,
    /// For [`crate::AltStack::set`] with the SP of `registers`, whose error is ignored.
    pub alternate: Stack,
}

/// Why a frame is refused: the thread gets SIGSEGV with the address of the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadFrame {
    /// SP is not a multiple of 16.
    Misaligned,
    /// User memory could not be read.
    Unreadable,
    /// The PSTATE is not a user program's.
    Pstate,
    /// A record has an unknown magic or a wrong size, is there twice, or lies where none may be.
    Record,
    /// The FPSIMD record is missing or does not have its size of 528 bytes.
    Fpsimd,
}

/// Reads the frame at `sp`. `read` copies user memory from an address into a slice and says whether it could; it refuses
/// addresses outside user memory, which Linux checks for the whole [`FRAME_SIZE`] at `sp`.
///
/// Reads what the records say, each part once: 592 bytes, then 8 bytes of each record, then 520 of the FPSIMD record. There is no
/// state in which only a part of the frame has been taken over; Linux has taken over what was read before the error.
///
/// # Errors
/// [`BadFrame`]. Nothing is to be changed in the thread but for the SIGSEGV.
pub fn restore(sp: u64, mut read: impl FnMut(u64, &mut [u8]) -> bool) -> Result<Restored, BadFrame> {
    if !sp.is_multiple_of(16) {
        return Err(BadFrame::Misaligned);
    }
    if sp.checked_add(FRAME_SIZE).is_none() {
        return Err(BadFrame::Unreadable);
    }
    let head: Head = fetch(&mut read, sp)?;
    let pstate = check_pstate(head.registers.pstate).map_err(|_| BadFrame::Pstate)?;
    let fpsimd = find_fpsimd(sp, &mut read)?;
    let record: FpsimdRecord = fetch(&mut read, fpsimd)?;
    // Another thread of the program may change the frame between two reads, so the head is checked in the copy that is used.
    if record.head.magic != FPSIMD_MAGIC || record.head.size as usize != size_of::<FpsimdRecord>() {
        return Err(BadFrame::Fpsimd);
    }
    Ok(Restored {
        registers: Registers { pstate, ..head.registers },
        fpsimd: Fpsimd { v: record.v, fpsr: record.fpsr, fpcr: record.fpcr },
        blocked: SigSet(head.mask).blockable(),
        alternate: head.stack,
    })
}

/// Walks over the records of the frame at `sp` to the end record. Returns the address of the FPSIMD record.
fn find_fpsimd(sp: u64, read: &mut impl FnMut(u64, &mut [u8]) -> bool) -> Result<u64, BadFrame> {
    let mut base = sp + RECORDS_AT as u64;
    let mut limit = RECORDS_SIZE;
    let mut offset = 0;
    let mut fpsimd = None;
    let mut in_extra = false;
    // Each turn either returns or moves `offset` by at least 8 bytes towards `limit`, or enters the extra records, once.
    loop {
        if limit - offset < size_of::<RecordHead>() || !offset.is_multiple_of(16) {
            return Err(BadFrame::Record);
        }
        let at = base + offset as u64;
        let head: RecordHead = fetch(read, at)?;
        let size = head.size as usize;
        if limit - offset < size {
            return Err(BadFrame::Record);
        }
        match head.magic {
            0 if size == 0 => return fpsimd.ok_or(BadFrame::Fpsimd),
            FPSIMD_MAGIC if fpsimd.is_none() && size >= size_of::<FpsimdRecord>() => fpsimd = Some(at),
            ESR_MAGIC if size >= size_of::<RecordHead>() => {}
            EXTRA_MAGIC
                if !in_extra && size >= size_of::<ExtraRecord>() && limit - offset - size >= END_SIZE =>
            {
                in_extra = true;
                (base, limit) = enter_extra(sp, at, size as u64, read)?;
                offset = 0;
                continue;
            }
            _ => return Err(BadFrame::Record),
        }
        offset += size;
    }
}

/// The start and the size in bytes of the extra records, which the EXTRA record of `size` bytes at `at` announces.
fn enter_extra(
    sp: u64,
    at: u64,
    size: u64,
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
) -> Result<(u64, usize), BadFrame> {
    let extra: ExtraRecord = fetch(read, at)?;
    let end_record: RecordHead = fetch(read, at + size)?;
    let start = at + size + END_SIZE as u64;
    // `start` lies in the frame, so its distance from `sp` is below `LARGEST_FRAME`.
    let room = LARGEST_FRAME - (start - sp);
    let fits = u64::from(extra.size) <= room && start.checked_add(extra.size.into()).is_some();
    let aligned = start.is_multiple_of(16) && extra.size.is_multiple_of(16);
    if end_record.magic != 0 || end_record.size != 0 || extra.address != start || !aligned || !fits {
        return Err(BadFrame::Record);
    }
    Ok((start, extra.size as usize))
}

fn fetch<T: FromBytes + IntoBytes + Immutable>(
    read: &mut impl FnMut(u64, &mut [u8]) -> bool,
    address: u64,
) -> Result<T, BadFrame> {
    let mut value = T::new_zeroed();
    if read(address, value.as_mut_bytes()) { Ok(value) } else { Err(BadFrame::Unreadable) }
}
