/*
 * Proves where a tracer's single steps land: on each next instruction exactly once, behind a system call, on a handler's first instruction,
 * on the interrupted one after a handler, and nowhere else, whatever the task does in between.
 */
#include "tracer.h"
#include <pthread.h>

/* A function for stepping: a BRK, which the tracer leaves behind, instructions of 4 bytes, and RET. */
#define WALK(name, text) \
	void name(void); \
	extern const char name##_end[]; \
	__asm__(".text\n.global " #name "\n.type " #name ", %function\n" #name ": brk #1\n" text "\n.global " #name "_end\n" #name "_end: ret\n" \
		".size " #name ", .-" #name "\n")

WALK(plain, "nop\nb 1f\nnop\n1: cbz xzr, 2f\nnop\n2: mov x9, x30\nbl 3f\nmov x30, x9\nb 4f\n3: cmp xzr, xzr\nret\n4: b.ne 4b\nmov x0, #3\n"
	    "5: sub x0, x0, #1\ncbnz x0, 5b");
static const int plain_pcs[] = { 2, 4, 6, 7, 10, 11, 8, 9, 12, 13, 14, 15, 14, 15, 14, 15, 16 };

WALK(one_call, "mov x8, #173\nsvc #0\nnop\nnop");
static const int straight_pcs[] = { 2, 3, 4, 5 };

WALK(two_calls, "mov x8, #173\nsvc #0\nsvc #0\nnop");
WALK(no_call, "mov x8, #2000\nsvc #0\nnop\nnop");
WALK(hints, "yield\nwfe\nwfi\nsev\nisb\ndmb sy\nwfe\nhint #31");
static const int hint_pcs[] = { 2, 3, 4, 5, 6, 7, 8, 9 };

WALK(exclusives, "sub x1, sp, #16\nmov w0, #0\n1: ldxr w2, [x1]\nadd w2, w2, #1\nstxr w3, w2, [x1]\ncbnz w3, 1b\nnop");
static const int exclusive_pcs[] = { 2, 3, 7, 8 };

static int (*walked)(void);
static void (*walk_of)(void);
static int walks(void)
{
	walk_of();
	return 7;
}

/* A tracee behind the BRK of a function. */
static pid_t at_walk(void (*function)(void))
{
	walk_of = function;
	pid_t pid = traced(walked ? walked : walks);

	PT(CONT, pid, 0, 0);
	int status = wait_status(pid, 0);
	struct task_registers now = registers_of(pid);
	if (status != STOPPED(SIGTRAP) || now.pc != (uintptr_t)function)
		check("BRK", 0, "status %#x, PC %#lx", status, (unsigned long)now.pc);
	now.pc += 4;
	set_registers(pid, &now);
	return pid;
}

static uint64_t pc_of(pid_t pid) { return registers_of(pid).pc; }

static int code_of(pid_t pid)
{
	siginfo_t info;

	return PT(GETSIGINFO, pid, 0, &info) ? -1 : info.si_code;
}

/*
 * Whether this is Linux, whose steps over SVC on AArch64 stop twice behind it (first by the end of the call, then by the step, which is still
 * pending), and which never comes through a load-exclusive, store-exclusive sequence. An argument says so.
 */
static int on_linux;

/* One step, which must end on a place of a function. The result is whether it did. */
static int steps_to(pid_t pid, void (*function)(void), int place)
{
	siginfo_t info;
	uint64_t before = pc_of(pid);
	long error = PT(SINGLESTEP, pid, 0, 0);
	int status = wait_status(pid, 0);
	if (on_linux && pc_of(pid) == before && before != (uintptr_t)function + 4 * place) {
		error = PT(SINGLESTEP, pid, 0, 0);
		status = wait_status(pid, 0);
	}
	uint64_t pc = pc_of(pid), wanted = (uintptr_t)function + 4 * place;

	memset(&info, 0, sizeof info);
	PT(GETSIGINFO, pid, 0, &info);
	if (!error && status == STOPPED(SIGTRAP) && pc == wanted)
		return 1;
	printf("# to %d: error %ld, status %#x, PC %#lx, which is %ld, code %d\n", place, error, status, (unsigned long)pc,
	       (long)(pc - (uintptr_t)function) / 4, info.si_code);
	return 0;
}

static void steps_all(const char *name, pid_t pid, void (*function)(void), const int *places, unsigned count)
{
	unsigned good = 0;

	for (unsigned i = 0; i < count; i++)
		good += steps_to(pid, function, places[i]);
	is(name, good, count);
}
#define STEPS(name, pid, function, places) steps_all(name, pid, function, places, sizeof(places) / sizeof *(places))

static void goes_on(pid_t pid)
{
	PT(CONT, pid, 0, 0);
	waits("CONT steps no more", pid, EXITED(7));
}

static void plain_code(void)
{
	pid_t pid = at_walk(plain);
	siginfo_t info;

	STEPS("each instruction once", pid, plain, plain_pcs);
	memset(&info, 0, sizeof info);
	PT(GETSIGINFO, pid, 0, &info);
	check("what a step tells", info.si_signo == SIGTRAP && info.si_code == TRAP_TRACE && (uint64_t)info.si_addr == pc_of(pid),
	      "signal %d, code %d, address %p", info.si_signo, info.si_code, info.si_addr);
	goes_on(pid);
}

static void system_calls(void)
{
	pid_t pid = at_walk(one_call);

	STEPS("behind the call, once", pid, one_call, straight_pcs);
	goes_on(pid);
	pid = at_walk(two_calls);
	STEPS("one call after the other", pid, two_calls, straight_pcs);
	goes_on(pid);
	pid = at_walk(no_call);
	STEPS("a call that there is not", pid, no_call, straight_pcs);
	goes_on(pid);
	pid = at_walk(one_call);
	PT(SETOPTIONS, pid, 0, ON_SYSGOOD);
	STEPS("SYSGOOD makes no stop of a call for a step", pid, one_call, straight_pcs);
	goes_on(pid);
	/* From the call's entry. */
	pid = at_walk(one_call);
	PT(SETOPTIONS, pid, 0, ON_SYSGOOD);
	PT(SYSCALL, pid, 0, 0);
	waits("at the call's entry", pid, SYSCALL_STOP);
	is("    PC is behind it", pc_of(pid), (uintptr_t)one_call + 12);
	is("a step leads behind it", steps_to(pid, one_call, 3), 1);
	is("    and the next one further", steps_to(pid, one_call, 4), 1);
	PT(SYSCALL, pid, 0, 0);
	int status, count = 0;
	while ((status = wait_status(pid, 0)) == SYSCALL_STOP && ++count < 100)
		PT(SYSCALL, pid, 0, 0);
	is("SYSCALL goes on from there", status, EXITED(7));
	check("    and has told of calls", count >= 1, "%d", count);
}

static void hint_instructions(void)
{
	pid_t pid = at_walk(hints);

	STEPS("YIELD, WFE, WFI and barriers", pid, hints, hint_pcs);
	goes_on(pid);
}

/* Linux steps into the sequence, and the loop never ends. Here a sequence is one step, with the branch back that follows it. */
static void exclusive_sequences(void)
{
	pid_t pid = at_walk(exclusives);

	STEPS("a load-exclusive, store-exclusive sequence is one step", pid, exclusives, exclusive_pcs);
	is("    and has stored", registers_of(pid).x[3], 0);
	goes_on(pid);
}

/* A handler without a BRK. */
void handler(int signal);
__asm__(".text\n.global handler\n.type handler, %function\nhandler: nop\nret\n.size handler, .-handler\n");

static int raises(void)
{
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	walk_of();
	return 7;
}

static void into_handlers(void)
{
	walked = raises;
	pid_t pid = at_walk(plain);
	kill(pid, SIGUSR1);
	is("a step with a signal that waits", PT(SINGLESTEP, pid, 0, 0), 0);
	waits("    tells of the signal first", pid, STOPPED(SIGUSR1));
	is("    before any instruction", pc_of(pid), (uintptr_t)plain + 4);
	PT(SINGLESTEP, pid, 0, SIGUSR1);
	waits("a step into the handler", pid, STOPPED(SIGTRAP));
	is("    is on its first instruction", pc_of(pid), (uintptr_t)handler);
	printf("# code %d\n", code_of(pid));
	is("a step in the handler", steps_to(pid, (void (*)(void))handler, 1), 1);
	PT(SINGLESTEP, pid, 0, 0);
	waits("its return", pid, STOPPED(SIGTRAP));
	uint64_t word = 0, trampoline = pc_of(pid);
	PT(PEEKTEXT, pid, trampoline, &word);
	check("    leads to rt_sigreturn", word == 0xd4000001d2801168, "%#lx at %#lx", (unsigned long)word, (unsigned long)trampoline);
	PT(SINGLESTEP, pid, 0, 0);
	waits("a step there", pid, STOPPED(SIGTRAP));
	is("    is on SVC", pc_of(pid), trampoline + 4);
	is("over rt_sigreturn to the interrupted instruction", steps_to(pid, plain, 1), 1);
	STEPS("and on", pid, plain, plain_pcs);
	goes_on(pid);

	pid = at_walk(plain);
	kill(pid, SIGUSR1);
	PT(SINGLESTEP, pid, 0, 0);
	waits("a signal", pid, STOPPED(SIGUSR1));
	is("a step without it", steps_to(pid, plain, 2), 1);
	kill(pid, SIGUSR2);
	PT(SINGLESTEP, pid, 0, 0);
	waits("a signal that is ignored", pid, STOPPED(SIGUSR2));
	PT(SINGLESTEP, pid, 0, SIGUSR2);
	waits("a step with it", pid, STOPPED(SIGTRAP));
	is("    is one step", pc_of(pid), (uintptr_t)plain + 16);
	kill(pid, SIGUSR1);
	PT(CONT, pid, 0, 0);
	waits("a signal", pid, STOPPED(SIGUSR1));
	/* CONT into the handler does not step. */
	PT(CONT, pid, 0, SIGUSR1);
	waits("CONT with it", pid, EXITED(7));
}

WALK(breaks, "nop\nbrk #2\nnop");

static void breakpoints(void)
{
	walked = NULL;
	pid_t pid = at_walk(breaks);
	siginfo_t info;

	is("to the BRK", steps_to(pid, breaks, 2), 1);
	is("    is a step", code_of(pid), TRAP_TRACE);
	for (int i = 0; i < 2; i++) {
		is("a step of BRK stays on it", steps_to(pid, breaks, 2), 1);
		PT(GETSIGINFO, pid, 0, &info);
		check("    and is a breakpoint", info.si_code == TRAP_BRKPT && (uint64_t)info.si_addr == (uintptr_t)breaks + 8, "code %d, %p",
		      info.si_code, info.si_addr);
	}
	struct task_registers now = registers_of(pid);
	now.pc += 4;
	set_registers(pid, &now);
	is("behind it, one step", steps_to(pid, breaks, 4), 1);
	now.pc = (uintptr_t)breaks + 4;
	now.pstate |= 1 << 21;
	set_registers(pid, &now);
	is("back, one step", steps_to(pid, breaks, 2), 1);
	now.pc = (uintptr_t)breaks + 12;
	set_registers(pid, &now);
	goes_on(pid);
	/* A breakpoint that the tracer writes, as debuggers do. */
	pid = at_walk(plain);
	uint64_t text;
	PT(PEEKTEXT, pid, (uintptr_t)plain + 16, &text);
	PT(POKETEXT, pid, (uintptr_t)plain + 16, (text & 0xffffffff00000000) | 0xd4200000);
	PT(CONT, pid, 0, 0);
	waits("a breakpoint", pid, STOPPED(SIGTRAP));
	is("    its place", pc_of(pid), (uintptr_t)plain + 16);
	is("    its code", code_of(pid), TRAP_BRKPT);
	PT(POKETEXT, pid, (uintptr_t)plain + 16, text);
	STEPS("taken away, stepped", pid, plain, ((const int[]) { 6, 7, 10 }));
	goes_on(pid);
}

WALK(faults, "mov x1, #16\nldr x0, [x1]\nnop\nnop");

static void a_fault(void)
{
	pid_t pid = at_walk(faults);
	siginfo_t info;

	is("to the load", steps_to(pid, faults, 2), 1);
	PT(SINGLESTEP, pid, 0, 0);
	waits("its step is SIGSEGV", pid, STOPPED(SIGSEGV));
	PT(GETSIGINFO, pid, 0, &info);
	check("    of its address", info.si_code == SEGV_MAPERR && (uint64_t)info.si_addr == 16, "%d, %p", info.si_code, info.si_addr);
	is("    PC stays", pc_of(pid), (uintptr_t)faults + 8);
	struct task_registers now = registers_of(pid);
	now.x[1] = now.sp;
	set_registers(pid, &now);
	is("mended, the step is one", steps_to(pid, faults, 3), 1);
	is("    and the next one too", steps_to(pid, faults, 4), 1);
	goes_on(pid);
}

static volatile char untouched[3 * 4096] __attribute__((aligned(4096)));
WALK(touches, "ldr x0, [x19]\nstr x0, [x19]\nnop");

/* A page that comes in only now: the fault is the kernel's business, and the step ends behind the instruction. */
static void a_page_fault(void)
{
	pid_t pid = at_walk(touches);
	struct task_registers now = registers_of(pid);
	uint64_t x19 = now.x[19];

	now.x[19] = (uintptr_t)untouched + 4096;
	set_registers(pid, &now);
	STEPS("over page faults", pid, touches, ((const int[]) { 2, 3, 4 }));
	now = registers_of(pid);
	now.x[19] = x19;
	set_registers(pid, &now);
	goes_on(pid);
}

WALK(sleeps, "sub sp, sp, #16\nldr x1, =20000000\nstp xzr, x1, [sp]\nmov x0, sp\nmov x1, #0\nmov x8, #101\nsvc #0\nadd sp, sp, #16\nb 1f\n.ltorg\n"
	     "1: nop");

static void a_sleep(void)
{
	pid_t pid = at_walk(sleeps);

	STEPS("over a sleep", pid, sleeps, ((const int[]) { 2, 3, 4, 5, 6, 7, 8, 9 }));
	goes_on(pid);
	/* And one that is interrupted by a signal that the tracer keeps. */
	pid = at_walk(sleeps);
	STEPS("to a sleep", pid, sleeps, ((const int[]) { 2, 3, 4, 5, 6, 7 }));
	/* 20 seconds. */
	struct task_registers now = registers_of(pid);
	uint64_t time[2] = { 20, 0 };
	PT(POKEDATA, pid, now.sp, time[0]);
	PT(POKEDATA, pid, now.sp + 8, time[1]);
	PT(SINGLESTEP, pid, 0, 0);
	until(pid, 'S');
	kill(pid, SIGUSR1);
	/* The end of the call may count as the step: Linux tells that first. */
	int status = wait_status(pid, 0);
	if (status == STOPPED(SIGTRAP)) {
		PT(SINGLESTEP, pid, 0, 0);
		status = wait_status(pid, 0);
	}
	is("the signal ends the sleep for now", status, STOPPED(SIGUSR1));
	is("    PC is on SVC again", pc_of(pid), (uintptr_t)sleeps + 28);
	ends("it ends", pid);
}

/* fork: clone(SIGCHLD). The child ends at once, the parent goes on. */
WALK(forks, "mov x0, #17\nmov x1, #0\nmov x2, #0\nmov x3, #0\nmov x4, #0\nmov x8, #220\nsvc #0\ncbnz x0, 1f\nmov x0, #5\nmov x8, #94\nsvc #0\n"
	    "1: nop\nnop");

static void a_fork(void)
{
	pid_t pid = at_walk(forks);
	uint64_t mask = 1ul << (SIGCHLD - 1);

	/* The child, which nobody traces, ends while its parent is stepped. */
	is("no SIGCHLD between the steps", PT(SETSIGMASK, pid, sizeof mask, &mask), 0);
	STEPS("over a fork", pid, forks, ((const int[]) { 2, 3, 4, 5, 6, 7, 8 }));
	int status;
	PT(SINGLESTEP, pid, 0, 0);
	while ((status = wait_status(pid, 0)) == STOPPED(SIGTRAP))
		PT(SINGLESTEP, pid, 0, 0);
	is("to the end", status, EXITED(7));

	pid = at_walk(forks);
	PT(SETOPTIONS, pid, 0, ON_FORK);
	STEPS("to a fork", pid, forks, ((const int[]) { 2, 3, 4, 5, 6, 7 }));
	PT(SINGLESTEP, pid, 0, 0);
	waits("the event", pid, EVENT(E_FORK));
	unsigned long child = 0;
	PT(GETEVENTMSG, pid, 0, &child);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	is("    is behind the call", pc_of(child), (uintptr_t)forks + 32);
	is("    with 0", registers_of(child).x[0], 0);
	is("a step behind the event", steps_to(pid, forks, 8), 1);
	STEPS("the child can be stepped", child, forks, ((const int[]) { 9, 10, 11 }));
	PT(CONT, child, 0, 0);
	waits("    and ends", child, EXITED(5));
	PT(CONT, pid, 0, 0);
	waits("SIGCHLD", pid, STOPPED(SIGCHLD));
	goes_on(pid);
}

static void a_child_is_not_stepped(void)
{
	pid_t pid = at_walk(forks);

	PT(SETOPTIONS, pid, 0, ON_FORK);
	STEPS("to a fork", pid, forks, ((const int[]) { 2, 3, 4, 5, 6, 7 }));
	PT(SINGLESTEP, pid, 0, 0);
	waits("the event", pid, EVENT(E_FORK));
	unsigned long child = 0;
	PT(GETEVENTMSG, pid, 0, &child);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	PT(CONT, child, 0, 0);
	waits("it is not stepped", child, EXITED(5));
	ends("the parent", pid);
}

/* execve(x0, x1, x2): the tracer sets the registers. */
WALK(executes, "mov x8, #221\nsvc #0");
static char self[] = "/proc/self/exe", ends_word[] = "ends";
static char *words[] = { self, ends_word, NULL };

static void an_exec(void)
{
	for (int option = 0; option < 2; option++) {
		pid_t pid = at_walk(executes);
		struct task_registers now = registers_of(pid);
		now.x[0] = (uintptr_t)self;
		now.x[1] = (uintptr_t)words;
		now.x[2] = 0;
		set_registers(pid, &now);
		PT(SETOPTIONS, pid, 0, option ? ON_EXEC : 0);
		is("to an exec", steps_to(pid, executes, 2), 1);
		PT(SINGLESTEP, pid, 0, 0);
		if (option) {
			waits("the event", pid, EVENT(E_EXEC));
			PT(SINGLESTEP, pid, 0, 0);
		}
		waits("a step over exec", pid, STOPPED(SIGTRAP));
		uint64_t entry = pc_of(pid), word = 0;
		printf("# code %d\n", code_of(pid));
		check("    is in the new program", entry < (uintptr_t)executes || entry >= (uintptr_t)executes + 12, "%#lx", (unsigned long)entry);
		/* An entry point begins with instructions that do not branch. */
		PT(PEEKTEXT, pid, entry, &word);
		PT(SINGLESTEP, pid, 0, 0);
		waits("its first instruction", pid, STOPPED(SIGTRAP));
		uint64_t next = pc_of(pid);
		/* SIGTRAP, which exec sends, and the step may be two stops. */
		for (int extra = option ? 0 : 1; next == entry && extra + 2 * on_linux > 0; extra--) {
			PT(SINGLESTEP, pid, 0, 0);
			waits("its first instruction", pid, STOPPED(SIGTRAP));
			next = pc_of(pid);
		}
		check("    is stepped", next == entry + 4 || ((uint32_t)word >> 26 & 0x1f) == 5, "%#lx after %#lx", (unsigned long)next,
		      (unsigned long)entry);
		PT(CONT, pid, 0, 0);
		waits("the program runs", pid, EXITED(9));
	}
}

static void detached(void)
{
	pid_t pid = at_walk(plain);

	is("a step", steps_to(pid, plain, 2), 1);
	PT(DETACH, pid, 0, 0);
	waits("DETACH: no step is left", pid, EXITED(7));
	pid = at_walk(plain);
	is("a step", steps_to(pid, plain, 2), 1);
	ends("killed after a step", pid);
	pid = start(sleeps_for_ever);
	until(pid, 'S');
	PT(SEIZE, pid, 0, 0);
	PT(INTERRUPT, pid, 0, 0);
	waits("interrupted", pid, EVENT_STOP(SIGTRAP));
	uint64_t pc = pc_of(pid);
	PT(SINGLESTEP, pid, 0, 0);
	until(pid, 'S');
	PT(INTERRUPT, pid, 0, 0);
	waits("a step into a call that sleeps, and is interrupted", pid, EVENT_STOP(SIGTRAP));
	is("    on the same call", pc_of(pid), pc);
	PT(CONT, pid, 0, 0);
	/* Linux counts the end of the call as the step, and tells that now: a stop that nobody has asked for. */
	if (on_linux) {
		wait_status(pid, 0);
		PT(CONT, pid, 0, 0);
	}
	until(pid, 'S');
	ends("it ends", pid);
}

static int spins(void)
{
	walk_of();
	return 7;
}

/* With YIELD, as in give_way(). */
WALK(endless, "mov x0, #0\n1: add x0, x0, #1\nyield\nb 1b");

/* Several tracees by turns, while others spin beside them. */
static void several(void)
{
	pid_t pids[4], free[2];
	int wrong = 0;

	walked = spins;
	for (int i = 0; i < 4; i++) {
		pids[i] = at_walk(endless);
		wrong += !steps_to(pids[i], endless, 2);
	}
	for (int i = 0; i < 2; i++) {
		free[i] = at_walk(endless);
		PT(CONT, free[i], 0, 0);
	}
	for (int turn = 0; turn < 51; turn++) {
		for (int i = 0; i < 4; i++)
			wrong += PT(SINGLESTEP, pids[i], 0, 0) != 0;
		for (int i = 0; i < 4; i++) {
			wrong += wait_status(pids[i], 0) != STOPPED(SIGTRAP);
			wrong += pc_of(pids[i]) != (uintptr_t)endless + 8 + 4 * ((turn + 1) % 3);
		}
	}
	is("204 steps of four tracees", wrong, 0);
	for (int i = 0; i < 4; i++) {
		is("    have run each instruction once", registers_of(pids[i]).x[0], 17);
		ends("    it ends", pids[i]);
	}
	is("those beside are not stepped", wait_status(free[0], WNOHANG) | wait_status(free[1], WNOHANG), 0);
	ends("    it ends", free[0]);
	ends("    it ends", free[1]);
	walked = NULL;
}

static void *spins_beside(void *nothing)
{
	shared->word[20] = 1;
	while (!shared->word[21])
		__asm__ volatile("yield");
	return nothing;
}

static int has_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, spins_beside, NULL);
	while (!shared->word[20])
		nap();
	walk_of();
	shared->word[21] = 1;
	pthread_join(thread, NULL);
	return 7;
}

