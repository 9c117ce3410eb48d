// The tables with which every CPU turns its MMU on: an identity map in TTBR0, by blocks of 1 GiB, and the image in the
// upper half, by blocks of 2 MiB. The tables are five pages, which are zero at first:
//   +0x0000 identity, level 0    +0x1000 identity, level 1
//   +0x2000 upper, level 0       +0x3000 upper, level 1       +0x4000 upper, level 2

.section .head.text, "ax"

.equ TABLE,         3
.equ BLOCK_NORMAL,  0x701               // AF, inner shareable, MAIR index 0
.equ BLOCK_DEVICE,  0x405               // AF, MAIR index 1
.equ PXN,           53
// BEHIND (lib.rs): the kernel puts its tables, stacks and copies behind the image, and all of them end within this many bytes from
// the image's start.

// x19: the device tree's address. Sets x20 to the image's physical address. Clobbers x0 to x5.
build_boot_tables:
    adrp    x20, __image_start
    adrp    x0, __boot_tables_start

    // Identity: the first gigabyte is device memory, because the default console is there. The gigabytes in which the
    // image and the device tree begin are mapped as RAM, and so are the gigabytes into which they reach.
    add     x1, x0, #0x1000
    orr     x2, x1, #TABLE
    str     x2, [x0]
    ldr     x2, =(BLOCK_DEVICE | (1 << PXN))
    str     x2, [x1]
    mov     x5, #BLOCK_NORMAL
    lsr     x3, x19, #30
    sub     x4, x3, #1
    cmp     x4, #510                    // gigabytes 1 to 510: the device tree may reach into the next one
    b.hs    1f
    orr     x2, x5, x3, lsl #30
    str     x2, [x1, x3, lsl #3]
    add     x3, x3, #1
    orr     x2, x5, x3, lsl #30
    str     x2, [x1, x3, lsl #3]
1:
    lsr     x3, x20, #30
    orr     x2, x5, x3, lsl #30
    mov     x4, #BEHIND
    add     x4, x20, x4
    lsr     x4, x4, #30
    cmp     x4, #512
    b.hs    out_of_reach
    str     x2, [x1, x3, lsl #3]
    orr     x2, x5, x4, lsl #30
    str     x2, [x1, x4, lsl #3]

    // The start of the upper half maps the same gigabytes, at the addresses that the kernel's linear map will have. So
    // the code that builds the final tables can already use their final addresses.
    add     x2, x0, #0x2000
    orr     x1, x1, #TABLE
    str     x1, [x2]

    // Upper half: 32 MiB from KIMAGE_VADDR (level 0 index 256, level 1 index 2).
    add     x1, x0, #0x2000
    add     x2, x0, #0x3000
    add     x3, x0, #0x4000
    orr     x4, x2, #TABLE
    str     x4, [x1, #(256 * 8)]
    orr     x4, x3, #TABLE
    str     x4, [x2, #(2 * 8)]
    orr     x4, x5, x20
    mov     x5, #16
2:
    str     x4, [x3], #8
    add     x4, x4, #0x200000
    subs    x5, x5, #1
    b.ne    2b

    // The tables are written with the caches off: no stale cache line may hide them from the table walker (DDI 0487 D7.5.2).
    dmb     sy
    mov     x1, #(5 * 4096)
    add     x1, x0, x1
3:
    dc      ivac, x0
    add     x0, x0, #16                 // the smallest line there can be
    cmp     x0, x1
    b.lo    3b
    dsb     sy
    ret

// The image lies close to 512 GiB or above, where these tables do not reach. There is no console yet that could say so.
out_of_reach:
    wfe
    b       out_of_reach
