//! The kernel's virtual address space (TTBR1, 48 bits).
//!
//! | from | what |
//! |---|---|
//! | `LINEAR` | all RAM, read-write, except the image's text and read-only data and the pages of `COPIES` |
//! | `IMAGE` | the image: text read-execute, rodata read-only, data read-write |
//! | `COPIES` | copies of probed instructions: read-execute, in reach of a branch from the image; [`copies`] is the mapped part |
//! | `DEVICES` | device registers, by physical address |
//! | `STACKS` | stacks, each in the upper half of twice its size; the lower half is never mapped |
//! | `PATCH` | one page for each CPU: the temporary writable alias of text that is patched |

use crate::percpu::MAX_CPUS;

/// RAM at physical address `p` is mapped at `LINEAR + p`.
pub const LINEAR: usize = 0xffff_0000_0000_0000;
/// Where the image is linked to: `KIMAGE_VADDR` of the linker script.
pub const IMAGE: usize = 0xffff_8000_8000_0000;
/// Where copies of probed instructions and trampolines begin. The image ends below this address.
pub const COPIES: usize = IMAGE + (64 << 20);
/// The most bytes that are mapped from [`COPIES`] on.
pub const COPIES_MAX: usize = 64 << 20;
/// How many bytes one table entry maps if the virtual and the physical address are multiples of this number.
pub const BLOCK: usize = 2 << 20;
/// Device registers at physical address `p` are mapped at `DEVICES + p`.
pub const DEVICES: usize = 0xffff_9000_0000_0000;
/// Where stacks begin: first those of the CPUs, then those of threads.
pub const STACKS: usize = 0xffff_a000_0000_0000;
/// Where the CPUs' aliases of patched text begin.
pub const PATCH: usize = 0xffff_b000_0000_0000;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Log2 of the bytes of a stack.
pub const STACK_SHIFT: u32 = 15;
/// Bytes of a stack. Another unmapped [`STACK_SIZE`] bytes lie below each stack.
pub const STACK_SIZE: usize = 1 << STACK_SHIFT;
/// Bytes at the top of each stack that its code does not use: they have pointers to the thread and to the task in it.
pub const STACK_ROOM: usize = 16;
/// Log2 of the bytes of address space for a CPU's stacks: two stacks, each with the unmapped half below.
pub const CPU_STACKS_SHIFT: u32 = STACK_SHIFT + 2;
const _: () = assert!(MAX_CPUS << CPU_STACKS_SHIFT < PATCH - STACKS);

/// Top of the stack on which a CPU's kernel code runs.
pub const fn stack_top(cpu: usize) -> usize {
    STACKS + (cpu << CPU_STACKS_SHIFT) + 2 * STACK_SIZE
}

/// Top of the stack on which a CPU reports that its other stack has overflowed.
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
    /// End of the text that cannot be probed.
    noprobe_text_end = __noprobe_text_end;
    /// First byte of the room for text that is generated at run time.
    generated_start = __generated_start;
    /// End of the room for generated text.
    generated_end = __generated_end;
    /// First byte of data that cannot be watched (rule H6).
    noprobe_data_start = __noprobe_data_start;
    /// End of the data that cannot be watched.
    noprobe_data_end = __noprobe_data_end;
    /// End of read-only data.
    rodata_end = __rodata_end;
}

/// Which stack `sp` is on: all values of SP on one stack give the same number, also the top, which is the first address past the
/// stack. Any context.
#[inline(always)]
pub const fn stack_of(sp: u64) -> u64 {
    sp.wrapping_sub(1) >> (STACK_SHIFT + 1)
}

/// Whether `sp` is on a stack of a thread or of a CPU. Any context.
#[inline(always)]
pub const fn is_on_stack(sp: u64) -> bool {
    STACKS as u64 <= sp && sp < PATCH as u64
}

/// Whether `pc`, an address of kernel text, is in a copy of a probed instruction or in a trampoline. One bit tells, because EL1
/// executes only the image and the copies, and the bit [`COPIES_MAX`] of the address differs between the two. Any context.
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

/// All addresses that copies of probed instructions and trampolines can have, whether mapped or not.
pub const ALL_COPIES: core::ops::Range<u64> = COPIES as u64..(COPIES + COPIES_MAX) as u64;

/// The addresses of copies of probed instructions and of trampolines that are mapped.
pub fn copies() -> core::ops::Range<usize> {
    COPIES..COPIES + super::copies_size()
}

/// Whether an address is in text that cannot be probed (rule H6). Any context.
pub fn is_noprobe_text(address: u64) -> bool {
    (noprobe_text_start() as u64..noprobe_text_end() as u64).contains(&address)
}

/// How many threads can have a stack at the same time.
pub const STACK_SLOTS: usize = 8192;
