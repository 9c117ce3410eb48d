/*
 * Proves that a tracer can give a tracee hardware breakpoints and watchpoints by NT_ARM_HW_BREAK and NT_ARM_HW_WATCH: each size and offset,
 * loads and stores, one thread alone, through a sleep, what is refused, and what fork and exec make of them.
 */
#include "tracer.h"
#include <pthread.h>

/* What the kernel calls user_hwdebug_state. */
struct slots {
	uint32_t info, pad;
	struct { uint64_t address; uint32_t control, pad; } slot[16];
};
enum { HEADER = 8, SLOT = 16, ALL = HEADER + 16 * SLOT };
enum { EXECUTE = 0, LOAD = 1, STORE = 2 };

/* DBGBCR and DBGWCR: byte address select, kind, EL0, enabled. */
#define CONTROL(bytes, kind) ((bytes) << 5 | (kind) << 3 | 2 << 1 | 1)

static long slots_of(pid_t pid, int type, struct slots *slots)
{
	memset(slots, 0xee, sizeof *slots);
	return regset(GETREGSET, pid, type, slots, sizeof *slots);
}

/* How many slots there are. */
static int count_of_slots(pid_t pid, int type)
{
	struct slots slots;

	return slots_of(pid, type, &slots) < 0 ? 0 : (int)(slots.info & 0xff);
}

/* Writes one slot, and disabled ones before it. */
static long put(pid_t pid, int type, int number, const volatile void *address, uint32_t control)
{
	struct slots slots = { 0 };

	slots.slot[number].address = (uintptr_t)address;
	slots.slot[number].control = control;
	return regset(SETREGSET, pid, type, &slots, HEADER + SLOT * (number + 1));
}

/* 64 bytes with as many before and behind them; shared, so that a tracee may be told in them what to do. */
static volatile uint8_t area[192] __attribute__((aligned(64)));

static void store(volatile uint8_t *to, int size)
{
	switch (size) {
	case 1: __asm__ volatile("strb wzr, [%0]" : : "r"(to) : "memory"); break;
	case 2: __asm__ volatile("strh wzr, [%0]" : : "r"(to) : "memory"); break;
	case 4: __asm__ volatile("str wzr, [%0]" : : "r"(to) : "memory"); break;
	case 8: __asm__ volatile("str xzr, [%0]" : : "r"(to) : "memory"); break;
	case 16: __asm__ volatile("stp xzr, xzr, [%0]" : : "r"(to) : "memory"); break;
	case 32: __asm__ volatile("stp q0, q0, [%0]" : : "r"(to) : "memory"); break;
	}
}

static void load(const volatile uint8_t *from, int size)
{
	switch (size) {
	case 1: __asm__ volatile("ldrb w0, [%0]" : : "r"(from) : "x0", "memory"); break;
	case 2: __asm__ volatile("ldrh w0, [%0]" : : "r"(from) : "x0", "memory"); break;
	case 4: __asm__ volatile("ldr w0, [%0]" : : "r"(from) : "x0", "memory"); break;
	case 8: __asm__ volatile("ldr x0, [%0]" : : "r"(from) : "x0", "memory"); break;
	case 16: __asm__ volatile("ldp x0, x1, [%0]" : : "r"(from) : "x0", "x1", "memory"); break;
	case 32: __asm__ volatile("ldp q0, q1, [%0]" : : "r"(from) : "v0", "v1", "memory"); break;
	}
}

/* A tracee that makes accesses for ever: the tracer says which by words of shared memory, and each is followed by SIGUSR1. */
enum { OFFSET = 1, SIZE, KIND };
static int accesses(void)
{
	for (;;) {
		raise(SIGUSR1);
		if (shared->word[KIND] == STORE)
			store(area + shared->word[OFFSET], shared->word[SIZE]);
		else
			load(area + shared->word[OFFSET], shared->word[SIZE]);
	}
	return 0;
}

/* Lets the tracee make one access. The result is 1 if it hits, 0 if it does not, -1 if something else happens; `info` says how. */
static int hits(pid_t pid, int kind, int offset, int size, siginfo_t *info)
{
	shared->word[KIND] = kind;
	shared->word[OFFSET] = offset;
	shared->word[SIZE] = size;
	PT(CONT, pid, 0, 0);
	int status = wait_status(pid, 0);
	if (status == STOPPED(SIGUSR1))
		return 0;
	memset(info, 0, sizeof *info);
	PT(GETSIGINFO, pid, 0, info);
	return status == STOPPED(SIGTRAP) && info->si_code == TRAP_HWBKPT ? 1 : -1;
}

