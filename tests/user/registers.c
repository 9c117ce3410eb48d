/*
 * Proves that a program reads the identification registers of the CPU as on Linux, that AT_HWCAP says the same, that what it offers can be
 * executed, and that what the kernel does not give programs is hidden and undefined.
 */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <ucontext.h>

/* Bits of AT_HWCAP and AT_HWCAP2 (asm/hwcap.h), as headers may be too old to have them. */
enum { FP = 0, ASIMD = 1, AES = 3, PMULL = 4, SHA1 = 5, SHA2 = 6, CRC32 = 7, ATOMICS = 8, CPUID = 11, JSCVT = 13, LRCPC = 15, SHA3 = 17,
       SVE = 22, DIT = 24, FLAGM = 27, SB = 29, PACA = 30, PACG = 31 };
enum { FRINT = 8, I8MM = 13, RNG = 16, BTI = 17, MTE = 18, SME = 23 };

static sigjmp_buf away;
static siginfo_t last;
static uint64_t last_pc;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	last = *info;
	last_pc = ((ucontext_t *)context)->uc_mcontext.pc;
	siglongjmp(away, 1);
}

/* Whether an instruction (its text) is executed; otherwise it must be undefined. */
#define RUNS(text, ...) \
	(sigsetjmp(away, 1) ? 0 : ({ __asm__ volatile(text : : : "x0", "x1", "v0", "v1", "v2", "memory", "cc"); 1; }))

#define READ(name) ({ uint64_t value; __asm__ volatile("mrs %0, " name : "=r"(value)); value; })

static uint64_t hwcap, hwcap2;

static unsigned field(uint64_t value, int shift)
{
	return value >> shift & 15;
}

static void says(const char *name, uint64_t bits, int bit, int expected)
{
	check(name, (bits >> bit & 1) == (uint64_t)expected, "AT_HWCAP has %d", !expected);
}

static void undefined(const char *name)
{
	check(name, last.si_signo == SIGILL && last.si_code == ILL_ILLOPC && last.si_addr == (void *)last_pc, "signal %d, code %d, %p",
	      last.si_signo, last.si_code, last.si_addr);
	memset(&last, 0, sizeof(last));
}

#define UNDEFINED(name, text) do { \
		check(name, !RUNS(text), "it runs"); \
		undefined("    as Linux has it"); \
	} while (0)

