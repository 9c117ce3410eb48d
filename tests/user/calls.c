/*
 * Proves system calls that have no test of their own concern: statx, eventfd, execveat, FUTEX_WAKE_OP, capget, mincore, msync, mlock and its
 * kin, advice for files, the length of turns, and personality.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* The beginning of struct statx, which headers may not have. */
struct extended {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare;
	uint64_t ino, size, blocks, attributes_mask;
	struct { int64_t sec; uint32_t nsec; int32_t reserved; } atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t rest[16];
};

#define BASIC 0x7ffU

static long fails(long result, int error)
{
	return result == -1 && errno == error;
}

static long extended(int directory, const char *path, int flags, unsigned mask, struct extended *to)
{
	memset(to, 0x55, sizeof(*to));
	return syscall(SYS_statx, directory, path, flags, mask, to);
}

static void with_statx(void)
{
	struct extended found;
	struct stat stat;
	int file = open("/statx", O_RDWR | O_CREAT | O_TRUNC, 0640);

	write(file, "12345", 5);
	symlink("/statx", "/statx-link");
	check_call("statx", extended(AT_FDCWD, "/statx", 0, BASIC, &found));
	fstat(file, &stat);
	check("    size, mode, number", found.size == 5 && found.mode == stat.st_mode && found.ino == stat.st_ino, "%lu %o %lu",
	      (unsigned long)found.size, found.mode, (unsigned long)found.ino);
	check("    mask, links, blocks", found.mask == BASIC && found.nlink == 1 && found.blocks == (uint64_t)stat.st_blocks,
	      "%#x %u %lu", found.mask, found.nlink, (unsigned long)found.blocks);
	check("    times", found.mtime.sec == stat.st_mtim.tv_sec && found.mtime.nsec == stat.st_mtim.tv_nsec &&
	      found.ctime.nsec == stat.st_ctim.tv_nsec && found.atime.nsec == stat.st_atim.tv_nsec, "another");
	check("    nothing that is not told", found.attributes == 0 && found.btime.sec == 0 && found.spare == 0, "something");
	check_call("    of a descriptor", extended(file, "", AT_EMPTY_PATH, BASIC, &found));
	check("    the same", found.ino == stat.st_ino, "%lu", (unsigned long)found.ino);
	check_call("    of a link", extended(AT_FDCWD, "/statx-link", AT_SYMLINK_NOFOLLOW, BASIC, &found));
	check("    itself", S_ISLNK(found.mode), "%o", found.mode);
	check_call("    of a device", extended(AT_FDCWD, "/dev/null", 0x4000, 1, &found));
	check("    its numbers", found.rdev_major == 1 && found.rdev_minor == 3 && S_ISCHR(found.mode), "%u %u", found.rdev_major,
	      found.rdev_minor);
	check("    no such flag", fails(extended(AT_FDCWD, "/", 1, BASIC, &found), EINVAL), "%d", errno);
	check("    two kinds of synchronising", fails(extended(AT_FDCWD, "/", 0x6000, BASIC, &found), EINVAL), "%d", errno);
	check("    a reserved mask", fails(extended(AT_FDCWD, "/", 0, 1U << 31, &found), EINVAL), "%d", errno);
	check("    no such file", fails(extended(AT_FDCWD, "/no/such", 0, BASIC, &found), ENOENT), "%d", errno);
	check("    to nowhere", fails(syscall(SYS_statx, AT_FDCWD, "/", 0, BASIC, 8), EFAULT), "%d", errno);
	close(file);
}

static int ready(int file)
{
	struct pollfd polled = { .fd = file, .events = POLLIN | POLLOUT };

	return poll(&polled, 1, 0) < 0 ? -1 : polled.revents;
}

static int event;

static void *add_later(void *value)
{
	struct timespec sleep = { .tv_nsec = 10000000 };

	nanosleep(&sleep, NULL);
	write(event, value, 8);
	return NULL;
}

static void *take_later(void *value)
{
	struct timespec sleep = { .tv_nsec = 10000000 };

	nanosleep(&sleep, NULL);
	read(event, value, 8);
	return NULL;
}