/* A step of one thread leaves the others alone. */
static void one_thread(void)
{
	walked = has_a_thread;
	pid_t pid = at_walk(plain);
	STEPS("one thread is stepped", pid, plain, plain_pcs);
	goes_on(pid);
	walked = NULL;
}

/* A tracer that ends in the middle of a step. Linux ends a tracee whose step is done by then with SIGTRAP; here the step is nobody's. */
static int computes(void)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
	return 0;
}

static int ends_in_a_step(void)
{
	pid_t pid = shared->pid[0];

	if (PT(ATTACH, pid, 0, 0) || wait_status(pid, 0) != STOPPED(SIGSTOP) || PT(SINGLESTEP, pid, 0, 0))
		return 1;
	/* The step is cancelled, done, or told, as it comes. */
	for (int i = shared->word[6]; i > 0; i--)
		sched_yield();
	return 7;
}

static void the_tracer_ends_in_a_step(void)
{
	pid_t pid = shared->pid[0] = start(computes);
	int good = 0;

	for (int i = 0; i < 40; i++) {
		shared->word[6] = i / 8;
		good += wait_status(start(ends_in_a_step), 0) == EXITED(7);
	}
	is("tracers that end in a step", good, 40);
	is("the tracee is given no SIGTRAP", wait_status(pid, WNOHANG), 0);
	ends("    and goes on", pid);
}