/* Goes on behind a hit, as debuggers do: without the watchpoint, one step. */
static int passes(pid_t pid)
{
	struct slots slots, none = { 0 };

	slots_of(pid, NT_WATCHES, &slots);
	int length = HEADER + SLOT * (slots.info & 0xff);
	uint64_t pc = registers_of(pid).pc;
	if (regset(SETREGSET, pid, NT_WATCHES, &none, length) != length)
		return 0;
	PT(SINGLESTEP, pid, 0, 0);
	if (wait_status(pid, 0) != STOPPED(SIGTRAP) || registers_of(pid).pc != pc + 4)
		return 0;
	regset(SETREGSET, pid, NT_WATCHES, &slots, length);
	PT(CONT, pid, 0, 0);
	return wait_status(pid, 0) == STOPPED(SIGUSR1);
}

static pid_t ready(void)
{
	pid_t pid = traced(accesses);

	PT(CONT, pid, 0, 0);
	waits("ready", pid, STOPPED(SIGUSR1));
	return pid;
}

static void sizes_and_offsets(void)
{
	pid_t pid = ready();
	siginfo_t info;
	int wrong = 0, missed = 0, address = 0, stuck = 0, tried = 0;

	/* The access is naturally aligned; the watch has the same size (8 bytes of it at most), one before it or one behind it. */
	for (int size = 1; size <= 32; size *= 2) {
		int length = size < 8 ? size : 8;
		for (int at = 64; at < 80; at += size) {
			for (int watch = at - length; watch <= at + size; watch += length) {
				int touched = watch >= at && watch < at + size;
				for (int kind = LOAD; kind <= STORE; kind++) {
					/* With an offset in the doubleword, as by BAS alone. */
					uint32_t bytes = ((1u << length) - 1) << watch % 8;
					if (put(pid, NT_WATCHES, 0, area + watch / 8 * 8, CONTROL(bytes, kind)) != HEADER + SLOT) {
						check("SETREGSET", 0, "watch at %d of %d", watch, length);
						return;
					}
					int hit = hits(pid, kind, at, size, &info);
					tried++;
					if (hit < 0)
						wrong++;
					else if (hit != touched)
						missed++;
					if (hit == 1) {
						uint64_t where = (uint64_t)info.si_addr - (uintptr_t)area;
						if (where < (uint64_t)at || where >= (uint64_t)at + size)
							address++;
						stuck += !passes(pid);
					}
				}
			}
		}
	}
	check("accesses hit as they touch", !missed && !wrong, "%d wrong, %d other stops of %d", missed, wrong, tried);
	is("the address that was accessed", address, 0);
	is("behind a hit by a step", stuck, 0);
	ends("it ends", pid);
}

/* Watches within a doubleword, each with all accesses of up to 8 bytes around. */
static void byte_masks(void)
{
	pid_t pid = ready();
	siginfo_t info;
	int wrong = 0, tried = 0, stuck = 0;

	for (int first = 0; first < 8; first++) {
		for (int length = 1; length <= 8 - first; length++) {
			uint32_t bytes = ((1u << length) - 1) << first;
			/* The address may be the first byte's, if the mask begins at 0. */
			if (put(pid, NT_WATCHES, 0, area + 64, CONTROL(bytes, STORE)) != HEADER + SLOT)
				wrong++;
			for (int size = 1; size <= 8; size *= 2) {
				for (int at = 64 - size; at <= 72; at += size) {
					int hit = hits(pid, STORE, at, size, &info);
					int touched = at < 64 + first + length && at + size > 64 + first;
					tried++;
					if (hit != touched) {
						wrong++;
						printf("# mask %#x, %d bytes at %d: %d\n", bytes, size, at - 64, hit);
					}
					if (hit == 1)
						stuck += !passes(pid);
				}
			}
		}
	}
	check("all masks of contiguous bytes", !wrong, "%d of %d", wrong, tried);
	is("behind a hit by a step", stuck, 0);
	ends("it ends", pid);
}

