/* What a tracer pays for a step of its tracee, and for a watchpoint's hit with the step that gets past it. */
#include "bench.h"
#include "../user/tracer.h"

enum { SLOT_SIZE = 24 };

/* `struct user_hwdebug_state` with one slot. */
struct one_slot {
	uint32_t info, pad;
	uint64_t address;
	uint32_t control, pad_2;
};

static volatile uint64_t watched;

static int stores(void)
{
	for (;;)
		watched = 1;
	return 0;
}

static void must(int is_so)
{
	if (!is_so)
		exit(1);
}

/* Lets the tracee go on until its next stop, which must be SIGTRAP. */
static void to_stop(long request, pid_t pid)
{
	int status;

	must(raw_call_4(SYS_ptrace, request, pid, 0, 0) == 0);
	must(raw_call_4(SYS_wait4, pid, (long)&status, __WALL, 0) == pid && status == STOPPED(SIGTRAP));
}

static void put_slot(pid_t pid, uint32_t control)
{
	struct one_slot slot = { .address = (uintptr_t)&watched, .control = control };

	struct iovec vector = { &slot, SLOT_SIZE };

	must(raw_call_4(SYS_ptrace, SETREGSET, pid, NT_WATCHES, (long)&vector) == 0 && vector.iov_len == SLOT_SIZE);
}

int main(void)
{
	/* All eight bytes, stores, EL0, enabled. */
	const uint32_t on = 0xff << 5 | 2 << 3 | 2 << 1 | 1;
	pid_t pid = traced(stores);

	row("ptrace_step", MEDIAN(SAMPLES, to_stop(SINGLESTEP, pid)), none, 1);
	put_slot(pid, on);
	row("ptrace_wp", MEDIAN(SAMPLES, ({
		to_stop(CONT, pid);
		put_slot(pid, 0);
		to_stop(SINGLESTEP, pid);
		put_slot(pid, on);
	})), none, 1);
	kill(pid, SIGKILL);
	return 0;
}
