//! The kernel's translation tables: built once, while the boot tables are in use; device registers and stacks are added later.

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

/// Normal memory: index 0 of MAIR_EL1, as `head.S` sets it.
const NORMAL: Attributes = Attributes::ATTRIBUTE_INDEX_0
    .union(Attributes::INNER_SHAREABLE)
    .union(Attributes::ACCESSED)
    .union(Attributes::VALID)
    .union(Attributes::UXN);
const READ_WRITE: Attributes = NORMAL.union(Attributes::PXN);
const READ_ONLY: Attributes = READ_WRITE.union(Attributes::READ_ONLY);
const READ_EXECUTE: Attributes = NORMAL.union(Attributes::READ_ONLY);
/// Device-nGnRE memory: index 1 of MAIR_EL1.
const DEVICE: Attributes = Attributes::ATTRIBUTE_INDEX_1
    .union(Attributes::ACCESSED)
    .union(Attributes::VALID)
    .union(Attributes::UXN)
    .union(Attributes::PXN);

/// The pages that tables are made of: RAM behind the image, set aside at boot, also for tables that devices and stacks need later.
struct Pages(Frames);

impl Translation<Attributes> for Pages {
    fn allocate_table(&mut self) -> (NonNull<PageTable<Attributes>>, PhysicalAddress) {
        let physical = self.0.take(1);
        let table = self.physical_to_virtual(PhysicalAddress(physical));
        // SAFETY: a page of RAM that nobody uses yet. Both the boot tables and the kernel's tables map it.
        unsafe { table.cast::<[u8; PAGE]>().as_ptr().write_bytes(0, 1) };
        (table, PhysicalAddress(physical))
    }

    unsafe fn deallocate_table(&mut self, _: NonNull<PageTable<Attributes>>) {
        // The kernel never replaces tables by larger blocks, so no table becomes free.
    }

    fn physical_to_virtual(&self, physical: PhysicalAddress) -> NonNull<PageTable<Attributes>> {
        // The boot tables, too, map the image's gigabyte, where the tables lie, at the linear map's address.
        NonNull::new(linear(physical.0) as *mut _).expect("the linear map does not start at 0")
    }
}

struct Kernel(Mapping<Pages, El1And0>);

// SAFETY: the mapping's pointers refer to pages that all CPUs map alike, and the lock around it serialises access.
unsafe impl Send for Kernel {}

static KERNEL: IrqMutex<Option<Kernel>> = IrqMutex::new(None);

/// Pages for tables: `build` needs some 20 if RAM is one bank without holes, up to three more for each hole, and `map_device` adds more.
/// The stacks of threads need one for each [`BLOCK`](layout::BLOCK) of their addresses: there is one for each, so that a thread can
/// begin whenever there are pages for its stack.
const TABLES: usize = 128 + layout::STACK_SLOTS * 2 * STACK_SIZE / layout::BLOCK;

