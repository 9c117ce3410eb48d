/*
 * What gdb debugs in gdb.sh. `sums` adds up numbers and ends with their sum, `sums threads` has two threads, `sums fork` a child,
 * and `sums wait` waits until a debugger has set `go_on`. It checks nothing itself.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEPT __attribute__((noinline, noclone))

static volatile long total;
static volatile int go_on;

/* A function to stop in. */
KEPT static long add(int amount)
{
	total += amount;
	return total;
}

KEPT static void *worker(void *name)
{
	printf("%s works\n", (char *)name);
	return NULL;
}

static int threads(void)
{
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, worker, "one");
	pthread_join(threads[0], NULL);
	pthread_create(&threads[1], NULL, worker, "two");
	pthread_join(threads[1], NULL);
	return 0;
}

static int forks(void)
{
	int status = 0;

	if (fork() == 0)
		_exit(add(4));
	wait(&status);
	return WEXITSTATUS(status) + 1;
}

KEPT static int waits(void)
{
	struct timespec shortly = { .tv_nsec = 1000000 };

	while (!go_on)
		nanosleep(&shortly, NULL);
	return go_on;
}

int main(int argc, char **argv)
{
	setbuf(stdout, NULL);
	if (argc > 1)
		return !strcmp(argv[1], "threads") ? threads() : !strcmp(argv[1], "fork") ? forks() : waits();
	for (int i = 1; i <= 5; i++)
		add(i);
	printf("total %ld\n", total);
	return total;
}
