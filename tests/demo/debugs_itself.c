/*
 * The user half of the main job: a program that traps, watches and steps itself. `debugs_itself ITEM FILE` shows one item. It writes to FILE
 * how many debug exceptions the kernel must have taken for it, and a line with counts of the same events, which are made by the program, by
 * its handler of SIGTRAP, and by the kernel's event. The status is 0 only if the counts agree.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

/* `struct perf_event_attr` as of Linux 6.1. The header that has it is not in every package of a C library. */
struct attributes {
	uint32_t type, size;
	uint64_t config, period, sample_type, read_format, flags;
	uint32_t wakeup, bp_type;
	uint64_t bp_addr, bp_len, others[6], sig_data;
};

_Static_assert(sizeof(struct attributes) == 128, "PERF_ATTR_SIZE_VER7");

/* HW_BREAKPOINT_W and HW_BREAKPOINT_X. */
enum { WRITES = 2, EXECUTES = 4 };
enum { BREAKPOINT_TYPE = 5, INHERIT = 1 << 1 };
/* The flags remove_on_exec, which sigtrap demands, and sigtrap. */
#define SIGTRAPS (1UL << 36 | 1UL << 37)
#define DISABLE 0x2401
#define MODIFY_ATTRIBUTES 0x4008240b
/* TRAP_BRKPT and TRAP_PERF. */
enum { OF_BRK = 1, OF_EVENT = 6 };

enum { BRKS = 1000, THREADS = 4, TIMES = 1000, REPORTED = 100 };
/*
 * Stepping goes on until there were so many steps and so many SIGALRMs, one in each millisecond. It ends in any case after so many rounds of
 * the loop.
 */
enum { STEPS = 1000, ALARMS = 20, MOST_ROUNDS = 50000 };

/* Where the line goes to. */
static int file;

/* Writes the line. Returns the program's status. */
__attribute__((format(printf, 3, 4)))
static int say(int agree, long exceptions, const char *format, ...)
{
	va_list list;

	dprintf(file, "%ld ", exceptions);
	va_start(list, format);
	vdprintf(file, format, list);
	va_end(list);
	return !agree;
}

static struct attributes of(uint32_t kind, const volatile void *address, uint64_t flags)
{
	return (struct attributes){ .type = BREAKPOINT_TYPE, .size = sizeof(struct attributes), .period = 1, .flags = flags,
				    .bp_type = kind, .bp_addr = (uintptr_t)address, .bp_len = 4 };
}

/* An event of the calling thread and, with INHERIT, of the threads that it makes. */
static int event(uint32_t kind, const volatile void *address, uint64_t flags)
{
	struct attributes asked = of(kind, address, flags);

	return syscall(SYS_perf_event_open, &asked, 0, -1, -1, 0UL);
}

/* Ends an event. Returns its count; -1 if there was no event. */
static long end(int fd)
{
	uint64_t count;

	if (fd < 0 || read(fd, &count, sizeof count) != sizeof count)
		return -1;
	close(fd);
	return count;
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	sigaction(signal, &action, NULL);
}

/* Has several threads do the same at the same time. */
static void crowd(void *(*work)(void *))
{
	static pthread_barrier_t start;
	pthread_t threads[THREADS];

	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, &start);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Functions whose instructions have their addresses: the compiler neither copies nor inlines them. */
void trap(void);
void called(void);
extern const uint32_t trap_at[];
__asm__(".text\n.global trap, trap_at, called\n.type trap, %function\ntrap:\ntrap_at: brk #0x5e1f\nret\n.size trap, .-trap\n"
	".type called, %function\ncalled: nop\nret\n.size called, .-called\n");

/* How many signals came that said what they must say, and the place that they must name. */
static volatile sig_atomic_t signals;
static const volatile void *place;

static void at_brk(int signal, siginfo_t *info, void *context)
{
	mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;

	(void)signal;
	signals += info->si_code == OF_BRK && info->si_addr == trap_at && registers->pc == (uintptr_t)trap_at;
	registers->pc += 4;
}

static int show_brk(void)
{
	long behind = 0;

	handle(SIGTRAP, at_brk);
	for (int i = 0; i < BRKS; i++) {
		trap();
		behind++;
	}
	return say(signals == BRKS && behind == BRKS, BRKS, "%d BRKs, %d SIGTRAPs at them, %ld times on behind", BRKS,
		   (int)signals, behind);
}

static void at_hit(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	signals += info->si_code == OF_EVENT && info->si_addr == place;
}

static volatile uint32_t word;

static void *calls(void *start)
{
	pthread_barrier_wait(start);
	for (int i = 0; i < TIMES; i++)
		called();
	return NULL;
}

