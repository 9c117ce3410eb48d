/*
 * A function that loads all registers, executes one instruction, and stores all registers.
 */
#ifndef KEEP_H
#define KEEP_H

#include <stdint.h>

/* The registers around the instruction. */
struct registers {
	uint64_t x[31];
	uint64_t nzcv;
	uint64_t q[32][2];
};

/*
 * Defines `void NAME(const struct registers *in, struct registers *out)`. Its frame: up to sp+159 the registers that a function must leave as
 * they were; at sp+160 `out`; at sp+168 x0.
 */
#define KEEP(name, instruction) \
	void name(const struct registers *in, struct registers *out); \
	__asm__( \
		".text\n.globl " #name "\n.type " #name ", %function\n" \
		#name ": sub sp, sp, #192; stp x29, x30, [sp]; stp x19, x20, [sp, #16]; stp x21, x22, [sp, #32];\n" \
		"stp x23, x24, [sp, #48]; stp x25, x26, [sp, #64]; stp x27, x28, [sp, #80]; stp d8, d9, [sp, #96];\n" \
		"stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128]; stp d14, d15, [sp, #144]; str x1, [sp, #160];\n" \
		"add x16, x0, #256; ldp q0, q1, [x16, #0]; ldp q2, q3, [x16, #32]; ldp q4, q5, [x16, #64];\n" \
		"ldp q6, q7, [x16, #96]; ldp q8, q9, [x16, #128]; ldp q10, q11, [x16, #160]; ldp q12, q13, [x16, #192];\n" \
		"ldp q14, q15, [x16, #224]; ldp q16, q17, [x16, #256]; ldp q18, q19, [x16, #288]; ldp q20, q21, [x16, #320];\n" \
		"ldp q22, q23, [x16, #352]; ldp q24, q25, [x16, #384]; ldp q26, q27, [x16, #416]; ldp q28, q29, [x16, #448];\n" \
		"ldp q30, q31, [x16, #480]; ldr x17, [x0, #248]; msr nzcv, x17; ldp x29, x30, [x0, #232];\n" \
		"ldp x27, x28, [x0, #216]; ldp x25, x26, [x0, #200]; ldp x23, x24, [x0, #184]; ldp x21, x22, [x0, #168];\n" \
		"ldp x19, x20, [x0, #152]; ldp x17, x18, [x0, #136]; ldp x15, x16, [x0, #120]; ldp x13, x14, [x0, #104];\n" \
		"ldp x11, x12, [x0, #88]; ldp x9, x10, [x0, #72]; ldp x7, x8, [x0, #56]; ldp x5, x6, [x0, #40];\n" \
		"ldp x3, x4, [x0, #24]; ldp x1, x2, [x0, #8]; ldr x0, [x0]; " instruction "; str x0, [sp, #168]; ldr x0, [sp, #160];\n" \
		"stp x1, x2, [x0, #8]; stp x3, x4, [x0, #24]; stp x5, x6, [x0, #40]; stp x7, x8, [x0, #56];\n" \
		"stp x9, x10, [x0, #72]; stp x11, x12, [x0, #88]; stp x13, x14, [x0, #104]; stp x15, x16, [x0, #120];\n" \
		"stp x17, x18, [x0, #136]; stp x19, x20, [x0, #152]; stp x21, x22, [x0, #168]; stp x23, x24, [x0, #184];\n" \
		"stp x25, x26, [x0, #200]; stp x27, x28, [x0, #216]; stp x29, x30, [x0, #232]; ldr x1, [sp, #168];\n" \
		"str x1, [x0]; mrs x1, nzcv; str x1, [x0, #248]; add x1, x0, #256; stp q0, q1, [x1, #0];\n" \
		"stp q2, q3, [x1, #32]; stp q4, q5, [x1, #64]; stp q6, q7, [x1, #96]; stp q8, q9, [x1, #128];\n" \
		"stp q10, q11, [x1, #160]; stp q12, q13, [x1, #192]; stp q14, q15, [x1, #224]; stp q16, q17, [x1, #256];\n" \
		"stp q18, q19, [x1, #288]; stp q20, q21, [x1, #320]; stp q22, q23, [x1, #352]; stp q24, q25, [x1, #384];\n" \
		"stp q26, q27, [x1, #416]; stp q28, q29, [x1, #448]; stp q30, q31, [x1, #480]; ldp x29, x30, [sp];\n" \
		"ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32]; ldp x23, x24, [sp, #48]; ldp x25, x26, [sp, #64];\n" \
		"ldp x27, x28, [sp, #80]; ldp d8, d9, [sp, #96]; ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128];\n" \
		"ldp d14, d15, [sp, #144]; add sp, sp, #192; ret;\n" \
		".size " #name ", . - " #name "\n" \
	)

#endif