static void kinds(void)
{
	pid_t pid = ready();
	siginfo_t info;

	put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xff, LOAD));
	is("a load on one for loads", hits(pid, LOAD, 64, 8, &info), 1);
	check("    behind it", passes(pid), "not");
	is("a store on one for loads", hits(pid, STORE, 64, 8, &info), 0);
	put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xff, STORE));
	is("a load on one for stores", hits(pid, LOAD, 64, 8, &info), 0);
	is("a store on one for stores", hits(pid, STORE, 64, 8, &info), 1);
	is("    again, as it was not stepped over", hits(pid, STORE, 64, 8, &info), 1);
	check("    behind it", passes(pid), "not");
	put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xff, LOAD | STORE));
	is("a load on one for both", hits(pid, LOAD, 64, 4, &info), 1);
	check("    behind it", passes(pid), "not");
	is("a store on one for both", hits(pid, STORE, 70, 2, &info), 1);
	check("    its address", (uint8_t *)info.si_addr == area + 70, "%ld", (long)((uint8_t *)info.si_addr - area));
	check("    behind it", passes(pid), "not");
	put(pid, NT_WATCHES, 0, 0, 0);
	is("off", hits(pid, STORE, 64, 8, &info), 0);
	ends("it ends", pid);
}

static void layout(void)
{
	pid_t pid = ready();
	struct slots slots;
	int types[] = { NT_WATCHES, NT_BREAKS };

	for (int i = 0; i < 2; i++) {
		int type = types[i], number = count_of_slots(pid, type);
		is(type == NT_WATCHES ? "NT_ARM_HW_WATCH" : "NT_ARM_HW_BREAK", slots_of(pid, type, &slots), ALL);
		check("    slots", number >= 2 && number <= 16, "%d", number);
		check("    version of the debug architecture", slots.info >> 8 >= 6 && slots.info >> 8 < 12 && slots.pad == 0, "%#x", slots.info);
		int zero = 1;
		for (int n = 0; n < 16; n++)
			zero &= !slots.slot[n].address && !slots.slot[n].control && !slots.slot[n].pad;
		check("    nothing is set", zero, "it is");
		is("the header alone", regset(GETREGSET, pid, type, &slots, 8), 8);
		is("4 bytes", regset(GETREGSET, pid, type, &slots, 4), 4);
		is("6 bytes", regset(GETREGSET, pid, type, &slots, 6), -EINVAL);
		is("more than all", regset(GETREGSET, pid, type, (uint8_t[512]) { 0 }, 512), ALL);
		is("one slot and a half", regset(GETREGSET, pid, type, &slots, 8 + 24), 8 + 24);
		is("to nowhere", regset(GETREGSET, pid, type, (void *)8, ALL), -EFAULT);
		is("from nowhere", regset(SETREGSET, pid, type, (void *)8, ALL), -EFAULT);
		is("setting the header alone", regset(SETREGSET, pid, type, memset(&slots, 0, sizeof slots), 8), 8);
		is("setting nothing", regset(SETREGSET, pid, type, &slots, 0), 0);
		is("setting half a slot", regset(SETREGSET, pid, type, &slots, 8 + 4), -EINVAL);
		is("setting an address without a control word", regset(SETREGSET, pid, type, &slots, 8 + 8), 8 + 8);
		is("setting all that there are", regset(SETREGSET, pid, type, &slots, HEADER + SLOT * number), HEADER + SLOT * number);
		if (number < 16)
			is("one more, of zeros", regset(SETREGSET, pid, type, &slots, HEADER + SLOT * (number + 1)), -ENOSPC);
		slots.slot[number].address = (uintptr_t)area;
		slots.slot[number].control = CONTROL(0xf, type == NT_WATCHES ? STORE : EXECUTE);
		is("one more than there are", regset(SETREGSET, pid, type, &slots, HEADER + SLOT * (number + 1)), number < 16 ? -ENOSPC : ALL);
		/* Read back. */
		is("one", put(pid, type, 1, area + 64, CONTROL(0xf, type == NT_WATCHES ? STORE : EXECUTE)), HEADER + 2 * SLOT);
		slots_of(pid, type, &slots);
		check("    is read back", slots.slot[1].address == (uintptr_t)area + 64 &&
		      slots.slot[1].control == CONTROL(0xfu, type == NT_WATCHES ? STORE : EXECUTE), "%#lx, %#x",
		      (unsigned long)slots.slot[1].address, slots.slot[1].control);
		check("    and the others are not set", !(slots.slot[0].control & 1) && !(slots.slot[2].control & 1), "%#x", slots.slot[0].control);
		put(pid, type, 1, 0, 0);
	}
	ends("it ends", pid);
}

