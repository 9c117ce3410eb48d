/* What programs pay for the boot, for system calls, signals, faults, processes and switches. */
#include "bench.h"
#include "../user/perf.h"

static void skip(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	((ucontext_t *)context)->uc_mcontext.pc += 4;
}

static void signals(struct series nothing)
{
	struct sigaction action = { .sa_sigaction = skip, .sa_flags = SA_SIGINFO };

	sigaction(SIGTRAP, &action, NULL);
	row("user_brk_signal", MEDIAN(SAMPLES, __asm__ volatile("brk #0" : : : "memory")), nothing, 1);
}

static void __attribute__((noinline)) probed(void)
{
	__asm__ volatile("" : : : "memory");
}

/* Ends an event; each sample was one hit. */
static void counted(int fd)
{
	if (count_of(fd) != SAMPLES)
		exit(1);
	close(fd);
}

/* An event that is counted: the operation with it, minus the operation without it. */
static void slots(void)
{
	static volatile uint64_t word;
	struct series calls = MEDIAN(SAMPLES, probed()), stores = MEDIAN(SAMPLES, word = 1);
	int fd = event(EXECUTES, (void *)probed, 4, 0, 0);

	row("hw_bp_user", MEDIAN(SAMPLES, probed()), calls, 1);
	counted(fd);
	fd = event(WRITES, &word, 8, 0, 0);
	row("hw_wp_user", MEDIAN(SAMPLES, word = 1), stores, 1);
	counted(fd);
}

static void faults(struct series nothing)
{
	size_t size = SAMPLES * 4096L;
	char *whole = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char *memory = whole;

	row("page_fault", MEDIAN(SAMPLES, (*memory = 1, memory += 4096)), nothing, 1);
	munmap(whole, size);
}

static void forks(void)
{
	row("fork_exit", MEDIAN(101, ({
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		waitpid(child, NULL, 0);
	})), none, 1);
}

static volatile uint64_t never_stored;
static void __attribute__((noinline)) never_called(void)
{
	__asm__ volatile("" : : : "memory");
}

/* Two breakpoints and two watchpoints of the running process, which nothing hits. */
static void use_slots(void)
{
	const char *text = (const char *)never_called;

	for (int i = 0; i < 2; i++)
		if (event(EXECUTES, text + 4 * i, 4, 0, 0) < 0 || event(WRITES, (const char *)&never_stored + 4 * i, 4, 0, 0) < 0)
			exit(1);
}

/* A byte goes to another process and comes back: two switches. */
static void switches(const char *key, int slots)
{
	int there[2], back[2];
	char byte = 0;

	if (pipe(there) || pipe(back))
		exit(1);
	pid_t child = fork();
	if (slots)
		use_slots();
	if (child == 0) {
		while (read(there[0], &byte, 1) == 1 && byte == 0)
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	row(key, MEDIAN(SAMPLES, ({
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			exit(1);
	})), none, 2);
	byte = 1;
	if (write(there[1], &byte, 1) != 1)
		exit(1);
	waitpid(child, NULL, 0);
}

int main(void)
{
	struct series nothing = MEDIAN(SAMPLES, );

	figure("boot_to_user", bench_started);
	row("null_syscall", MEDIAN(SAMPLES, raw_call(SYS_getppid, 0)), nothing, 1);
	signals(nothing);
	faults(nothing);
	forks();
	switches("context_switch", 0);
	slots();
	/* Last, as the slots stay. */
	switches("context_switch_slots", 1);
	return 0;
}
