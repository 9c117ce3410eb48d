/*
 * Proves that a lock with priority inheritance has one owner, whichever way its owner ends, and that futex calls write only where the
 * program itself may write.
 */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096

/* musl has no header for them. */
enum { FUTEX_WAKE_OP = 5, FUTEX_LOCK_PI = 6, FUTEX_UNLOCK_PI = 7 };
#define FUTEX_WAITERS 0x80000000
#define FUTEX_OWNER_DIED 0x40000000
#define FUTEX_TID_MASK 0x3fffffff
/* Adds 1, and compares the old value with 0. */
#define ADD_1_IF_0 (1 << 28 | 1 << 12)

static long futex(volatile uint32_t *word, int operation, long value, long timeout, volatile uint32_t *other, long last)
{
	return syscall(SYS_futex, word, operation, value, timeout, other, last);
}

static volatile uint32_t lock;

static void read_only(void)
{
	volatile uint32_t *words = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	check("FUTEX_LOCK_PI of memory that may be read", futex(words, FUTEX_LOCK_PI, 0, 0, NULL, 0) == -1 && errno == EFAULT, "%s",
	      strerror(errno));
	/* *words += 1; wakes 1 waiter of `lock`, and 1 of the words if the old value is 0. */
	check("FUTEX_WAKE_OP", futex(&lock, FUTEX_WAKE_OP, 1, 1, words, ADD_1_IF_0) == -1 &&
	      errno == EFAULT, "%s", strerror(errno));
	pid_t child = syscall(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, NULL, NULL, NULL, words);
	if (!child)
		_exit(*words != 0);
	waitpid(child, &status, 0);
	check("CLONE_CHILD_SETTID", status == 0, "%#x", status);
	check("    nothing was written", *words == 0, "%#x", *words);
	munmap((void *)words, PAGE);
}

int main(void)
{
	stay_on(0);
	read_only();
	return failed();
}
