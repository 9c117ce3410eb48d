/*
 * Proves that fork fails cleanly when there is no memory for another process: the children all end, the parent goes on, and as much
 * memory is free as before.
 */
#include "check.h"
#include <sys/sysinfo.h>
#include <sys/wait.h>

/* More tasks than the kernel has room for. */
#define MOST 20000

static long pages_free(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? -1 : (long)(info.freeram * info.mem_unit / 4096);
}

/* Forks children that wait for the end of the pipe, until fork fails or there are enough. Returns how many there are. */
static int forks(int most, int *error)
{
	int ends[2], children = 0;
	char byte;

	*error = 0;
	if (pipe(ends))
		return -1;
	for (; children < most; children++) {
		pid_t child = fork();
		if (child == 0) {
			close(ends[1]);
			_exit(read(ends[0], &byte, 1) != 0);
		}
		if (child < 0) {
			*error = errno;
			break;
		}
	}
	close(ends[0]);
	close(ends[1]);
	return children;
}

static int reaped(void)
{
	int count = 0;

	while (wait(NULL) > 0)
		count++;
	return count;
}

int main(void)
{
	int error, children;

	/* What stays: pages that this program touches, and stacks that the kernel keeps. */
	children = forks(16, &error);
	check("a few children", children == 16 && reaped() == 16, "%d: %s", children, strerror(error));
	usleep(100000);
	long before = pages_free();
	children = forks(MOST, &error);
	printf("bomb: %d children\n", children);
	check("fork fails at last", children < MOST && (error == EAGAIN || error == ENOMEM), "%d children: %s", children, strerror(error));
	check("thousands of children", children >= 2000, "%d", children);
	int ended = reaped();
	check("all children end", ended == children, "%d of %d", ended, children);
	long after = pages_free();
	for (int i = 0; i < 500 && after != before; i++) {
		usleep(10000);
		after = pages_free();
	}
	check("memory is as before", after == before, "%ld free pages, before %ld", after, before);
	children = forks(16, &error);
	check("and fork works again", children == 16 && reaped() == 16, "%d: %s", children, strerror(error));
	return failed();
}
