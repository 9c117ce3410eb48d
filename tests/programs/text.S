// The text of the small program, which does what a word of its data says. X19 is the address of its data; `program.rs` names the words.
// `walks.rs` lists the instructions that a stepped program lands on, so it depends on their number and order.

.pushsection .rodata.el0_program, "a"
.balign 8
.global el0_program, el0_program_end
el0_program:
    movz    x19, #0x50, lsl #16
    // rt_sigaction(SIGTRAP, {handler, SA_SIGINFO}, NULL, 8)
    adr     x0, el0_trap
    mov     x1, #4
    stp     x0, x1, [x19, #64]
    stp     xzr, xzr, [x19, #80]
    mov     x0, #5
    add     x1, x19, #64
    mov     x2, #0
    mov     x3, #8
    mov     x8, #134
    svc     #0
    mov     w0, #1
    str     w0, [x19, #136]
    // futex(GO, FUTEX_WAIT, 0, NULL)
1:  add     x0, x19, #128
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    mov     x8, #98
    svc     #0
.global el0_go
el0_go:
    ldr     w0, [x19, #128]
    cbz     w0, 1b
    // What the program does.
    adr     x1, el0_program
    ldr     w0, [x19]
    add     x1, x1, x0
    br      x1

.global el0_brk, el0_spot, el0_names, el0_call
el0_brk:
    brk     #0x123
    b       el0_exit

el0_spot:
    nop
    str     w0, [x19, #8]
    b       el0_exit

// uname, 100 times, then one load of the names.
el0_names:
    mov     w20, #100
2:  add     x0, x19, #512
    mov     x8, #160
el0_call:
    svc     #0
    sub     w20, w20, #1
    cbnz    w20, 2b
    ldrb    w0, [x19, #520]

// exit_group(signals + 16 * si_code)
.global el0_exit
el0_exit:
    ldr     w0, [x19, #16]
    ldr     w1, [x19, #24]
    add     w0, w0, w1, lsl #4
    mov     x8, #94
    svc     #0

.global el0_trap, el0_trap_end
// The handler of SIGTRAP: counts, and steps over a BRK or an instruction that is undefined. 15 signals are too many: the program ends.
el0_trap:
    movz    x9, #0x50, lsl #16
    ldr     x3, [x9, #16]
    add     x3, x3, #1
    str     x3, [x9, #16]
    cmp     x3, #15
    b.hs    el0_exit
    ldrsw   x4, [x1, #8]
    ldr     x5, [x1, #16]
    stp     x4, x5, [x9, #24]
    ldr     x6, [x2, #440]
    cmp     x4, #1
    b.ne    3f
    add     x6, x6, #4
    str     x6, [x2, #440]
3:  ret
el0_trap_end:

// System calls that return at once, give way and sleep, and an instruction that the kernel executes for the program.
.global el0_calls, el0_calls_end
el0_calls:
    mov     x8, #172
    svc     #0
    mov     x8, #124
    svc     #0
    movz    x1, #0x2d, lsl #16
    stp     xzr, x1, [x19, #192]
    add     x0, x19, #192
    mov     x1, #0
    mov     x8, #101
    svc     #0
    mrs     x0, id_aa64isar0_el1
    cmp     x0, x0
el0_calls_end:
    b       el0_exit

// A system call that a signal can cut short: futex(WAIT, FUTEX_WAIT, 0, NULL), with a handler of SIGUSR1 that has SA_RESTART.
.global el0_waits, el0_waits_call, el0_waits_end, el0_user, el0_user_end, el0_restorer, el0_restorer_end
el0_waits:
    adr     x0, el0_user
    movz    x1, #0x1400, lsl #16
    adr     x2, el0_restorer
    stp     x0, x1, [x19, #256]
    stp     x2, xzr, [x19, #272]
    mov     x0, #10
    add     x1, x19, #256
    mov     x2, #0
    mov     x3, #8
    mov     x8, #134
    svc     #0
    add     x0, x19, #160
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    mov     x8, #98
el0_waits_call:
    svc     #0
    nop
el0_waits_end:
    b       el0_exit
el0_user:
    ldr     w10, [x19, #144]
    add     w10, w10, #1
    str     w10, [x19, #144]
    ret
el0_user_end:
el0_restorer:
    mov     x8, #139
    svc     #0
el0_restorer_end:

// Accesses to a page that was never touched, and one that faults, with a handler of SIGSEGV that goes on behind it.
.global el0_faults, el0_faults_load, el0_faults_end, el0_segv, el0_segv_end
el0_faults:
    adr     x0, el0_segv
    movz    x1, #0x0400, lsl #16
    orr     x1, x1, #4
    adr     x2, el0_restorer
    stp     x0, x1, [x19, #256]
    stp     x2, xzr, [x19, #272]
    mov     x0, #11
    add     x1, x19, #256
    mov     x2, #0
    mov     x3, #8
    mov     x8, #134
    svc     #0
    add     x1, x19, #1, lsl #12
    ldr     x0, [x1]
    str     x19, [x1, #8]
    mov     x1, #0
el0_faults_load:
    ldr     x0, [x1]
    nop
el0_faults_end:
    b       el0_exit
el0_segv:
    ldr     x6, [x2, #440]
    add     x6, x6, #4
    str     x6, [x2, #440]
    ret
el0_segv_end:

// A process and a thread, whose ends the program waits for. The pages are shared with the process until somebody writes.
.global el0_family, el0_family_end
el0_family:
    mov     x0, #17
    mov     x1, #0
    mov     x8, #220
    svc     #0
    cbz     x0, 4f
    str     w0, [x19, #8]
    add     x1, x19, #144
    mov     x2, #0
    mov     x3, #0
    mov     x8, #260
    svc     #0
    // clone(VM | FS | FILES | SIGHAND | THREAD | PARENT_SETTID | CHILD_CLEARTID, ..)
    movz    x0, #0x0f00
    movk    x0, #0x31, lsl #16
    sub     x1, sp, #1024
    add     x2, x19, #216
    mov     x3, #0
    add     x4, x19, #216
    mov     x8, #220
    svc     #0
    cbz     x0, 5f
    mov     x2, x0
    add     x0, x19, #216
    mov     x1, #0
    mov     x3, #0
    mov     x8, #98
    svc     #0
    ldr     w10, [x19, #144]
    ldr     w11, [x19, #224]
el0_family_end:
    b       el0_exit
4:  str     w0, [x19, #8]
    ldr     w1, [x19, #8]
    mov     x0, #7
    mov     x8, #93
    svc     #0
5:  mov     w1, #9
    str     w1, [x19, #224]
    mov     x0, #0
    mov     x8, #93
    svc     #0

// Another program, first one that there is not.
.global el0_exec, el0_exec_end
el0_exec:
    adr     x0, 7f
    mov     x1, #0
    mov     x2, #0
    mov     x8, #221
    svc     #0
    adr     x0, 6f
    mov     x1, #0
    mov     x2, #0
    mov     x8, #221
    svc     #0
el0_exec_end:
6:  .asciz  "/program"
7:  .asciz  "/no program"
.balign 4

// Exclusives: a sequence, and a load-exclusive without a store-exclusive.
.global el0_exclusive, el0_exclusive_load, el0_exclusive_past, el0_exclusive_end
el0_exclusive:
    add     x1, x19, #232
el0_exclusive_load:
    ldxr    x0, [x1]
    add     x0, x0, #5
    stxr    w2, x0, [x1]
    cbnz    w2, el0_exclusive_load
el0_exclusive_past:
    nop
    ldxr    x5, [x1]
    clrex
    nop
el0_exclusive_end:
    b       el0_exit

// An exclusive sequence with an instruction that the kernel does not execute for a program, and a call behind it.
.global el0_free, el0_free_load, el0_free_end
el0_free:
    add     x1, x19, #232
el0_free_load:
    ldxr    x0, [x1]
    mrs     x3, nzcv
    add     x0, x0, #5
    stxr    w2, x0, [x1]
    cbnz    w2, el0_free_load
    mov     x8, #172
    svc     #0
    ldr     x5, [x1]
el0_free_end:
    b       el0_exit

// sched_setaffinity(0, 8, MASK), then futex(WAIT, FUTEX_WAIT, 0, NULL).
.global el0_moves, el0_moves_call, el0_moves_wait, el0_moves_end
el0_moves:
    mov     x0, #0
    mov     x1, #8
    add     x2, x19, #208
    mov     x8, #122
el0_moves_call:
    svc     #0
    add     x0, x19, #160
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    mov     x8, #98
el0_moves_wait:
    svc     #0
    nop
el0_moves_end:
    b       el0_exit

// Runs at EL0 until GO is cleared, which it does not wait for by a system call.
.global el0_runs
el0_runs:
    yield
    ldr     w0, [x19, #128]
    cbnz    w0, el0_runs
    b       el0_exit

// Stores its own number (MEMBERS) and reads it again after others have run, 50 times.
.global el0_own
el0_own:
    ldr     w20, [x19, #240]
    mov     w21, #50
1:  add     w22, w20, w21
    str     w22, [x19, #8]
    mov     x8, #124
    svc     #0
    ldr     w0, [x19, #8]
    cmp     w0, w22
    b.ne    2f
    sub     w21, w21, #1
    cbnz    w21, 1b
    b       el0_exit
2:  mov     x0, #15
    mov     x8, #94
    svc     #0

// As many threads as MEMBERS says, which compute, give way, sleep and call. Each leaves what it has computed in the second page.
.global el0_crowd, el0_member, el0_member_done
el0_crowd:
    ldr     w20, [x19, #240]
1:  cbz     w20, 2f
    // clone(VM | FS | FILES | SIGHAND | THREAD, ..): a member uses no stack.
    movz    x0, #0x0f00
    movk    x0, #0x1, lsl #16
    mov     x1, #0
    mov     x8, #220
    svc     #0
    cbz     x0, el0_member
    cmp     x0, #0
    b.lt    3f
    sub     w20, w20, #1
    b       1b
    // nanosleep, until all have ended.
2:  add     x0, x19, #192
    mov     x1, #0
    mov     x8, #101
    svc     #0
    ldr     w0, [x19, #248]
    ldr     w1, [x19, #240]
    cmp     w0, w1
    b.ne    2b
    b       el0_exit
3:  mov     x0, #15
    mov     x8, #94
    svc     #0
    // gettid, by which the client knows the member.
el0_member:
    mov     x0, x20
    mov     x8, #178
    svc     #0
    mov     w21, #12
    mov     x22, x20
4:  mov     w23, #20
5:  eor     x22, x22, x22, lsl #13
    eor     x22, x22, x22, lsr #7
    eor     x22, x22, x22, lsl #17
    sub     w23, w23, #1
    cbnz    w23, 5b
    add     w24, w20, w21
    and     w24, w24, #3
    cbz     w24, 6f
    cmp     w24, #2
    b.lo    8f
    b.hi    7f
    add     x0, x19, #192
    mov     x1, #0
    mov     x8, #101
    svc     #0
    b       8f
6:  mov     x8, #124
    svc     #0
    b       8f
7:  mov     x8, #172
    svc     #0
8:  sub     w21, w21, #1
    cbnz    w21, 4b
el0_member_done:
    add     x1, x19, #1, lsl #12
    str     x22, [x1, x20, lsl #3]
    add     x1, x19, #248
9:  ldxr    w0, [x1]
    add     w0, w0, #1
    stxr    w2, w0, [x1]
    cbnz    w2, 9b
    mov     x0, #0
    mov     x8, #93
    svc     #0

// Each access at each offset from 0 to 23 of a place in the second page; those of SIMD registers as words, because the kernel's assembler
// knows none. X20 is the number of the access, X21 the offset.
.global el0_accesses, el0_access
el0_accesses:
    mov     w20, #0
1:  mov     w21, #0
2:  add     x1, x19, #1, lsl #12
    add     x1, x1, #0x400
    add     x1, x1, x21
    adr     x2, el0_access
    add     x2, x2, x20, lsl #3
    br      x2
el0_access:
    strb    wzr, [x1]
    b       3f
    strh    wzr, [x1]
    b       3f
    str     wzr, [x1]
    b       3f
    str     xzr, [x1]
    b       3f
    stp     wzr, wzr, [x1]
    b       3f
    stp     xzr, xzr, [x1]
    b       3f
    .inst   0x3d800020 // str q0, [x1]
    b       3f
    .inst   0xad000420 // stp q0, q1, [x1]
    b       3f
    dc      zva, x1
    b       3f
    ldrb    w3, [x1]
    b       3f
    ldrh    w3, [x1]
    b       3f
    ldr     w3, [x1]
    b       3f
    ldr     x3, [x1]
    b       3f
    ldp     w3, w4, [x1]
    b       3f
    ldp     x3, x4, [x1]
    b       3f
    .inst   0x3dc00020 // ldr q0, [x1]
    b       3f
    .inst   0xad400420 // ldp q0, q1, [x1]
    b       3f
3:  add     w21, w21, #1
    cmp     w21, #24
    b.ne    2b
    add     w20, w20, #1
    cmp     w20, #17
    b.ne    1b
    b       el0_exit

// A store, then futex(WAIT, FUTEX_WAIT, 0, NULL).
.global el0_told, el0_told_store
el0_told:
    nop
el0_told_store:
    str     w0, [x19, #8]
    b       el0_waits_call - 20
el0_program_end:
.popsection
