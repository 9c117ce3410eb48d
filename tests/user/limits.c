/*
 * Proves that the resource limits of a process are kept, inherited by fork and execve, can be set by another process, and hold for
 * descriptors, the stack, the address space, data and the size of files.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int is(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit limit = { 7, 7 };

	return getrlimit(resource, &limit) == 0 && limit.rlim_cur == soft && limit.rlim_max == hard;
}

static int set(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit limit = { soft, hard };

	return setrlimit(resource, &limit);
}

static int end_of(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : WIFSIGNALED(status) ? -WTERMSIG(status) : -1000;
}

/* What a child does, whose end is its status or, negative, the signal that ends it. */
static int in_child(int (*what)(void))
{
	pid_t child = fork();

	if (child == 0)
		_exit(what());
	return end_of(child);
}

static int descriptors(void)
{
	struct pollfd polled[11] = { 0 };
	int last = 0, next;

	for (int i = 0; i < 11; i++)
		polled[i].fd = -1;
	if (set(RLIMIT_NOFILE, 10, 20))
		return 1;
	while ((next = open("/dev/null", O_RDONLY)) >= 0)
		last = next;
	if (errno != EMFILE || last != 9)
		return 2;
	if (dup(0) != -1 || errno != EMFILE)
		return 3;
	if (dup3(0, 10, 0) != -1 || errno != EBADF)
		return 4;
	if (fcntl(0, F_DUPFD, 10) != -1 || errno != EINVAL)
		return 5;
	if (pipe((int[2]){ 0, 0 }) != -1 || errno != EMFILE)
		return 6;
	if (poll(polled, 11, 0) != -1 || errno != EINVAL || poll(polled, 10, 0) != 0)
		return 7;
	if (set(RLIMIT_NOFILE, 12, 20) || dup(0) != 10)
		return 8;
	return 33;
}

__attribute__((noinline))
static int deep(int pages)
{
	volatile char page[4096];

	page[0] = pages;
	return pages > 0 ? deep(pages - 1) + page[0] : 0;
}

static int shallow_enough(void)
{
	if (set(RLIMIT_STACK, 1 << 20, RLIM_INFINITY))
		return 1;
	deep(150);
	return 33;
}

static int too_deep(void)
{
	if (set(RLIMIT_STACK, 1 << 20, RLIM_INFINITY))
		return 1;
	deep(300);
	return 2;
}

static int deep_by_default(void)
{
	deep(1500);
	return 33;
}