/*
 * clone(CLONE_VM | CLONE_VFORK) with a stack: the parent waits, and no signal ends the wait. The child ends, without a signal, once the word at X20 is
 * not 0.
 */
WALK(waits_for_child, "mov x0, #0x4100\nsub x1, sp, #512\nmov x2, #0\nmov x3, #0\nmov x4, #0\nmov x8, #220\nsvc #0\ncbnz x0, 1f\n"
		      "2: ldr w9, [x20]\ncbnz w9, 3f\nmov x8, #124\nsvc #0\nb 2b\n3: mov x0, #5\nmov x8, #93\nsvc #0\n1: nop\nnop");

/* Steps a child of its own over the call, in which the child waits, and ends. */
static int leaves_a_step(void)
{
	pid_t pid = at_walk(waits_for_child);
	struct task_registers now = registers_of(pid);

	now.x[20] = (uintptr_t)&shared->word[7];
	set_registers(pid, &now);
	for (int place = 2; place <= 7; place++)
		if (steps_to(pid, waits_for_child, place) != 1)
			return 1;
	PT(SINGLESTEP, pid, 0, 0);
	/* Linux says D of a task that waits so. */
	while (!strchr("SD", state_of(pid)))
		nap();
	shared->pid[1] = pid;
	return 7;
}

