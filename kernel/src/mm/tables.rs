//! The kernel's translation tables: built once on the boot tables, device registers added later.

use super::frames::Frames;
use super::layout::{self, PAGE, STACK_SIZE};
use super::{IMAGE_OFFSET, linear};
use crate::percpu::MAX_CPUS;
use crate::sync::IrqMutex;
use aarch64_paging::Mapping;
use aarch64_paging::descriptor::{Descriptor, El1Attributes as Attributes, PhysicalAddress};
use aarch64_paging::paging::{Constraints, El1And0, MemoryRegion, PageTable, Translation, VaRange};
use core::arch::asm;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

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

/// Where tables come from: fresh pages at boot; later a small reserve, for devices.
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

/// Pages for tables: what `build` needs (some 20 with one bank of RAM) and what `map_device` adds.
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
    // Whole blocks; an eighth of what is left is enough for a machine with little RAM.
    let copies = ((bank.end - image.end) / 8).min(layout::COPIES_MAX) & !(layout::BLOCK - 1);
    frames.align(if copies == 0 { PAGE } else { layout::BLOCK });
    let (copies_start, copies_len) = (frames.take(copies / PAGE), copies);
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

    super::COPIES.0.store(copies_start, Relaxed);
    super::COPIES.1.store(copies_len, Relaxed);
    kernel.map(layout::copies(), copies_start, READ_EXECUTE);

    // All RAM but text, copies and read-only data, which nobody has a writable mapping of (but see `patch`).
    let holes =
        [image.start..super::image_physical(layout::rodata_end()), copies_start..copies_start + copies_len];
    for mut bank in banks {
        for hole in holes.iter().filter(|hole| !hole.is_empty()) {
            if bank.contains(&hole.start) {
                kernel.map(linear(bank.start)..linear(hole.start), bank.start, READ_WRITE);
                bank.start = hole.end;
            }
        }
        kernel.map(linear(bank.start)..linear(bank.end), bank.start, READ_WRITE);
    }

    for stack in 0..MAX_CPUS * 2 {
        let bottom = layout::STACKS + stack * 2 * STACK_SIZE + STACK_SIZE;
        kernel.map(bottom..bottom + STACK_SIZE, stacks + stack * STACK_SIZE, READ_WRITE);
    }

    prepare_aliases(&mut kernel);
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
    crate::write_sysreg!("sctlr_el1", crate::read_sysreg!("sctlr_el1") | WXN);
    // Both are in force before the TLB is emptied: it may hold WXN with each translation (DDI 0487 D8.4.3), and what is walked in between
    // must be walked by the new values.
    crate::arch::barrier::isb();
    // SAFETY: drops cached translations, of which the lower half's are not used any more.
    unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
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

/// The descriptor of each CPU's patch alias. It is written as it is, and not by a walk: text is patched tens of thousands of
/// times in a row.
static ALIASES: [AtomicPtr<AtomicUsize>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Where a CPU's patch alias is.
#[inline(always)]
pub(super) const fn patch_alias(cpu: usize) -> usize {
    layout::PATCH + cpu * 2 * PAGE
}

/// Makes the table that holds the aliases' descriptors. None of them is valid.
fn prepare_aliases(kernel: &mut Kernel) {
    for (cpu, place) in ALIASES.iter().enumerate() {
        let alias = patch_alias(cpu)..patch_alias(cpu) + PAGE;
        kernel.map(alias.clone(), 0, READ_WRITE.difference(Attributes::VALID));
        let mut leaf = |_: &MemoryRegion, descriptor: &Descriptor<Attributes>, level: usize| {
            if level == 3 {
                place.store(core::ptr::from_ref(descriptor).cast_mut().cast(), Relaxed);
            }
            Ok(())
        };
        let walked = kernel.0.walk_range(&MemoryRegion::new(alias.start, alias.end), &mut leaf);
        walked.expect("the alias was mapped right now");
    }
}

/// Maps one page of text, by physical address, read-write at this CPU's alias, and takes it away again with None.
///
/// Interrupts are off, so the CPU stays the same in between.
pub(super) fn set_patch_alias(cpu: usize, physical: Option<usize>) {
    const PAGE_OF_TEXT: usize = READ_WRITE.union(Attributes::TABLE_OR_PAGE).bits();
    // SAFETY: a descriptor of the tables, which stay; atomic, as the crate has them.
    let descriptor = unsafe { ALIASES[cpu].load(Relaxed).as_ref() };
    let descriptor = descriptor.expect("the tables are built before text is patched");
    descriptor.store(physical.map_or(0, |physical| physical | PAGE_OF_TEXT), Relaxed);
    match physical {
        // It was not valid, so no TLB holds it.
        // SAFETY: barriers.
        Some(_) => unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) },
        None => {
            let page = (patch_alias(cpu) as u64 >> 12) & 0xfff_ffff_ffff;
            // SAFETY: nobody uses the alias any more. All CPUs: another one may have walked there by speculation.
            unsafe {
                asm!("dsb ishst", "tlbi vaae1is, {}", "dsb ish", "isb", in(reg) page, options(nostack, preserves_flags));
            }
        }
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