/* An instruction must run exactly if the bit of AT_HWCAP is set. */
#define OFFERED(name, bits, bit, text) do { \
		if (bits >> bit & 1) \
			check(name, RUNS(text), "offered, but undefined"); \
	} while (0)

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(SIGILL, &action, NULL);
	hwcap = getauxval(AT_HWCAP);
	hwcap2 = getauxval(AT_HWCAP2);
	check("HWCAP_FP, HWCAP_ASIMD, HWCAP_CPUID", (hwcap & 0x803) == 0x803, "%#lx", (unsigned long)hwcap);
	check("nothing that is not given", !(hwcap & (1UL << SVE | 1UL << PACA | 1UL << PACG)) &&
	      !(hwcap2 & (1UL << BTI | 1UL << MTE | 1UL << SME)), "%#lx %#lx", (unsigned long)hwcap, (unsigned long)hwcap2);

	uint64_t midr = READ("midr_el1"), isar0 = READ("id_aa64isar0_el1"), isar1 = READ("id_aa64isar1_el1");
	uint64_t pfr0 = READ("id_aa64pfr0_el1"), pfr1 = READ("id_aa64pfr1_el1");
	check("MIDR_EL1", midr != 0 && midr == READ("s3_0_c0_c0_0"), "%#lx", (unsigned long)midr);
	check("MPIDR_EL1", READ("mpidr_el1") == 0x80000000, "%#lx", (unsigned long)READ("mpidr_el1"));
	check("REVIDR_EL1", READ("revidr_el1") == 0, "%#lx", (unsigned long)READ("revidr_el1"));
	check("ID_AA64PFR0_EL1", (pfr0 & 0xffff) == 0x11 && field(pfr0, 16) != 15 && field(pfr0, 32) == 0, "%#lx", (unsigned long)pfr0);
	check("ID_AA64PFR1_EL1", (pfr1 & ~0xf0UL) == 0, "%#lx", (unsigned long)pfr1);
	check("ID_AA64ISAR1_EL1", (isar1 & 0xff000ff0) == 0, "%#lx", (unsigned long)isar1);
	check("ID_AA64DFR0_EL1", READ("id_aa64dfr0_el1") == 6, "%#lx", (unsigned long)READ("id_aa64dfr0_el1"));
	check("ID_AA64MMFR0_EL1", (READ("id_aa64mmfr0_el1") & 0x0fffffffffffffffUL) == 0xff000000, "%#lx",
	      (unsigned long)READ("id_aa64mmfr0_el1"));
	check("ID_AA64ZFR0_EL1", READ("s3_0_c0_c4_4") == 0, "%#lx", (unsigned long)READ("s3_0_c0_c4_4"));
	check("a reserved register", READ("s3_0_c0_c7_7") == 0, "%#lx", (unsigned long)READ("s3_0_c0_c7_7"));

	uint64_t flags;
	__asm__ volatile("cmp xzr, xzr\nmrs x1, midr_el1\nmrs %0, nzcv" : "=r"(flags) : : "x1", "cc");
	check("flags stay", flags == 0x60000000, "%#lx", (unsigned long)flags);

	says("ATOMICS", hwcap, ATOMICS, field(isar0, 20) >= 2);
	says("CRC32", hwcap, CRC32, field(isar0, 16) >= 1);
	says("AES", hwcap, AES, field(isar0, 4) >= 1);
	says("PMULL", hwcap, PMULL, field(isar0, 4) >= 2);
	says("SHA2", hwcap, SHA2, field(isar0, 12) >= 1);
	says("LRCPC", hwcap, LRCPC, field(isar1, 20) >= 1);
	says("JSCVT", hwcap, JSCVT, field(isar1, 12) >= 1);
	says("DIT", hwcap, DIT, field(pfr0, 48) >= 1);
	says("FRINT", hwcap2, FRINT, field(isar1, 32) >= 1);
	says("RNG", hwcap2, RNG, field(isar0, 60) >= 1);

	OFFERED("AESE", hwcap, AES, ".arch armv8-a+crypto\naese v0.16b, v1.16b");
	OFFERED("PMULL", hwcap, PMULL, ".arch armv8-a+crypto\npmull v0.1q, v1.1d, v2.1d");
	OFFERED("SHA1H", hwcap, SHA1, ".arch armv8-a+crypto\nsha1h s0, s1");
	OFFERED("SHA256H", hwcap, SHA2, ".arch armv8-a+crypto\nsha256h q0, q1, v2.4s");
	OFFERED("CRC32X", hwcap, CRC32, ".arch armv8-a+crc\ncrc32x w0, w0, x1");
	OFFERED("LDADD", hwcap, ATOMICS, ".arch armv8.1-a\nmov x0, sp\nldadd xzr, x1, [x0]");
	OFFERED("EOR3", hwcap, SHA3, ".arch armv8.2-a+sha3\neor3 v0.16b, v1.16b, v2.16b, v0.16b");
	OFFERED("FJCVTZS", hwcap, JSCVT, ".arch armv8.3-a\nfjcvtzs w0, d0");
	OFFERED("LDAPR", hwcap, LRCPC, ".arch armv8.3-a\nmov x0, sp\nldapr x1, [x0]");
	OFFERED("MRS DIT", hwcap, DIT, "mrs x0, s3_3_c4_c2_5");
	OFFERED("CFINV", hwcap, FLAGM, ".arch armv8.4-a\ncfinv");
	OFFERED("SB", hwcap, SB, ".inst 0xd50330ff");
	OFFERED("FRINT32X", hwcap2, FRINT, ".arch armv8.5-a\nfrint32x d0, d1");
	OFFERED("SMMLA", hwcap2, I8MM, ".arch armv8.6-a\nsmmla v0.4s, v1.16b, v2.16b");
	OFFERED("MRS RNDR", hwcap2, RNG, "mrs x0, s3_3_c2_c4_0");
	check("all of these run", last.si_signo == 0, "one is undefined");

	UNDEFINED("a register of AArch32", "mrs x0, s3_0_c0_c1_0");
	UNDEFINED("a register that is none", "mrs x0, s3_0_c0_c0_1");
	UNDEFINED("a register outside of the space", "mrs x0, s3_0_c0_c8_0");
	UNDEFINED("a write of MIDR_EL1", ".inst 0xd5180000");
	UNDEFINED("CurrentEL", "mrs x0, currentel");
	UNDEFINED("SVE: RDVL", ".inst 0x04bf5020");
	UNDEFINED("SVE: PTRUE", ".inst 0x2518e3e0");
	UNDEFINED("SVE: ZCR_EL1", "mrs x0, s3_0_c1_c2_0");
	UNDEFINED("SME: RDSVL", ".inst 0x04bf5820");
	UNDEFINED("SME: SMSTART", ".inst 0xd503477f");
	UNDEFINED("keys of pointer authentication", "mrs x0, s3_0_c2_c1_0");
	UNDEFINED("MTE: GCR_EL1", "mrs x0, s3_0_c1_c0_6");
	return failed();
}
