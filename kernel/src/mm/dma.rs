//! Memory that devices read and write: parts of the heap, which the linear map has at fixed physical addresses. Devices see memory as the
//! CPUs do: the virtio devices of a virtual machine are coherent.

use super::layout::PAGE;
use super::physical;
use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::ptr::NonNull;
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// The heap as devices' memory.
pub struct HeapDma;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE, PAGE).expect("a few pages have a layout")
}

// SAFETY: `alloc_zeroed` gives memory of its own, which is aligned and zeroed; the heap lies in the linear map, so memory that is contiguous
// there is so physically too.
unsafe impl Hal for HeapDma {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: nobody asks for 0 pages.
        match NonNull::new(unsafe { alloc_zeroed(layout(pages)) }) {
            Some(memory) => (physical(memory.addr().get()) as PhysAddr, memory),
            // No memory lies at physical address 0 of the heap, so that 0 says that there is none.
            None => (0, NonNull::dangling()),
        }
    }

    unsafe fn dma_dealloc(_: PhysAddr, memory: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: the caller got the memory from `dma_alloc` with this number of pages.
        unsafe { dealloc(memory.as_ptr(), layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("only the PCI transport asks for this")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        physical(buffer.cast::<u8>().addr().get()) as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