static void *map(size_t size, int prot)
{
	return mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int address_space(void)
{
	if (map(1 << 20, PROT_READ) == MAP_FAILED || set(RLIMIT_AS, 4096, RLIM_INFINITY))
		return 1;
	if (map(4096, PROT_READ) != MAP_FAILED || errno != ENOMEM)
		return 2;
	if (set(RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY) || map(4096, PROT_READ) == MAP_FAILED)
		return 3;
	return 33;
}

static int data(void)
{
	if (set(RLIMIT_DATA, 4096, RLIM_INFINITY))
		return 1;
	if (map(1 << 20, PROT_READ | PROT_WRITE) != MAP_FAILED || errno != ENOMEM)
		return 2;
	if (map(1 << 20, PROT_READ) == MAP_FAILED)
		return 3;
	long now = syscall(SYS_brk, 0);
	if (syscall(SYS_brk, now + (1 << 20)) != now)
		return 4;
	return 33;
}

static char bytes[2000];

static int file_size(void)
{
	int file = open("/limited", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (file < 0 || set(RLIMIT_FSIZE, 1000, RLIM_INFINITY))
		return 1;
	signal(SIGXFSZ, SIG_IGN);
	if (write(file, bytes, sizeof(bytes)) != 1000)
		return 2;
	if (write(file, bytes, 1) != -1 || errno != EFBIG)
		return 3;
	if (pwrite(file, bytes, 10, 995) != 5)
		return 4;
	if (ftruncate(file, 1001) != -1 || errno != EFBIG || ftruncate(file, 900))
		return 5;
	int end = open("/limited", O_WRONLY | O_APPEND);
	if (write(end, bytes, sizeof(bytes)) != 100 || write(end, bytes, 1) != -1 || errno != EFBIG)
		return 6;
	if (write(end, bytes, 0) != 0)
		return 7;
	return 33;
}

static int file_size_signal(void)
{
	int file = open("/limited", O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (file < 0 || set(RLIMIT_FSIZE, 0, 0))
		return 1;
	write(file, bytes, 1);
	return 2;
}

static const char *self;

static int inherited(void)
{
	if (set(RLIMIT_CORE, 123, 456) || set(RLIMIT_NPROC, 77, 99))
		return 1;
	pid_t child = fork();
	if (child == 0) {
		execl(self, self, "exec", NULL);
		_exit(2);
	}
	return end_of(child);
}

int main(int count, char **arguments)
{
	struct rlimit limit = { 1, 2 }, old = { 0, 0 };
	int end;

	self = arguments[0];
	if (count > 1 && !strcmp(arguments[1], "exec"))
		return is(RLIMIT_CORE, 123, 456) && is(RLIMIT_NPROC, 77, 99) ? 33 : 3;
	check("RLIMIT_STACK", is(RLIMIT_STACK, 8 << 20, RLIM_INFINITY), "another");
	check("RLIMIT_NOFILE", is(RLIMIT_NOFILE, 1024, 1024), "another");
	check("RLIMIT_CORE", is(RLIMIT_CORE, 0, RLIM_INFINITY), "another");
	check("RLIMIT_AS", is(RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY), "another");
	check("no such limit", syscall(SYS_prlimit64, 0, 16, NULL, &limit) == -1 && errno == EINVAL, "%d", errno);
	check("a soft limit above the hard one", set(RLIMIT_CPU, 2, 1) == -1 && errno == EINVAL, "%d", errno);
	check("more descriptors than there can be", set(RLIMIT_NOFILE, 10, 1 << 20) == -1 && errno == EPERM, "%d", errno);
	check("no such process", syscall(SYS_prlimit64, 12345, RLIMIT_CPU, NULL, &limit) == -1 && errno == ESRCH, "%d", errno);
	check("a limit from nowhere", syscall(SYS_prlimit64, 0, RLIMIT_CPU, 8, NULL) == -1 && errno == EFAULT, "%d", errno);
	check("a limit to nowhere", syscall(SYS_prlimit64, 0, RLIMIT_CPU, NULL, 8) == -1 && errno == EFAULT, "%d", errno);
	check("getrlimit", syscall(SYS_getrlimit, RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == 8 << 20, "%d", errno);
	limit = (struct rlimit){ 5, 6 };
	check("setrlimit", syscall(SYS_setrlimit, RLIMIT_RSS, &limit) == 0 && is(RLIMIT_RSS, 5, 6), "%d", errno);

	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	check_call("the limit of a child", syscall(SYS_prlimit64, child, RLIMIT_CORE, &limit, &old));
	check("    as it was", old.rlim_cur == 0 && old.rlim_max == RLIM_INFINITY, "%lu", (unsigned long)old.rlim_cur);
	check_call("    again", syscall(SYS_prlimit64, child, RLIMIT_CORE, NULL, &old));
	check("    as it is", old.rlim_cur == 5 && old.rlim_max == 6, "%lu", (unsigned long)old.rlim_cur);
	check("    and not the parent's", is(RLIMIT_CORE, 0, RLIM_INFINITY), "it is");
	kill(child, SIGKILL);
	end_of(child);

	end = in_child(inherited);
	check("limits are inherited", end == 33, "%d", end);
	check("    and not given back", is(RLIMIT_NPROC, 1024, 1024), "they are");
	end = in_child(descriptors);
	check("descriptors", end == 33, "%d", end);
	end = in_child(shallow_enough);
	check("a stack within its limit", end == 33, "%d", end);
	end = in_child(too_deep);
	check("a stack beyond its limit", end == -SIGSEGV, "%d", end);
	end = in_child(deep_by_default);
	check("a stack within the first limit", end == 33, "%d", end);
	end = in_child(address_space);
	check("the address space", end == 33, "%d", end);
	end = in_child(data);
	check("data", end == 33, "%d", end);
	end = in_child(file_size);
	check("the size of files", end == 33, "%d", end);
	end = in_child(file_size_signal);
	check("    with a signal", end == -SIGXFSZ, "%d", end);
	return failed();
}
