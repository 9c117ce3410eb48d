/*
 * Proves that a program can have hardware breakpoints and watchpoints by perf_event_open: that each access is one hit, whatever comes in
 * between (signals, system calls, migration, threads, fork), that an access of the kernel is none, that a hit can be a signal, and that the
 * program goes on after it.
 */
#include "check.h"
#include "perf.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

/* Ends an event, which must have counted so many hits. */
static void hits(const char *name, int fd, uint64_t wanted)
{
	uint64_t count = count_of(fd);

	check(name, count == wanted, "%lu hits instead of %lu", (unsigned long)count, (unsigned long)wanted);
	close(fd);
}

/* A function whose first instruction has its address; the compiler neither copies nor inlines it. */
void spot(void);
__asm__(".text\n.global spot\n.type spot, %function\nspot: nop\nret\n.size spot, .-spot\n");

static void breakpoints(void)
{
	int fd = check_call("breakpoint", event(EXECUTES, (void *)spot, 8, 0, 0));

	for (int i = 0; i < 1000; i++)
		spot();
	hits("1000 calls", fd, 1000);
	spot();
	fd = event(EXECUTES, (void *)spot, 4, DISABLED, 0);
	spot();
	ioctl(fd, ENABLE, 0);
	spot();
	spot();
	ioctl(fd, DISABLE, 0);
	spot();
	check("disabled, enabled, disabled", count_of(fd) == 2, "%lu", (unsigned long)count_of(fd));
	ioctl(fd, RESET, 0);
	ioctl(fd, ENABLE, 0);
	spot();
	hits("after a reset", fd, 1);
	fd = event(EXECUTES, (void *)spot, 4, 0, 0);
	int second = event(EXECUTES, (void *)spot, 4, 0, 0);
	for (int i = 0; i < 10; i++)
		spot();
	hits("two on one address: the first", fd, 10);
	hits("two on one address: the second", second, 10);
}

static volatile uint8_t bytes[64] __attribute__((aligned(64)));

#define STORE(form, type, at) __asm__ volatile(form " %w0, [%1]" : : "r"(0), "r"((volatile type *)(at)) : "memory")
#define STORE8(at) __asm__ volatile("str %0, [%1]" : : "r"(0L), "r"(at) : "memory")

/* One store of each size at each offset around a watch. Returns how many of them touch it. */
static int stores(int offset, int length)
{
	int touched = 0;

	for (int at = 8; at < 32; at++) {
		for (int size = 1; size <= 8; size *= 2) {
			volatile uint8_t *to = bytes + at;

			if (at % size)
				continue;
			touched += at < 16 + offset + length && 16 + offset < at + size;
			if (size == 1)
				STORE("strb", uint8_t, to);
			else if (size == 2)
				STORE("strh", uint16_t, to);
			else if (size == 4)
				STORE("str", uint32_t, to);
			else
				STORE8(to);
		}
	}
	return touched;
}

static void watchpoints(void)
{
	int wrong = 0, tried = 0;

	for (int length = 1; length <= 8; length++) {
		for (int offset = 0; offset + length <= 8; offset++) {
			int fd = event(WRITES, bytes + 16 + offset, length, 0, 0);
			uint64_t touched = stores(offset, length);

			tried++;
			if (fd < 0 || count_of(fd) != touched) {
				printf("# %d bytes at %d: %lu hits, %lu stores\n", length, offset, (unsigned long)count_of(fd),
				       (unsigned long)touched);
				wrong++;
			}
			close(fd);
		}
	}
	check("stores of each size at each offset", !wrong && tried == 36, "%d of %d wrong", wrong, tried);

	int reads = event(READS, bytes, 1, 0, 0), writes = event(WRITES, bytes, 1, 0, 0),
	    both = event(READS | WRITES, bytes, 1, 0, 0);
	for (int i = 0; i < 7; i++) {
		(void)bytes[0];
		if (i % 2)
			bytes[0] = i;
	}
	hits("reads", reads, 7);
	hits("writes", writes, 3);
	hits("both", both, 10);
}

