// The common hits: a probe's BRK, the BRK at the end of a copy, the BRK of a return probe, and the hit of an optimised probe. This
// file deals with a hit if the CPU is in no debug context, the running context has no owner of a step, and the site has exactly one
// probe, which is enabled. All other hits go to exception_el1_any_brk. Between the vectors' snapshot and return_to_el1 all of X0 to
// X28 are free, because the frame has their values.
//
// The vectors set X0 and SP to the frame, X22 to PC, X23 to SPSR_EL1, X24 to ESR_EL1, and X30 to return_to_el1.
//
// This file uses X19 for the index of the CPU, X20 for its CpuDebug, X21 for the site, X26 for the probe, and X27 for
// Short::run of the site. X24 is debug::ONE_LEVEL: the value at CONTEXT in one debug context with one level and no
// owner.

.section .noprobe.text.hit, "ax"

.macro this_cpu
    mrs     x19, tpidr_el1
    ldr     x20, =CPU_DEBUG
    mov     x24, #{ONE_LEVEL}
    add     x20, x20, x19, lsl #{CPU_SHIFT}
.endm

// This file has row M12 of the rule table built in. In checked builds a boot argument may have changed a cell: then the engine, at
// \longer, deals with the hit, since it reads the table.
.macro check_entry longer
    .if {CHECKED}
    ldr     x1, =EXCEPTION_CELLS_EXCHANGED
    ldrb    w1, [x1]
    cbnz    w1, \longer
    mov     x0, x20
    mov     x1, sp
    bl      kprobe_check_entry
    .endif
.endm

