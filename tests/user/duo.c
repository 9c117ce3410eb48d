/*
 * Proves that two threads and a signal work. It needs no more system calls than programs of its kind do, because a test runs it with all
 * others switched off.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t signals;
static int numbers[2];

static void count(int signal)
{
	(void)signal;
	signals++;
}

static void *body(void *number)
{
	*(int *)number += 41;
	return number;
}

int main(void)
{
	struct sigaction action = { .sa_handler = count };
	pthread_t threads[2];
	void *result;
	int good = 1;

	good &= sigaction(SIGUSR1, &action, NULL) == 0;
	for (int i = 0; i < 2; i++)
		good &= pthread_create(&threads[i], NULL, body, &numbers[i]) == 0;
	for (int i = 0; i < 2; i++)
		good &= pthread_join(threads[i], &result) == 0 && result == &numbers[i] && numbers[i] == 41;
	check("two threads", good, "%d and %d", numbers[0], numbers[1]);
	raise(SIGUSR1);
	check("a signal", signals == 1, "%d", (int)signals);
	return failed();
}
