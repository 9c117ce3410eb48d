// The exception vectors (DDI 0487 D1.3.6), entry and exit. Nothing in this file can be probed (rule H6). No synchronous
// exception can occur between a vector and its snapshot, nor between the loads of ELR_EL1 and SPSR_EL1 and the ERET
// (rule I3).
//
// FRAME is the size of exception::Frame; X30, SP_, PC, ESR and RECORD are offsets in it.

// Makes room for the frame, and checks for stack overflow. No register is free, so X0 is added to SP for the moment.
// Stacks are aligned to twice their size and use the upper half, so bit STACK_SHIFT of SP is 0 exactly if SP has left
// the stack downwards.
.macro vector handler
    .balign 0x80
    sub     sp, sp, #{FRAME}
    add     sp, sp, x0
    sub     x0, sp, x0
    tbz     x0, #{STACK_SHIFT}, 1f
    sub     x0, sp, x0
    sub     sp, sp, x0
    b       \handler\()_entry
1:  b       stack_overflow
.endm

.macro save
    stp     x0, x1, [sp, #16 * 0]
    stp     x2, x3, [sp, #16 * 1]
    stp     x4, x5, [sp, #16 * 2]
    stp     x6, x7, [sp, #16 * 3]
    stp     x8, x9, [sp, #16 * 4]
    stp     x10, x11, [sp, #16 * 5]
    stp     x12, x13, [sp, #16 * 6]
    stp     x14, x15, [sp, #16 * 7]
    stp     x16, x17, [sp, #16 * 8]
    stp     x18, x19, [sp, #16 * 9]
    stp     x20, x21, [sp, #16 * 10]
    stp     x22, x23, [sp, #16 * 11]
    stp     x24, x25, [sp, #16 * 12]
    stp     x26, x27, [sp, #16 * 13]
    stp     x28, x29, [sp, #16 * 14]
.endm

// SP is the frame.
.macro load_x0_to_x27
    ldp     x0, x1, [sp, #16 * 0]
    ldp     x2, x3, [sp, #16 * 1]
    ldp     x4, x5, [sp, #16 * 2]
    ldp     x6, x7, [sp, #16 * 3]
    ldp     x8, x9, [sp, #16 * 4]
    ldp     x10, x11, [sp, #16 * 5]
    ldp     x12, x13, [sp, #16 * 6]
    ldp     x14, x15, [sp, #16 * 7]
    ldp     x16, x17, [sp, #16 * 8]
    ldp     x18, x19, [sp, #16 * 9]
    ldp     x20, x21, [sp, #16 * 10]
    ldp     x22, x23, [sp, #16 * 11]
    ldp     x24, x25, [sp, #16 * 12]
    ldp     x26, x27, [sp, #16 * 13]
.endm

.macro snapshot
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    mrs     x24, esr_el1
    mrs     x25, far_el1
    stp     x22, x23, [sp, #{PC}]
    stp     x24, x25, [sp, #{ESR}]
    stp     x29, x22, [sp, #{RECORD}]
    add     x29, sp, #{RECORD}
    mov     x0, sp
.endm

.macro entry handler, function
\handler\()_entry:
    .cfi_startproc simple
    describe_live
    save
    add     x21, sp, #{FRAME}
    stp     x30, x21, [sp, #{X30}]
    snapshot
    .cfi_def_cfa x29, {FRAME} - {RECORD}
    describe_frame
    bl      \function
    b       return_to_el1
    .cfi_endproc
.endm

// A vector for exceptions from a program. The kernel's stack is empty, so there is room for the frame, whose SP is SP_EL0. The whole
// entry has its place in the vector, which is 32 instructions long. X24 is ESR_EL1.
.macro vector_of_el0
    .balign 0x80
80: .cfi_startproc simple
    describe_live
    sub     sp, sp, #{FRAME}
    save
    mrs     x21, sp_el0
    stp     x30, x21, [sp, #{X30}]
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    mrs     x24, esr_el1
    mrs     x25, far_el1
    stp     x22, x23, [sp, #{PC}]
    stp     x24, x25, [sp, #{ESR}]
    // X29 of the frame record is 0: backtraces of the kernel must not follow the program's.
    stp     xzr, x22, [sp, #{RECORD}]
    add     x29, sp, #{RECORD}
    mov     x0, sp
    .cfi_def_cfa x29, {FRAME} - {RECORD}
    describe_frame
.endm

// The end of a vector. If it is longer than 32 instructions, the assembler cannot go back to where the next one begins.
.macro end_of_vector
    .cfi_endproc
    .org    80b + 0x80
.endm

// Calls the handler at an offset of the table of handlers, and returns to the program.
.macro vector_el0 offset
    vector_of_el0
    ldr     x2, =EXCEPTION_EL0
    ldr     x2, [x2, #\offset]
    blr     x2
    b       return_to_el0
    end_of_vector
.endm

// Calls the handler of the exception's class. X24 is ESR_EL1.
.macro call_by_class table
    ldr     x2, =\table
    ubfx    x1, x24, #26, #6
    ldr     x2, [x2, x1, lsl #3]
    blr     x2
.endm

.section .noprobe.text.vectors, "ax"
.balign 0x800
.global vectors
vectors:
    .cfi_startproc simple
    describe_live
    vector  el1t_sync
    vector  el1t_irq
    vector  el1t_fiq
    vector  el1t_error
    vector  el1_sync
    vector  el1_irq
    vector  el1_fiq
    vector  el1_error
    .cfi_endproc

    vector_of_el0
    call_by_class EXCEPTION_EL0
    b       return_to_el0
    end_of_vector
    vector_el0 {EL0_IRQ}
    vector_el0 {EL0_FIQ}
    vector_el0 {EL0_ERROR}
    vector_el0 {EL0_AARCH32}
    vector_el0 {EL0_AARCH32}
    vector_el0 {EL0_AARCH32}
    vector_el0 {EL0_AARCH32}
    .balign 0x80

    entry   el1t_sync, exception_el1t_sync
    entry   el1t_irq, exception_on_sp_el0
    entry   el1t_fiq, exception_on_sp_el0
    entry   el1t_error, exception_on_sp_el0
    entry   el1_irq, exception_el1_irq
    entry   el1_fiq, exception_el1_fiq
    entry   el1_error, exception_el1_error

// Returns to the program whose frame is at SP, at the top of the kernel's stack. D, A, I, F are masked.
.global return_to_el0
return_to_el0:
    .cfi_startproc simple
    describe_live
    describe_frame
    ldp     x21, x22, [sp, #{SP_}]
    ldr     x23, [sp, #{PC} + 8]
    msr     sp_el0, x21
    msr     elr_el1, x22
    msr     spsr_el1, x23
    load_x0_to_x27
    ldp     x28, x29, [sp, #16 * 14]
    ldr     x30, [sp, #{X30}]
    add     sp, sp, #{FRAME}
    .cfi_endproc
    eret

// Begins a program: X0 is the place of its frame, at the top of the thread's stack, X1 its registers, which lie lower on the same stack
// and may overlap the place. D, A, I, F are masked.
.global begin_at_el0
begin_at_el0:
    mov     x2, #{FRAME}
1:  sub     x2, x2, #8
    ldr     x3, [x1, x2]
    str     x3, [x0, x2]
    cbnz    x2, 1b
    mov     sp, x0
    mov     x29, xzr
    ldr     x2, =EXCEPTION_EL0
    ldr     x2, [x2, #{EL0_BEGIN}]
    blr     x2
    b       return_to_el0

// This entry is the last, because the handler returns into return_to_el1 below; all other entries branch there.
el1_sync_entry:
    .cfi_startproc simple
    describe_live
    save
    add     x21, sp, #{FRAME}
    stp     x30, x21, [sp, #{X30}]
    snapshot
    .cfi_def_cfa x29, {FRAME} - {RECORD}
    describe_frame
    call_by_class EXCEPTION_EL1_CLASSES
    .cfi_endproc

// Returns to the context whose frame is at SP. D, A, I, F are masked. A handler may have changed the context's SP, so
// SP is loaded from the frame. From then on the frame may lie below SP, but it can still be read: no exception can be
// taken here that would overwrite it.
.global return_to_el1
return_to_el1:
    .cfi_startproc simple
    describe_live
    describe_frame
    ldp     x22, x23, [sp, #{PC}]
    msr     elr_el1, x22
    msr     spsr_el1, x23
    load_x0_to_x27
    mov     x30, sp
    .cfi_def_cfa_register x30
    ldr     x29, [x30, #{SP_}]
    mov     sp, x29
    ldp     x28, x29, [x30, #16 * 14]
    ldr     x30, [x30, #{X30}]
    .cfi_endproc
    eret

// A stack has overflowed. X0 is SP of the context minus FRAME; SP is that plus X0 of the context. The frame is saved on
// this CPU's overflow stack. TPIDR_EL0 holds SP minus FRAME meanwhile, TPIDRRO_EL0 X0 of the context.
stack_overflow:
    msr     tpidr_el0, x0
    sub     x0, sp, x0
    msr     tpidrro_el0, x0
    mrs     x0, tpidr_el1
    lsl     x0, x0, #{CPU_STACKS_SHIFT}
    mov     sp, x0
    ldr     x0, ={OVERFLOW_STACK}
    add     sp, sp, x0
    sub     sp, sp, #{FRAME}
    mrs     x0, tpidrro_el0
    .cfi_startproc simple
    describe_live
    save
    mrs     x21, tpidr_el0
    add     x21, x21, #{FRAME}
    stp     x30, x21, [sp, #{X30}]
    snapshot
    .cfi_def_cfa x29, {FRAME} - {RECORD}
    describe_frame
    bl      exception_stack_overflow
    brk     #{BUG}
    .cfi_endproc
    .ltorg
.purgem describe_live
.purgem describe_frame
