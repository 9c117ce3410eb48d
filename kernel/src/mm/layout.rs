//! The kernel's virtual address space (TTBR1, 48 bits).
//!
//! | from | what |
//! |---|---|
//! | `LINEAR` | all RAM but the image's text and read-only data, read-write |
//! | `IMAGE` | the image: text read-execute, rodata read-only, data read-write |
//! | `COPIES` | copies of probed instructions: read-execute, in reach of a branch from the image; what is mapped is behind [`copies`] |
//! | `DEVICES` | device registers, by physical address |
//! | `STACKS` | stacks, each in the upper half of twice its size; the lower half is never mapped |
//! | `PATCH` | one page a CPU for the temporary writable alias of text that is patched |

use crate::percpu::MAX_CPUS;

/// RAM at physical address 0 would be here.
pub const LINEAR: usize = 0xffff_0000_0000_0000;
/// `KIMAGE_VADDR` of the linker script.
pub const IMAGE: usize = 0xffff_8000_8000_0000;
/// See the table. The image ends below.
pub const COPIES: usize = IMAGE + (64 << 20);
/// The most that is mapped there.
pub const COPIES_MAX: usize = 64 << 20;
/// Bytes that one entry of a table maps where address and physical address allow it.
pub const BLOCK: usize = 2 << 20;
/// Device at physical address 0 would be here.
pub const DEVICES: usize = 0xffff_9000_0000_0000;
/// See the table.
pub const STACKS: usize = 0xffff_a000_0000_0000;
/// See the table.
pub const PATCH: usize = 0xffff_b000_0000_0000;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// A stack has `1 << STACK_SHIFT` bytes.
pub const STACK_SHIFT: u32 = 15;
/// Bytes of a stack.
pub const STACK_SIZE: usize = 1 << STACK_SHIFT;
/// A CPU's stacks take `1 << CPU_STACKS_SHIFT` bytes of address space: two, each with its guard.
pub const CPU_STACKS_SHIFT: u32 = STACK_SHIFT + 2;
const _: () = assert!(MAX_CPUS << CPU_STACKS_SHIFT < PATCH - STACKS);

/// Top of the stack that a CPU's kernel code runs on.
pub const fn stack_top(cpu: usize) -> usize {
    STACKS + (cpu << CPU_STACKS_SHIFT) + 2 * STACK_SIZE
}

/// Top of the stack that a CPU reports the overflow of the other one on.
pub const fn overflow_stack_top(cpu: usize) -> usize {
    STACKS + (cpu << CPU_STACKS_SHIFT) + 4 * STACK_SIZE
}

macro_rules! image_symbols {
    ($($(#[$doc:meta])* $function:ident = $symbol:ident;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $function() -> usize {
            unsafe extern "C" {
                static $symbol: u8;
            }
            (&raw const $symbol).addr()
        }
    )*};
}

image_symbols! {
    /// First byte of the image.
    image_start = __image_start;
    /// End of the image without the symbol table behind it.
    image_end = __image_end;
    /// First byte of text.
    text_start = __text_start;
    /// End of text.
    text_end = __text_end;
    /// First byte of text that cannot be probed (rule H6).
    noprobe_text_start = __noprobe_text_start;
    /// End of it.
    noprobe_text_end = __noprobe_text_end;
    /// First byte of the room for text that is made up at run time.
    generated_start = __generated_start;
    /// End of it.
    generated_end = __generated_end;
    /// First byte of data that cannot be watched (rule H6).
    noprobe_data_start = __noprobe_data_start;
    /// End of it.
    noprobe_data_end = __noprobe_data_end;
    /// End of read-only data.
    rodata_end = __rodata_end;
}

/// Which stack `sp` is on: the same number for each SP of one stack, from its bottom to its top, which is the first address behind
/// it. Any context.
#[inline(always)]
pub const fn stack_of(sp: u64) -> u64 {
    sp.wrapping_sub(1) >> (STACK_SHIFT + 1)
}

/// Whether `sp` is on a stack of a thread or of a CPU. Any context.
#[inline(always)]
pub const fn is_on_stack(sp: u64) -> bool {
    STACKS as u64 <= sp && sp < PATCH as u64
}

/// Whether `pc`, which is the kernel's, is in a copy of a probed instruction or in a trampoline, by one bit: the image and the
/// copies are all that EL1 executes, and [`COPIES_MAX`] tells the two apart. Any context.
#[inline(always)]
pub const fn may_be_copy(pc: u64) -> bool {
    pc & COPIES_MAX as u64 != 0
}
const _: () = assert!(
    COPIES_MAX.is_power_of_two()
        && COPIES & COPIES_MAX != 0
        && COPIES.is_multiple_of(COPIES_MAX)
        && IMAGE & COPIES_MAX == 0
        && COPIES - IMAGE == COPIES_MAX
);

/// All addresses that copies of probed instructions and trampolines can have, mapped or not.
pub const ALL_COPIES: core::ops::Range<u64> = COPIES as u64..(COPIES + COPIES_MAX) as u64;

/// The addresses of copies of probed instructions.
pub fn copies() -> core::ops::Range<usize> {
    COPIES..COPIES + super::copies_size()
}

/// Whether an address is in text that cannot be probed (rule H6). Any context.
pub fn is_noprobe_text(address: u64) -> bool {
    (noprobe_text_start() as u64..noprobe_text_end() as u64).contains(&address)
}
