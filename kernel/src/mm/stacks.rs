//! Stacks for threads: heap pages mapped a second time, each in the upper half of an aligned block with nothing below.

use super::layout::{self, PAGE, STACK_SIZE};
use super::tables::{map_stack, unmap_stack};
use crate::percpu::MAX_CPUS;
use alloc::alloc::{Layout, alloc, dealloc};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Threads that can have a stack at once.
const SLOTS: usize = 64;
/// A bit a slot, set while it is used.
static USED: AtomicU64 = AtomicU64::new(0);

const MEMORY: Layout = match Layout::from_size_align(STACK_SIZE, PAGE) {
    Ok(layout) => layout,
    Err(_) => panic!("a stack is whole pages"),
};

/// A stack; its pages go back when it is dropped.
pub struct Stack {
    slot: usize,
    memory: *mut u8,
}

// SAFETY: the pages belong to the value, wherever it is.
unsafe impl Send for Stack {}

impl Stack {
    /// A fresh one. Thread context. None if memory or address space is used up.
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

    /// Its top.
    pub fn top(&self) -> usize {
        bottom(self.slot) + STACK_SIZE
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        unmap_stack(bottom(self.slot));
        // SAFETY: `alloc` gave it for this layout, and the second mapping is gone on all CPUs.
        unsafe { dealloc(self.memory, MEMORY) };
        USED.fetch_and(!(1 << self.slot), Relaxed);
    }
}

const _: () = assert!(SLOTS == u64::BITS as usize);

fn bottom(slot: usize) -> usize {
    layout::STACKS + (MAX_CPUS << layout::CPU_STACKS_SHIFT) + slot * 2 * STACK_SIZE + STACK_SIZE
}