/* Accesses by the kernel are no hits, and the watchpoint is armed right after them. */
static void kernels_accesses(void)
{
	static uint8_t large[1 << 20] __attribute__((aligned(4096)));
	int ends[2], wrong = 0;

	if (pipe(ends))
		exit(1);
	for (int length = 1; length <= 8; length++) {
		for (int offset = 0; offset + length <= 8; offset++) {
			int fd = event(READS | WRITES, bytes + 16 + offset, length, 0, 0);

			for (int at = 8; at < 25; at++) {
				for (int size = 1; size <= 17; size++) {
					if (write(ends[1], (const void *)(bytes + at), size) != size)
						wrong++;
					if (read(ends[0], (void *)(bytes + at), size) != size)
						wrong++;
				}
			}
			wrong += count_of(fd) != 0;
			(void)bytes[16 + offset];
			wrong += count_of(fd) != 1;
			close(fd);
		}
	}
	check("pipes to and from watched bytes", !wrong, "%d wrong", wrong);

	int file = open("/large", O_RDWR | O_CREAT, 0600), fd = event(READS | WRITES, large + 500004, 4, 0, 0);
	long written = write(file, large, sizeof large), again = pread(file, large, sizeof large, 0);
	check("a watch in the middle of 1 MiB", written == sizeof large && again == sizeof large && count_of(fd) == 0,
	      "%ld, %ld, %lu hits", written, again, (unsigned long)count_of(fd));
	large[500005] = 1;
	hits("    armed right after", fd, 1);
	close(file);
	unlink("/large");
	/*
	 * The top byte of an address does not count. Accesses of the program's own are not tried: QEMU compares the whole address with
	 * that of a watchpoint.
	 */
	fd = event(READS | WRITES, bytes + 16, 8, 0, 0);
	const uint8_t *tagged = (void *)((uintptr_t)(bytes + 16) | 0x5aUL << 56);
	check("a tagged address in a call", write(ends[1], tagged, 8) == 8 && read(ends[0], (void *)tagged, 8) == 8, "%s",
	      strerror(errno));
	hits("    is no hit", fd, 0);
	close(ends[0]);
	close(ends[1]);
}

static volatile sig_atomic_t signals;
static siginfo_t last;
static uintptr_t last_pc;

static void trapped(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	signals++;
	last = *info;
	last_pc = ((ucontext_t *)context)->uc_mcontext.pc;
}

static void signals_for_hits(void)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	uint64_t data;
	uint32_t kind;

	sigaction(SIGTRAP, &action, NULL);
	int fd = check_call("breakpoint with signals", event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0));
	for (int i = 0; i < 50; i++)
		spot();
	memcpy(&data, (char *)&last + 24, sizeof data);
	memcpy(&kind, (char *)&last + 32, sizeof kind);
	check("a signal for each call", signals == 50, "%d", signals);
	check("    what it says", last.si_code == TRAP_PERF && (void *)last.si_addr == (void *)spot && last_pc == (uintptr_t)spot &&
	      data == 0x1122334455667788 && kind == 5, "code %d, address %p, PC %#lx, data %#lx, type %u", last.si_code,
	      last.si_addr, (unsigned long)last_pc, (unsigned long)data, kind);
	hits("    and a hit", fd, 50);
	signals = 0;
	fd = event(WRITES, bytes + 4, 4, SIGTRAPS, 0);
	for (int i = 0; i < 50; i++)
		STORE("str", uint32_t, bytes + 4);
	check("a signal for each store", signals == 50 && (void *)last.si_addr == (void *)(bytes + 4), "%d, address %p", signals,
	      last.si_addr);
	hits("    and a hit", fd, 50);
	signal(SIGTRAP, SIG_DFL);
}

