/*
 * Proves that threads run at the same time as their creator, share memory, have their own thread pointer, wait for each other by futex,
 * get signals that are sent to one of them, sleep, and can be joined with their result. New threads and processes run by their creator's
 * policy on its CPUs, and a thread that calls execve becomes its process's only one, with the process's number.
 */
#include "check.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long sum, turn;
static __thread long own = 5;
static volatile sig_atomic_t signals;
static volatile pid_t signalled;

static void handler(int signal)
{
	(void)signal;
	signalled = syscall(SYS_gettid);
	signals++;
}

static void *worker(void *argument)
{
	long number = (long)argument;

	for (int i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&lock);
		sum += number;
		own += number;
		pthread_mutex_unlock(&lock);
	}
	/* The two threads take turns, so that each waits for the other one. */
	for (int i = 0; i < 50; i++) {
		pthread_mutex_lock(&lock);
		while (turn % 2 != number - 1)
			pthread_cond_wait(&changed, &lock);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return (void *)own;
}

static void *exits(void *argument)
{
	pthread_exit(argument);
}

/* How a task runs. By calls of the kernel, because musl does not make them. */
struct way {
	long policy;
	int priority, nice;
	cpu_set_t cpus;
};

static struct way way(void)
{
	struct way way = { .policy = syscall(SYS_sched_getscheduler, 0) };

	syscall(SYS_sched_getparam, 0, &way.priority);
	way.nice = getpriority(PRIO_PROCESS, 0);
	sched_getaffinity(0, sizeof way.cpus, &way.cpus);
	return way;
}

static int same(const struct way *one, const struct way *other)
{
	return one->policy == other->policy && one->priority == other->priority && one->nice == other->nice &&
	       CPU_EQUAL(&one->cpus, &other->cpus);
}

static void *tells_way(void *to)
{
	*(struct way *)to = way();
	return NULL;
}

/* A thread and a process must run in a certain way. */
static void inherit(const char *name, const struct way *wanted)
{
	struct way found;
	pthread_t thread;
	int status;

	pthread_create(&thread, NULL, tells_way, &found);
	pthread_join(thread, NULL);
	check(name, same(&found, wanted), "policy %#lx, priority %d, nice %d, %d CPUs", found.policy, found.priority, found.nice,
	      CPU_COUNT(&found.cpus));
	pid_t child = fork();
	if (!child) {
		found = way();
		_exit(!same(&found, wanted));
	}
	waitpid(child, &status, 0);
	check("    and in another process", status == 0, "%#x", status);
}

#define RESET_ON_FORK 0x40000000

static void inheritance(void)
{
	struct way before = way(), wanted;
	int ten = 10, zero = 0;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	check_call("one CPU", sched_setaffinity(0, sizeof one, &one));
	setpriority(PRIO_PROCESS, 0, 3);
	wanted = way();
	check("    and a nice value", wanted.nice == 3 && CPU_COUNT(&wanted.cpus) == 1, "%d, %d", wanted.nice, CPU_COUNT(&wanted.cpus));
	inherit("are inherited", &wanted);
	check_call("SCHED_FIFO", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &ten));
	wanted = way();
	check("    its priority", wanted.policy == SCHED_FIFO && wanted.priority == 10, "%ld, %d", wanted.policy, wanted.priority);
	inherit("is inherited", &wanted);
	check_call("SCHED_RESET_ON_FORK", syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | RESET_ON_FORK, &ten));
	check("    is shown", way().policy == (SCHED_FIFO | RESET_ON_FORK), "%#lx", way().policy);
	wanted.policy = SCHED_OTHER;
	wanted.priority = 0;
	wanted.nice = 0;
	inherit("    is not inherited, nor is the policy", &wanted);
	syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &zero);
	setpriority(PRIO_PROCESS, 0, 0);
	sched_setaffinity(0, sizeof before.cpus, &before.cpus);
}

static char *program;