static void refused(void)
{
	pid_t pid = ready();
	const volatile void *place = area + 64;

	is("no byte", put(pid, NT_WATCHES, 0, place, CONTROL(0, STORE)), -EINVAL);
	is("no kind", put(pid, NT_WATCHES, 0, place, CONTROL(0xf, 0)), -EINVAL);
	is("a hole in the bytes", put(pid, NT_WATCHES, 0, place, CONTROL(5, STORE)), -EINVAL);
	is("an address of the kernel", put(pid, NT_WATCHES, 0, (void *)0xffff800008000000, CONTROL(0xff, STORE)), -EINVAL);
	is("    not enabled", put(pid, NT_WATCHES, 0, (void *)0xffff800008000000, 0xff << 5 | STORE << 3), -EINVAL);
	is("bytes that end in the next doubleword", put(pid, NT_WATCHES, 0, area + 68, CONTROL(0xff, STORE)), -EINVAL);
	is("a breakpoint for stores", put(pid, NT_BREAKS, 0, (void *)accesses, CONTROL(0xf, STORE)), -EINVAL);
	is("a breakpoint in the kernel", put(pid, NT_BREAKS, 0, (void *)0xffff800008000000, CONTROL(0xf, EXECUTE)), -EINVAL);
	ends("it ends", pid);
}

/* What a control word reads as after it was written. */
static void reads_as(const char *name, pid_t pid, int type, const volatile void *address, uint32_t control, const volatile void *then, uint32_t bits)
{
	struct slots slots;

	long got = put(pid, type, 0, address, control);
	slots_of(pid, type, &slots);
	check(name, got == HEADER + SLOT && slots.slot[0].address == (uintptr_t)then && slots.slot[0].control == bits, "%ld, %#lx instead of %#lx, %#x",
	      got, (unsigned long)slots.slot[0].address, (unsigned long)then, slots.slot[0].control);
	put(pid, type, 0, 0, 0);
}

static void taken(void)
{
	pid_t pid = ready();
	const volatile uint8_t *place = area + 64, *text = (uint8_t *)accesses;

	reads_as("a watchpoint", pid, NT_WATCHES, place, CONTROL(0xff, STORE), place, CONTROL(0xff, STORE));
	reads_as("    of the upper bytes", pid, NT_WATCHES, place, CONTROL(0xf0, LOAD), place, CONTROL(0xf0, LOAD));
	reads_as("    of the same, by their address", pid, NT_WATCHES, place + 4, CONTROL(0xf, LOAD), place, CONTROL(0xf0, LOAD));
	reads_as("    at an odd address", pid, NT_WATCHES, place + 1, CONTROL(7, LOAD | STORE), place, CONTROL(0xe, LOAD | STORE));
	reads_as("    for EL1: it is EL0's", pid, NT_WATCHES, place, 0xf << 5 | STORE << 3 | 1 << 1 | 1, place, CONTROL(0xf, STORE));
	reads_as("    for both", pid, NT_WATCHES, place, 0xf << 5 | STORE << 3 | 3 << 1 | 1, place, CONTROL(0xf, STORE));
	reads_as("    with other bits", pid, NT_WATCHES, place, CONTROL(0xf, STORE) | 0xffffe000, place, CONTROL(0xf, STORE));
	reads_as("a breakpoint", pid, NT_BREAKS, text, CONTROL(0xf, EXECUTE), text, CONTROL(0xf, EXECUTE));
	/* Whatever its length is. */
	reads_as("    of 8 bytes", pid, NT_BREAKS, text, CONTROL(0xff, EXECUTE), text, CONTROL(0xf, EXECUTE));
	reads_as("    of 2 bytes", pid, NT_BREAKS, text, CONTROL(3, EXECUTE), text, CONTROL(0xf, EXECUTE));
	ends("it ends", pid);
}

void spot(void);
__asm__(".text\n.global spot\n.type spot, %function\nspot: mov x0, #1\nadd x0, x0, #1\nret\n.size spot, .-spot\n");

static int calls_spot(void)
{
	for (int i = 0; i < 3; i++) {
		__asm__ volatile("bl spot" : : : "x0", "x30", "memory");
		raise(SIGUSR1);
	}
	return 7;
}