/* Two events on one instruction: both count, and there is one signal. */
static void signals_of_two(void)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGTRAP, &action, NULL);
	int first = event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0), second = event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0);
	signals = 0;
	spot();
	check("one signal for two events", signals == 1 && last_pc == (uintptr_t)spot, "%d signals, PC %#lx", signals,
	      (unsigned long)last_pc);
	hits("    and a hit of the first", first, 1);
	hits("    and of the second", second, 1);
	signal(SIGTRAP, SIG_DFL);
}

/* A signal that is blocked waits and says so; one that is ignored is none. The program goes on in either case. */
static void signals_put_off(void)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	sigset_t trap;
	uint32_t flags;

	sigemptyset(&trap);
	sigaddset(&trap, SIGTRAP);
	sigaction(SIGTRAP, &action, NULL);
	sigprocmask(SIG_BLOCK, &trap, NULL);
	int fd = event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0);
	signals = 0;
	spot();
	spot();
	check("a blocked signal of an event waits", signals == 0, "%d", signals);
	sigprocmask(SIG_UNBLOCK, &trap, NULL);
	memcpy(&flags, (char *)&last + 36, sizeof flags);
	check("    and comes once, as a late one", signals == 1 && flags == 1, "%d signals, flags %#x", signals, flags);
	signal(SIGTRAP, SIG_IGN);
	spot();
	hits("an ignored one is none", fd, 3);
	signal(SIGTRAP, SIG_DFL);
}

/* Each of several events on one instruction is told of its hit: the signal is due for the last one only. */
static void signals_of_many(void)
{
	struct sigaction action = { .sa_sigaction = trapped, .sa_flags = SA_SIGINFO };
	int fds[16], many = 0;

	sigaction(SIGTRAP, &action, NULL);
	while (many < 16 && (fds[many] = event_of(EXECUTES, (void *)spot, 4, SIGTRAPS, 0, 1000)) >= 0)
		many++;
	close(fds[many - 1]);
	fds[many - 1] = event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0);
	signals = 0;
	spot();
	check("a signal of the last of many on one instruction", signals == 1, "%d of %d events", signals, many);
	while (many)
		close(fds[--many]);
	signal(SIGTRAP, SIG_DFL);
}

static int replaced;

static void replaces(int signal, siginfo_t *info, void *context)
{
	trapped(signal, info, context);
	close(replaced);
	replaced = event(EXECUTES, (void *)spot, 4, 0, 0);
}

