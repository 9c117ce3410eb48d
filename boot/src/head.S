// The first instructions of every CPU. Until the MMU is on, only PC-relative addresses are used.

.section .head.header, "ax"
.global _start
// The arm64 Linux image header (Documentation/arch/arm64/booting.rst). The loader passes the device tree's address in x0.
_start:
    b       primary_entry
    .long   0
    .quad   0                           // text_offset: from a 2 MiB boundary
    .quad   __image_size                // xtask adds the size of the symbol table
    .quad   0xa                         // little endian, 4 KiB pages, anywhere in memory (but see tables.S)
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

.section .head.text, "ax"
// x0: device tree's physical address.
primary_entry:
    msr     daifset, #0xf
    mov     x19, x0
    bl      enter_el1
    bl      build_boot_tables           // uses x19
    adrp    x0, __boot_tables_start     // TTBR0: identity
    add     x1, x0, #0x2000             // TTBR1: upper half
    ldr     x2, =primary_upper
    b       enable_mmu

primary_upper:
    .cfi_startproc
    .cfi_undefined x30                  // the outermost frame
    ldr     x0, =__boot_stack_top
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x19
    mov     x1, x20
    bl      kernel_early                // (dtb, image) -> x0 = final TTBR1, x1 = SP
    mov     sp, x1
    // The image goes from blocks to pages. Two translations of one address must not be in the TLB together (DDI 0487
    // D8.16.1, break-before-make), so the switch runs at the identity map's address with the upper half off in between.
    ldr     x2, =primary_final
    adrp    x3, __image_start
    sub     x3, x3, x20
    adr     x4, switch_tables
    sub     x4, x4, x3
    br      x4
switch_tables:
    mrs     x5, tcr_el1
    orr     x6, x5, #(1 << 23)          // EPD1
    dsb     ish
    msr     tcr_el1, x6
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    msr     ttbr1_el1, x0
    isb                                 // before EPD1 allows walks again, which must not use the old tables (D8.2.3)
    msr     tcr_el1, x5
    isb
    br      x2

primary_final:
    mov     x29, xzr
    mov     x30, xzr
    bl      kernel_main
    brk     #0x800
    .cfi_endproc

// PSCI CPU_ON starts a CPU here; x0: physical address of SecondaryArgs { ttbr1, sp, cpu }.
.global secondary_entry
secondary_entry:
    msr     daifset, #0xf
    mov     x19, x0
    bl      enter_el1
    adrp    x0, __boot_tables_start
    ldr     x1, [x19]
    ldr     x2, =secondary_upper
    b       enable_mmu

secondary_upper:
    .cfi_startproc
    .cfi_undefined x30                  // the outermost frame
    // The identity map is still in use: the arguments are read through it.
    ldp     x1, x0, [x19, #8]
    mov     sp, x1
    mov     x29, xzr
    mov     x30, xzr
    bl      kernel_secondary            // (cpu)
    brk     #0x800
    .cfi_endproc

// x0: TTBR0, x1: TTBR1, x2: the virtual address to continue at.
enable_mmu:
    ldr     x3, =0x00000000000004ff     // MAIR: 0 normal write-back, 1 device nGnRE
    msr     mair_el1, x3
    // TCR: 48-bit halves, 4 KiB granules, inner shareable, write-back walks.
    ldr     x3, =0x00000000b5103510
    mrs     x4, id_aa64mmfr0_el1
    and     x4, x4, #0xf
    mov     x5, #5                      // IPS 6 (52 bits) needs another table format
    cmp     x4, x5
    csel    x4, x4, x5, lo
    bfi     x3, x4, #32, #3
    msr     tcr_el1, x3
    msr     ttbr0_el1, x0
    msr     ttbr1_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    ic      iallu
    dsb     nsh
    isb
    ldr     x3, =SCTLR_MMU_ON
    msr     sctlr_el1, x3
    isb
    br      x2
