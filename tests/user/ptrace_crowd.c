/*
 * Proves that the steps and the watchpoint of one task are its own, among hundreds of tasks that want the CPUs: threads of the same program, on
 * the same memory, and other processes. Each step of the tracee is one instruction, each store of the tracee under its watchpoint is a hit, and
 * no other task is given a SIGTRAP or computes anything wrong. The arguments say how many other tasks there are, how many steps are made, and
 * how many hits.
 */
#include "tracer.h"
#include <pthread.h>

#define MOST 1000
#define PROCESSES 20

static struct crowd {
	/* Set at the end; tasks that have begun; SIGTRAPs of tasks that nobody traces. */
	volatile int over, begun, strays;
	/* What all tasks store to, and what the tracee's watchpoint is on. */
	volatile uint64_t stored;
	/* How often each task has gone round, and what it has computed. */
	struct {
		volatile uint64_t rounds, value;
	} task[MOST];
	volatile pid_t tid;
} *crowd;

/*
 * crowd_walk(ended, stored): what the tracee executes, over and over until `ended` is set; X0 counts the rounds, and is the result.
 */
uint64_t crowd_walk(volatile int *ended, volatile uint64_t *stored);
extern const char crowd_first[], crowd_store[], crowd_last[];
__asm__(".text\n.global crowd_walk, crowd_first, crowd_store, crowd_last\n.type crowd_walk, %function\ncrowd_walk: mov x2, x0\nmov x0, #0\nmov x5, #0\n"
	"crowd_first: add x0, x0, #1\neor x3, x3, x0\nadds x4, x4, x3\nnop\nb 1f\nnop\n1: add x5, x5, #3\n"
	"crowd_store: str x0, [x1]\nldr x6, [x1]\nldr w7, [x2]\ncrowd_last: cbz w7, crowd_first\nret\n.size crowd_walk, .-crowd_walk\n");
/* The places of a round, in instructions from the first one on. */
static const int places[] = { 0, 1, 2, 3, 4, 6, 7, 8, 9, 10 };
enum { ROUND = sizeof places / sizeof *places };

static void stray(int signal)
{
	(void)signal;
	__atomic_fetch_add(&crowd->strays, 1, __ATOMIC_SEQ_CST);
}

/* One of the crowd. It stores to the watched word, and makes a call now and then. */
static void *mills(void *number)
{
	size_t me = (size_t)number;
	uint64_t value = me, rounds = 0;

	__atomic_fetch_add(&crowd->begun, 1, __ATOMIC_SEQ_CST);
	while (!crowd->over) {
		for (int i = 0; i < 50; i++) {
			value = value * 6364136223846793005u + 1442695040888963407u;
			crowd->stored = value;
		}
		if (++rounds % 16 == me % 16)
			give_way();
	}
	crowd->task[me].rounds = rounds;
	crowd->task[me].value = value;
	return NULL;
}

static void *walks(void *unused)
{
	(void)unused;
	crowd->tid = syscall(SYS_gettid);
	__atomic_fetch_add(&crowd->begun, 1, __ATOMIC_SEQ_CST);
	return (void *)crowd_walk(&crowd->over, &crowd->stored);
}

static int others;

/* The process of the tracee and of most of the crowd. */
static int throng(void)
{
	static pthread_t thread[MOST];
	pthread_attr_t attributes;
	pthread_t walker;
	void *rounds;
	int wrong = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	wrong |= pthread_create(&walker, &attributes, walks, NULL);
	for (int i = PROCESSES; i < others; i++)
		wrong |= pthread_create(&thread[i], &attributes, mills, (void *)(size_t)i);
	if (wrong)
		return 2;
	for (int i = PROCESSES; i < others; i++)
		pthread_join(thread[i], NULL);
	pthread_join(walker, &rounds);
	return rounds ? 7 : 3;
}

static int alone;
static int mills_alone(void)
{
	mills((void *)(size_t)alone);
	return 7;
}

static int code_of(pid_t pid)
{
	siginfo_t info;

	return PT(GETSIGINFO, pid, 0, &info) ? -1 : info.si_code;
}

/* Goes on, and must stop by SIGTRAP with a code. The result is PC. */
static uint64_t goes(long request, pid_t pid, int code)
{
	long error = PT(request, pid, 0, 0);
	int status = wait_status(pid, 0), got = code_of(pid);

	if (error || status != STOPPED(SIGTRAP) || got != code)
		check("a stop", 0, "error %ld, status %#x, code %d instead of %d", error, status, got, code);
	return registers_of(pid).pc;
}