/* A handler closes the event that it is told of, and sets another one on the same instruction, which has yet to be executed. */
static void replaced_by_handler(void)
{
	struct sigaction action = { .sa_sigaction = replaces, .sa_flags = SA_SIGINFO };
	int ends[2], status;
	char byte;

	if (pipe(ends))
		exit(1);
	/* Another process has a breakpoint too, so that the slot's number stays that of programs. */
	pid_t child = fork();
	if (!child) {
		event(EXECUTES, (void *)spot, 4, 0, 0);
		if (write(ends[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	if (read(ends[0], &byte, 1) != 1)
		exit(1);
	sigaction(SIGTRAP, &action, NULL);
	signals = 0;
	replaced = event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0);
	spot();
	signal(SIGTRAP, SIG_DFL);
	check("an event that its handler replaces", signals == 1, "%d signals", signals);
	hits("    the new one is hit by the same instruction", replaced, 1);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ends[0]);
	close(ends[1]);
}

static sigjmp_buf away;
static volatile sig_atomic_t jumps;

static void leaves_by_jump(int signal, siginfo_t *info, void *context)
{
	trapped(signal, info, context);
	if (jumps) {
		jumps = 0;
		siglongjmp(away, 1);
	}
}

static void goes_to_spot(int signal, siginfo_t *info, void *context)
{
	mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;

	(void)signal;
	(void)info;
	machine->regs[30] = machine->pc + 4;
	machine->pc = (uintptr_t)spot;
}

/* A handler that does not return leaves nothing behind that lets a later hit of the same instruction, with the same stack, go unseen. */
static void left_by_jump(void)
{
	struct sigaction action = { .sa_sigaction = leaves_by_jump, .sa_flags = SA_SIGINFO };
	struct sigaction to_spot = { .sa_sigaction = goes_to_spot, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
	sigaction(SIGILL, &to_spot, NULL);
	int fd = event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0);
	signals = 0;
	jumps = 1;
	if (!sigsetjmp(away, 1))
		spot();
	spot();
	check("a handler that leaves by a jump, then one that returns", signals == 2, "%d signals", signals);
	/* Calls spot() with the stack as it is here, by the return of a handler. */
	__asm__ volatile(".inst 0" : : : "x30", "memory");
	check("    then one that goes back to the instruction", signals == 3, "%d signals", signals);
	hits("    all are hits", fd, 3);
	signal(SIGTRAP, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

/* Another function like `spot`, and one whose instructions are known: one in front of its loop, five in each round, and one behind. */
void other_spot(void);
void rounds(long count);
extern char round_begins[], round_ends[], behind_rounds[];
__asm__(".text\n.global other_spot\n.type other_spot, %function\nother_spot: nop\nret\n.size other_spot, .-other_spot\n"
	".global rounds, round_begins, round_ends, behind_rounds\n.type rounds, %function\nrounds: mov x1, #0\n"
	"round_begins: add x1, x1, #1\nstr x1, [sp, #-16]!\nldr x2, [sp], #16\ncmp x2, x0\nround_ends: b.ne round_begins\n"
	"behind_rounds: ret\n.size rounds, .-rounds\n");

static int modify(int fd, uint32_t kind, const volatile void *address, uint64_t length, uint64_t flags)
{
	struct attributes new = of(kind, address, length, flags);

	return ioctl(fd, MODIFY_ATTRIBUTES, &new);
}

/* A child that inherits an event, calls one function, waits until the event was moved, and calls the other one. */
static void moved_in_a_child(void)
{
	int fd = event(EXECUTES, (void *)spot, 4, INHERIT, 0), to[2], from[2], status;
	char byte;

	if (pipe(to) || pipe(from))
		exit(1);
	pid_t child = fork();
	if (!child) {
		spot();
		if (write(from[1], "x", 1) != 1 || read(to[0], &byte, 1) != 1)
			_exit(1);
		for (int i = 0; i < 5; i++)
			spot(), other_spot();
		_exit(0);
	}
	if (read(from[0], &byte, 1) != 1)
		exit(1);
	check_call("moved, also in a child", modify(fd, EXECUTES, (void *)other_spot, 4, INHERIT));
	if (write(to[1], "x", 1) != 1)
		exit(1);
	waitpid(child, &status, 0);
	other_spot();
	hits("    with the hits at both places", fd, 1 + 5 + 1);
	for (int i = 0; i < 2; i++)
		close(to[i]), close(from[i]);
}

static int stepping;
static volatile uint64_t steps, astray;
static uintptr_t next_pc;

/* Moves the breakpoint to the instruction that comes next: the condition of `b.ne` is PSTATE.Z. */
static void step(int signal, siginfo_t *info, void *context)
{
	const mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;
	uintptr_t pc = registers->pc;

	(void)signal;
	steps++;
	astray += pc != next_pc || info->si_code != TRAP_PERF || (uintptr_t)info->si_addr != pc;
	if (pc == (uintptr_t)behind_rounds) {
		ioctl(stepping, DISABLE, 0);
		return;
	}
	next_pc = pc == (uintptr_t)round_ends && !(registers->pstate & 1UL << 30) ? (uintptr_t)round_begins : pc + 4;
	astray += modify(stepping, EXECUTES, (void *)next_pc, 4, SIGTRAPS) != 0;
}

static void moved(void)
{
	int fd = event(EXECUTES, (void *)spot, 4, 0, 0);

	for (int i = 0; i < 10; i++)
		spot(), other_spot();
	check_call("a breakpoint is moved", modify(fd, EXECUTES, (void *)other_spot, 4, 0));
	for (int i = 0; i < 5; i++)
		spot(), other_spot();
	check("    with the hits at both places", count_of(fd) == 15, "%lu", (unsigned long)count_of(fd));
	check_call("    and disabled", modify(fd, EXECUTES, (void *)spot, 4, DISABLED));
	spot(), other_spot();
	ioctl(fd, ENABLE, 0);
	spot(), other_spot();
	check("    until it is enabled", count_of(fd) == 16, "%lu", (unsigned long)count_of(fd));
	ioctl(fd, DISABLE, 0);
	check_call("    becomes a watchpoint, and is enabled", modify(fd, WRITES, bytes + 3, 2, 0));
	spot(), other_spot();
	bytes[2] = bytes[3] = bytes[4] = bytes[5] = 1;
	check("    with all its hits", count_of(fd) == 18, "%lu", (unsigned long)count_of(fd));

	struct attributes wrong[] = { of(WRITES, bytes, 1, INHERIT), of(WRITES, bytes, 9, 0), of(WRITES, bytes, 1, 0),
				      of(WRITES, bytes, 1, 0), of(EXECUTES, (char *)spot + 2, 4, 0) };
	wrong[2].period = 2;
	wrong[3].type = 0;
	for (int i = 0; i < 5; i++)
		check("    nothing else changes", ioctl(fd, MODIFY_ATTRIBUTES, &wrong[i]) < 0 && errno == EINVAL, "number %d, %s", i,
		      strerror(errno));
	check("    nor without attributes", ioctl(fd, MODIFY_ATTRIBUTES, NULL) < 0 && errno == EFAULT, "%s", strerror(errno));
	bytes[4] = 1;
	hits("    and it counts as before", fd, 19);
	moved_in_a_child();

	struct sigaction action = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	sigaction(SIGTRAP, &action, NULL);
	next_pc = (uintptr_t)rounds;
	stepping = event(EXECUTES, (void *)next_pc, 4, SIGTRAPS, 0);
	rounds(100);
	check("a program steps itself", steps == 1 + 100 * 5 + 1 && !astray, "%lu steps, %lu astray", (unsigned long)steps,
	      (unsigned long)astray);
	hits("    with a hit for each step", stepping, 1 + 100 * 5 + 1);
	signal(SIGTRAP, SIG_DFL);
}

static volatile sig_atomic_t alarms;

static void tick(int signal)
{
	(void)signal;
	alarms++;
	spot();
}

/*
 * Where a program waits without a call it executes YIELD: an emulator that runs all CPUs in turns, as QEMU does under icount, may else let
 * none of the others run.
 */
static void give_way(void)
{
	__asm__ volatile("yield");
}

/* A child sends signals, which interrupt the program at any instruction, also between a hit and the step over it. */
static void among_signals(void)
{
	uint64_t calls = 0;
	int fd = event(EXECUTES, (void *)spot, 4, 0, 0), status;

	signal(SIGALRM, tick);
	pid_t child = fork();
	if (!child) {
		for (;;) {
			kill(getppid(), SIGALRM);
			for (volatile int i = 0; i < 700; i++)
				;
			sched_yield();
			give_way();
		}
	}
	while (alarms < 20) {
		spot();
		calls++;
		give_way();
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	signal(SIGALRM, SIG_IGN);
	hits("among signals", fd, calls + alarms);
}

static void across_cpus(void)
{
	int cpus = sysconf(_SC_NPROCESSORS_CONF), fd = event(EXECUTES, (void *)spot, 4, 0, 0), moved = 0;
	cpu_set_t set;

	for (int i = 0; i < 64; i++) {
		CPU_ZERO(&set);
		CPU_SET(i % (cpus > 0 ? cpus : 1), &set);
		moved += sched_setaffinity(0, sizeof set, &set) == 0;
		spot();
		sched_yield();
		spot();
	}
	memset(&set, 0xff, sizeof set);
	sched_setaffinity(0, sizeof set, &set);
	check("moved to each CPU", moved > 0, "never");
	hits("across CPUs", fd, 128);
}

static void *calls(void *times)
{
	for (long i = 0; i < (long)times; i++)
		spot();
	return NULL;
}

static void others(void)
{
	pthread_t threads[4];
	int own = event(EXECUTES, (void *)spot, 4, 0, 0), all = event(EXECUTES, (void *)spot, 4, INHERIT, 0), status;

	for (long i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, calls, (void *)(1000 * (i + 1)));
	for (long i = 0; i < 50; i++)
		spot();
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	hits("threads do not have it", own, 50);
	hits("unless they inherit it", all, 10050);

	all = event(EXECUTES, (void *)spot, 4, INHERIT, 0);
	own = event(EXECUTES, (void *)spot, 4, 0, 0);
	pid_t child = fork();
	if (!child) {
		calls((void *)30L);
		_exit(0);
	}
	spot();
	waitpid(child, &status, 0);
	hits("nor does a child", own, 1);
	hits("unless it inherits it", all, 31);

	/* Another task's slots: it spins, on another CPU if there is one. */
	int ends[2];
	char byte;
	if (pipe(ends))
		exit(1);
	child = fork();
	if (!child) {
		close(ends[0]);
		for (long i = 0;; i++) {
			spot();
			give_way();
			if (i == 1000 && write(ends[1], "x", 1) != 1)
				_exit(1);
		}
	}
	if (read(ends[0], &byte, 1) != 1)
		exit(1);
	int fd = check_call("of another process", event(EXECUTES, (void *)spot, 4, 0, child));
	uint64_t before;
	while ((before = count_of(fd)) < 1000)
		sched_yield(), give_way();
	ioctl(fd, DISABLE, 0);
	before = count_of(fd);
	for (int i = 0; i < 20; i++)
		sched_yield(), give_way();
	check("    no hit once it is disabled", count_of(fd) == before, "%lu more", (unsigned long)(count_of(fd) - before));
	ioctl(fd, ENABLE, 0);
	while (count_of(fd) < before + 1000)
		sched_yield(), give_way();
	close(fd);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ends[0]);
	close(ends[1]);
}

static void *makes_threads(void *done)
{
	for (long i = 0; i < 40; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, calls, (void *)10L);
		pthread_join(thread, NULL);
	}
	__atomic_store_n((int *)done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The hits of threads that end are in a sum once, at whichever moment it is made. */
static void ending(void)
{
	static int done;
	int fd = event(EXECUTES, (void *)spot, 4, INHERIT, 0), back = 0;
	uint64_t before = 0, reads = 0;
	pthread_t maker;

	pthread_create(&maker, NULL, makes_threads, &done);
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		uint64_t now = count_of(fd);

		back += now < before;
		before = now;
		reads++;
		give_way();
	}
	pthread_join(maker, NULL);
	check("a count does not go back while threads end", !back, "%d of %lu times", back, (unsigned long)reads);
	hits("    and is right in the end", fd, 400);
}

/* Two processes set events of each other at the same time: each waits in the kernel until the other has taken its event over. */
static void each_other(void)
{
	pid_t parent = getpid(), child = fork();
	int status, wrong = 0;

	for (int i = 0; i < 200; i++) {
		int fd = event(EXECUTES, (void *)spot, 4, 0, child ? child : parent);

		wrong += fd < 0;
		close(fd);
	}
	if (!child)
		_exit(wrong != 0);
	/* The child may have ended before the parent's last events. */
	waitpid(child, &status, 0);
	check("two processes set events of each other", status == 0, "%#x", status);
}

static volatile uint32_t word;

static void add_exclusively(volatile uint32_t *to)
{
	uint32_t value, failed;

	__asm__ volatile("1: ldaxr %w0, [%2]\nadd %w0, %w0, #1\nstlxr %w1, %w0, [%2]\ncbnz %w1, 1b"
			 : "=&r"(value), "=&r"(failed) : "r"(to) : "memory");
}

/* As above, with a load and a store of other memory between the exclusives. */
void add_exclusively_beside(volatile uint32_t *to, volatile uint8_t *beside);
extern char exclusive_load[], exclusive_add[], exclusive_store[];
__asm__(".global exclusive_load, exclusive_add, exclusive_store\n.type add_exclusively_beside, %function\n"
	"add_exclusively_beside:\nexclusive_load: ldaxr w2, [x0]\nldrb w3, [x1]\nexclusive_add: add w2, w2, #1\nstr x2, [x1, #8]\n"
	"exclusive_store: stlxr w4, w2, [x0]\ncbnz w4, exclusive_load\nret\n");

/* Adds 100 times where each attempt hits an event between the exclusives. Attempts whose store was let fail are attempts too. */
static void among_hits(const char *name, int fd)
{
	for (int i = 0; i < 100; i++)
		add_exclusively_beside(&word, bytes);
	uint64_t count = count_of(fd);
	check(name, count >= 100 && count < 1000, "%lu hits", (unsigned long)count);
	close(fd);
}

/* A lock word under a watch: an exception between the exclusives lets the store fail, for ever. */
static void exclusives(void)
{
	int fd = event(READS | WRITES, &word, 4, 0, 0);

	for (int i = 0; i < 100; i++)
		add_exclusively(&word);
	hits("exclusives under a watch", fd, 100);
	fd = event(WRITES, &word, 4, 0, 0);
	for (int i = 0; i < 100; i++)
		add_exclusively(&word);
	hits("under a watch for stores", fd, 100);
	int beside = event(READS, bytes, 1, 0, 0);
	fd = event(EXECUTES, (void *)exclusive_load, 4, 0, 0);
	for (int i = 0; i < 100; i++)
		add_exclusively_beside(&word, bytes);
	hits("a breakpoint on a load-exclusive", fd, 100);
	hits("    and a watch beside it", beside, 100);
	among_hits("a watch on an ordinary store between the exclusives", event(WRITES, bytes + 8, 8, 0, 0));
	beside = event(READS, bytes, 1, 0, 0);
	among_hits("    and on a load there too", event(WRITES, bytes + 8, 8, 0, 0));
	uint64_t count = count_of(beside);
	check("        of which each attempt is a hit", count >= 100 && count < 1000, "%lu hits", (unsigned long)count);
	close(beside);
	among_hits("a breakpoint between the exclusives", event(EXECUTES, exclusive_add, 4, 0, 0));
	among_hits("a breakpoint on a store-exclusive", event(EXECUTES, exclusive_store, 4, 0, 0));
	/* The kernel executes the sequence. The top bytes of its addresses do not count. */
	fd = event(EXECUTES, exclusive_load, 4, 0, 0);
	int all = event(READS | WRITES, &word, 4, 0, 0);
	beside = event(READS, bytes, 1, 0, 0);
	for (int i = 0; i < 100; i++)
		add_exclusively_beside((void *)((uintptr_t)&word | 0x5aUL << 56), (void *)((uintptr_t)bytes | 0xa5UL << 56));
	hits("tagged addresses in a sequence", fd, 100);
	hits("    under a watch of the word", all, 100);
	hits("    and of what lies beside it", beside, 100);
	check("every addition counts in the end", word == 800, "%u", word);
}

/* A load-exclusive of a pair, a way out before its store-exclusive, and one that the program takes. */
void leave_pair(uint64_t *to, uint64_t *loaded);
extern char pair_load[];
__asm__(".global pair_load\n.type leave_pair, %function\nleave_pair: mov x2, x0\nmov x3, x1\npair_load: ldxp x0, x1, [x2]\n"
	"cbz xzr, 1f\nstxp w4, x0, x1, [x2]\n1: stp x0, x1, [x3]\nret\n");

static void misaligned(int signal, siginfo_t *info, void *context)
{
	trapped(signal, info, context);
	siglongjmp(away, 1);
}

/*
 * The kernel executes a sequence for the program, by its own mapping of the page. A pair over the end of the page must not show what lies
 * behind the page there.
 */
static void pairs(void)
{
	struct sigaction action = { .sa_sigaction = misaligned, .sa_flags = SA_SIGINFO }, before;
	uint64_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), loaded[2] = { 1, 1 };
	int fd = event(EXECUTES, pair_load, 4, 0, 0);

	page[0] = 3;
	page[1] = 4;
	leave_pair(page, loaded);
	check("a pair that is loaded exclusively", loaded[0] == 3 && loaded[1] == 4, "%lu, %lu", (unsigned long)loaded[0],
	      (unsigned long)loaded[1]);
	sigaction(SIGBUS, &action, &before);
	signals = 0;
	if (!sigsetjmp(away, 1))
		leave_pair(page + 511, loaded);
	sigaction(SIGBUS, &before, NULL);
	check("    over the end of a page", signals == 1 && last.si_code == BUS_ADRALN && last.si_addr == page + 511 && loaded[1] == 4,
	      "%d signals, code %d, address %p, loaded %#lx", signals, last.si_code, last.si_addr, (unsigned long)loaded[1]);
	hits("    each attempt is a hit", fd, 2);
	munmap(page, 4096);
}

static void limits(void)
{
	int fds[32], many = 0;

	while (many < 32 && (fds[many] = event(WRITES, bytes, 1, 0, 0)) >= 0)
		many++;
	check("as many watchpoints as the CPU has", many >= 2 && many < 32 && errno == ENOSPC, "%d, %s", many, strerror(errno));
	bytes[0] = 1;
	for (int i = 0; i < many; i++)
		check("    each is hit", count_of(fds[i]) == 1, "%lu", (unsigned long)count_of(fds[i]));
	while (many)
		close(fds[--many]);
	int fd = check_call("    and free again", event(WRITES, bytes, 1, 0, 0));
	close(fd);
	check("an address of the kernel's", event(EXECUTES, (void *)0xffff000000080000, 4, 0, 0) < 0 && errno == EPERM, "%s",
	      strerror(errno));
	check("over the end of a doubleword", event(WRITES, bytes + 6, 4, 0, 0) < 0 && errno == EINVAL, "%s", strerror(errno));
	struct attributes hardware = { .type = 0, .size = sizeof hardware };
	check("a counter of the CPU's", syscall(SYS_perf_event_open, &hardware, 0, -1, -1, 0UL) < 0 && errno == ENOENT, "%s",
	      strerror(errno));
}

static void over_exec(char *self)
{
	int status;
	pid_t child = fork();

	if (!child) {
		event(EXECUTES, (void *)spot, 4, SIGTRAPS, 0);
		execl(self, self, "again", NULL);
		_exit(99);
	}
	waitpid(child, &status, 0);
	check("dropped by exec", status == 0, "%#x", status);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		spot();
		return 0;
	}
	breakpoints();
	watchpoints();
	kernels_accesses();
	signals_for_hits();
	signals_of_many();
	signals_put_off();
	signals_of_two();
	replaced_by_handler();
	left_by_jump();
	moved();
	among_signals();
	across_cpus();
	others();
	ending();
	each_other();
	exclusives();
	pairs();
	limits();
	over_exec(argv[0]);
	return failed();
}
