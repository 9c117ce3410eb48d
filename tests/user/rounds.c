/*
 * Proves that nothing is lost: after many rounds of fork, exec and exit, of threads, and of mappings, as many pages are free as before.
 * A first few rounds bring in what stays: pages of the C library, and stacks that the kernel keeps for the next thread. The argument
 * says how many rounds of each kind there are.
 */
#include "check.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#define WARM 20

extern char **environ;
static char *self;

static long pages_free(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? -1 : (long)(info.freeram * info.mem_unit / 4096);
}

/* The kernel's stack of a task is given back a little after its end is told, as on Linux: by the task that runs next on its CPU. */
static long settled(long wanted)
{
	long have = pages_free();

	for (int i = 0; i < 500 && have != wanted; i++) {
		usleep(10000);
		have = pages_free();
	}
	return have;
}

static int ended_well(pid_t child)
{
	int status = -1;

	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

static int by_fork(void)
{
	pid_t child = fork();

	if (child == 0) {
		execl(self, self, "child", NULL);
		_exit(1);
	}
	return ended_well(child);
}

static int by_spawn(void)
{
	char *words[] = { self, "thread", NULL };
	pid_t child;

	return posix_spawn(&child, self, NULL, NULL, words, environ) == 0 && ended_well(child);
}

static void *body(void *argument)
{
	return argument;
}

static int by_thread(void)
{
	pthread_t thread;
	void *result = NULL;

	return pthread_create(&thread, NULL, body, &self) == 0 && pthread_join(thread, &result) == 0 && result == &self;
}

static int by_mapping(void)
{
	size_t size = 16 * 4096;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 0;
	for (size_t i = 0; i < size; i += 4096)
		memory[i] = 1;
	return munmap(memory, size) == 0;
}

static void rounds(const char *name, int (*round)(void), int count)
{
	int bad = 0;

	for (int i = 0; i < WARM; i++)
		bad += !round();
	usleep(100000);
	long before = pages_free();
	for (int i = 0; i < count; i++)
		bad += !round();
	long after = settled(before);
	check(name, bad == 0 && after == before, "%d of %d rounds failed; %ld free pages, before %ld", bad, count + WARM, after, before);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1000;

	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return 7;
	if (argc > 1 && strcmp(argv[1], "thread") == 0)
		return by_thread() ? 7 : 1;
	/* So many tasks at once that the kernel keeps as many stacks as it ever does. */
	for (int i = 0; i < 16; i++) {
		if (fork() == 0) {
			usleep(100000);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	rounds("fork, exec, exit", by_fork, count);
	rounds("posix_spawn of a program with a thread", by_spawn, count / 5);
	rounds("pthread_create, pthread_join", by_thread, count);
	rounds("mmap, munmap", by_mapping, count);
	return failed();
}