// The end of an optimised probe's hit. X5: the PSTATE of the probed context, of which NZCV is put back here.
.macro end_of_hit
    str     xzr, [x20, #{CONTEXT}]
    .if {CHECKED}
    mov     x0, x20
    mov     x1, sp
    bl      kprobe_check_exit
    ldr     x5, [sp, #{PSTATE}]
    .endif
    msr     nzcv, x5
    // The trampoline, at X28, puts back the other registers. D is masked, so these loads hit no watchpoint.
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
    br      x28
.endm

// In release builds nothing here is recorded: a kernel that traces leaves all BRKs to the engine. In checked builds `check_entry` and the check of the exit
// record.
.if {CHECKED} == 0
.pushsection .trace_sites, "a"
.balign 8
.quad exception_el1_brk, exception_el1_any_brk
.popsection
.endif

.global exception_el1_brk
exception_el1_brk:
    .cfi_startproc simple
    describe_live
    .cfi_def_cfa x29, {FRAME} - {RECORD}
    describe_frame
    uxth    w1, w24
    cmp     w1, #{KPROBE}
    b.ne    8f
    this_cpu
    ldr     x2, =KPROBE_PAGES
    ubfx    x3, x22, #12, #{PAGE_BITS}
    ldr     x1, [x20, #{CONTEXT}]
    ldr     x2, [x2, x3, lsl #3]
    ubfx    x3, x22, #2, #10
    cbnz    x1, 7f
    ldr     x21, [x2, x3, lsl #3]
    cbz     x21, 7f
    ldp     x1, x26, [x21, #{PLAIN}]
    cmp     x1, x22
    b.ne    7f
    check_entry 7f
    // Count the hit, then begin one debug context and one level by one store.
    add     x3, x26, x19, lsl #3
    ldr     x4, [x3, #{HITS}]
    add     x4, x4, #1
    str     x4, [x3, #{HITS}]
    stp     x24, x21, [x20, #{CONTEXT}]
    ldp     x3, x27, [x21, #{PRE}]
    cbz     x3, 1f
    mov     x0, x26
    mov     x1, sp
    blr     x3
    ldr     x1, [x20, #{CONTEXT}]
    cmp     x1, x24
    b.ne    6f
    cbnz    w0, 5f
1:  tbnz    x27, #0, 4f
    ldr     x23, [sp, #{PSTATE}]
    ands    x1, x23, #0xc0
    orr     x23, x23, #0xc0
    tbnz    x27, #1, 3f
    mov     x22, x27
    b.eq    2f
    // If the context masks only one of I and F, the copy that ends in a BRK has to run, and the engine prepares it: see 6.
    mov     w0, wzr
    cmp     x1, #0xc0
    b.ne    6f
    add     x22, x27, #{MASKED_FORM}
2:  stp     x22, x23, [sp, #{PC}]
    b       5f
    // The probe has a post-handler, so the copy that ends in a BRK runs. The debug context ends here, the level goes on until that
    // BRK.
3:  add     x22, x27, #{TRAPPING_FORM} - 2
    str     x1, [x20, #{LEVEL_MASKS}]
    stp     x22, x23, [sp, #{PC}]
    str     wzr, [x20, #{CONTEXT}]
    b       9f
    // The instruction is simulated by the function at X27 without its flag SIMULATED.
4:  sub     x3, x27, #1
    mov     x0, x21
    mov     x1, sp
    blr     x3
    // The debug context and the level end by two stores, which leave the owners alone: a handler may have asked for a step.
5:  str     wzr, [x20, #{CONTEXT}]
    strb    wzr, [x20, #{CONTEXT} + 4]
    // M13: MDSCR_EL1 gets what armed slots and steps want, if it does not hold that already.
9:  .if {CHECKED}
    mov     x0, x20
    mov     x1, sp
    bl      kprobe_check_exit
    .endif
    ldp     x1, x2, [x20, #{ARMED_BITS}]
    ldr     x3, [x20, #{MDSCR}]
    orr     x1, x1, x2
    cmp     x1, x3
    b.eq    return_to_el1
    str     x1, [x20, #{MDSCR}]
    msr     mdscr_el1, x1
    // As in `control::sync_for_return`: ERET may decide on SPSR.SS (DDI 0487 D2.12.4) before it synchronises.
    isb
    b       return_to_el1

    // Label 4 calls this code as a simulator. A simulator returns to label 5, and so does this code, unless the
    // instruction has taken an exception: then kprobe_exception deals with the exception, by M6 in place of M13. W2 is
    // the depth of debug contexts without the context of this hit, which is 0.
.global kprobe_literal
kprobe_literal:
    bl      {RUN_LITERAL}
    cbz     w0, 5b
    mov     x0, x20
    mov     x1, sp
    mov     w2, wzr
    bl      kprobe_exception
    b       return_to_el1

    // The pre-handler has asked for a step, or the context masks only one of I and F. W0: the pre-handler's answer (Then).
6:  mov     w2, w0
    mov     x0, x20
    mov     x1, sp
    bl      kprobe_rest_of_hit
    b       return_to_el1

7:  mov     x0, sp
    b       exception_el1_any_brk

    // The immediates of BRKs of probes are 4 to 7. BRKs of a debugger, of trampolines and of benches have immediates with bit 10
    // set (exception::brk), so one instruction sorts them out.
8:  tbnz    w24, #10, exception_el1_any_brk
    cmp     w1, #{OOL_END}
    b.ne    10f
    // The BRK at the end of a copy, if hit.S has begun the level: the probe's post-handler is called.
    this_cpu
    ldp     x1, x21, [x20, #{CONTEXT}]
    sub     x24, x24, #1
    cmp     x1, x24
    b.ne    7b
    ldp     x1, x26, [x21, #{PLAIN}]
    ldr     x27, [x21, #{RUN}]
    cbz     x1, 7b
    add     x3, x27, #{TRAP} - 2
    cmp     x3, x22
    b.ne    7b
    ldr     x2, [x20, #{LEVEL_MASKS}]
    tbnz    x2, #63, 7b
    check_entry 7b
    .if {CHECKED}
    ldr     x2, [x20, #{LEVEL_MASKS}]
    .endif
    bic     x23, x23, #0xc0
    ldr     x1, [x21, #{PLAIN}]
    orr     x23, x23, x2
    add     x22, x1, #4
    add     x24, x24, #1
    stp     x22, x23, [sp, #{PC}]
    str     x24, [x20, #{CONTEXT}]
    ldr     x3, [x21, #{POST_HANDLER}]
    mov     x0, x26
    mov     x1, sp
    blr     x3
    b       5b

    // The BRK of a return probe. Its address selects the instance of the call that returns. X26: the instance, X25 its return
    // probe, X28 the address that the call returns to.
10: cmp     w1, #{KRETPROBE}
    b.ne    exception_el1_any_brk
    this_cpu
    ldr     x2, =KPROBE_INSTANCES
    ubfx    x3, x22, #2, #{INSTANCE_BITS}
    ldr     x1, [x20, #{CONTEXT}]
    add     x26, x2, x3, lsl #{INSTANCE_SHIFT}
    cbnz    x1, 7b
    ldp     x28, x1, [x26]
    ldp     x21, x27, [x26, #{SITE_HANDLER}]
    ldr     x25, [x26, #{INSTANCE_PROBE}]
    cmp     x1, x22
    b.ne    7b
    // If no call has the instance, the BRK was reached without a call: the engine ends the kernel.
    cbz     x28, 7b
    check_entry 7b
    str     x28, [sp, #{PC}]
    stp     x24, x21, [x20, #{CONTEXT}]
    mov     x0, x25
    mov     x1, x26
    mov     x2, sp
    blr     x27
    // The instance is freed, and becomes the instance that the next call tries first (ReturnProbe::next).
    str     xzr, [x26, #{INSTANCE_SP}]
    stlr    xzr, [x26]
    str     x26, [x25]
    b       5b
    .cfi_endproc
    .ltorg

// A trampoline (probe::trampoline) calls this with D, A, I, F masked. SP is the address of a Frame in which the trampoline has
// stored X0 to X30 and SP. X0 is DAIF and X27 is SP of the probed context. X30 is the address in the trampoline at which a context
// that masks nothing goes on. X28 gets that address from X30; contexts with other masks go on at a fixed distance from it.
.global kprobe_optimised
kprobe_optimised:
    .cfi_startproc simple
    describe_live
    .cfi_def_cfa x27, 0
    describe_frame
    mrs     x5, nzcv
    ldp     x21, x24, [x30, #{DATA_FROM_OPEN}]
    orr     x5, x5, x0
    mov     x28, x30
    // PSTATE.M is EL1h.
    add     x5, x5, #5
    ldp     x22, x26, [x21, #{PLAIN}]
    mrs     x19, tpidr_el1
    ldr     x20, =CPU_DEBUG
    add     x20, x20, x19, lsl #{CPU_SHIFT}
    stp     x22, x5, [sp, #{PC}]
    ldr     x1, [x20, #{CONTEXT}]
    // There was no exception, so the frame's ESR is 0.
    str     xzr, [sp, #{ESR}]
    stp     x29, x22, [sp, #{RECORD}]
    add     x29, sp, #{RECORD}
    // If the CPU is in a debug context or has a level, or if the context's step has an owner, the engine deals with the hit.
    cbnz    x1, 1f
    check_entry 1f
    add     x3, x26, x19, lsl #3
    ldr     x4, [x3, #{HITS}]
    add     x4, x4, #1
    str     x4, [x3, #{HITS}]
    stp     x24, x21, [x20, #{CONTEXT}]
    ldr     x3, [x21, #{PRE}]
    mov     x0, x26
    mov     x1, sp
    blr     x3
    // The context goes on at X28 if nothing is masked, the handler has answered Then::Run, has asked for no step, and has not
    // changed SP.
    ldr     x1, [x20, #{CONTEXT}]
    ldr     x5, [sp, #{PSTATE}]
    ldr     x2, [sp, #{SP_}]
    tst     x5, #0x3c0
    ccmp    w0, #0, #0, eq
    ccmp    x1, x24, #0, eq
    ccmp    x2, x27, #0, eq
    b.ne    4f
3:  end_of_hit

    // The trampoline cannot skip the instruction, begin a step or change SP: if the handler has asked for one of these, the BRK at
    // 2 calls the engine. Otherwise the context masks something. If it masks D, A, I and F, the trampoline goes on where it changes
    // no masks. If it masks only I and F, as an interrupt handler does, the trampoline goes on where it opens D and A after its
    // last load. For all other masks the BRK at 2 calls the engine.
4:  cmp     w0, #0
    ccmp    x1, x24, #0, eq
    ccmp    x2, x27, #0, eq
    b.ne    2f
    ubfx    x1, x5, #6, #4
    add     x28, x28, #{MASKED_FROM_OPEN}
    cmp     x1, #0xf
    b.eq    3b
    cmp     x1, #0x3
    b.ne    2f
    sub     x28, x28, #{MASKED_FROM_OPEN} - {INTERRUPT_FROM_OPEN}
    end_of_hit

    // kprobe::optimised::rest tells these two BRKs apart by their addresses. At the first one, nothing of the hit is done.
1:  mov     w0, wzr
.global kprobe_optimised_hit
kprobe_optimised_hit:
    brk     #{TRAMPOLINE}
    // At the second one, the hit is counted and the handler has run. W0 is the handler's answer.
2:
.global kprobe_optimised_rest
kprobe_optimised_rest:
    brk     #{TRAMPOLINE}
    .cfi_endproc
    .ltorg

// The BRKs of return probes, one for each instance. The alignment lets the low bits of the address be the number of the instance.
.balign 4 * {INSTANCES}
.global KPROBE_RETURNS
KPROBE_RETURNS:
    .rept {INSTANCES}
    brk     #{KRETPROBE}
    .endr
.purgem this_cpu
.purgem check_entry
.purgem end_of_hit
.purgem describe_live
.purgem describe_frame
