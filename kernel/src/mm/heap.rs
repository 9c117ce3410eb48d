//! The heap. Debug and NMI context may not use it: they may have interrupted the holder of its lock.

use crate::sync::IrqMutex;
use core::alloc::{GlobalAlloc, Layout};
use core::ops::Range;
use core::ptr::{self, NonNull};
use linked_list_allocator::Heap;

struct KernelHeap(IrqMutex<Heap>);

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(IrqMutex::new(Heap::empty()));

/// The heap gets this part of the free RAM; programs and files get the rest.
const SHARE: usize = 4;

/// Gives the heap and the pool of pages their memory, ranges of physical addresses. The heap lies in `physical`, and `others` come behind
/// it. Called once, at boot.
pub fn init(physical: Range<usize>, others: impl Iterator<Item = Range<usize>> + Clone) {
    let free = physical.len() + others.clone().map(|range| range.len()).sum::<usize>();
    let heap = (free / SHARE).min(physical.len() / 2) & !(super::layout::PAGE - 1);
    let heap = physical.start..physical.start + heap;
    super::pages::init(core::iter::once(heap.end..physical.end).chain(others));
    let physical = heap;
    let start = super::linear(physical.start) as *mut u8;
    // SAFETY: the range is RAM that nobody else uses, it stays mapped read-write, and it is given to the heap once.
    unsafe { HEAP.0.lock().init(start, physical.len()) }
}

/// Whether so little of the heap is left that only what exists already should get more of it: most of the kernel's own allocations cannot
/// fail. Thread and interrupt context.
pub fn is_low() -> bool {
    let heap = HEAP.0.lock();
    heap.free() < heap.size() / 8
}

// SAFETY: the heap behind the lock hands out disjoint memory of the requested layout.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller got `pointer` from `alloc` with this layout.
            unsafe { self.0.lock().deallocate(pointer, layout) }
        }
    }
}