static void with_eventfd(void)
{
	uint64_t value = 0, more = 5;
	char bytes[16] = { 1 };
	pthread_t thread;
	struct stat stat;

	event = syscall(SYS_eventfd2, 3, O_NONBLOCK);
	check_call("eventfd2", event);
	check("    can be read and written", ready(event) == (POLLIN | POLLOUT), "%#x", ready(event));
	check("    has its first value", read(event, &value, 8) == 8 && value == 3, "%lu", (unsigned long)value);
	check("    is then 0", fails(read(event, &value, 8), EAGAIN) && ready(event) == POLLOUT, "%d", errno);
	check("    counts", write(event, &more, 8) == 8 && write(event, &more, 8) == 8 && read(event, &value, 8) == 8 && value == 10,
	      "%lu", (unsigned long)value);
	check("    takes 8 bytes of more", write(event, bytes, 16) == 8 && read(event, bytes, 16) == 8 && bytes[0] == 1, "%d", bytes[0]);
	check("    not fewer", fails(write(event, &more, 7), EINVAL) && fails(read(event, &value, 4), EINVAL), "%d", errno);
	check("    nor none", fails(read(event, &value, 0), EINVAL) && fails(write(event, &value, 0), EINVAL), "%d", errno);
	value = UINT64_MAX;
	check("    not the largest number", fails(write(event, &value, 8), EINVAL), "%d", errno);
	value = UINT64_MAX - 1;
	check("    is full", write(event, &value, 8) == 8 && ready(event) == POLLIN, "%#x", ready(event));
	check("    and takes no more", fails(write(event, &more, 8), EAGAIN), "%d", errno);
	check("    has no offset", fails(lseek(event, 0, SEEK_SET), ESPIPE), "%d", errno);
	check("    has a mode", fstat(event, &stat) == 0 && stat.st_mode == 0600, "%o", stat.st_mode);
	fcntl(event, F_SETFL, 0);
	pthread_create(&thread, NULL, take_later, &value);
	check("    a write waits for room", write(event, &more, 8) == 8, "%d", errno);
	pthread_join(thread, NULL);
	read(event, &value, 8);
	pthread_create(&thread, NULL, add_later, &more);
	check("    a read waits for a number", read(event, &value, 8) == 8 && value == 5, "%lu", (unsigned long)value);
	pthread_join(thread, NULL);
	struct pollfd polled = { .fd = event, .events = POLLIN };
	pthread_create(&thread, NULL, add_later, &more);
	check("    poll waits for it", poll(&polled, 1, 5000) == 1 && polled.revents == POLLIN, "%#x", polled.revents);
	pthread_join(thread, NULL);
	close(event);

	event = syscall(SYS_eventfd2, 2, 1 | O_NONBLOCK | O_CLOEXEC);
	check("a semaphore", read(event, &value, 8) == 8 && value == 1 && read(event, &value, 8) == 8 && value == 1, "%lu",
	      (unsigned long)value);
	check("    then none is left", fails(read(event, &value, 8), EAGAIN), "%d", errno);
	check("    closed by execve", fcntl(event, F_GETFD) == FD_CLOEXEC, "%d", fcntl(event, F_GETFD));
	close(event);
	check("    no such flag", fails(syscall(SYS_eventfd2, 0, 2), EINVAL), "%d", errno);
}