static void execute_breakpoints(void)
{
	pid_t pid = traced(calls_spot);
	siginfo_t info;

	for (int slot = 0; slot < 2; slot++) {
		is("SETREGSET", put(pid, NT_BREAKS, slot, (uint8_t *)spot + 4, CONTROL(0xf, EXECUTE)), HEADER + SLOT * (slot + 1));
		for (int i = 0; i < 2; i++) {
			PT(CONT, pid, 0, 0);
			waits(i ? "it hits again" : "a hit", pid, STOPPED(SIGTRAP));
			PT(GETSIGINFO, pid, 0, &info);
			check("    what is told", info.si_code == TRAP_HWBKPT && (uint64_t)info.si_addr == (uintptr_t)spot + 4, "%d %p", info.si_code,
			      info.si_addr);
			is("    PC", registers_of(pid).pc, (uintptr_t)spot + 4);
		}
		put(pid, NT_BREAKS, slot, 0, 0);
		PT(SINGLESTEP, pid, 0, 0);
		waits("a step behind it", pid, STOPPED(SIGTRAP));
		is("    PC", registers_of(pid).pc, (uintptr_t)spot + 8);
		PT(CONT, pid, 0, 0);
		waits("and on", pid, STOPPED(SIGUSR1));
	}
	/* A step to a breakpoint tells of the step, the next one of the breakpoint. */
	put(pid, NT_BREAKS, 0, (void *)spot, CONTROL(0xf, EXECUTE));
	PT(CONT, pid, 0, 0);
	waits("a hit", pid, STOPPED(SIGTRAP));
	put(pid, NT_BREAKS, 0, (uint8_t *)spot + 4, CONTROL(0xf, EXECUTE));
	PT(SINGLESTEP, pid, 0, 0);
	waits("a step", pid, STOPPED(SIGTRAP));
	PT(GETSIGINFO, pid, 0, &info);
	is("    to a breakpoint is a step", info.si_code, TRAP_TRACE);
	is("    PC", registers_of(pid).pc, (uintptr_t)spot + 4);
	PT(SINGLESTEP, pid, 0, 0);
	waits("a step", pid, STOPPED(SIGTRAP));
	PT(GETSIGINFO, pid, 0, &info);
	is("    on a breakpoint is its hit", info.si_code, TRAP_HWBKPT);
	is("    PC stays", registers_of(pid).pc, (uintptr_t)spot + 4);
	put(pid, NT_BREAKS, 0, 0, 0);
	PT(DETACH, pid, 0, 0);
	waits("the end", pid, SIGUSR1);
}

static int sleeps_and_stores(void)
{
	nanosleep(&(struct timespec) { 0, 20000000 }, NULL);
	store(area + 64, 8);
	return 7;
}

static void through_a_sleep(void)
{
	pid_t pid = traced(sleeps_and_stores);
	siginfo_t info;

	is("SETREGSET", put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xff, STORE)), HEADER + SLOT);
	PT(CONT, pid, 0, 0);
	waits("it hits after the sleep", pid, STOPPED(SIGTRAP));
	PT(GETSIGINFO, pid, 0, &info);
	check("    what is told", info.si_code == TRAP_HWBKPT && (uint8_t *)info.si_addr == area + 64, "%d", info.si_code);
	/* DETACH: what was set is gone or not; nobody is told any more. */
	put(pid, NT_WATCHES, 0, 0, 0);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
}

static int reads_into(void)
{
	int ends[2];

	if (pipe(ends) || write(ends[1], "12345678", 8) != 8)
		return 1;
	/* The kernel's access is no hit. */
	long got = syscall(SYS_read, ends[0], area + 64, 8);
	raise(SIGUSR1);
	return got == 8 ? 7 : 2;
}

static void the_kernels_accesses(void)
{
	pid_t pid = traced(reads_into);

	put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xff, STORE | LOAD));
	PT(CONT, pid, 0, 0);
	waits("a system call makes no hit", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, 0);
	waits("and does its work", pid, EXITED(7));
}

static int forks(void)
{
	pid_t pid = fork();
	int status;

	store(area + 64, 4);
	if (pid == 0)
		_exit(5);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void a_fork_does_not_inherit(void)
{
	pid_t pid = traced(forks);
	struct slots slots;

	PT(SETOPTIONS, pid, 0, ON_FORK);
	put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xf, STORE));
	PT(CONT, pid, 0, 0);
	waits("the fork", pid, EVENT(E_FORK));
	unsigned long child;
	PT(GETEVENTMSG, pid, 0, &child);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	slots_of(child, NT_WATCHES, &slots);
	is("    it has no watchpoint", slots.slot[0].control, 0);
	PT(CONT, child, 0, 0);
	waits("    and hits none", child, EXITED(5));
	PT(CONT, pid, 0, 0);
	int status = wait_status(pid, 0);
	if (status == STOPPED(SIGCHLD)) {
		PT(CONT, pid, 0, 0);
		status = wait_status(pid, 0);
	}
	is("the parent hits", status, STOPPED(SIGTRAP));
	ends("it ends", pid);
}