static void *executes(void *unused)
{
	/* The first thread waits, or has ended. */
	const struct timespec time = { 0, 30000000 };
	char number[16];

	(void)unused;
	nanosleep(&time, NULL);
	snprintf(number, sizeof number, "%d", getpid());
	execl(program, program, number, NULL);
	_exit(99);
}

/* The program that a thread has executed. It ends as its only thread ends. */
static int executed(const char *number)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int threads = 0;

	while (tasks && (entry = readdir(tasks)))
		threads += entry->d_name[0] != '.';
	int right = getpid() == atoi(number) && syscall(SYS_gettid) == getpid() && threads == 1 && kill(getpid(), 0) == 0;
	return syscall(SYS_exit, right ? 7 : 8);
}

static void exec_by_a_thread(void)
{
	int status;

	for (int ends = 0; ends < 2; ends++) {
		pid_t child = fork();
		if (!child) {
			pthread_t thread;
			pthread_create(&thread, NULL, executes, NULL);
			if (ends)
				syscall(SYS_exit, 3);
			for (;;)
				pause();
		}
		check("execve by a thread", waitpid(child, &status, 0) == child && WIFEXITED(status), "%#x", status);
		check(ends ? "    whose first thread has ended" : "    whose first thread waits", WEXITSTATUS(status) == 7, "%#x", status);
	}
}

static int ready;

static void *executes_at_once(void *unused)
{
	(void)unused;
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < 2)
		__asm__ volatile("yield");
	execl("/proc/self/exe", program, "at once", NULL);
	return NULL;
}

/* Of two threads that call execve at once one goes on as the new program. */
static void execs_at_once(void)
{
	int status, executed = 0;

	for (int round = 0; round < 20; round++) {
		pid_t child = fork();
		if (!child) {
			pthread_t thread;
			pthread_create(&thread, NULL, executes_at_once, NULL);
			executes_at_once(NULL);
			for (;;)
				pause();
		}
		executed += waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9;
	}
	check("two threads that call execve at once", executed == 20, "%d of 20 have become the program", executed);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "at once"))
		return 9;
	if (argc > 1)
		return executed(argv[1]);
	program = argv[0];
	pthread_t threads[2], last;
	struct timespec before, after, time = { 0, 20000000 };
	struct sigaction action = { .sa_handler = handler };
	void *result;

	for (long i = 0; i < 2; i++) {
		int error = pthread_create(&threads[i], NULL, worker, (void *)(i + 1));
		if (!check(i ? "create second" : "create first", error == 0, "%s", strerror(error)))
			return 1;
	}
	for (long i = 0; i < 2; i++) {
		int error = pthread_join(threads[i], &result);
		check(i ? "join second" : "join first", error == 0, "%s", strerror(error));
		check(i ? "second's own variable" : "first's own variable",
		      (long)result == 5 + (i + 1) * ROUNDS, "%ld", (long)result);
	}
	check("sum under the lock", sum == 3 * ROUNDS, "%ld", sum);
	check("turns", turn == 100, "%ld", turn);
	check("main's own variable", own == 5, "%ld", own);

	sigaction(SIGUSR1, &action, NULL);
	pthread_kill(pthread_self(), SIGUSR1);
	check("signal to itself", signals == 1 && signalled == getpid(), "%d signals, thread %d", signals, signalled);

	clock_gettime(CLOCK_MONOTONIC, &before);
	check("nanosleep", nanosleep(&time, NULL) == 0, "%s", strerror(errno));
	clock_gettime(CLOCK_MONOTONIC, &after);
	long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
	check("slept long enough", slept >= 20000000, "%lld ns", slept);

	pthread_create(&last, NULL, exits, (void *)7);
	pthread_join(last, &result);
	check("pthread_exit", (long)result == 7, "%ld", (long)result);
	inheritance();
	exec_by_a_thread();
	execs_at_once();
	return failed();
}
