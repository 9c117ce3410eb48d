//! Memory: address space, translation tables, physical pages, heap, and how text is written.

pub mod dma;
pub mod fault;
mod frames;
mod heap;
pub mod layout;
pub mod pages;
pub mod patch;
pub mod stacks;
mod tables;

pub use heap::{init as init_heap, is_low as heap_is_low};
pub use tables::{build, drop_identity_map, map_device};

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// `virtual - physical` of the image. Set once, by `build`.
static IMAGE_OFFSET: AtomicUsize = AtomicUsize::new(0);

/// Physical address and size of the pages for copies of probed instructions. Set once, by `build`.
static COPIES: (AtomicUsize, AtomicUsize) = (AtomicUsize::new(0), AtomicUsize::new(0));

fn copies_size() -> usize {
    COPIES.1.load(Relaxed)
}

/// The physical address of kernel text, in the image or in a copy; None for any other address.
fn text_physical(address: usize) -> Option<usize> {
    if layout::copies().contains(&address) {
        Some(address - layout::COPIES + COPIES.0.load(Relaxed))
    } else {
        (layout::text_start()..layout::text_end()).contains(&address).then(|| image_physical(address))
    }
}

/// The physical address of an address in the image.
pub fn image_physical(address: usize) -> usize {
    address - IMAGE_OFFSET.load(Relaxed)
}

/// The physical address of an address in the linear map.
pub const fn physical(address: usize) -> usize {
    address - layout::LINEAR
}

/// The address at which RAM at this physical address is mapped read-write.
pub const fn linear(physical: usize) -> usize {
    layout::LINEAR + physical
}