static void *stores(void *nothing)
{
	while (!shared->word[30])
		nap();
	store(area + 64, 8);
	return nothing;
}

static int stores_in_a_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, stores, NULL);
	raise(SIGUSR1);
	pthread_join(thread, NULL);
	store(area + 64, 8);
	return 7;
}

static void one_thread(void)
{
	pid_t pid = traced(stores_in_a_thread);

	PT(SETOPTIONS, pid, 0, ON_CLONE);
	put(pid, NT_WATCHES, 0, area + 64, CONTROL(0xff, STORE));
	PT(CONT, pid, 0, 0);
	waits("a thread", pid, EVENT(E_CLONE));
	unsigned long thread;
	PT(GETEVENTMSG, pid, 0, &thread);
	waits("    its first stop", thread, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, 0);
	waits("ready", pid, STOPPED(SIGUSR1));
	struct slots slots;
	slots_of(thread, NT_WATCHES, &slots);
	is("the thread has no watchpoint", slots.slot[0].control, 0);
	shared->word[30] = 1;
	PT(CONT, thread, 0, 0);
	waits("    and hits none", thread, EXITED(0));
	PT(CONT, pid, 0, 0);
	waits("the first thread hits", pid, STOPPED(SIGTRAP));
	ends("it ends", pid);
}

static int executes(void)
{
	char *const arguments[] = { "again", "ends", NULL };

	execve("/proc/self/exe", arguments, NULL);
	return 2;
}

static void an_exec(void)
{
	pid_t pid = traced(executes);
	struct slots slots;

	PT(SETOPTIONS, pid, 0, ON_EXEC);
	put(pid, NT_WATCHES, 1, area + 64, CONTROL(0xff, STORE));
	put(pid, NT_BREAKS, 1, (void *)spot, CONTROL(0xf, EXECUTE));
	PT(CONT, pid, 0, 0);
	waits("exec", pid, EVENT(E_EXEC));
	slots_of(pid, NT_WATCHES, &slots);
	is("no watchpoint is left", slots.slot[1].control | slots.slot[1].address, 0);
	slots_of(pid, NT_BREAKS, &slots);
	is("no breakpoint is left", slots.slot[1].control | slots.slot[1].address, 0);
	PT(CONT, pid, 0, 0);
	waits("the program runs", pid, EXITED(9));
}

/* All slots at once, each with its own word. */
static void all_slots(void)
{
	pid_t pid = ready();
	int number = count_of_slots(pid, NT_WATCHES), wrong = 0;
	struct slots slots = { 0 };
	siginfo_t info;

	for (int i = 0; i < number; i++) {
		slots.slot[i].address = (uintptr_t)area + 8 * i;
		slots.slot[i].control = CONTROL(0xff, STORE);
	}
	is("all", regset(SETREGSET, pid, NT_WATCHES, &slots, HEADER + SLOT * number), HEADER + SLOT * number);
	for (int i = 0; i < number; i++) {
		wrong += hits(pid, STORE, 8 * i, 8, &info) != 1 || (uint8_t *)info.si_addr != area + 8 * i;
		wrong += !passes(pid);
	}
	is("each hits", wrong, 0);
	is("what is beside them does not", hits(pid, STORE, 8 * number, 8, &info), 0);
	/* Two processes at once. */
	pid_t other = ready();
	is("another process has as many", regset(SETREGSET, other, NT_WATCHES, &slots, HEADER + SLOT * number), HEADER + SLOT * number);
	is("and hits", hits(other, STORE, 8, 8, &info), 1);
	is("as the first one does", hits(pid, STORE, 0, 8, &info), 1);
	ends("it ends", other);
	ends("it ends", pid);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ends"))
		return 9;
	CASE(layout);
	CASE(refused);
	CASE(taken);
	CASE(kinds);
	CASE(sizes_and_offsets);
	CASE(byte_masks);
	CASE(all_slots);
	CASE(execute_breakpoints);
	CASE(through_a_sleep);
	CASE(the_kernels_accesses);
	CASE(a_fork_does_not_inherit);
	CASE(one_thread);
	CASE(an_exec);
	return failed();
}