/* The step that a tracer leaves behind is not that of the next tracer. */
static void a_new_tracer(void)
{
	shared->word[7] = 0;
	is("a tracer that ends while its tracee is in a call", wait_status(start(leaves_a_step), 0), EXITED(7));
	pid_t pid = shared->pid[1];
	is("another one", PT(SEIZE, pid, 0, 0), 0);
	is("    has it stop", PT(INTERRUPT, pid, 0, 0), 0);
	shared->word[7] = 1;
	waits("    behind the call", pid, EVENT_STOP(SIGTRAP));
	is("    at the next instruction", pc_of(pid), (uintptr_t)waits_for_child + 32);
	is("its step is one instruction", steps_to(pid, waits_for_child, 17), 1);
	ends("the tracee", pid);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ends"))
		return 9;
	on_linux = argc > 1;
	CASE(plain_code);
	CASE(system_calls);
	CASE(hint_instructions);
	if (!on_linux)
		CASE(exclusive_sequences);
	CASE(into_handlers);
	CASE(breakpoints);
	CASE(a_fault);
	CASE(a_page_fault);
	CASE(a_sleep);
	CASE(a_fork);
	CASE(a_child_is_not_stepped);
	CASE(an_exec);
	CASE(detached);
	CASE(several);
	CASE(one_thread);
	CASE(a_new_tracer);
	if (!on_linux)
		CASE(the_tracer_ends_in_a_step);
	return failed();
}
