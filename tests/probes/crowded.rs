//! Many probes on one function.

use crate::address_of;
use crate::failed;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Outcome, everywhere};
use harness::{check, check_eq};
use kernel::arch::uaccess;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, ProbeError, Then, Wanted};

/// How many instructions of [`long`] can be probed. All are different; half of them run out of line, half are simulated.
const INSTRUCTIONS: u64 = 320;
const PROBES: u64 = 256;
/// How many probes are placed one by one, and how many are removed one by one. The others are placed and removed together.
const APART: u64 = 16;

specimen! {
    /// Adds 0 + 1 + ... + 159 to `n`. Each ADD is followed by an ADR.
    fn long(n: u64) -> u64 {
        ".set stepwell_crowded, 0",
        ".rept 160",
        ".inst 0x91000000 | (stepwell_crowded << 10)", // add x0, x0, #n
        ".inst 0x10000001 | (stepwell_crowded << 5)",  // adr x1, . + 4 * n
        ".set stepwell_crowded, stepwell_crowded + 1",
        ".endr",
        "ret"
    }
}

const SUM: u64 = 159 * 160 / 2;

static SEEN: [AtomicU64; PROBES as usize] = [const { AtomicU64::new(0) }; PROBES as usize];
static POSTS: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

fn number(probe: &Kprobe) -> usize {
    ((probe.address - address_of!(long)) / 4) as usize
}

fn pre(probe: &Kprobe, frame: &mut DebugFrame) -> Then {
    WRONG.fetch_add(u64::from(frame.pc != probe.address), Relaxed);
    match SEEN.get(number(probe)) {
        Some(seen) => seen.fetch_add(1, Relaxed),
        None => WRONG.fetch_add(1, Relaxed),
    };
    Then::Run
}

fn post(probe: &Kprobe, frame: &mut DebugFrame) {
    POSTS.fetch_add(1, Relaxed);
    WRONG.fetch_add(u64::from(frame.pc != probe.address + 4), Relaxed);
}

pub fn two_hundred_and_fifty_six_probes_on_one_function() -> Outcome {
    let start = address_of!(long);
    let text =
        || -> Vec<u32> { (0..=INSTRUCTIONS).filter_map(|n| uaccess::read_u32(start + 4 * n).ok()).collect() };
    let before = text();
    let mut different: Vec<_> = (0..=INSTRUCTIONS).filter_map(|n| kprobe::original(start + 4 * n)).collect();
    different.sort_unstable();
    different.dedup();
    check_eq!(different.len() as u64, INSTRUCTIONS + 1);
    check_eq!(long(0), SUM);
    SEEN.iter().chain([&POSTS, &WRONG]).for_each(|counter| counter.store(0, Relaxed));
    let wanted = |n| Wanted { pre: Some(pre), post: Some(post), ..Wanted::at(start + 4 * n) };
    let mut probes = kprobe::register_all((APART..PROBES).map(wanted)).map_err(failed)?;
    for n in 0..APART {
        probes.push(kprobe::register(start + 4 * n, Some(pre), Some(post)).map_err(failed)?);
    }
    let listed = everywhere::others() as u64;
    for call in 1..=3 {
        check_eq!(long(call), call + SUM);
        let seen = SEEN.iter().filter(|seen| seen.load(Relaxed) == call).count() as u64;
        check_eq!(
            (seen, POSTS.load(Relaxed), WRONG.load(Relaxed)),
            (PROBES, PROBES * call, 0),
            "call {call}"
        );
    }
    let with_probes = text();
    // Removes from both halves in turn, which is neither the order in which they were placed nor its reverse.
    for n in (0..APART).map(|n| n * 129 % PROBES) {
        check_eq!(kprobe::unregister(start + 4 * n), Ok((3, 0)), "probe {n}");
        probes.retain(|probe| probe.address != start + 4 * n);
    }
    check_eq!(probes.len() as u64, PROBES - APART);
    check!(kprobe::remove_all(&probes).iter().all(|counts| *counts == (3, 0)));
    check_eq!(listed, PROBES);
    check_eq!(
        with_probes[..PROBES as usize]
            .iter()
            .take_while(|&&word| word == probe::ool::brk(probe::ool::KPROBE))
            .count() as u64,
        PROBES
    );
    check_eq!(everywhere::others(), 0);
    check_eq!(text(), before, "the text is as it was");
    check_eq!(long(5), 5 + SUM);
    check_eq!(POSTS.load(Relaxed), 3 * PROBES, "no probe is hit any more");
    Ok(())
}

/// All of these probes or none: the last place is wrong, when the others are placed already.
pub fn one_wrong_place_among_many_leaves_no_probe() -> Outcome {
    let start = address_of!(long);
    let before: Vec<_> = (0..4).map(|n| uaccess::read_u32(start + 4 * n)).collect();
    let all = (0..3).map(|n| start + 4 * n).chain([start + 14]);
    let refused = kprobe::register_all(all.map(Wanted::at)).map(|probes| probes.len());
    check_eq!(refused, Err(ProbeError::Unaligned(start + 14)));
    check_eq!(everywhere::others(), 0);
    check_eq!((0..4).map(|n| uaccess::read_u32(start + 4 * n)).collect::<Vec<_>>(), before);
    check_eq!(long(1), 1 + SUM);
    Ok(())
}
