//! From the boot tables to the kernel's own tables: reads the device tree and builds the tables.

use crate::mm::{self, layout};
use crate::report::{power, symbols};
use crate::{console, exception, percpu};
use boot::Handover;
use core::ops::Range;
use platform::{DtbError, HEADER_SIZE, Platform, Region};
use spin::Once;

static MACHINE: Once<Boot> = Once::new();

/// What the boot code has found out about the machine.
pub struct Boot {
    /// The machine, as the device tree describes it.
    pub platform: Platform,
    /// Physical RAM behind the image that nobody uses, up to the first reserved region: for the heap, and for programs.
    pub free: Range<usize>,
    /// Physical address of the kernel's root table, for the CPUs that come up later.
    pub ttbr1: u64,
}

impl Boot {
    /// More RAM that nobody uses, behind `free`, in ascending order.
    pub fn free_behind(&self) -> impl Iterator<Item = Range<usize>> + Clone + '_ {
        let parts = self.platform.free(layout::PAGE as u64);
        parts.map(|part| part.base as usize..part.end() as usize).filter(|part| part.start >= self.free.end)
    }
}

/// What the boot code has found out about the machine. Any context after `kernel_early`.
pub fn boot() -> &'static Boot {
    MACHINE.get().expect("kernel_early runs first")
}

/// The kernel's first Rust code. `head.S` calls it on the boot stack and the boot tables.
#[unsafe(no_mangle)]
extern "C" fn kernel_early(dtb: usize, image: usize) -> Handover {
    percpu::set_index(0);
    exception::init_cpu();
    let machine = match read_device_tree(dtb) {
        Ok(machine) => machine,
        Err(error) => {
            crate::println!("stepwell: no usable device tree: {error}");
            power::exit(power::PANIC)
        }
    };
    let image = image..image + symbols::image_size().next_multiple_of(layout::PAGE);
    let parts = machine.mappable(layout::PAGE as u64);
    let banks = parts.map(|part| part.base as usize..part.end() as usize);
    // The kernel puts its tables, stacks, copies and heap between the image and the first reserved region behind the
    // image. The device tree's blob has been read and may be overwritten.
    let reserved = machine.reserved.iter().map(|reserved| reserved.region);
    let limit =
        reserved.filter(|region| region.end() as usize > image.end).map(|region| region.base as usize);
    let limit = limit.min().unwrap_or(usize::MAX);
    let (ttbr1, free) = mm::build(image.clone(), banks.clone(), limit);
    let bank = banks.clone().find(|bank| bank.contains(&free)).unwrap_or(free..free);
    let free = free..bank.end.min(limit);
    MACHINE.call_once(|| Boot { platform: machine, free, ttbr1 });
    Handover { ttbr1, stack: (layout::stack_top(0) - layout::STACK_ROOM) as u64 }
}

/// Reads the device tree through the identity map, which covers the blob's gigabyte and the next one.
fn read_device_tree(address: usize) -> Result<Platform, DtbError> {
    platform::check_address(address as u64)?;
    let reach = Region { base: 1 << 30, size: 510 << 30 };
    if !reach.contains(address as u64) {
        return Err(DtbError::OutOfReach { address: address as u64 });
    }
    let header = bytes(address, HEADER_SIZE).ok_or(DtbError::Missing)?;
    let size = platform::total_size(header)?;
    let blob = bytes(address, size).ok_or(DtbError::TooShort { have: 0, need: size })?;
    platform::parse(blob)
}

/// The memory from `address` on as a slice; None if not all of it can be read.
fn bytes(address: usize, length: usize) -> Option<&'static [u8]> {
    use crate::arch::uaccess::read_u8;
    let readable = |at: usize| read_u8(at as u64).is_ok();
    if !(address..address + length).step_by(layout::PAGE).all(readable) || !readable(address + length - 1) {
        return None;
    }
    // SAFETY: every page of the memory was read just now, and nobody writes the memory while the boot code runs.
    Some(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
}

/// Switches to the console that the device tree names. Called on the kernel's own tables.
pub fn init_console() {
    let uart = &boot().platform.uart.region;
    boot::name_console(uart.base as usize);
    console::init(mm::map_device(uart.base as usize, uart.size as usize));
}
