/*
 * Hardware breakpoints and watchpoints by perf_event_open, for programs that are compiled with musl too.
 */
#ifndef PERF_H
#define PERF_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct perf_event_attr up to sig_data, and its constants: musl has no header for them. */
struct attributes {
	uint32_t type, size;
	uint64_t config, period, sample_type, read_format, flags;
	uint32_t wakeup, bp_type;
	uint64_t bp_addr, bp_len, branch, regs_user;
	uint32_t stack_user;
	int32_t clockid;
	uint64_t regs_intr;
	uint32_t aux_watermark;
	uint16_t max_stack, reserved_2;
	uint32_t aux_size, reserved_3;
	uint64_t sig_data;
};

enum { READS = 1, WRITES = 2, EXECUTES = 4 };
enum { DISABLED = 1, INHERIT = 1 << 1 };
#define ENABLE_ON_EXEC (1UL << 12)
#define REMOVE_ON_EXEC (1UL << 36)
#define SIGTRAPS (1UL << 37 | REMOVE_ON_EXEC)
#define ENABLE 0x2400
#define DISABLE 0x2401
#define RESET 0x2403
#define MODIFY_ATTRIBUTES 0x4008240b
#ifndef TRAP_PERF
#define TRAP_PERF 6
#endif

static struct attributes of(uint32_t kind, const volatile void *address, uint64_t length, uint64_t flags)
{
	return (struct attributes){ .type = 5, .size = sizeof(struct attributes), .bp_type = kind, .bp_addr = (uintptr_t)address,
				    .bp_len = length, .flags = flags, .period = 1, .sig_data = 0x1122334455667788 };
}

/* An event whose hits number `period`, twice as many and so on are signals, if the flags ask for signals. */
__attribute__((unused))
static long event_of(uint32_t kind, const volatile void *address, uint64_t length, uint64_t flags, int pid, uint64_t period)
{
	struct attributes asked = of(kind, address, length, flags);

	asked.period = period;
	return syscall(SYS_perf_event_open, &asked, pid, -1, -1, 0UL);
}

__attribute__((unused))
static long event(uint32_t kind, const volatile void *address, uint64_t length, uint64_t flags, int pid)
{
	return event_of(kind, address, length, flags, pid, 1);
}

__attribute__((unused))
static uint64_t count_of(int fd)
{
	uint64_t count = ~0UL;

	if (read(fd, &count, sizeof count) != sizeof count)
		return ~0UL;
	return count;
}

#endif
