//! The kernel's translation tables: built once on the boot tables, device registers and patch aliases added later.

use super::frames::Frames;
use super::layout::{self, PAGE, STACK_SIZE};
use super::{IMAGE_OFFSET, linear};
use crate::percpu::MAX_CPUS;
use crate::sync::IrqMutex;
use aarch64_paging::Mapping;
use aarch64_paging::descriptor::{El1Attributes as Attributes, PhysicalAddress};
use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, PageTable, Translation, VaRange};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

/// MAIR index 0, as `head.S` sets it.
const NORMAL: Attributes = Attributes::ATTRIBUTE_INDEX_0
    .union(Attributes::INNER_SHAREABLE)
    .union(Attributes::ACCESSED)
    .union(Attributes::VALID)
    .union(Attributes::UXN);
const READ_WRITE: Attributes = NORMAL.union(Attributes::PXN);
const READ_ONLY: Attributes = READ_WRITE.union(Attributes::READ_ONLY);
const READ_EXECUTE: Attributes = NORMAL.union(Attributes::READ_ONLY);
/// MAIR index 1: Device-nGnRE.
const DEVICE: Attributes = Attributes::ATTRIBUTE_INDEX_1
    .union(Attributes::ACCESSED)
    .union(Attributes::VALID)
    .union(Attributes::UXN)
    .union(Attributes::PXN);

/// Where tables come from: fresh pages at boot; later a small reserve, for devices and patch aliases.
struct Pages(Frames);

impl Translation<Attributes> for Pages {
    fn allocate_table(&mut self) -> (NonNull<PageTable<Attributes>>, PhysicalAddress) {
        let physical = self.0.take(1);
        let table = self.physical_to_virtual(PhysicalAddress(physical));
        // SAFETY: a page of RAM that is nobody's yet, mapped by either map.
        unsafe { table.cast::<[u8; PAGE]>().as_ptr().write_bytes(0, 1) };
        (table, PhysicalAddress(physical))
    }

    unsafe fn deallocate_table(&mut self, _: NonNull<PageTable<Attributes>>) {
        // Ranges are never narrowed to larger blocks here, so no table becomes free.
    }

    fn physical_to_virtual(&self, physical: PhysicalAddress) -> NonNull<PageTable<Attributes>> {
        // The boot tables have the image's gigabyte, which tables are taken from, at the linear map's address already.
        NonNull::new(linear(physical.0) as *mut _).expect("the linear map does not start at 0")
    }
}

struct Kernel(Mapping<Pages, El1And0>);

// SAFETY: the mapping's pointers are to pages that every CPU sees alike, and the lock around it serialises access.
unsafe impl Send for Kernel {}

static KERNEL: IrqMutex<Option<Kernel>> = IrqMutex::new(None);

/// Pages for tables: what `build` needs (some 20 with one bank of RAM) and what `map_device` and patching add.
const TABLES: usize = 128;

