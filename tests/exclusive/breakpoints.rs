//! Breakpoints inside of exclusive sequences, on their load-exclusive, and around them.

use super::{breakpoint, code, remove};
use ::slots::{Cpus, Privilege, Request, SlotError};
use alloc::vec::Vec;
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::slots::{self, Disposition};
use kernel::mm::layout;

/// Tries a breakpoint on each of the first `count` instructions of a function. Returns the offsets at which it is refused.
fn refused(function: u64, count: u64) -> Result<Vec<u64>, harness::ktest::Ended> {
    let mut refused = Vec::new();
    for offset in (0..count).map(|n| n * 4) {
        match breakpoint(function + offset) {
            Ok(id) => drop(remove(id)?),
            Err(SlotError::ExclusiveSequence { address }) if address == function + offset => {
                refused.push(offset)
            }
            Err(error) => return Err(crate::failed(error)),
        }
    }
    Ok(refused)
}

pub fn no_breakpoint_inside_a_sequence() -> Outcome {
    check_eq!(refused(code::add as *const () as u64, 7)?, [8, 12], "add and stxr");
    check_eq!(refused(code::compare_exchange as *const () as u64, 11)?, [4, 8, 12], "up to stlxr, not clrex");
    check_eq!(refused(code::add_below as *const () as u64, 10)?, [4, 8, 12, 16]);
    check_eq!(refused(code::add_pair as *const () as u64, 6)?, [4, 8, 12]);
    check_eq!(refused(code::wait_and_take as *const () as u64, 6)?, [8, 12]);
    check_eq!(refused(code::load_only as *const () as u64, 4)?, [0u64; 0]);
    check_eq!(refused(kernel::time::account as *const () as u64, 4)?, [0u64; 0], "no sequence");
    // A probe in front of the sequence does not hide the sequence.
    let at = code::add as *const () as u64;
    kernel::kprobe::register(at, None, None).map_err(crate::failed)?;
    let with_probe = refused(at, 7)?;
    kernel::kprobe::unregister(at).map_err(crate::failed)?;
    check_eq!(with_probe, [8, 12]);
    Ok(())
}

/// Overrides the refusal, to show its reason: with a breakpoint inside the sequence no attempt succeeds.
pub fn what_is_refused_would_never_end() -> Outcome {
    let at = code::add_or_give_up as *const () as u64 + 8;
    let request = Request::Breakpoint { address: at, privilege: Privilege::El1 };
    check!(slots::install(&request, Cpus::ALL, Disposition::Count).is_err());
    let id =
        slots::install_despite_no_probe(&request, Cpus::ALL, Disposition::Count).map_err(crate::failed)?;
    let mut value = 0;
    let left = code::add_or_give_up(&raw mut value);
    let hits = remove(id)?;
    check_eq!((left, value, hits), (0, 0, 100), "each attempt failed");
    check_eq!(code::add_or_give_up(&raw mut value), 100);
    Ok(())
}

pub fn a_breakpoint_on_the_load_counts_attempts() -> Outcome {
    let add = code::add as *const () as u64;
    let ids = [add, add + code::ADD_LOAD, add + code::ADD_PAST - 4, add + code::ADD_PAST].map(breakpoint);
    let mut value = 7;
    let sum: u64 = (0..100).map(|_| code::add(&raw mut value, 3)).sum();
    let mut hits = Vec::new();
    for id in ids {
        hits.push(remove(id.map_err(crate::failed)?)?);
    }
    check_eq!((value, sum), (307, (0..100).map(|n| 7 + 3 * n).sum::<u64>()));
    // The branch that tests the status of STXR belongs to the sequence, which is one step, so the breakpoint on it is not hit.
    check_eq!(hits, [100, 100, 0, 100]);
    Ok(())
}

/// The boot takes the exclusives from the list in the image: each of them is there, and nothing else.
pub fn the_image_lists_the_exclusives_of_its_text() -> Outcome {
    let listed = kernel::debug::exclusive::listed();
    check!(listed.is_some(), "the list has no room for all exclusives: LISTED_ROOM");
    let (start, end) = (layout::text_start(), layout::text_end());
    // SAFETY: the kernel's text is mapped readable. Probes and breakpoints of other tests are gone.
    let text = unsafe { core::slice::from_raw_parts(start as *const u64, (end - start) / 8) };
    let (mut listed, mut missing) = (listed.unwrap_or_default().iter(), None);
    probe::exclusives(text, |index| {
        if listed.next() != Some(&(index as u32)) {
            missing.get_or_insert(start + 4 * index);
        }
    });
    check_eq!((missing, listed.next()), (None, None), "not in the list, and not in the text");
    Ok(())
}
