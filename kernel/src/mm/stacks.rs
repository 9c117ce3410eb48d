//! Stacks for threads: heap pages mapped a second time, each in the upper half of an aligned block whose lower half is unmapped.

use super::layout::{self, PAGE, STACK_SIZE};
use super::tables::{map_stack, unmap_stack};
use crate::percpu::MAX_CPUS;
use alloc::alloc::{Layout, alloc, dealloc};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many threads can have a stack at the same time.
const SLOTS: usize = 64;
/// One bit for each slot, set while the slot is used.
static USED: AtomicU64 = AtomicU64::new(0);

const MEMORY: Layout = match Layout::from_size_align(STACK_SIZE, PAGE) {
    Ok(layout) => layout,
    Err(_) => panic!("a stack is whole pages"),
};

/// A stack. Dropping it unmaps the stack and frees its pages.
pub struct Stack {
    slot: usize,
    memory: *mut u8,
}

// SAFETY: the pages belong to the value, whichever CPU drops it.
unsafe impl Send for Stack {}

impl Stack {
    /// A new stack; None if memory or slots are used up. Thread context.
    pub fn new() -> Option<Self> {
        let slot = USED
            .fetch_update(Relaxed, Relaxed, |used| {
                (used != u64::MAX).then(|| used | 1 << used.trailing_ones())
            })
            .ok()?
            .trailing_ones() as usize;
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc(MEMORY) };
        if memory.is_null() {
            USED.fetch_and(!(1 << slot), Relaxed);
            return None;
        }
        map_stack(bottom(slot), memory as usize - layout::LINEAR);
        Some(Self { slot, memory })
    }

    /// The first address past the stack, where SP starts.
    pub fn top(&self) -> usize {
        bottom(self.slot) + STACK_SIZE
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        unmap_stack(bottom(self.slot));
        // SAFETY: `alloc` has returned `memory` for this layout, and the second mapping is gone on all CPUs.
        unsafe { dealloc(self.memory, MEMORY) };
        USED.fetch_and(!(1 << self.slot), Relaxed);
    }
}

const _: () = assert!(SLOTS == u64::BITS as usize);

fn bottom(slot: usize) -> usize {
    layout::STACKS + (MAX_CPUS << layout::CPU_STACKS_SHIFT) + slot * 2 * STACK_SIZE + STACK_SIZE
}
