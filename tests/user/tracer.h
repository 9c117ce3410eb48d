/*
 * What the programs about ptrace share: the requests as Linux numbers them, waits that must give one exact status, and cases that run in a
 * process of their own, so that a case which hangs fails alone. Headers of the kernel are not included: musl comes without.
 */
#ifndef TRACER_H
#define TRACER_H

#include "check.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

enum { TRACEME, PEEKTEXT, PEEKDATA, PEEKUSER, POKETEXT, POKEDATA, POKEUSER, CONT, KILL, SINGLESTEP, ATTACH = 16, DETACH, SYSCALL = 24,
       SETOPTIONS = 0x4200, GETEVENTMSG, GETSIGINFO, SETSIGINFO, GETREGSET, SETREGSET, SEIZE, INTERRUPT, LISTEN, PEEKSIGINFO,
       GETSIGMASK, SETSIGMASK, SECCOMP_GET_FILTER, SECCOMP_GET_METADATA, GET_SYSCALL_INFO };

enum { ON_SYSGOOD = 1, ON_FORK = 2, ON_VFORK = 4, ON_CLONE = 8, ON_EXEC = 0x10, ON_VFORKDONE = 0x20, ON_EXIT = 0x40, ON_EXITKILL = 0x100000 };
enum { E_FORK = 1, E_VFORK, E_CLONE, E_EXEC, E_VFORKDONE, E_EXIT, E_STOP = 128 };

/* `si_code` of a stop that PTRACE_INTERRUPT or a group stop makes has this for SIGTRAP or the signal. */
#define STOP_CODE(signal) ((signal) | E_STOP << 8)

/* Statuses of wait4. */
#define STOPPED(signal) ((signal) << 8 | 0x7f)
#define EVENT(event) STOPPED(SIGTRAP | (event) << 8)
#define EVENT_STOP(signal) STOPPED((signal) | E_STOP << 8)
#define SYSCALL_STOP STOPPED(SIGTRAP | 0x80)
#define EXITED(status) ((status) << 8)
#define CONTINUED 0xffff

enum { NT_STATUS = 1, NT_FPREGS = 2, NT_VFP = 0x400, NT_TLS, NT_BREAKS, NT_WATCHES, NT_CALL, NT_VECTORS, NT_PAC_MASK };

#ifdef __aarch64__
struct task_registers {
	uint64_t x[31], sp, pc, pstate;
};
#define ARCH 0xc00000b7u
#else
struct task_registers {
	uint64_t words[16], pc, cs, flags, sp, ss, rest[6];
};
#define ARCH 0xc000003eu
#endif

/* ptrace without a C library in between. The result of a failure is the negative error number. */
__attribute__((unused))
static long ptrace_(long request, pid_t pid, uintptr_t address, uintptr_t data)
{
	long result = syscall(SYS_ptrace, request, (long)pid, address, data);

	return result < 0 ? -errno : result;
}
#define PT(request, pid, address, data) ptrace_(request, pid, (uintptr_t)(address), (uintptr_t)(data))

/* A part of a register set. Gives the length that ptrace reports, or the negative error number. */
__attribute__((unused))
static long regset(long request, pid_t pid, int type, void *area, size_t length)
{
	struct iovec vector = { area, length };
	long error = PT(request, pid, type, &vector);

	return error < 0 ? error : (long)vector.iov_len;
}

__attribute__((unused))
static struct task_registers registers_of(pid_t pid)
{
	struct task_registers registers;

	memset(&registers, 0, sizeof registers);
	long got = regset(GETREGSET, pid, NT_STATUS, &registers, sizeof registers);
	if (got != sizeof registers)
		check("GETREGSET", 0, "%ld", got);
	return registers;
}

__attribute__((unused))
static void set_registers(pid_t pid, const struct task_registers *registers)
{
	long got = regset(SETREGSET, pid, NT_STATUS, (void *)registers, sizeof *registers);

	if (got != sizeof *registers)
		check("SETREGSET", 0, "%ld", got);
}

/* A result, or an error as its negative number, must be this one. */
__attribute__((unused))
static int is(const char *name, long result, long wanted)
{
	return check(name, result == wanted, "%ld instead of %ld", result, wanted);
}