static void store(void)
{
	__asm__ volatile("str wzr, [%0]" : : "r"(&word) : "memory");
}

static void *stores(void *start)
{
	pthread_barrier_wait(start);
	for (int i = 0; i < TIMES; i++)
		store();
	return NULL;
}

/* A slot that counts for several threads, and one that signals each hit. */
static int show_slot(uint32_t kind, const volatile void *address, void *(*work)(void *), void (*once)(void), const char *name)
{
	const long all = THREADS * TIMES;
	int fd = event(kind, address, INHERIT);

	place = address;
	handle(SIGTRAP, at_hit);
	crowd(work);
	long hits = end(fd);
	fd = event(kind, address, SIGTRAPS);
	for (int i = 0; i < REPORTED; i++)
		once();
	long reported = end(fd);
	return say(hits == all && reported == REPORTED && signals == REPORTED, all + REPORTED,
		   "%s, in %d threads at once: %ld times, %ld hits; %d times more, %ld hits, %d SIGTRAPs", name, THREADS, all, hits,
		   REPORTED, reported, (int)signals);
}

/*
 * The loop that is stepped. It runs as many rounds as the word at X0 says, which may change meanwhile, and stores at X1 how many rounds had
 * an odd number, which the condition flags tell. Returns the number of rounds.
 */
uint64_t rounds_of(const volatile uint64_t *allowed, uint64_t *odd);
extern const uint32_t round_begins[], round_ends[], behind_rounds[];
__asm__(".global rounds_of, round_begins, round_ends, behind_rounds\n.type rounds_of, %function\n"
	"rounds_of: mov x2, #0\n"
	"mov x3, #0\n"
	"round_begins: add x2, x2, #1\n"
	"tst x2, #1\n"
	"cinc x3, x3, ne\n"
	"ldr x4, [x0]\n"
	"cmp x2, x4\n"
	"round_ends: b.lo round_begins\n"
	"behind_rounds: str x3, [x1]\n"
	"mov x0, x2\n"
	"ret\n"
	".size rounds_of, .-rounds_of\n");
/* The instructions in front of the loop, and those of a round. */
enum { HEAD = 2, ROUND = 6 };
#define CARRY (1UL << 29)

static int stepping;
static volatile sig_atomic_t alarms;
static volatile uint64_t allowed = MOST_ROUNDS, steps;
static uint64_t astray, next;

/* Counts the step that has ended here, and moves the breakpoint to the next instruction, as the condition flags say. */
static void at_step(int signal, siginfo_t *info, void *context)
{
	const mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;
	uint64_t pc = registers->pc;

	(void)signal;
	astray += pc != next || info->si_code != OF_EVENT || (uintptr_t)info->si_addr != pc;
	steps += pc != (uintptr_t)rounds_of;
	if (pc == (uintptr_t)behind_rounds) {
		ioctl(stepping, DISABLE, 0);
		return;
	}
	next = pc == (uintptr_t)round_ends && !(registers->pstate & CARRY) ? (uintptr_t)round_begins : pc + 4;
	struct attributes moved = of(EXECUTES, (void *)next, SIGTRAPS);
	if (ioctl(stepping, MODIFY_ATTRIBUTES, &moved))
		astray++;
}

static void at_alarm(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	if (++alarms >= ALARMS && steps >= STEPS)
		allowed = 0;
}

static int show_step(void)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	uint64_t odd = 0;

	next = (uintptr_t)rounds_of;
	handle(SIGTRAP, at_step);
	handle(SIGALRM, at_alarm);
	stepping = event(EXECUTES, (void *)next, SIGTRAPS);
	setitimer(ITIMER_REAL, &often, NULL);
	uint64_t rounds = rounds_of(&allowed, &odd);
	setitimer(ITIMER_REAL, &never, NULL);
	uint64_t executed = HEAD + ROUND * rounds;
	long hits = end(stepping);
	return say(steps == executed && (uint64_t)hits == steps + 1 && !astray && alarms >= ALARMS && odd == (rounds + 1) / 2, hits,
		   "%lu steps for %lu instructions; %d SIGALRMs meanwhile, %lu steps astray", (unsigned long)steps, executed, (int)alarms, astray);
}

int main(int argc, char **argv)
{
	if (argc != 3 || (file = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
		return 2;
	if (!strcmp(argv[1], "brk"))
		return show_brk();
	if (!strcmp(argv[1], "breakpoint"))
		return show_slot(EXECUTES, (void *)called, calls, called, "called()");
	if (!strcmp(argv[1], "watchpoint"))
		return show_slot(WRITES, &word, stores, store, "stores to word");
	if (!strcmp(argv[1], "step"))
		return show_step();
	return 2;
}