/// Builds the tables. On the boot tables, one CPU.
///
/// `image` is the image's physical range with the symbol table behind it; `banks` is RAM. Returns the root's physical address
/// and the first physical address behind the image that is still free.
///
/// # Panics
/// If RAM does not suffice or does not hold the image.
pub fn build(image: Range<usize>, banks: impl Iterator<Item = Range<usize>> + Clone) -> (u64, usize) {
    IMAGE_OFFSET.store(layout::image_start() - image.start, Relaxed);
    let bank = banks
        .clone()
        .find(|bank| bank.contains(&image.start) && image.end <= bank.end)
        .expect("the memory nodes of the device tree do not cover the kernel's image");
    let mut frames = Frames::new(image.end, bank.end);
    let stacks = frames.take(MAX_CPUS * 2 * STACK_SIZE / PAGE);
    let tables = frames.take(TABLES);
    let pages = Pages(Frames::new(tables, tables + TABLES * PAGE));
    let mut kernel = Kernel(Mapping::with_asid_and_va_range(pages, 0, 0, El1And0, VaRange::Upper));

    let text = layout::text_start()..layout::text_end();
    let rodata = layout::text_end()..layout::rodata_end();
    let data = layout::rodata_end()..layout::image_end();
    kernel.map(text, image.start, READ_EXECUTE);
    kernel.map(rodata.clone(), super::image_physical(rodata.start), READ_ONLY);
    kernel.map(data.clone(), super::image_physical(data.start), READ_WRITE);
    // The symbol table behind the image.
    let symbols = layout::image_end()..layout::image_start() + image.len();
    kernel.map(symbols.clone(), super::image_physical(symbols.start), READ_ONLY);

    // All RAM but text and read-only data, which nobody has a writable mapping of (but see `patch`).
    let hole = image.start..super::image_physical(layout::rodata_end());
    for bank in banks {
        let below = bank.start..bank.end.min(hole.start);
        let above = bank.start.max(hole.end)..bank.end;
        for part in if bank.contains(&hole.start) { [below, above] } else { [bank, 0..0] } {
            kernel.map(linear(part.start)..linear(part.end), part.start, READ_WRITE);
        }
    }

    for stack in 0..MAX_CPUS * 2 {
        let bottom = layout::STACKS + stack * 2 * STACK_SIZE + STACK_SIZE;
        kernel.map(bottom..bottom + STACK_SIZE, stacks + stack * STACK_SIZE, READ_WRITE);
    }

    kernel.0.mark_active();
    let root = kernel.0.root_address().0 as u64;
    *KERNEL.lock() = Some(kernel);
    (root, tables + TABLES * PAGE)
}

impl Kernel {
    fn map(&mut self, range: Range<usize>, physical: usize, attributes: Attributes) {
        if range.is_empty() {
            return;
        }
        let region = MemoryRegion::new(range.start, range.end);
        self.0
            .map_range(&region, PhysicalAddress(physical), attributes, Constraints::empty())
            .expect("ranges of the kernel's layout do not overlap");
    }
}

/// On the new tables: TTBR0 is switched off and what is writable can no longer be executed. Every CPU, at bring-up.
pub fn drop_identity_map() {
    const EPD0: u64 = 1 << 7;
    const WXN: u64 = 1 << 19;
    crate::write_sysreg!("tcr_el1", crate::read_sysreg!("tcr_el1") | EPD0);
    crate::arch::barrier::isb();
    // SAFETY: drops cached translations, of which the lower half's are not used any more.
    unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
    crate::write_sysreg!("sctlr_el1", crate::read_sysreg!("sctlr_el1") | WXN);
    crate::arch::barrier::isb();
}

/// Maps the registers of a device; mapping one again is harmless. Returns their virtual address.
///
/// Not from debug, NMI or interrupt context.
pub fn map_device(physical: usize, size: usize) -> usize {
    let address = layout::DEVICES + physical;
    let range = address & !(PAGE - 1)..(address + size).next_multiple_of(PAGE);
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before any device is mapped");
    kernel.map(range, physical & !(PAGE - 1), DEVICE);
    address
}

/// Maps one page of the image's text, by physical address, read-write at `alias`, and takes it away again with None.
pub(super) fn set_patch_alias(alias: usize, physical: Option<usize>) {
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before text is patched");
    match physical {
        Some(physical) => kernel.map(alias..alias + PAGE, physical, READ_WRITE),
        None => kernel.map(alias..alias + PAGE, 0, READ_WRITE.difference(Attributes::VALID)),
    }
}

/// Maps a thread's stack, by physical address of its pages.
pub(super) fn map_stack(bottom: usize, physical: usize) {
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before there are threads");
    kernel.map(bottom..bottom + STACK_SIZE, physical, READ_WRITE);
}

/// Takes a thread's stack away, on all CPUs.
pub(super) fn unmap_stack(bottom: usize) {
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before there are threads");
    kernel.map(bottom..bottom + STACK_SIZE, 0, READ_WRITE.difference(Attributes::VALID));
}