static int status_of(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static long execute(int directory, const char *path, int flags, const char *name)
{
	char *arguments[] = { (char *)name, "exec", NULL }, *environment[] = { "A=1", NULL };
	pid_t child = fork();

	if (child == 0) {
		syscall(SYS_execveat, directory, path, arguments, environment, flags);
		_exit(100 + errno);
	}
	return status_of(child);
}

static void with_execveat(const char *self)
{
	int file = open(self, O_RDONLY | O_CLOEXEC), root = open("/", O_RDONLY | O_DIRECTORY);
	long status;

	status = execute(AT_FDCWD, self, 0, "path");
	check("execveat", status == 42, "%ld", status);
	status = execute(file, "", AT_EMPTY_PATH, "descriptor");
	check("    a descriptor", status == 42, "%ld", status);
	status = execute(root, self + 1, 0, "directory");
	check("    from a directory", status == 42, "%ld", status);
	status = execute(file, "", 0, "empty");
	check("    an empty path", status == 100 + ENOENT, "%ld", status);
	status = execute(file, "", 1, "flag");
	check("    no such flag", status == 100 + EINVAL, "%ld", status);
	status = execute(99, "", AT_EMPTY_PATH, "bad");
	check("    no such descriptor", status == 100 + EBADF, "%ld", status);
	status = execute(root, "", AT_EMPTY_PATH, "root");
	check("    a directory", status == 100 + EACCES, "%ld", status);
	symlink(self, "/self-link");
	status = execute(AT_FDCWD, "/self-link", 0, "link");
	check("    a link", status == 42, "%ld", status);
	status = execute(AT_FDCWD, "/self-link", AT_SYMLINK_NOFOLLOW, "link");
	check("    a link that is not followed", status == 100 + ELOOP, "%ld", status);
	close(file);
	close(root);
}

static uint32_t words[2];
static volatile int woken[2];

static void *wait_at(void *index)
{
	int at = (int)(intptr_t)index;

	while (syscall(SYS_futex, &words[at], 0, 0, NULL, NULL, 0) == -1 && errno == EINTR)
		;
	woken[at] = 1;
	return NULL;
}

/* FUTEX_WAKE_OP on both words; returns what the call returns. */
static long wake_op(int op, int operand, int comparison, int compared)
{
	uint32_t word = (uint32_t)op << 28 | (uint32_t)comparison << 24 | (operand & 0xfffU) << 12 | (compared & 0xfffU);

	return syscall(SYS_futex, &words[0], 5, 1, 1, &words[1], word);
}

static void with_wake_op(void)
{
	pthread_t threads[2];
	long count;

	words[1] = 10;
	wake_op(0, 7, 0, 0);
	check("FUTEX_WAKE_OP sets", words[1] == 7, "%u", words[1]);
	wake_op(1, -3, 0, 0);
	check("    adds", words[1] == 4, "%u", words[1]);
	wake_op(2, 3, 0, 0);
	check("    ors", words[1] == 7, "%u", words[1]);
	wake_op(3, 2, 0, 0);
	check("    clears", words[1] == 5, "%u", words[1]);
	wake_op(4, 4, 0, 0);
	check("    xors", words[1] == 1, "%u", words[1]);
	wake_op(8 | 2, 5, 0, 0);
	check("    shifts", words[1] == 33, "%u", words[1]);
	check("    no such operation", fails(wake_op(5, 0, 0, 0), ENOSYS) && fails(wake_op(0, 0, 6, 0), ENOSYS), "%d", errno);
	words[1] = 0;
	for (intptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, wait_at, (void *)i);
	/* Until both wait: then moving no waiter to itself finds one. */
	for (int i = 0; i < 2; i++)
		while (syscall(SYS_futex, &words[i], 3, 0, 1L, &words[i], 0) != 1)
			sched_yield();
	count = wake_op(1, 0, 1, 0);
	check("    wakes one whose comparison fails not the other", count == 1, "%ld", count);
	pthread_join(threads[0], NULL);
	check("    the first", woken[0] && !woken[1], "%d %d", woken[0], woken[1]);
	count = wake_op(1, 0, 0, 0);
	check("    wakes the other if the comparison holds", count == 1, "%ld", count);
	pthread_join(threads[1], NULL);
}

static void with_memory(void)
{
	unsigned char in[4] = { 9, 9, 9, 9 };
	char *at = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	at[4096] = 1;
	check("mincore", mincore(at, 3 * 4096, in) == 0 && !in[0] && in[1] && !in[2] && in[3] == 9, "%d %d %d %d", in[0], in[1], in[2], in[3]);
	check("    unaligned", fails(mincore(at + 1, 4096, in), EINVAL), "%d", errno);
	check_call("mlock", mlock(at + 100, 4096));
	mincore(at, 3 * 4096, in);
	check("    has the pages come in", in[0] && in[1] && !in[2], "%d %d %d", in[0], in[1], in[2]);
	check_call("munlock", munlock(at, 4096));
	check_call("mlock2", syscall(SYS_mlock2, at, 4096, 1));
	check("    no such flag", fails(syscall(SYS_mlock2, at, 4096, 2), EINVAL), "%d", errno);
	check_call("mlockall", mlockall(MCL_CURRENT));
	check("    no such flag", fails(mlockall(8), EINVAL) && fails(mlockall(0), EINVAL), "%d", errno);
	check_call("munlockall", munlockall());
	check_call("msync", msync(at, 4096, MS_SYNC));
	check("    both ways", fails(msync(at, 4096, MS_SYNC | MS_ASYNC), EINVAL), "%d", errno);
	check("    unaligned", fails(msync(at + 1, 4096, MS_SYNC), EINVAL), "%d", errno);
	munmap(at + 8192, 4096);
	check("a hole", fails(msync(at, 4 * 4096, MS_SYNC), ENOMEM) && fails(mlock(at, 4 * 4096), ENOMEM) &&
	      fails(mincore(at, 4 * 4096, in), ENOMEM), "%d", errno);
}

static int64_t cpu_time(clockid_t clock)
{
	struct timespec time;

	return clock_gettime(clock, &time) ? -1 : time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *burn(void *to)
{
	clockid_t clock;

	pthread_getcpuclockid(pthread_self(), &clock);
	while (cpu_time(clock) < 5000000)
		;
	*(int64_t *)to = cpu_time(CLOCK_THREAD_CPUTIME_ID) - cpu_time(clock);
	return NULL;
}

static void with_cpu_clocks(void)
{
	clockid_t process, own;
	int64_t before, between, after, difference = 1;
	pthread_t thread;

	check("clock_getcpuclockid", clock_getcpuclockid(getpid(), &process) == 0, "fails");
	before = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	between = cpu_time(process);
	after = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	check("    is the process's clock", before > 0 && before <= between && between <= after, "%lld %lld %lld", (long long)before,
	      (long long)between, (long long)after);
	pthread_getcpuclockid(pthread_self(), &own);
	pthread_create(&thread, NULL, burn, &difference);
	pthread_join(thread, NULL);
	check("    a thread's own clock", difference <= 0 && difference > -1000000000, "%lld", (long long)difference);
	check("    counts for the process", cpu_time(process) >= 5000000 + cpu_time(own) / 2, "%lld", (long long)cpu_time(process));
	check("    of no process", cpu_time(~12345 * 8 + 2) == -1 && errno == EINVAL, "%d", errno);
	check("    of no thread", cpu_time(~12345 * 8 + 6) == -1 && errno == EINVAL, "%d", errno);
}

static void others(void)
{
	uint32_t header[2] = { 0x20080522, 0 }, data[6] = { 0 };
	struct timespec turn = { 9, 9 };
	struct sched_param priority = { .sched_priority = 1 };
	int pipes[2], file = open("/statx", O_RDWR);

	check("capget", syscall(SYS_capget, header, data) == 0 && data[0] == UINT32_MAX && data[1] == UINT32_MAX && data[2] == 0 &&
	      data[3] == 0x1ff && data[5] == 0, "%#x %#x", data[0], data[3]);
	header[0] = 1;
	check("    an unknown version", fails(syscall(SYS_capget, header, data), EINVAL) && header[0] == 0x20080522, "%#x", header[0]);
	header[0] = 1;
	check("    the version", syscall(SYS_capget, header, NULL) == 0 && header[0] == 0x20080522, "%#x", header[0]);
	header[1] = 12345;
	check("    no such process", fails(syscall(SYS_capget, header, data), ESRCH), "%d", errno);

	check("sched_rr_get_interval", syscall(SYS_sched_rr_get_interval, 0, &turn) == 0 && turn.tv_sec == 0 && turn.tv_nsec > 0 &&
	      turn.tv_nsec < 100000000, "%ld", turn.tv_nsec);
	syscall(SYS_sched_setscheduler, 0, SCHED_RR, &priority);
	check("    of SCHED_RR", syscall(SYS_sched_rr_get_interval, 0, &turn) == 0 && turn.tv_nsec == 100000000, "%ld", turn.tv_nsec);
	syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority);
	check("    of SCHED_FIFO", syscall(SYS_sched_rr_get_interval, 0, &turn) == 0 && turn.tv_nsec == 0, "%ld", turn.tv_nsec);
	priority.sched_priority = 0;
	syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &priority);
	check("    of nobody", fails(syscall(SYS_sched_rr_get_interval, -1, &turn), EINVAL) &&
	      fails(syscall(SYS_sched_rr_get_interval, 12345, &turn), ESRCH), "%d", errno);

	check_call("fadvise64", syscall(SYS_fadvise64, file, 0L, 0L, 3));
	check("    unknown advice", fails(syscall(SYS_fadvise64, file, 0L, 0L, 6), EINVAL), "%d", errno);
	check_call("readahead", syscall(SYS_readahead, file, 0L, 100L));
	pipe(pipes);
	check("    of a pipe", fails(syscall(SYS_readahead, pipes[0], 0L, 1L), EINVAL) &&
	      fails(syscall(SYS_fadvise64, pipes[0], 0L, 0L, 0), ESPIPE), "%d", errno);
	check("    of nothing", fails(syscall(SYS_readahead, 99, 0L, 1L), EBADF) && fails(syscall(SYS_fadvise64, 99, 0L, 0L, 0), EBADF),
	      "%d", errno);
}

