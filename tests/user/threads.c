/*
 * Proves that threads run at the same time as their creator, share memory, have their own thread pointer, wait for each other by futex,
 * get signals that are sent to one of them, sleep, and can be joined with their result.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
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

int main(void)
{
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
	return failed();
}
