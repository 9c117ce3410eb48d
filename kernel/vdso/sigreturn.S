// The return from a signal's handler for programs that name no restorer: X30 of the handler points to the symbol.
//
// Unwinders look up the rules of a caller at its return address less one, so the rules begin one instruction before the symbol. The two
// instructions behind it are Linux's: unwinders that do not read the rules know the frame of a signal by these words.

// struct rt_sigframe, to which SP points: where X0, SP and PC of the interrupted code are saved.
.equ SAVED_X0, 128 + 184
.equ SAVED_SP, SAVED_X0 + 8 * 31
.equ SAVED_PC, SAVED_X0 + 8 * 32

// libgcc's number for PC where it is no register's: the interrupted code still needs its X30 (DWARF_ALT_FRAME_RETURN_COLUMN).
.equ COLUMN_PC, 96

// A register is saved at SP + offset: DW_CFA_expression, with DW_OP_breg31 and the offset in SLEB128.
.macro saved column, offset
    .cfi_escape 0x10, \column, 3, 0x8f, ((\offset) & 0x7f) | 0x80, (\offset) >> 7
.endm

    .section .text.sigreturn, "ax", %progbits
    .balign 4
    .cfi_startproc
    .cfi_signal_frame
    .cfi_return_column 96
    // The CFA is the SP of the interrupted code, which lies at SP + SAVED_SP: DW_CFA_def_cfa_expression, DW_OP_breg31, DW_OP_deref.
    .cfi_escape 0x0f, 4, 0x8f, (SAVED_SP & 0x7f) | 0x80, SAVED_SP >> 7, 0x06
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    saved \n, SAVED_X0 + 8 * \n
    .endr
    saved 31, SAVED_SP
    saved COLUMN_PC, SAVED_PC
    nop
    .globl __kernel_rt_sigreturn
    .type __kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
    mov x8, #139
    svc #0
    .cfi_endproc
    .size __kernel_rt_sigreturn, . - __kernel_rt_sigreturn
