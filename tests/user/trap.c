/*
 * Proves that each kind of exception of a program becomes the right signal with the right si_code and si_addr, that the handler can make
 * the program go on behind the instruction, and that a program without a handler ends with the signal.
 *
 * A misaligned SP is not tried: QEMU does not check SP's alignment.
 */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <ucontext.h>

static volatile sig_atomic_t count;
static siginfo_t last;
static uint64_t last_pc;
static sigjmp_buf away;
static volatile int jumps;

static void handler(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)signal;
	count++;
	last = *info;
	last_pc = user->uc_mcontext.pc;
	if (jumps)
		siglongjmp(away, 1);
	user->uc_mcontext.pc += 4;
}

static void judge(const char *name, int signal, int code, uintptr_t address, uintptr_t pc)
{
	check(name, count == 1 && last.si_signo == signal && last.si_code == code && (uintptr_t)last.si_addr == address,
	      "%d signals, last %d, code %d, address %p instead of %#lx", count, last.si_signo, last.si_code, last.si_addr,
	      (unsigned long)address);
	check("    its PC", last_pc == pc, "%#lx instead of %#lx", (unsigned long)last_pc, (unsigned long)pc);
	count = 0;
}

/* Executes one instruction (its text) that traps, and has its address in `at`. */
#define TRAP(instruction, at) \
	__asm__ volatile("adr %0, 1f\n1: " instruction : "=&r"(at) : : "memory")

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	static const int signals[] = { SIGTRAP, SIGILL, SIGBUS, SIGSEGV };
	static uint64_t words[4] __attribute__((aligned(16)));
	uintptr_t at;
	int status;

	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &action, NULL);
	TRAP("brk #0", at);
	judge("BRK #0", SIGTRAP, TRAP_BRKPT, at, at);
	TRAP("brk #0xffff", at);
	judge("BRK #0xffff", SIGTRAP, TRAP_BRKPT, at, at);
	TRAP(".inst 0x00000000", at);
	judge("UDF", SIGILL, ILL_ILLOPC, at, at);
	TRAP("msr s3_3_c15_c15_7, xzr", at);
	judge("unallocated system register", SIGILL, ILL_ILLOPC, at, at);
	TRAP("msr daifset, #2", at);
	judge("MSR DAIFSet", SIGILL, ILL_ILLOPC, at, at);
	TRAP("hlt #0x1234", at);
	judge("HLT", SIGILL, ILL_ILLOPC, at, at);
	TRAP("mrs xzr, sctlr_el1", at);
	judge("MRS of a register of EL1", SIGILL, ILL_ILLOPC, at, at);

	uintptr_t odd = (uintptr_t)words + 1;
	uint64_t value;
	__asm__ volatile("adr %0, 1f\n1: ldaxr %1, [%2]" : "=&r"(at), "=&r"(value) : "r"(odd) : "memory");
	judge("misaligned LDAXR", SIGBUS, BUS_ADRALN, odd, at);

	jumps = 1;
	uintptr_t target = ((uintptr_t)&main & ~3UL) | 2;
	if (!sigsetjmp(away, 1))
		__asm__ volatile("br %0" : : "r"(target) : "memory");
	judge("misaligned PC", SIGBUS, BUS_ADRALN, target, target);
	if (!sigsetjmp(away, 1))
		__asm__ volatile("br %0" : : "r"(0x10UL) : "memory");
	judge("branch to nowhere", SIGSEGV, SEGV_MAPERR, 0x10, 0x10);
	if (!sigsetjmp(away, 1))
		__asm__ volatile("br %0" : : "r"(words) : "memory");
	judge("branch to data", SIGSEGV, SEGV_ACCERR, (uintptr_t)words, (uintptr_t)words);

	pid_t child = fork();
	if (child == 0) {
		signal(SIGTRAP, SIG_DFL);
		__asm__ volatile("brk #0");
		_exit(0);
	}
	waitpid(child, &status, 0);
	check("BRK without a handler", WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP, "%#x", status);
	child = fork();
	if (child == 0) {
		sigset_t all;

		/* A fault whose signal is masked cannot wait: it ends the program. */
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		__asm__ volatile("brk #0");
		_exit(0);
	}
	waitpid(child, &status, 0);
	check("BRK with SIGTRAP masked", WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP, "%#x", status);
	return failed();
}
