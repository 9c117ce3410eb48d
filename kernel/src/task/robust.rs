//! The list of robust futexes: locks in user memory whose waiters learn that the owner has ended.

use super::futex::wake;
use super::{Task, user};
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;

/// The most entries of a list of robust futexes that are looked at: Linux's ROBUST_LIST_LIMIT.
const ROBUST_MOST: usize = 2048;

/// Tells those that wait for robust locks of the task, which ends or leaves its address space, that their owner has died.
pub(super) fn leave_robust_list(task: &Task) {
    let head = task.robust_list.swap(0, Relaxed);
    if head == 0 {
        return;
    }
    // struct robust_list_head: the first entry, the distance from an entry to its word, and an entry that is being added or removed.
    let Ok([first, distance, pending]) = user::get::<[u64; 3]>(head) else { return };
    let mut entry = first;
    for _ in 0..ROBUST_MOST {
        if entry & !1 == head {
            break;
        }
        let next = user::get::<u64>(entry & !1);
        if entry != pending {
            owner_died(task, (entry & !1).wrapping_add(distance));
        }
        let Ok(next) = next else { return };
        entry = next;
    }
    if pending & !1 != 0 {
        owner_died(task, (pending & !1).wrapping_add(distance));
    }
}

/// Marks a word, if it is the task's.
fn owner_died(task: &Task, address: u64) {
    let Ok(value) = user::load_word(address) else { return };
    if !address.is_multiple_of(4) || value & raw::FUTEX_TID_MASK != task.tid() {
        return;
    }
    // The owner is gone, so that only waiters change the word, and these only set FUTEX_WAITERS before they sleep.
    if user::put(address, value & raw::FUTEX_WAITERS | raw::FUTEX_OWNER_DIED).is_ok() {
        wake(task, address, 1, u32::MAX, false);
        wake(task, address, 1, u32::MAX, true);
    }
}