/* The status that wait4 gives for a task; the negative error number if there is none, and -1 if another task was found. */
__attribute__((unused))
static int wait_status(pid_t pid, int flags)
{
	int status = -1;
	pid_t got = syscall(SYS_wait4, pid, &status, flags | __WALL, NULL);

	return got < 0 ? -errno : got == 0 ? 0 : got == pid || pid == -1 ? status : -1;
}

__attribute__((unused))
static int waits(const char *name, pid_t pid, int wanted)
{
	int status = wait_status(pid, 0);

	return check(name, status == wanted, "status %#x instead of %#x", status, wanted);
}

/* What cases share with the processes that they make. Each case finds zeros. */
struct shared {
	volatile int word[64];
	siginfo_t info;
	volatile pid_t pid[8];
};
static struct shared *shared;

/* Makes a child, which runs a function and ends with its result. */
__attribute__((unused))
static pid_t start(int (*function)(void))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(function());
	if (pid < 0) {
		check("fork", 0, "%s", strerror(errno));
		exit(1);
	}
	return pid;
}

static int (*traced_function)(void);

__attribute__((unused))
static int traced_start(void)
{
	if (PT(TRACEME, 0, 0, 0))
		return 99;
	kill(getpid(), SIGSTOP);
	return traced_function();
}

/* Makes a child that asks to be traced, and waits for its first stop, by SIGSTOP. */
__attribute__((unused))
static pid_t traced(int (*function)(void))
{
	traced_function = function;
	pid_t pid = start(traced_start);
	int status = wait_status(pid, 0);

	if (status != STOPPED(SIGSTOP))
		check("the first stop", 0, "status %#x", status);
	return pid;
}

/* The letter of a task's state in /proc, 0 if there is none. */
__attribute__((unused))
static char state_of(pid_t pid)
{
	char path[64], text[256], *end;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	text[length < 0 ? 0 : length] = 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

__attribute__((unused))
static void nap(void)
{
	struct timespec pause = { 0, 1000000 };

	nanosleep(&pause, NULL);
}

/* In loops that poll. Where QEMU runs all CPUs by turns, a loop without YIELD can keep the CPU that comes next from ever having one. */
__attribute__((unused))
static void give_way(void)
{
	sched_yield();
#ifdef __aarch64__
	__asm__ volatile("yield");
#endif
}

/* Waits until a task is in a state. */
__attribute__((unused))
static void until(pid_t pid, char state)
{
	while (state_of(pid) != state)
		nap();
}

/* Waits until another process has set a word. */
__attribute__((unused))
static void until_word(int word, int value)
{
	while (shared->word[word] != value)
		nap();
}

__attribute__((unused))
static int sleeps_for_ever(void)
{
	for (;;)
		pause();
	return 0;
}

__attribute__((unused))
static int ends_at_once(void) { return 7; }

__attribute__((unused))
static void ends(const char *name, pid_t pid)
{
	kill(pid, SIGKILL);
	waits(name, pid, SIGKILL);
}

/* How long a case may take. No case needs a fraction of it, also on a slow emulator; it ends cases that hang. */
#define CASE_SECONDS 30

/* Runs a case in a process that leads a process group; afterwards all of the group are killed. */
__attribute__((unused))
static void run_case(const char *name, void (*function)(void))
{
	struct timespec limit = { CASE_SECONDS, 0 };
	sigset_t child;
	int status = 0;

	if (!shared)
		shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 0, sizeof *shared);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		sigprocmask(SIG_UNBLOCK, &child, NULL);
		printf("# %s\n", name);
		fflush(stdout);
		check_failures = 0;
		function();
		_exit(check_failures ? 1 : 0);
	}
	setpgid(pid, pid);
	/* SIGCHLD may also come of an orphan, if this is the first process. */
	pid_t got;
	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && sigtimedwait(&child, NULL, &limit) >= 0)
		;
	kill(-pid, SIGKILL);
	if (got == 0)
		waitpid(pid, NULL, 0);
	check(name, got == pid && status == 0, got == pid ? "status %#x" : "it hangs (%#x)", status);
	while (waitpid(-1, NULL, 0) > 0)
		;
}
#define CASE(function) run_case(#function, function)

#endif
