/*
 * Proves that signals are delivered and left as on Linux: siginfo, the alternative stack, system calls that go on or give EINTR, nested
 * handlers, masks, and a return from the handler that restores every register, the flags and the SIMD registers.
 */
#include "check.h"
#include "keep.h"
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

/* The system call that x0 to x8 describe, with all registers. */
KEEP(keep, "svc #0");

static volatile sig_atomic_t count, inner, depth, deepest;
static siginfo_t last;
static volatile uintptr_t handler_stack;
static uint64_t seen_x5, seen_x28;
static sigset_t seen_mask;

static void set(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	if (sigaction(signal, &action, NULL))
		check("sigaction", 0, "%s: %s", strsignal(signal), strerror(errno));
}

static void take(int signal, siginfo_t *info, void *context)
{
	int here;

	(void)signal, (void)context;
	count++;
	last = *info;
	handler_stack = (uintptr_t)&here;
	sigprocmask(SIG_BLOCK, NULL, &seen_mask);
}

/* Overwrites what the return from the handler must restore. */
static void spoil(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *user = context;

	(void)signal, (void)info;
	count++;
	seen_x5 = user->uc_mcontext.regs[5];
	seen_x28 = user->uc_mcontext.regs[28];
	__asm__ volatile(
		"mov x1, #-1; mov x2, x1; mov x3, x1; mov x4, x1; mov x5, x1; mov x6, x1; mov x7, x1; mov x8, x1; mov x9, x1\n"
		"mov x10, x1; mov x11, x1; mov x12, x1; mov x13, x1; mov x14, x1; mov x15, x1; mov x16, x1; mov x17, x1\n"
		"mov x19, x1; mov x20, x1; mov x21, x1; mov x22, x1; mov x23, x1; mov x24, x1; mov x25, x1; mov x26, x1\n"
		"mov x27, x1; mov x28, x1; cmp x1, x1\n"
		"dup v0.2d, x1; dup v1.2d, x1; dup v2.2d, x1; dup v3.2d, x1; dup v4.2d, x1; dup v5.2d, x1; dup v6.2d, x1\n"
		"dup v7.2d, x1; dup v8.2d, x1; dup v9.2d, x1; dup v10.2d, x1; dup v15.2d, x1; dup v16.2d, x1; dup v17.2d, x1\n"
		"dup v23.2d, x1; dup v24.2d, x1; dup v30.2d, x1; dup v31.2d, x1\n"
		::: "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
		"x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "cc", "memory",
		"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v15", "v16", "v17", "v23", "v24", "v30", "v31");
}

static void registers_are_kept(void)
{
	struct registers in, out;
	int wrong = 0, first = -1;

	for (int i = 0; i < 31; i++)
		in.x[i] = 0x1111111111111111ULL * (i % 15 + 1) ^ i;
	for (int i = 0; i < 32; i++) {
		in.q[i][0] = 0x0123456789abcdefULL * (i + 3);
		in.q[i][1] = ~in.q[i][0] + i;
	}
	in.nzcv = 0xb0000000;
	in.x[0] = getpid();
	in.x[1] = syscall(SYS_gettid);
	in.x[2] = SIGUSR1;
	in.x[8] = SYS_tgkill;
	memset(&out, 0, sizeof out);
	set(SIGUSR1, spoil, 0);
	count = 0;
	keep(&in, &out);
	check("one signal in the call", count == 1, "%d", count);
	check("the handler sees the registers", seen_x5 == in.x[5] && seen_x28 == in.x[28], "x5 %#lx, x28 %#lx",
	      (unsigned long)seen_x5, (unsigned long)seen_x28);
	check("the call's result", out.x[0] == 0, "%ld", (long)out.x[0]);
	for (int i = 1; i < 31; i++)
		if (out.x[i] != in.x[i]) {
			wrong++;
			first = first < 0 ? i : first;
		}
	check("x1 to x30 are kept", wrong == 0, "%d differ, first x%d", wrong, first);
	check("flags are kept", out.nzcv == in.nzcv, "%#lx", (unsigned long)out.nzcv);
	wrong = memcmp(in.q, out.q, sizeof in.q);
	check("q0 to q31 are kept", wrong == 0, "they differ");
}

static void information(void)
{
	count = 0;
	set(SIGUSR1, take, 0);
	kill(getpid(), SIGUSR1);
	check("kill", count == 1 && last.si_code == SI_USER && last.si_pid == getpid() && last.si_signo == SIGUSR1,
	      "%d signals, code %d, pid %d", count, last.si_code, last.si_pid);
	raise(SIGUSR1);
	check("raise", count == 2 && last.si_code == SI_TKILL, "%d signals, code %d", count, last.si_code);
	check("the signal is masked in its handler", sigismember(&seen_mask, SIGUSR1) == 1, "it is not");
	union sigval value = { .sival_int = 77 };
	sigqueue(getpid(), SIGUSR1, value);
	check("sigqueue", count == 3 && last.si_code == SI_QUEUE && last.si_value.sival_int == 77, "code %d, value %d",
	      last.si_code, last.si_value.sival_int);
}

