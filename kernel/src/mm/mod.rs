//! Memory: address space, tables, physical pages, heap, and text that is patched.

pub mod fault;
mod frames;
mod heap;
pub mod layout;
pub mod patch;
pub mod stacks;
mod tables;

pub use heap::init as init_heap;
pub use tables::{build, drop_identity_map, map_device};

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// `virtual - physical` of the image. Set once, by `build`.
static IMAGE_OFFSET: AtomicUsize = AtomicUsize::new(0);

/// The physical address of something in the image.
pub fn image_physical(address: usize) -> usize {
    address - IMAGE_OFFSET.load(Relaxed)
}

/// Where a physical address of RAM is mapped, read-write.
pub const fn linear(physical: usize) -> usize {
    layout::LINEAR + physical
}
