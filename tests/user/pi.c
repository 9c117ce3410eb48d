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

static uint32_t tid(void)
{
	return syscall(SYS_gettid);
}

static void give_way(void)
{
	sched_yield();
	__asm__ volatile("yield");
}

/* Has the thread run on one CPU, if there are so many: who ends and who watches it run at the same time. */
static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* An entry of a list of robust futexes, and its word. */
struct node {
	struct node *next;
	volatile uint32_t word;
};

static struct node nodes[3];
static volatile uint32_t lock;
/* Somebody waits for the owner's end to begin. */
static int watched;

/*
 * Ends the thread with the first node in its robust list. Behind that node the list is a circle, which the kernel follows for as many entries
 * as a list may have: so other threads have time to do something between the node's turn and the end of the thread.
 */
static void end_with_robust_list(void)
{
	static struct {
		struct node *first;
		long distance;
		struct node *pending;
	} head;

	nodes[0].next = &nodes[1];
	nodes[1].next = &nodes[2];
	nodes[2].next = &nodes[1];
	head.first = &nodes[0];
	head.distance = offsetof(struct node, word);
	if (syscall(SYS_set_robust_list, &head, sizeof head))
		return;
	syscall(SYS_exit, 0);
}

/* A thread without the C library, whose end the library does not see. */
static int bare_thread(int (*function)(void *))
{
	static char stack[65536] __attribute__((aligned(16)));

	int thread = clone(function, stack + sizeof stack,
			   CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, NULL);

	/* No line for each thread: to print one takes longer than the thread lives. */
	if (thread < 0)
		check_call("a thread", thread);
	return thread;
}

static void wait_for_end(int thread)
{
	while (!syscall(SYS_tgkill, getpid(), thread, 0))
		give_way();
}

static int ends_with_a_lock(void *argument)
{
	(void)argument;
	stay_on(1);
	lock = nodes[0].word = tid();
	while (!__atomic_load_n(&watched, __ATOMIC_ACQUIRE))
		give_way();
	end_with_robust_list();
	return 1;
}

/* A lock that nobody waits for when its owner begins to end, and somebody before it has ended. */
static void late_waiter(void)
{
	int wrong = 0;

	/* On a busy host the owner is gone in most rounds before this thread sees that it ends. */
	for (int i = 0; i < 30; i++) {
		lock = nodes[0].word = watched = 0;
		int owner = bare_thread(ends_with_a_lock);
		__atomic_store_n(&watched, 1, __ATOMIC_RELEASE);
		while (!(nodes[0].word & FUTEX_OWNER_DIED))
			give_way();
		wrong += futex(&lock, FUTEX_LOCK_PI, 0, 0, NULL, 0) != -1 || errno != ESRCH;
		wait_for_end(owner);
	}
	check("a lock whose owner is ending", !wrong, "%d of 30 waits do not end with ESRCH: %s", wrong, strerror(errno));
}

static volatile int inside, most, had;
static volatile uint32_t owners_tid;

/* Takes the robust lock, stays inside until its first owner has ended, and gives it back. */
static void take(void)
{
	if (futex(&nodes[0].word, FUTEX_LOCK_PI, 0, 0, NULL, 0))
		return;
	int now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	wait_for_end(owners_tid);
	for (int i = 0; i < 100; i++) {
		if (now > most)
			most = now;
		give_way();
		now = __atomic_load_n(&inside, __ATOMIC_SEQ_CST);
	}
	had++;
	__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	futex(&nodes[0].word, FUTEX_UNLOCK_PI, 0, 0, NULL, 0);
}

static int owner_of_robust(void *argument)
{
	(void)argument;
	stay_on(1);
	owners_tid = tid();
	__atomic_store_n(&nodes[0].word, owners_tid, __ATOMIC_RELEASE);
	while (!(nodes[0].word & FUTEX_WAITERS))
		give_way();
	end_with_robust_list();
	return 1;
}

static void *waiter_of_robust(void *argument)
{
	take();
	return argument;
}

/* A robust lock that somebody waits for goes to the waiter, and a third thread, which comes while the owner ends, waits. */
static void one_owner(void)
{
	pthread_t waiter;

	nodes[0].word = 0;
	int owner = bare_thread(owner_of_robust);
	while (!__atomic_load_n(&nodes[0].word, __ATOMIC_ACQUIRE))
		give_way();
	pthread_create(&waiter, NULL, waiter_of_robust, NULL);
	while ((nodes[0].word & FUTEX_TID_MASK) == owners_tid)
		give_way();
	take();
	wait_for_end(owner);
	pthread_join(waiter, NULL);
	check("a robust lock of a thread that ends has one owner at a time", most == 1 && had == 2, "%d inside, %d were", most, had);
	check("    and is free in the end", !(nodes[0].word & FUTEX_TID_MASK), "%#x", nodes[0].word);
}

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
	late_waiter();
	one_owner();
	return failed();
}