static void with_personality(const char *program)
{
	long asked = personality(0xffffffff);
	int status = -1;

	check("personality", asked == 0 && personality(ADDR_NO_RANDOMIZE) == 0, "%#lx", asked);
	asked = personality(0xffffffff);
	check("    is kept", asked == ADDR_NO_RANDOMIZE, "%#lx", asked);
	if (fork() == 0) {
		execl(program, program, "personality", NULL);
		_exit(99);
	}
	wait(&status);
	check("    by children and execve", status == 44 << 8, "%#x", status);
	check("    of 32 bits", fails(personality(PER_LINUX32 | ADDR_NO_RANDOMIZE), EINVAL), "%d", errno);
	asked = personality(0);
	check("    is not changed by an error", asked == ADDR_NO_RANDOMIZE, "%#lx", asked);
}

int main(int count, char **arguments)
{
	if (count > 1 && !strcmp(arguments[1], "personality"))
		return personality(0xffffffff) == ADDR_NO_RANDOMIZE ? 44 : 45;
	if (count > 1 && !strcmp(arguments[1], "exec"))
		return getenv("A") ? 42 : 43;
	with_statx();
	with_eventfd();
	with_execveat(arguments[0]);
	with_wake_op();
	with_memory();
	with_cpu_clocks();
	with_personality(arguments[0]);
	others();
	return failed();
}
