// The code that stays at EL2. The kernel makes two calls, by HVC. Every other exception that is taken to EL2 is an
// unexpected trap: it is reported on the console, and the machine ends. A return to the trapped instruction would only
// take the trap again, for ever and in silence.

.section .head.text, "ax"

.balign 2048
el2_vectors:
    .rept 8                             // from EL2 itself
    .balign 128
    b       el2_own
    .endr
    .balign 128
    b       el2_call                    // synchronous, from EL1
    .rept 7
    .balign 128
    b       el2_unexpected
    .endr

// HVC #0 returns -1 in X0, "no such service", as SMCCC demands (Arm DEN0028). The kernel's tests step over such a call.
// HVC #1 makes a virtual SError pending for EL1 (HCR_EL2.VSE, which needs AMO), so that rules M9 and M16 can be tested
// on a machine whose hardware works.
el2_call:
    msr     tpidr_el2, x0
    mrs     x0, esr_el2
    ror     x0, x0, #25                 // EC and IL in the low bits, the immediate from bit 39 on
    cmp     x0, #0x2d                   // EC 0x16, IL
    b.eq    1f
    eor     x0, x0, #(1 << 39)
    cmp     x0, #0x2d
    b.ne    el2_unexpected
    mrs     x0, hcr_el2
    orr     x0, x0, #(1 << 8)           // VSE
    orr     x0, x0, #(1 << 5)           // AMO
    msr     hcr_el2, x0
    mrs     x0, tpidr_el2
    msr     tpidr_el2, xzr
    eret
1:
    mov     x0, #-1
    msr     tpidr_el2, xzr
    eret

// An exception from EL2 itself. While el2_unexpected tries to end the machine by an instruction that may be UNDEFINED,
// TPIDR_EL2 holds the address where it then continues. Otherwise TPIDR_EL2 is 0, except inside of el2_call.
el2_own:
    mrs     x0, tpidr_el2
    cbz     x0, el2_unexpected
    br      x0

// Does not return, so every register may be used. The MMU is off, so addresses are physical and accesses to the console are device
// accesses.
el2_unexpected:
    msr     tpidr_el2, xzr              // el2_call has put the caller's x0 there
    adrp    x19, BOOT_EL2_CONSOLE
    ldr     x19, [x19, :lo12:BOOT_EL2_CONSOLE]
    cbz     x19, 1f
    adr     x20, el2_report
    mrs     x21, esr_el2
    mrs     x22, elr_el2
    mrs     x23, far_el2
    mrs     x24, spsr_el2
    mrs     x25, mpidr_el1
    bl      el2_print
    mov     x26, x21
    bl      el2_print_hex
    mov     x26, x22
    bl      el2_print_hex
    mov     x26, x23
    bl      el2_print_hex
    mov     x26, x24
    bl      el2_print_hex
    mov     x26, x25
    bl      el2_print_hex
1:
    // Ends the machine by semihosting, which passes the status on; else by PSCI; else by waiting for ever. HLT and SMC are
    // UNDEFINED if nobody serves them.
    adr     x0, 2f
    msr     tpidr_el2, x0
    mov     x0, #0x18                   // SYS_EXIT
    adr     x1, el2_exit_block
    hlt     #0xf000
2:
    adr     x0, 3f
    msr     tpidr_el2, x0
    constant x0, 0x84000008             // SYSTEM_OFF
    smc     #0
3:
    wfi
    b       3b

// Prints the text at x20 up to its 0, and leaves x20 after the 0. x19: PL011. Clobbers x0 and x1.
el2_print:
    ldrb    w0, [x20], #1
    cbz     w0, 2f
1:  ldr     w1, [x19, #0x18]            // UARTFR
    tbnz    w1, #5, 1b                  // TXFF
    strb    w0, [x19]                   // UARTDR
    b       el2_print
2:  ret

// Prints x26 in hexadecimal, then as el2_print. Clobbers x0 to x2.
el2_print_hex:
    mov     x2, #16
1:  ror     x26, x26, #60
    and     x0, x26, #0xf
    add     x1, x0, #'0'
    add     x0, x0, #('a' - 10)
    cmp     x1, #'9'
    csel    x0, x1, x0, ls
2:  ldr     w1, [x19, #0x18]
    tbnz    w1, #5, 2b
    strb    w0, [x19]
    sub     x2, x2, #1
    cbnz    x2, 1b
    b       el2_print

// Each 0 is followed by a value in hexadecimal.
el2_report:
    .asciz  "panic: unexpected exception taken to EL2: ESR_EL2 "
    .asciz  ", ELR_EL2 "
    .asciz  ", FAR_EL2 "
    .asciz  "\r\nSPSR_EL2 "
    .asciz  ", MPIDR_EL1 "
    .asciz  "\r\nend of report\r\n"
.balign 8
el2_exit_block:
    .quad   0x20026                     // ADP_Stopped_ApplicationExit
    .quad   101                         // the status of a panic
