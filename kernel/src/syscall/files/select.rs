//! pselect6.

use super::arguments::file;
use super::readiness::{Timeout, block, unblock};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{MOST, OpenFile};
use crate::task::{Task, user};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

const WORDS: usize = MOST / 64;

/// Which events of poll each of the three sets stands for.
const SETS: [u32; 3] = [
    raw::POLLRDNORM | raw::POLLRDBAND | raw::POLLIN | raw::POLLHUP | raw::POLLERR,
    raw::POLLWRBAND | raw::POLLWRNORM | raw::POLLOUT | raw::POLLERR,
    raw::POLLPRI,
];

type Set = [u64; WORDS];

fn has(set: &Set, number: usize) -> bool {
    set[number / 64] >> (number % 64) & 1 != 0
}

/// pselect6
pub fn pselect6(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [count, in_set, out_set, except_set, timeout, mask, ..] = frame.x;
    if (count as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let timeout = Timeout::new(timeout)?;
    let count = (count as u32 as usize).min(MOST);
    let words = count.div_ceil(64);
    let addresses = [in_set, out_set, except_set];
    let mut wanted: [Set; 3] = [[0; WORDS]; 3];
    for (set, &address) in wanted.iter_mut().zip(&addresses) {
        if address != 0 {
            for (index, word) in set[..words].iter_mut().enumerate() {
                *word = user::get(address.wrapping_add(8 * index as u64))?;
            }
        }
    }
    let mut files: Vec<(usize, Arc<OpenFile>)> = Vec::new();
    for number in (0..count).filter(|&number| wanted.iter().any(|set| has(set, number))) {
        files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        files.push((number, file(task, number as u64)?));
    }
    if mask != 0 {
        // A sixth argument had no room for the size: the two are in memory.
        let [set, size] = user::get::<[u64; 2]>(mask)?;
        block(task, set, size)?;
    }
    let mut found: [Set; 3] = [[0; WORDS]; 3];
    let total = timeout.wait(|| look(&files, &wanted, &mut found));
    unblock(task, &total);
    let total = total?;
    for (set, &address) in found.iter().zip(&addresses) {
        if address != 0 {
            for (index, word) in set[..words].iter().enumerate() {
                user::put(address.wrapping_add(8 * index as u64), *word)?;
            }
        }
    }
    Ok(total)
}

/// Sets the bits of what is ready, and returns how many there are.
fn look(files: &[(usize, Arc<OpenFile>)], wanted: &[Set; 3], found: &mut [Set; 3]) -> u64 {
    *found = [[0; WORDS]; 3];
    let mut total = 0;
    for (number, file) in files {
        let ready = file.readiness();
        for ((set, wanted), events) in found.iter_mut().zip(wanted).zip(SETS) {
            if ready & events != 0 && has(wanted, *number) {
                set[number / 64] |= 1 << (number % 64);
                total += 1;
            }
        }
    }
    total
}