static void set_watch(pid_t pid, int on)
{
	struct {
		uint32_t info, pad;
		uint64_t address;
		uint32_t control, pad2;
	} set = { 0, 0, (uintptr_t)&crowd->stored, on ? 0xff << 5 | 2 << 3 | 5 : 0, 0 };
	long got = regset(SETREGSET, pid, NT_WATCHES, &set, sizeof set);

	if (got != sizeof set)
		check("the watchpoint", 0, "%ld", got);
}

/* As many steps, each of one instruction. The result is how many went to the next place, in the way that the round goes. */
static int steps(pid_t pid, int count)
{
	struct task_registers now = registers_of(pid);
	int at = 0, good = 0;

	/* The tracee was stopped anywhere in its round. */
	while (at < ROUND && now.pc != (uintptr_t)crowd_first + 4 * places[at])
		at++;
	if (at == ROUND) {
		check("the tracee is at its walk", 0, "PC %#lx", (unsigned long)now.pc);
		return 0;
	}
	uint64_t rounds = now.x[0];
	for (int i = 0; i < count; i++) {
		rounds += at == 0;
		at = (at + 1) % ROUND;
		uint64_t pc = goes(SINGLESTEP, pid, TRAP_TRACE);
		now = registers_of(pid);
		good += pc == (uintptr_t)crowd_first + 4 * places[at] && now.x[0] == rounds && now.x[5] == 3 * (rounds - (at > 0 && at <= 5));
	}
	return good;
}

static int hits(pid_t pid, int count)
{
	int good = 0;

	set_watch(pid, 1);
	for (int i = 0; i < count; i++) {
		uint64_t before = registers_of(pid).x[0];
		uint64_t pc = goes(CONT, pid, TRAP_HWBKPT);
		/* A round has one store: the hit is in the round in which the tracee was, or in the next one. */
		good += pc == (uintptr_t)crowd_store && registers_of(pid).x[0] - before <= 1;
		set_watch(pid, 0);
		good += goes(SINGLESTEP, pid, TRAP_TRACE) == pc + 4;
		set_watch(pid, 1);
	}
	set_watch(pid, 0);
	return good;
}

int main(int argc, char **argv)
{
	static pid_t single[PROCESSES];
	struct sigaction action = { .sa_handler = stray };
	int wanted_steps = argc > 2 ? atoi(argv[2]) : 300, wanted_hits = argc > 3 ? atoi(argv[3]) : 30, ended = 0, right = 0;

	others = argc > 1 ? atoi(argv[1]) : 200;
	if (others <= PROCESSES || others > MOST)
		return 2;
	crowd = mmap(NULL, sizeof *crowd, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGTRAP, &action, NULL);
	for (alone = 0; alone < PROCESSES; alone++)
		single[alone] = start(mills_alone);
	pid_t all = start(throng);
	while (crowd->begun < others + 1)
		nap();
	pid_t pid = crowd->tid;
	is("ATTACH to one of the crowd", PT(ATTACH, pid, 0, 0), 0);
	waits("its stop", pid, STOPPED(SIGSTOP));
	/* The tracee may not yet have come to its walk. */
	while (registers_of(pid).pc - (uintptr_t)crowd_first > (uintptr_t)(crowd_last - crowd_first))
		goes(SINGLESTEP, pid, TRAP_TRACE);
	is("each step is one instruction", steps(pid, wanted_steps), wanted_steps);
	is("each store under the watchpoint is a hit", hits(pid, wanted_hits), 2 * wanted_hits);
	is("steps go on", steps(pid, wanted_steps / 10), wanted_steps / 10);
	/* The tracee is let go in the middle of its walk, with neither a step nor a slot. */
	is("DETACH", PT(DETACH, pid, 0, 0), 0);
	nap();
	crowd->over = 1;
	waits("the process of the tracee goes on to its end", all, EXITED(7));
	for (int i = 0; i < PROCESSES; i++)
		ended += wait_status(single[i], 0) == EXITED(7);
	is("the other processes go on to their ends", ended, PROCESSES);
	is("SIGTRAPs of other tasks", crowd->strays, 0);
	for (int i = 0; i < others; i++) {
		uint64_t value = i;

		for (uint64_t n = crowd->task[i].rounds * 50; n; n--)
			value = value * 6364136223846793005u + 1442695040888963407u;
		right += value == crowd->task[i].value && crowd->task[i].rounds;
	}
	is("what the others have computed", right, others);
	return failed();
}
