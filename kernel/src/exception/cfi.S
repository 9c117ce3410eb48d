// FRAME, X30, SP_, PC: offsets in exception::Frame.

// For debuggers. The return address column is PC (32 in DWARF for the Arm 64-bit Architecture): in an interrupted context it
// is not LR. CFA: SP before the exception, but for a stack that overflowed and for handlers that move SP.

// PC is in ELR_EL1, which DWARF cannot name: until the snapshot a backtrace ends here.
.macro describe_live
    .cfi_signal_frame
    .cfi_return_column 32
    .cfi_def_cfa sp, {FRAME}
    .cfi_undefined 32
.endm

// From then on everything is in the frame.
.macro describe_frame
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
    .cfi_offset x\n, \n * 8 - {FRAME}
    .endr
    .cfi_offset x30, {X30} - {FRAME}
    .cfi_offset sp, {SP_} - {FRAME}
    .cfi_offset 32, {PC} - {FRAME}
.endm
