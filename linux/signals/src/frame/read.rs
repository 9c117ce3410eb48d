//! Reading a frame in `rt_sigreturn`.

use core::mem::MaybeUninit;
use zerocopy::{FromBytes, IntoBytes};

use super::{
    CONTEXT_AT, Context, END_SIZE, ESR_MAGIC, EXTRA_MAGIC, ExtraRecord, FPSIMD_HEAD, FPSIMD_MAGIC,
    FRAME_SIZE, Fpsimd, Memory, RECORDS_AT, RECORDS_SIZE, REGISTERS_AT, RecordHead, Registers, check_pstate,
};
use crate::{SigSet, Stack};

/// Linux refuses frames larger than this, with the extra records.
const LARGEST_FRAME: u64 = 256 * 1024;

/// What a frame asks for beside registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Masks {
    /// The mask, without SIGKILL and SIGSTOP.
    pub blocked: SigSet,
    /// For [`crate::AltStack::set`] with the SP of the registers, whose error is ignored.
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

/// The records of a frame as the kernel writes them.
#[derive(FromBytes, IntoBytes)]
#[repr(C)]
struct Records {
    fpsimd: Fpsimd,
    /// The ESR record and the end record, or the end record and two words that mean nothing.
    behind: [u64; 4],
}

/// The first word of the ESR record that the kernel writes.
const ESR_HEAD: u64 = ESR_MAGIC as u64 | 16 << 32;

impl Records {
    /// Whether the frame is one that the kernel could have written: the FPSIMD record, perhaps an ESR record, and the end.
    fn are_usual(&self) -> bool {
        self.fpsimd.head == FPSIMD_HEAD
            && (self.behind[0] == 0 || (self.behind[0] == ESR_HEAD && self.behind[2] == 0))
    }
}

/// Reads the frame at `sp`. `fpsimd` is given the FPSIMD record when everything else has been read.
///
/// The general registers are read last, right into `registers`. PSTATE there has passed [`check_pstate`]; PC and SP are any numbers, which
/// at EL0 at worst fault. Another thread of the program may change the frame at any moment; what was checked is what is used.
///
/// # Errors
/// [`BadFrame`]. The thread gets SIGSEGV. PSTATE in `registers` is as before; the other registers may have been taken over in part, as in
/// Linux, if they could not be read whole.
#[inline(always)]
pub fn restore(
    sp: u64,
    registers: &mut Registers,
    memory: &mut impl Memory,
    fpsimd: impl FnOnce(&Fpsimd),
) -> Result<Masks, BadFrame> {
    if !sp.is_multiple_of(16) {
        return Err(BadFrame::Misaligned);
    }
    if sp.checked_add(FRAME_SIZE).is_none() {
        return Err(BadFrame::Unreadable);
    }
    let mut place = MaybeUninit::uninit();
    let context: Context = *memory.read_into(sp + CONTEXT_AT, &mut place).ok_or(BadFrame::Unreadable)?;
    let mut place = MaybeUninit::uninit();
    let found;
    let record = match memory.read_into::<Records>(sp + RECORDS_AT as u64, &mut place) {
        Some(records) if records.are_usual() => &records.fpsimd,
        _ => {
            found = find_fpsimd(sp, memory)?;
            &found
        }
    };
    let before = registers.pstate;
    let readable = memory.read(sp + REGISTERS_AT, registers.as_mut_bytes());
    let pstate = check_pstate(core::mem::replace(&mut registers.pstate, before));
    if !readable {
        return Err(BadFrame::Unreadable);
    }
    registers.pstate = pstate.map_err(|_| BadFrame::Pstate)?;
    fpsimd(record);
    Ok(Masks { blocked: SigSet(context.mask).blockable(), alternate: context.stack })
}

/// Walks over the records of the frame at `sp` to the end record. Returns the FPSIMD record.
#[cold]
#[inline(never)]
fn find_fpsimd(sp: u64, memory: &mut impl Memory) -> Result<Fpsimd, BadFrame> {
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
        let head: RecordHead = fetch(memory, at)?;
        let size = head.size as usize;
        if limit - offset < size {
            return Err(BadFrame::Record);
        }
        match head.magic {
            0 if size == 0 => break,
            FPSIMD_MAGIC if fpsimd.is_none() && size >= size_of::<Fpsimd>() => fpsimd = Some(at),
            ESR_MAGIC if size >= size_of::<RecordHead>() => {}
            EXTRA_MAGIC
                if !in_extra && size >= size_of::<ExtraRecord>() && limit - offset - size >= END_SIZE =>
            {
                in_extra = true;
                (base, limit) = enter_extra(sp, at, size as u64, memory)?;
                offset = 0;
                continue;
            }
            _ => return Err(BadFrame::Record),
        }
        offset += size;
    }
    let record: Fpsimd = fetch(memory, fpsimd.ok_or(BadFrame::Fpsimd)?)?;
    // The record may have changed between two reads.
    if record.head == FPSIMD_HEAD { Ok(record) } else { Err(BadFrame::Fpsimd) }
}

/// The start and the size in bytes of the extra records, which the EXTRA record of `size` bytes at `at` announces.
fn enter_extra(sp: u64, at: u64, size: u64, memory: &mut impl Memory) -> Result<(u64, usize), BadFrame> {
    let extra: ExtraRecord = fetch(memory, at)?;
    let end_record: RecordHead = fetch(memory, at + size)?;
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

fn fetch<T: FromBytes + IntoBytes>(memory: &mut impl Memory, from: u64) -> Result<T, BadFrame> {
    let mut value = T::new_zeroed();
    if memory.read(from, value.as_mut_bytes()) { Ok(value) } else { Err(BadFrame::Unreadable) }
}
