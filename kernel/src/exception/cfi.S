// FRAME is the size of exception::Frame; X30, SP_ and PC are offsets in it.

// Call frame information, by which debuggers find the interrupted context from code of the vectors. The return address
// column is PC (register 32 in DWARF for the Arm 64-bit Architecture), because an interrupted context goes on at PC,
// not at LR. The CFA is SP before the exception, except if the stack has overflowed or a handler has changed SP.

// Until the snapshot, PC is in ELR_EL1 only, from which debuggers do not read it: a backtrace ends here.
.macro describe_live
    .cfi_signal_frame
    .cfi_return_column 32
    .cfi_def_cfa sp, {FRAME}
    .cfi_undefined 32
.endm

// From the snapshot on, all registers are in the frame.
.macro describe_frame
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
    .cfi_offset x\n, \n * 8 - {FRAME}
    .endr
    .cfi_offset x30, {X30} - {FRAME}
    .cfi_offset sp, {SP_} - {FRAME}
    .cfi_offset 32, {PC} - {FRAME}
.endm