/// Builds the kernel's tables, while one CPU runs on the boot tables.
///
/// `image` is the physical range of the image and of the symbol table behind it. `banks` is RAM. From the address
/// `limit` on, RAM behind the image is not free. Returns the physical address of the root table, and the first physical
/// address behind the image that is still free.
///
/// # Panics
/// If RAM is too small or does not contain the image.
pub fn build(
    image: Range<usize>,
    banks: impl Iterator<Item = Range<usize>> + Clone,
    limit: usize,
) -> (u64, usize) {
    IMAGE_OFFSET.store(layout::image_start() - image.start, Relaxed);
    let bank = banks
        .clone()
        .find(|bank| bank.contains(&image.start) && image.end <= bank.end)
        .expect("the memory nodes of the device tree do not cover the kernel's image, or a region that must not be mapped overlaps it");
    let end = bank.end.min(limit);
    let mut frames = Frames::new(image.end, end);
    let stacks = frames.take(MAX_CPUS * 2 * STACK_SIZE / PAGE);
    // The copies get whole blocks: as many as they can ever use, but at most an eighth of the free RAM behind the
    // image.
    let copies = (end.saturating_sub(image.end) / 8).min(layout::COPIES_MAX) & !(layout::BLOCK - 1);
    frames.align(if copies == 0 { PAGE } else { layout::BLOCK });
    let (copies_start, copies_len) = (frames.take(copies / PAGE), copies);
    let tables = frames.take(TABLES);
    assert!(
        tables + TABLES * PAGE <= image.start + boot::BEHIND,
        "the kernel's memory ends behind what the boot tables map"
    );
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

    // Maps all RAM read-write, except text, copies and read-only data, whose pages only `patch` ever maps writable.
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

/// Called on the new tables by every CPU at bring-up: switches TTBR0 off.
///
/// SCTLR_EL1.WXN stays clear. It would make writable memory non-executable at EL0 as well, where programs may have both (mmap with PROT_WRITE
/// and PROT_EXEC). That nothing writable is executable at EL1 is said by the entries of the tables: all that are writable have PXN, those of
/// programs too.
#[unsafe(link_section = ".noprobe.text")]
pub fn drop_identity_map() {
    const EPD0: u64 = 1 << 7;
    crate::write_sysreg!("tcr_el1", crate::read_sysreg!("tcr_el1") | EPD0);
    // The ISB puts the register in force before the TLB is emptied: translations that are walked after the TLBI must be walked with the
    // new value.
    crate::arch::barrier::isb();
    // SAFETY: drops cached translations; those of the lower half are not used any more.
    unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
}

/// Maps the registers of a device, and returns their virtual address. Mapping the same registers again is harmless.
///
/// Not in debug, NMI or interrupt context.
pub fn map_device(physical: usize, size: usize) -> usize {
    let address = layout::DEVICES + physical;
    let range = address & !(PAGE - 1)..(address + size).next_multiple_of(PAGE);
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before any device is mapped");
    kernel.map(range, physical & !(PAGE - 1), DEVICE);
    address
}

/// The descriptor of each CPU's patch alias. `set_patch_alias` writes it directly, without a walk of the tables: text is patched
/// tens of thousands of times in a row.
static ALIASES: [AtomicPtr<AtomicUsize>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// The address of a CPU's patch alias.
#[inline(always)]
pub(super) const fn patch_alias(cpu: usize) -> usize {
    layout::PATCH + cpu * 2 * PAGE
}

/// Makes the table that holds the descriptors of all aliases. None of the descriptors is valid.
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

/// Maps one page of text, by its physical address, read-write at this CPU's alias; None unmaps the alias.
///
/// Interrupts must be off between the two calls, so that both are on the same CPU.
pub(super) fn set_patch_alias(cpu: usize, physical: Option<usize>) {
    const PAGE_OF_TEXT: usize = READ_WRITE.union(Attributes::TABLE_OR_PAGE).bits();
    // SAFETY: the descriptor is in a table that is never freed, and all accesses to it are atomic, also those of the
    // crate `aarch64_paging`.
    let descriptor = unsafe { ALIASES[cpu].load(Relaxed).as_ref() };
    let descriptor = descriptor.expect("the tables are built before text is patched");
    descriptor.store(physical.map_or(0, |physical| physical | PAGE_OF_TEXT), Relaxed);
    match physical {
        // The descriptor was not valid before, so no TLB holds it: no invalidation is needed. The accesses that follow need the DSB, so
        // that their walks see the descriptor, and the ISB, so that none of them begins before the DSB ends (DDI 0487 D8, "TLB
        // maintenance").
        // SAFETY: barriers.
        Some(_) => unsafe { asm!("dsb ishst", "isb", options(nostack, preserves_flags)) },
        None => {
            let page = (patch_alias(cpu) as u64 >> 12) & 0xfff_ffff_ffff;
            // SAFETY: nobody uses the alias any more. The TLBI is for all CPUs: another one may have walked there by
            // speculation. DSB, TLBI, DSB, ISB is the sequence of DDI 0487 D8, "TLB maintenance".
            unsafe {
                asm!("dsb ishst", "tlbi vaae1is, {}", "dsb ish", "isb", in(reg) page, options(nostack, preserves_flags));
            }
        }
    }
}

/// Maps one page of a thread's stack.
pub(super) fn map_stack_page(address: usize, physical: usize) {
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before there are threads");
    kernel.map(address..address + PAGE, physical, READ_WRITE);
}

/// Unmaps a thread's stack, on all CPUs.
pub(super) fn unmap_stack(bottom: usize) {
    let mut kernel = KERNEL.lock();
    let kernel = kernel.as_mut().expect("the tables are built before there are threads");
    kernel.map(bottom..bottom + STACK_SIZE, 0, READ_WRITE.difference(Attributes::VALID));
}