static void alternative_stack(void)
{
	static char area[65536] __attribute__((aligned(16)));
	stack_t stack = { .ss_sp = area, .ss_size = sizeof area }, now;

	check_call("sigaltstack", sigaltstack(&stack, NULL));
	set(SIGUSR1, take, SA_ONSTACK);
	raise(SIGUSR1);
	check("on the alternative stack", handler_stack - (uintptr_t)area < sizeof area, "%#lx", (unsigned long)handler_stack);
	set(SIGUSR1, take, 0);
	raise(SIGUSR1);
	check("on the ordinary stack", handler_stack - (uintptr_t)area >= sizeof area, "%#lx", (unsigned long)handler_stack);
	sigaltstack(NULL, &now);
	check("the stack is told", now.ss_sp == area && now.ss_size == sizeof area && now.ss_flags == 0, "flags %d", now.ss_flags);
	stack.ss_flags = SS_DISABLE;
	check_call("sigaltstack off", sigaltstack(&stack, NULL));
}

/* Reads a byte that a child writes after it has sent this process a signal. */
static long read_with_signal(int flags)
{
	struct timespec pause = { 0, 30000000 };
	int ends[2];
	char byte = 0;

	set(SIGUSR2, take, flags);
	count = 0;
	if (pipe(ends))
		return -1;
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		nanosleep(&pause, NULL);
		kill(parent, SIGUSR2);
		nanosleep(&pause, NULL);
		_exit(write(ends[1], "r", 1) != 1);
	}
	errno = 0;
	long got = read(ends[0], &byte, 1);
	int error = errno;
	waitpid(child, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return got == 1 && byte != 'r' ? -2 : got;
}

static void interrupted_calls(void)
{
	struct itimerval timer = { .it_value = { 0, 20000 } };
	struct timespec pause = { 5, 0 }, left = { 0, 0 };

	long got = read_with_signal(SA_RESTART);
	check("a read goes on (SA_RESTART)", got == 1 && count == 1, "%ld (%s), %d signals", got, strerror(errno), count);
	got = read_with_signal(0);
	check("a read ends with EINTR", got == -1 && errno == EINTR && count == 1, "%ld (%s), %d signals", got, strerror(errno), count);
	set(SIGALRM, take, SA_RESTART);
	count = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	got = nanosleep(&pause, &left);
	check("a sleep ends with EINTR", got == -1 && errno == EINTR && count == 1, "%ld (%s)", got, strerror(errno));
	check("what is left of the sleep", left.tv_sec == 4, "%ld s", (long)left.tv_sec);
}

static void nest(int signal, siginfo_t *info, void *context)
{
	(void)info, (void)context;
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (signal == SIGUSR1)
		raise(SIGUSR2);
	else if (inner++ < 3)
		raise(SIGUSR2);
	depth--;
}

static void nesting(void)
{
	set(SIGUSR1, nest, 0);
	set(SIGUSR2, nest, SA_NODEFER);
	raise(SIGUSR1);
	check("nested handlers", deepest == 5 && inner == 4 && depth == 0, "depth %d, %d inner", deepest, inner);
}

static void masks(void)
{
	sigset_t block, old, pending;
	struct sigaction action, reset = { .sa_sigaction = take, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND };

	set(SIGUSR1, take, 0);
	count = 0;
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigpending(&pending);
	check("a masked signal waits", count == 0 && sigismember(&pending, SIGUSR1) == 1, "%d signals", count);
	sigsuspend(&old);
	check("sigsuspend takes it once", count == 1, "%d signals", count);
	sigprocmask(SIG_BLOCK, NULL, &pending);
	check("the mask is back", sigismember(&pending, SIGUSR1) == 1, "it is not");
	sigprocmask(SIG_SETMASK, &old, NULL);
	check("it comes no second time", count == 1, "%d signals", count);
	sigaction(SIGUSR1, &reset, NULL);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &action);
	check("SA_RESETHAND", action.sa_handler == SIG_DFL, "the handler is still set");
	check("SIGKILL has no handler", sigaction(SIGKILL, &reset, NULL) == -1 && errno == EINVAL, "%s", strerror(errno));
}

int main(void)
{
	registers_are_kept();
	information();
	alternative_stack();
	interrupted_calls();
	nesting();
	masks();
	return failed();
}
